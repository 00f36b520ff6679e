"""SKILL.md: strict, lenient, safe, and the same verdicts as the reference validator."""

import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skills_ref.parser import parse_frontmatter
from skills_ref.validator import validate_metadata

from prowess.core.errors import InvalidSkill
from prowess.core.skill import Skill
from prowess.core.task import File
from prowess.library.skillmd import canonical, parse, path_problem, read, render, validate, with_body

GOOD = "---\nname: ledger\ndescription: Tallies ledgers.\n---\n\n# Steps\n\nAdd up.\n"


def text_with(head: str, body: str = "Body.\n") -> str:
    return f"---\n{head}\n---\n{body}"


def test_reads_every_field() -> None:
    skill = parse(
        text_with(
            "name: ledger\ndescription: 'What: and when'\nlicense: MIT\ncompatibility: Needs git\n"
            "allowed-tools: Bash(git:*) Read\nmetadata:\n  author: me\n  version: 1.0"
        ),
        "here",
        "ledger",
    )
    assert skill == Skill(
        name="ledger",
        description="What: and when",
        body="Body.\n",
        license="MIT",
        compatibility="Needs git",
        allowed_tools="Bash(git:*) Read",
        metadata={"author": "me", "version": "1.0"},
    )


@pytest.mark.parametrize("value", ["no", "12:30:45", "2024-01-01", "1e3", "0x10", "true"])
def test_scalars_stay_text(value: str) -> None:
    skill = parse(text_with(f"name: ledger\ndescription: {value}"), "here")
    assert skill.description == value


def test_strict_lists_every_problem() -> None:
    with pytest.raises(InvalidSkill) as caught:
        parse(text_with("name: Bad--Name\nwhen_to_use: x\nmetadata: {a: [1]}"), "here", "other")
    problems = "\n".join(caught.value.problems)
    for part in ("when_to_use", "Bad--Name", "description is missing", "metadata 'a'", "folder is named 'other'"):
        assert part in problems


def test_lenient_keeps_what_can_be_used() -> None:
    parsed = read(text_with("name: Ledger Tool\ndescription: d\nwhen_to_use: always"), "ledger-tool")
    assert parsed.skill is not None and parsed.skill.name == "ledger-tool"
    assert len(parsed.problems) == 3


def test_lenient_quotes_a_value_with_a_colon() -> None:
    text = text_with("name: ledger\ndescription: Use when: the user's ledger: is open")
    parsed = read(text)
    assert parsed.skill is not None and parsed.skill.description == "Use when: the user's ledger: is open"
    assert len(parsed.problems) == 1 and "quoted" in parsed.problems[0]
    with pytest.raises(InvalidSkill):
        parse(text, "here")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# no frontmatter",
        "---\nname: x\n",
        "---\n- a\n---\n",
        "---\nname: x\n---\n",
        text_with("name: [\ndescription: d"),
    ],
)
def test_lenient_gives_up_without_description_or_yaml(text: str) -> None:
    parsed = read(text, "x")
    assert parsed.skill is None and parsed.problems


@pytest.mark.parametrize("name", ["../../etc", "a/b", "..", "", "a\x00b", "c:\\x"])
def test_a_hostile_name_never_becomes_a_path(name: str) -> None:
    assert read(text_with(f"name: {name!r}\ndescription: d")).skill is None


def bombs() -> dict[str, str]:
    aliases = "a: &a [x,x,x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(20)
    )
    return {
        "alias bomb": aliases,
        "merge bomb": "a: &a {x: 1}\nb: {<<: *a}\n",
        "merge without alias": "metadata:\n  <<: {x: y}\n",
        "deep flow": "metadata: " + "[" * 8000,
        "deep flow closed": "metadata: " + "[" * 4000 + "]" * 4000,
        "deep maps": "metadata: " + "{a: " * 3000,
        "deep block": "".join("  " * i + f"k{i}:\n" for i in range(100)),
        "huge scalar": "description: " + "x" * 5_000_000,
        "many keys": "".join(f"k{i}: v\n" for i in range(200_000)),
        "many keys below the cap": "".join(f"k{i}:\n" for i in range(2_000)),
        "duplicate": "name: ledger\nname: other\n",
        "python tag": "x: !!python/object/apply:os.system ['true']\n",
        "own tag": "x: !x y\n",
        "tag directive": "%TAG ! tag:x,2000:\n---\nx: y\n",
        "complex key": "? [a, b]\n: c\n",
        "long question marks": "? " * 4000,
        "long dashes": "- " * 4000,
        "open quotes": "x: '" + "''" * 4000,
        "second document": "name: a\n--- x\nname: b\n",
        "control": "name: a\x07b\n",
        "lone surrogate": "name: a\ud800b\n",
    }


@pytest.mark.parametrize("label", sorted(bombs()))
def test_yaml_bombs_are_refused_in_time_and_space(label: str) -> None:
    text = text_with(bombs()[label] + "")
    tracemalloc.start()
    begin = time.perf_counter()
    parsed = read(text, "x")
    seconds = time.perf_counter() - begin
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert parsed.skill is None
    assert all(len(p) < 400 for p in parsed.problems)
    # The target is 50 ms; a shared machine under trace may take longer, never seconds.
    assert seconds < 1.0
    assert peak < 20_000_000 + 8 * len(text)


SLUG = st.from_regex(r"[a-z0-9]{1,8}(-[a-z0-9]{1,8}){0,3}", fullmatch=True).filter(
    lambda n: not validate(Skill(name=n, description="d", body=""))
)
PROSE = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Cn", "Co"), exclude_characters="\ufeff")
    | st.sampled_from("\n\t:#'\"-|>&*!%@`{}[]"),
    max_size=120,
)
SKILLS = st.builds(
    Skill,
    name=SLUG,
    description=PROSE.filter(str.strip),
    body=PROSE,
    license=st.none() | PROSE,
    compatibility=st.none() | PROSE.filter(bool),
    allowed_tools=st.none() | PROSE,
    metadata=st.dictionaries(PROSE, PROSE, max_size=3),
)


@given(SKILLS)
def test_render_and_parse_are_inverse(skill: Skill) -> None:
    assert validate(skill) == []
    assert parse(render(skill), "here", skill.name) == canonical(skill)
    assert render(parse(render(skill), "here")) == render(skill)


@given(st.text(max_size=300))
def test_any_text_is_read_without_an_exception(text: str) -> None:
    for candidate in (text, f"---\n{text}\n---\n{text}"):
        parsed = read(candidate, "x")
        assert parsed.skill is not None or parsed.problems


REFERENCE_TABLE = [
    ("name: ledger\ndescription: d", True),
    ("name: -ledger\ndescription: d", False),
    ("name: ledger-\ndescription: d", False),
    ("name: led--ger\ndescription: d", False),
    ("name: Ledger\ndescription: d", False),
    ("name: led_ger\ndescription: d", False),
    ("name: led ger\ndescription: d", False),
    (f"name: {'a' * 64}\ndescription: d", True),
    (f"name: {'a' * 65}\ndescription: d", False),
    ("description: d", False),
    ("name: ledger", False),
    ("name: ledger\ndescription: ''", False),
    (f"name: ledger\ndescription: {'d' * 1024}", True),
    (f"name: ledger\ndescription: {'d' * 1025}", False),
    (f"name: ledger\ndescription: d\ncompatibility: {'c' * 500}", True),
    (f"name: ledger\ndescription: d\ncompatibility: {'c' * 501}", False),
    ("name: ledger\ndescription: d\nlicense: MIT\nallowed-tools: Read", True),
    ("name: ledger\ndescription: d\nmetadata:\n  a: b", True),
    ("name: ledger\ndescription: d\nversion: 1", False),
    ("name: no\ndescription: d", True),
]


def reference_accepts(text: str) -> bool:
    metadata, _ = parse_frontmatter(text)
    return validate_metadata(metadata) == []


@pytest.mark.parametrize(("head", "valid"), REFERENCE_TABLE, ids=range(len(REFERENCE_TABLE)))
def test_same_verdict_as_the_reference_validator(head: str, valid: bool) -> None:
    text = text_with(head)
    assert reference_accepts(text) is valid
    parsed = read(text)
    assert (parsed.skill is not None and not parsed.problems) is valid


@settings(max_examples=60, deadline=None)
@given(st.text("abz019-A_ .é", min_size=1, max_size=70))
def test_names_agree_with_the_reference_validator(name: str) -> None:
    ours = not validate(Skill(name=name, description="d", body=""))
    theirs = validate_metadata({"name": name, "description": "d"}) == []
    if name.isascii() and name == name.strip():
        assert ours == theirs
    else:
        assert theirs or not ours


PLAIN = st.text("abc XYZ 019 :#'\"-.,/()", min_size=1, max_size=60).filter(lambda t: t.strip() and "---" not in t)


@settings(max_examples=40, deadline=None)
@given(SLUG, PLAIN, st.none() | PLAIN, st.dictionaries(SLUG, PLAIN, max_size=2))
def test_what_we_write_the_reference_validator_accepts(
    name: str, text: str, compatibility: str | None, metadata: dict[str, str]
) -> None:
    skill = Skill(name=name, description=text, body=text, compatibility=compatibility, metadata=metadata)
    found, _ = parse_frontmatter(render(skill))
    assert validate_metadata(found) == []
    assert found["name"] == name and found["description"] == text.strip()


@pytest.mark.parametrize(
    "path",
    ["../x", "/x", "a/../b", "a//b", "a\\b", "C:/x", "", ".git/config", "a/.env", "SKILL.md", "skill.MD", "con",
     "a/nul.txt", "a\nb", "x" * 201, "a/b/c/d/e/f/g/h/i", "a ", "a."],
)  # fmt: skip
def test_unsafe_paths_are_refused(path: str) -> None:
    assert path_problem(path)
    assert validate(Skill(name="a", description="d", body="", files=(File(path=path, data=b""),)))


def test_paths_that_clash_are_refused() -> None:
    def problems(*paths: str) -> list[str]:
        return validate(Skill(name="a", description="d", body="", files=tuple(File(path=p, data=b"") for p in paths)))

    assert problems("references/a.md", "scripts/run.py") == []
    assert problems("a.md", "A.md") and problems("a.md", "a.md") and problems("a", "a/b")


def test_another_body_keeps_foreign_frontmatter() -> None:
    text = text_with("name: ledger # mine\ndescription: d\nwhen_to_use: always")
    assert with_body(text, "New") == "---\nname: ledger # mine\ndescription: d\nwhen_to_use: always\n---\n\nNew\n"


def test_a_body_may_hold_rules() -> None:
    skill = parse(GOOD + "\n---\n\nmore\n", "here")
    assert skill.body.endswith("---\n\nmore\n")
