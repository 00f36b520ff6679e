"""The documentation agrees with the program."""

import re
from pathlib import Path

import prowess
from prowess.cli.reference import reference

DOCS = Path(__file__).parents[2] / "docs"


def words(text: str) -> list[str]:
    return text.split()  # versions of typer differ in spaces only


def test_cli_page_is_what_the_program_says() -> None:
    assert words((DOCS / "cli.md").read_text("utf-8")) == words(reference()), (
        "run: python -m prowess.cli.reference > docs/cli.md"
    )


def test_reference_has_every_verb_and_setting() -> None:
    page = reference()
    from prowess.settings import Settings

    for verb in ("demo", "import", "learn", "review", "apply", "undo", "export", "doctor", "model pull", "model use"):
        assert f"\n### {verb}\n" in page
    for name in Settings.model_fields:
        assert f"| `{name}` | `PROWESS_{name.upper()}` |" in page


def test_commands_named_anywhere_in_the_docs_exist() -> None:
    known = set(re.findall(r"^### ([\w-]+)", reference(), re.M))
    for page in DOCS.glob("*.md"):
        for verb in re.findall(r"`prowess ([a-z]+)\b", page.read_text("utf-8")):
            assert verb in known, f"{page.name} names `prowess {verb}`"


def test_only_settings_reads_the_environment() -> None:
    root = Path(prowess.__file__).parent
    readers = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if re.search(r"os\.environ(\[|\.get)|getenv\(|from os import .*environ", path.read_text("utf-8"))
    }
    # The sandbox's self-test sets a variable to see that programs cannot read it.
    assert readers <= {"settings.py", "sandbox/probing.py"}
