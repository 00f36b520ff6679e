"""Skills below a folder that is no library: read, named apart, and nothing written."""

from pathlib import Path

import pytest

from prowess.core.errors import UserError
from prowess.library.folders import skills_below


def put(folder: Path, text: str) -> None:
    folder.mkdir(parents=True)
    (folder / "SKILL.md").write_text(text)


def test_every_depth_equal_names_and_what_is_no_skill(tmp_path: Path) -> None:
    for place in ("a/pdf", "b/deep/pdf", "c/pdf"):
        put(tmp_path / place, f"---\nname: pdf\ndescription: Of {place[0]}.\n---\nBody.\n")
    put(tmp_path / "broken", "no frontmatter at all")
    (tmp_path / "a" / "pdf" / "notes.md").write_text("more")
    (tmp_path / "link").symlink_to(tmp_path / "a" / "pdf")
    before = sorted(tmp_path.rglob("*"))
    found = skills_below(tmp_path)
    assert [(s.name, s.description) for s in found.snapshot.skills] == [
        ("pdf", "Of a."), ("pdf-2", "Of b."), ("pdf-3", "Of c."),
    ]  # fmt: skip
    assert found.snapshot.skills[0].file("notes.md") is not None
    assert any(line.startswith("broken: ") for line in found.unreadable)
    assert sorted(tmp_path.rglob("*")) == before
    assert skills_below(tmp_path / "a" / "pdf").snapshot.names == ("pdf",)
    assert skills_below(tmp_path / "broken").snapshot.skills == ()


def test_no_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no folder"):
        skills_below(tmp_path / "absent")
