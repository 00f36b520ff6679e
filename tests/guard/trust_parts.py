"""A library, keyrings and skills for the tests of trust."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prowess.core.evidence import Verdict
from prowess.core.lesson import Lesson, Reference
from prowess.core.patch import AppendToSection, CreateSkill, Patch
from prowess.core.skill import Skill
from prowess.core.task import File
from prowess.core.trust import Tier
from prowess.guard.keys import Key, Keyring
from prowess.guard.promotion import attest
from prowess.library import Library

PASSED = (Verdict(gate="behaviour", status="pass"), Verdict(gate="trials", status="pass", note="+40 points"))
SUM = File(
    path="scripts/sum.py", data=b"import csv\n\nprint(sum(float(r['x']) for r in csv.DictReader(open('a.csv'))))\n"
)


def skill(name: str = "ledger", body: str = "# Rules\n\n- Skip void rows.\n", files: tuple[File, ...] = ()) -> Skill:
    return Skill(name=name, description="Sums ledgers. Use it for sums.", body=body, files=files)


class Clock:
    """A clock that moves a second at each look."""

    def __init__(self) -> None:
        self.at = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at


def open_library(folder: Path, *skills: Skill, author: str = "trace2skill", clock: Clock | None = None) -> Library:
    library = Library.open(folder, create=True, clock=clock or Clock())
    if skills:
        create(library, *skills, author=author)
    return library


def create(library: Library, *skills: Skill, author: str = "trace2skill", lessons: Iterable[Lesson] = ()) -> str:
    told = tuple(lessons)
    patch = Patch(
        base=library.snapshot().digest, operations=tuple(CreateSkill(skill=s) for s in skills), reason="new",
        lessons=tuple(lesson.id for lesson in told), author=author,
    )  # fmt: skip
    return library.apply(patch, lessons=told, by="run").id


def add_line(library: Library, line: str, lessons: Iterable[Lesson] = (), name: str = "ledger") -> str:
    told = tuple(lessons)
    operation = AppendToSection(name=name, section="Rules", content=f"- {line}\n")
    patch = Patch(
        base=library.snapshot().digest, operations=(operation,), reason=line, author="trace2skill",
        lessons=tuple(lesson.id for lesson in told),
    )  # fmt: skip
    return library.apply(patch, lessons=told, by="run").id


def lesson(trajectory: str, text: str = "Void rows do not count.", principal: str = "") -> Lesson:
    return Lesson(kind="memory", text=text, references=(Reference(trajectory=trajectory, principal=principal),))


def other(folder: Path, ring: Keyring, name: str = "alice", *roles: str) -> tuple[Keyring, Key]:
    """Somebody else's keyring, whose key `ring` trusts, and who trusts that of `ring`."""
    theirs = Keyring(folder)
    for each in (ring, theirs):
        each.sign(b"makes the key")
    own, mine = theirs.own(), ring.own()
    assert own is not None and mine is not None
    theirs.pin(mine.public, "bob", ("approver", "publisher"))
    return theirs, ring.pin(own.public, name, roles or ("approver", "publisher"))  # type: ignore[arg-type]


def trusted(library: Library, ring: Keyring, name: str = "ledger") -> None:
    """Brings a skill with one's own key to T3."""
    from prowess.guard.promotion import promote

    attest(library, ring, name, PASSED)
    assert promote(library, ring, name, Tier.TRUSTED, reason="read and tried").tier == Tier.TRUSTED
