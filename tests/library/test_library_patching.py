"""Patches, rebase, three-way merge and diff: pure, exact, and never silent."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prowess.core.errors import PatchConflict
from prowess.core.patch import (
    AddSection,
    AppendToSection,
    CreateSkill,
    DeleteFile,
    DeleteSection,
    DeleteSkill,
    Insert,
    Operation,
    Patch,
    RenameSkill,
    Replace,
    SetDescription,
    WriteFile,
)
from prowess.core.skill import Skill, Snapshot
from prowess.core.task import File
from prowess.library.patching import apply, diff, inverse, merge3, rebase

BODY = """# Ledger

Intro.

## Steps

1. Read.
2. Add.

### Detail

Fine print.

## Pitfalls

- Void rows.

```sh
## Steps
```
"""
SKILL = Skill(
    name="ledger", description="Ledgers.", body=BODY, files=(File(path="references/codes.md", data=b"one\ntwo\n"),)
)
BASE = Snapshot.of([SKILL, Skill(name="other", description="Other.", body="Text.\n")])


def patch(*operations: Operation, base: Snapshot = BASE) -> Patch:
    return Patch(base=base.digest, operations=operations, reason="test")


def body_after(*operations: Operation) -> str:
    skill = apply(patch(*operations), BASE).get("ledger")
    assert skill is not None
    return skill.body


def conflicts_of(*operations: Operation) -> list[str]:
    with pytest.raises(PatchConflict) as caught:
        apply(patch(*operations), BASE)
    return caught.value.conflicts


def test_append_goes_before_subsections() -> None:
    body = body_after(AppendToSection(name="ledger", section="Steps", content="3. Check."))
    assert "2. Add.\n3. Check.\n\n### Detail" in body


def test_append_to_an_empty_section_keeps_a_blank_line() -> None:
    body = body_after(
        AddSection(name="ledger", section="Notes", content=""),
        AppendToSection(name="ledger", section="Notes", content="- one"),
    )
    assert body.endswith("## Notes\n\n- one\n")


def test_add_section_after_another_and_at_the_end() -> None:
    body = body_after(
        AddSection(name="ledger", section="Checks", content="Sum.", after="Steps"),
        AddSection(name="ledger", section="Last", content="End."),
    )
    assert "Fine print.\n\n## Checks\n\nSum.\n\n## Pitfalls" in body
    assert body.endswith("```\n\n## Last\n\nEnd.\n")


def test_delete_section_takes_its_subsections() -> None:
    body = body_after(DeleteSection(name="ledger", section="Steps"))
    assert "Detail" not in body and "## Pitfalls" in body and "## Steps\n```" in body


def test_insert_before_and_after_the_line_of_the_anchor() -> None:
    body = body_after(
        Insert(name="ledger", where="before", anchor="Read", content="0. Open."),
        Insert(name="ledger", where="after", anchor="Void", content="- Dates."),
    )
    assert "0. Open.\n1. Read.\n" in body and "- Void rows.\n- Dates.\n" in body


def test_replace_in_a_file() -> None:
    after = apply(patch(Replace(name="ledger", file="references/codes.md", old="two", new="2")), BASE)
    assert after.skills[0].files[0].data == b"one\n2\n"


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (Replace(name="ledger", old="absent", new="x"), "is not there"),
        (Replace(name="ledger", old="##", new="x"), "more than once"),
        (Replace(name="ledger", old="", new="x"), "empty"),
        (Replace(name="nobody", old="a", new="x"), "no skill 'nobody'"),
        (Replace(name="ledger", file="references/none.md", old="a", new="x"), "no file"),
        (Insert(name="ledger", where="after", anchor="zzz", content="x"), "is not there"),
        (AppendToSection(name="ledger", section="Nowhere", content="x"), "is not there"),
        (AddSection(name="ledger", section="Steps", content="x"), "exists already"),
        (AddSection(name="ledger", section="New", content="x", after="Nowhere"), "is not there"),
        (DeleteSection(name="ledger", section="Nowhere"), "is not there"),
        (CreateSkill(skill=SKILL), "exists already"),
        (CreateSkill(skill=SKILL.model_copy(update={"name": "Bad Name"})), "lower-case"),
        (DeleteSkill(name="nobody"), "no skill"),
        (RenameSkill(name="ledger", new_name="other"), "exists already"),
        (RenameSkill(name="ledger", new_name="../x"), "lower-case"),
        (SetDescription(name="ledger", description="x" * 1025), "1025 characters"),
        (SetDescription(name="ledger", description=" "), "description is missing"),
        (DeleteFile(name="ledger", file="references/none.md"), "no file"),
        (WriteFile(name="ledger", file="references/new.md", content="x"), "does not mention the new file"),
        (WriteFile(name="ledger", file="../../etc/passwd", content="x"), "must be relative"),
        (WriteFile(name="ledger", file="/etc/passwd", content="x"), "must be relative"),
        (WriteFile(name="ledger", file="a/b/c.md", content="x"), "more than one folder deep"),
        (WriteFile(name="ledger", file="SKILL.md", content="x"), "SKILL.md itself"),
        (WriteFile(name="ledger", file=".git/hooks", content="x"), "hidden"),
        (Replace(name="ledger", old="Intro.", new="See [x](references/gone.md)."), "does not exist"),
    ],
)
def test_what_does_not_fit_is_a_conflict(operation: Operation, expected: str) -> None:
    assert any(expected in conflict for conflict in conflicts_of(operation))


def test_all_conflicts_are_listed() -> None:
    found = conflicts_of(
        Replace(name="ledger", old="absent", new="x"),
        DeleteSkill(name="nobody"),
        SetDescription(name="ledger", description=""),
    )
    assert len(found) == 3


def test_a_written_file_needs_a_link_in_the_same_patch() -> None:
    after = apply(
        patch(
            WriteFile(name="ledger", file="references/new.md", content="x\n"),
            Replace(name="ledger", old="Intro.", new="Intro. See [new](references/new.md)."),
        ),
        BASE,
    )
    assert after.skills[0].file("references/new.md") is not None


def test_a_file_that_is_linked_cannot_be_deleted() -> None:
    linked = apply(patch(Replace(name="ledger", old="Intro.", new="[c](./references/codes.md#top)")), BASE)
    with pytest.raises(PatchConflict, match="does not exist"):
        apply(patch(DeleteFile(name="ledger", file="references/codes.md"), base=linked), linked)


def test_links_in_code_and_to_the_web_are_left_alone() -> None:
    text = "`[a](b.md)` [w](https://x.org/a.md) [h](#top)\n```\n[a](c.md)\n```\n"
    assert "`[a](b.md)`" in body_after(Replace(name="ledger", old="Intro.\n", new=text))


def test_rename_keeps_content() -> None:
    after = apply(patch(RenameSkill(name="ledger", new_name="ledger-two")), BASE)
    assert after.names == ("ledger-two", "other") and after.skills[0].body == BODY


def test_another_base_is_a_conflict() -> None:
    moved = BASE.without("other")
    with pytest.raises(PatchConflict, match="made against"):
        apply(patch(SetDescription(name="ledger", description="x")), moved)


def edited(old: str, new: str) -> Snapshot:
    return apply(patch(Replace(name="ledger", old=old, new=new)), BASE)


def test_rebase_keeps_operations_that_fit() -> None:
    now = edited("Intro.", "Introduction.")
    rebased = rebase(patch(Replace(name="ledger", old="2. Add.", new="2. Sum.")), now, BASE)
    assert rebased.how == "operations fit"
    body = apply(rebased.patch, now).skills[0].body
    assert "Introduction." in body and "2. Sum." in body


def test_rebase_merges_what_no_longer_fits() -> None:
    now = edited("Fine print.", "Fine print.\n\n2. Add. Add.")
    change = patch(Replace(name="ledger", old="2. Add.", new="2. Sum."))
    rebased = rebase(change, now, BASE)
    assert rebased.how == "merged"
    assert apply(rebased.patch, now).skills[0].body == BODY.replace("2. Add.", "2. Sum.").replace(
        "Fine print.", "Fine print.\n\n2. Add. Add."
    )
    with pytest.raises(PatchConflict, match="not known"):
        rebase(change, now, None)


def test_rebase_reports_a_true_conflict() -> None:
    now = edited("2. Add.", "2. Multiply.")
    with pytest.raises(PatchConflict, match="Multiply"):
        rebase(patch(Replace(name="ledger", old="2. Add.", new="2. Sum.")), now, BASE)
    with pytest.raises(PatchConflict, match="deleted"):
        rebase(patch(Replace(name="ledger", old="2. Add.", new="2. Sum.")), BASE.without("ledger"), BASE)


def test_diff_shows_text_and_names_binaries() -> None:
    after = BASE.with_skill(
        SKILL.model_copy(
            update={"body": BODY.replace("Intro.", "New."), "files": (File(path="assets/x.bin", data=b"\xff\x00"),)}
        )
    )
    text = diff(BASE, after)
    assert "-Intro.\n+New.\n" in text and "--- a/ledger/SKILL.md" in text
    assert "Binary files /dev/null (0 bytes) and b/ledger/assets/x.bin (2 bytes) differ" in text
    assert "+++ /dev/null" in text and "other" not in text
    assert diff(BASE, BASE) == ""


LINES = st.lists(st.sampled_from("abcdef"), max_size=8).map(lambda lines: "".join(f"{line}\n" for line in lines))


@given(LINES, LINES, LINES)
def test_merge_is_symmetric_and_has_its_identities(base: str, ours: str, theirs: str) -> None:
    left, right = merge3(base, ours, theirs), merge3(base, theirs, ours)
    assert left.text == right.text
    assert [(c.line, c.base, c.ours, c.theirs) for c in left.conflicts] == [
        (c.line, c.base, c.theirs, c.ours) for c in right.conflicts
    ]
    assert merge3(base, ours, base).text == ours
    assert merge3(base, base, theirs).text == theirs
    assert merge3(base, ours, ours).text == ours
    assert (left.text is None) == bool(left.conflicts)


@given(st.lists(st.integers(0, 19), min_size=2, max_size=2, unique=True), st.sampled_from(["", "x\n", "x\ny\n"]))
def test_distant_edits_merge(lines: list[int], new: str) -> None:
    """Changes at lines that do not touch are both kept."""
    first, second = sorted(lines)
    base = [f"line {n}\n" for n in range(20)]
    ours, theirs, both = list(base), list(base), list(base)
    ours[first] = both[first] = new
    theirs[second] = both[second] = "other\n"
    merge = merge3("".join(base), "".join(ours), "".join(theirs))
    if second - first > 1:
        assert merge.text == "".join(both)
    else:
        assert merge.text is None


def test_merge_time_is_bounded() -> None:
    base = "\n".join(str(n % 7) for n in range(20_000))
    begin = time.process_time()
    merge = merge3(base, base.replace("3", "x"), base.replace("4", "y"))
    assert time.process_time() - begin < 5
    assert merge.conflicts


NAMES = st.sampled_from(["ledger", "other", "third"])
TEXTS = st.sampled_from(["Intro.", "Text.", "New text.", "- one\n- two", "2. Add."])
OPERATIONS = st.one_of(
    st.builds(CreateSkill, skill=st.builds(Skill, name=NAMES, description=TEXTS, body=TEXTS)),
    st.builds(DeleteSkill, name=NAMES),
    st.builds(RenameSkill, name=NAMES, new_name=NAMES),
    st.builds(SetDescription, name=NAMES, description=TEXTS),
    st.builds(Replace, name=NAMES, old=TEXTS, new=TEXTS),
    st.builds(AppendToSection, name=NAMES, section=st.sampled_from(["Steps", "Pitfalls"]), content=TEXTS),
    st.builds(AddSection, name=NAMES, section=st.sampled_from(["Steps", "New"]), content=TEXTS),
    st.builds(DeleteSection, name=NAMES, section=st.sampled_from(["Steps", "New"])),
)


@settings(max_examples=200)
@given(st.lists(OPERATIONS, min_size=1, max_size=4))
def test_apply_is_pure_and_its_inverse_restores(operations: list[Operation]) -> None:
    change = patch(*operations)
    before = BASE.model_dump_json()
    try:
        after = apply(change, BASE)
    except PatchConflict:
        return
    finally:
        assert BASE.model_dump_json() == before
    assert apply(change, BASE) == after
    assert apply(inverse(change, BASE), after) == BASE


@given(
    st.lists(
        st.sampled_from(["Intro.", "1. Read.", "Fine print.", "- Void rows."]), min_size=2, max_size=2, unique=True
    )
)
def test_patches_to_different_lines_commute(lines: list[str]) -> None:
    one, two = (patch(Replace(name="ledger", old=line, new=f"{line} More.")) for line in lines)
    first, second = apply(one, BASE), apply(two, BASE)
    assert apply(rebase(two, first, BASE).patch, first) == apply(rebase(one, second, BASE).patch, second)


def test_a_skill_that_is_replaced_whole_loses_nobodys_change() -> None:
    """A patch that deletes and creates a skill would fit whatever became of it; what others changed since is merged."""
    (old,) = (s for s in BASE.skills if s.name == "ledger")
    new = old.model_copy(update={"body": old.body.replace("2. Add.", "2. Sum.")})
    whole = patch(DeleteSkill(name="ledger"), CreateSkill(skill=new))
    rebased = rebase(whole, edited("Intro.", "Introduction."), BASE)
    assert rebased.how == "merged"
    body = apply(rebased.patch, edited("Intro.", "Introduction.")).get("ledger")
    assert body is not None and "Introduction." in body.body and "2. Sum." in body.body
    for late in (whole, patch(DeleteSkill(name="ledger"))):
        with pytest.raises(PatchConflict):
            rebase(late, edited("2. Add.", "2. Multiply."), BASE)
