"""What a skill declares, what is seen of it, and the gate that holds the two together."""

import json
import time

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prowess.core.errors import UserError
from prowess.core.patch import Patch
from prowess.core.skill import Skill, Snapshot
from prowess.core.task import File
from prowess.core.trust import Capabilities, Tier
from prowess.guard.capabilities import beyond_tier, declared, is_script, observed
from prowess.measure.permission import PermissionGate


def skill(code: str = "", path: str = "scripts/run.py", body: str = "Text.\n", manifest: object = None) -> Skill:
    files = [File(path=path, data=code.encode())] if code else []
    files += [] if manifest is None else [File(path="prowess.json", data=json.dumps(manifest).encode())]
    return Skill(name="s", description="Use it.", body=body, files=tuple(files))


CASES = {
    "plain": ("import csv\nopen('a.csv').read()\nopen('/tmp/x', 'w')", {}),
    "starts": ("import subprocess as sp\nsp.run(['/usr/bin/git', 'log'])", {"programs": ["git"]}),
    "shell": ("import os\nos.system('ls | wc')", {"programs": ["*"]}),
    "from": ("from subprocess import check_output as go\ngo(['git'])", {"programs": ["git"]}),
    "unknown": ("import subprocess\nsubprocess.run(argv)", {"programs": ["*"]}),
    "exec": ("exec(open('a').read())", {"programs": ["*"]}),
    "compiled regex": ("import re\nre.compile('a')", {}),
    "env": ("import os\nos.environ['A_KEY']\nos.getenv('B')\nos.environ.get('C')", {"env": ["A_KEY", "B", "C"]}),
    "whole env": ("import os\nprint(dict(os.environ))", {"env": ["*"]}),
    "host": (
        "import requests\nrequests.get('https://api.example.org/v1')",
        {"hosts": ["api.example.org"]},
    ),
    "any host": ("import socket\nsocket.create_connection((h, p))", {"hosts": ["*"]}),
    "a link is no connection": ("# see https://example.org\nurl = 'https://example.org'", {}),
    "parsing is no connection": ("from urllib.parse import quote\nquote('https://example.org/')", {}),
    "home": ("open('~/.ssh/id_rsa')", {"paths": ["~/.ssh/id_rsa"]}),
    "settings": ("open('.claude/settings.json', 'w')", {"agent": ["settings"]}),
    "not python": ("def (", {"programs": ["*"]}),
}


@pytest.mark.parametrize("name", CASES)
def test_python(name: str) -> None:
    code, wanted = CASES[name]
    assert observed(skill(code)) == Capabilities.model_validate({"scripts": ["scripts/run.py"], **wanted})


def test_shell() -> None:
    code = "#!/bin/sh\n# curl in a comment\nset -e\nOUT=x\ncurl -s https://h.example/a | jq .a > $OUT\n"
    code += "cat $HOME/.aws/c $TOKEN\n"
    found = observed(skill(code, "scripts/run.sh"))
    assert found.programs == ("cat", "curl", "jq") and found.hosts == ("h.example",)
    assert found.env == ("TOKEN",) and found.paths == ("~/.aws/c",)


def test_what_the_text_tells_the_agent() -> None:
    body = "Add a line to AGENTS.md.\n\n```bash\ncurl https://h.example/x\ngit push\n```\n"
    found = observed(skill(body=body))
    assert found == Capabilities(hosts=("h.example",), agent=("memory",))
    assert not observed(skill(body="See AGENTS.md and https://example.org.\n"))


@pytest.mark.parametrize("path", ["scripts/x", "a.PY", "tool.exe", "lib/x.so"])
def test_scripts_by_name(path: str) -> None:
    assert is_script(File(path=path, data=b"x"))


@pytest.mark.parametrize("data", [b"#!/bin/sh\n", b"\x7fELF\x02", b"MZ\x90\x00", b"\0asm\1"])
def test_scripts_by_their_first_bytes(data: bytes) -> None:
    assert is_script(File(path="assets/logo.png", data=data))
    assert not is_script(File(path="references/notes.md", data=b"# Notes"))


def test_unreadable_programs_may_do_anything() -> None:
    for path, data in (("a.js", b"1"), ("a.py", b"x = 1\n" * 20_000), ("scripts/b", b"\x7fELF\0")):
        found = observed(Skill(name="s", description="d", body="b\n", files=(File(path=path, data=data),)))
        assert found.programs == ("*",)


@pytest.mark.parametrize("manifest", [[], {"capabilities": {"host": []}}, {"capabilities": {"hosts": "x"}}, {"x": 1}])
def test_bad_manifests(manifest: object) -> None:
    with pytest.raises(UserError, match=r"prowess\.json"):
        declared(skill(manifest=manifest))


def test_ceilings() -> None:
    asked = Capabilities(scripts=("a",), programs=("git",), paths=("~/x",), hosts=("h",), env=("E",), agent=("memory",))
    assert beyond_tier(asked, Tier.REVIEWED) == asked.model_copy(update={"scripts": ()})
    assert beyond_tier(asked, Tier.TRUSTED) == Capabilities(hosts=("h",), env=("E",), agent=("memory",))
    assert not beyond_tier(asked, Tier.CERTIFIED)


def test_sets_of_capabilities() -> None:
    asked, given_ = Capabilities(hosts=("a", "b")), Capabilities(hosts=("a",))
    assert asked.beyond(given_).hosts == ("b",) and not given_.beyond(asked)
    assert not asked.beyond(Capabilities(hosts=("*",))) and Capabilities(hosts=("*",)).beyond(asked)
    assert str(asked | Capabilities(env=("E",))) == "hosts a, b; env E" and str(Capabilities()) == "none"


def verdict(old: Skill | None, new: Skill) -> tuple[str, str]:
    base, candidate = Snapshot.of([old] if old else []), Snapshot.of([new])
    patch = Patch(base=base.digest, operations=(), reason="r")
    found = anyio.run(PermissionGate().check, candidate, base, patch, None)  # type: ignore[arg-type]
    return found.status, found.note


def test_the_gate() -> None:
    plain = skill("print(1)")
    hosts = {"capabilities": {"hosts": ["h.example"]}}
    talks = "import httpx\nhttpx.get('https://h.example/')"
    assert verdict(None, plain) == ("pass", "") and verdict(plain, skill("print(2)"))[0] == "pass"
    status, note = verdict(plain, skill(talks))
    assert status == "fail" and "does more than it declares: hosts h.example" in note
    status, note = verdict(plain, skill(talks, manifest=hosts))
    assert status == "propose" and "asks for hosts h.example" in note
    assert verdict(skill("print(1)", manifest=hosts), skill(talks, manifest=hosts))[0] == "pass"
    assert verdict(None, skill(manifest=[]))[0] == "fail"


@given(st.text(max_size=400), st.sampled_from(["scripts/a.py", "a.sh", "b.js", "c.md"]))
@settings(deadline=None, max_examples=80)
def test_any_code(code: str, path: str) -> None:
    made = skill(code or "x", path, body=f"```sh\n{code}\n```\n")
    assert observed(made) == observed(made)


@pytest.mark.parametrize(
    "piece", ["a", "-", "(", "`", "$A ", "/", "~/", "```\n", "https://", "os.environ[", "x;", "\\\n"]
)
def test_hostile_code_is_looked_at_in_time(piece: str) -> None:
    text = piece * (100_000 // len(piece))
    begun = time.process_time()
    for path in ("scripts/a.py", "a.sh", "b.js"):
        observed(skill(text, path, body=text))
    assert time.process_time() - begun < 4
