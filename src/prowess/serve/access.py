"""What an agent may do with a library from outside: find a skill, load it, read its files, report, propose.

Every protocol serves these five and adds nothing. None takes longer than reading the folder once: whatever takes trials
or a person's word is queued. What comes from an agent is text: it is redacted before it is stored, an outcome it
reports is kept as an untrusted score, and a skill it writes becomes a proposal, never a change.
"""

import hashlib
import logging
import mimetypes
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from prowess.core.base import Frozen
from prowess.core.errors import UserError
from prowess.core.patch import CreateSkill, DeleteSkill, Operation, Patch
from prowess.core.skill import Skill, Snapshot
from prowess.core.task import Score
from prowess.core.trajectory import Step, Trajectory
from prowess.guard.keys import Keyring
from prowess.guard.redact import redact, redact_trajectory
from prowess.guard.runtime import barred
from prowess.guard.scan import scan_change
from prowess.library import Library
from prowess.library.skillmd import frontmatter, parse
from prowess.library.trees import Tree, skill_of, tree_digest
from prowess.search.filters import Filter
from prowess.search.index import EVERYTHING, Hit, SearchIndex
from prowess.search.keeping import index_path, open_current, router_path
from prowess.search.need import fit
from prowess.search.routers import Best, Lexical, best_ready
from prowess.settings import load
from prowess.trajectories.store import TrajectoryStore

_log = logging.getLogger(__name__)
SCHEME = "skill://"
MAX_LIMIT = 50
"""Most skills that one search gives."""
MAX_SKILL = 64 * 1024
"""Most bytes of a proposed SKILL.md."""


class Match(Frozen):
    """A skill that a search found."""

    name: str
    description: str
    uri: str
    """Of its SKILL.md."""
    score: float
    """Comparable within one search only."""


class FileOf(Frozen):
    """A file of a skill."""

    uri: str
    digest: str
    """`sha256:` and 64 hexadecimal digits."""
    size: int
    """Bytes."""


class Loaded(Frozen):
    """A skill as an agent loads it."""

    name: str
    description: str
    instructions: str
    """Markdown after the frontmatter."""
    files: tuple[FileOf, ...]
    """Those beside SKILL.md; read one by its uri when the instructions call for it."""


class Received(Frozen):
    """What became of something that an agent sent."""

    id: str
    said: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One skill with all its files, SKILL.md first, as SEP-2640 lists them."""

    skill: Skill
    frontmatter: dict[str, JsonValue]
    """As it stands in the file, keys that the format does not know included."""
    files: tuple[FileOf, ...]

    @property
    def uri(self) -> str:
        return self.files[0].uri


@dataclass(frozen=True, slots=True)
class Served:
    """What agents may have of a library at one moment."""

    state: object
    """Tells this moment from others."""
    skills: Snapshot
    by_name: Mapping[str, Skill]
    trees: Mapping[str, Tree]
    digests: Mapping[str, str]
    """Of the trees."""
    head: str
    """Tells these skills from others."""
    index: SearchIndex
    """The library's own where it has one, which may hold more than is served; else one of words."""
    router: Best
    """The best that the index bears."""
    only: Filter
    """Lets through what is served."""
    barred: Mapping[str, str]
    """Skills that are there and not served, with the reason."""

    @classmethod
    def of(cls, library: Library, keyring: Keyring, state: object = None) -> "Served":
        """Reads every folder."""
        why, trees = barred(library, keyring), library.trees()
        reasons = {name: why(name, tree) for name, tree in trees.items()}
        trees = {name: tree for name, tree in trees.items() if not reasons[name]}
        read = (skill_of(name, tree).skill for name, tree in trees.items())
        skills = Snapshot.of([skill for skill in read if skill is not None])
        index = _index(library, skills)
        return cls(
            state=state,
            skills=skills,
            by_name={skill.name: skill for skill in skills.skills},
            trees=trees,
            digests={name: tree_digest(tree) for name, tree in trees.items()},
            head=skills.digest,
            index=index,
            router=best_ready(index, router_path(library), _log.warning),
            only=EVERYTHING.among(skills.names) if len(index) > len(skills.skills) else EVERYTHING,
            barred={name: reason for name, reason in reasons.items() if reason},
        )

    def search(self, query: str, limit: int) -> list[Hit]:
        """The skills that fit best, best first; none where no skill has a word of the query, however near one may be:
        an agent that is shown a skill follows it, whether it fits or not."""
        if not isinstance(self.router, Lexical) and not self.index.search(query, 1, self.only):
            return []
        return [hit for hit in self.router.ranked(query, self.index, limit, self.only) if hit.name in self.by_name]


def _index(library: Library, served: Snapshot) -> SearchIndex:
    if index_path(library).exists():
        try:
            return open_current(library, load().settings.cache / "encoders", _log.warning)
        except UserError as error:
            _log.warning("the library's own index is not used: %s", error.message)
    return SearchIndex.of(served)


class Access:
    """One library, opened for agents. Safe to call from several threads.

    Args:
        library: Where skills come from, and where proposals and use go.
        trajectories: Where reported outcomes go.
        keyring: Whose statements count: a skill that nobody vouched for is not served, nor one whose scripts may not
            run (`prowess.guard.runtime.barred`), since what an agent does with it is out of our hands.
    """

    def __init__(self, library: Library, trajectories: TrajectoryStore, keyring: Keyring) -> None:
        self._library = library
        self._trajectories = trajectories
        self._keyring = keyring
        self._lock = threading.Lock()
        self._known: Served | None = None

    def search(self, query: str, limit: int = 5) -> tuple[Match, ...]:
        """The skills that fit `query` best, best first; none when nothing fits.

        Raises:
            UserError: `limit` is not between 1 and 50.
        """
        if not 1 <= limit <= MAX_LIMIT:
            raise UserError(f"limit is {limit}", f"ask for 1 to {MAX_LIMIT} skills")
        now = self._now()
        found = [(hit.score, now.by_name[hit.name]) for hit in now.search(query, limit)]
        return tuple(
            Match(name=skill.name, description=skill.description, uri=f"{SCHEME}{skill.name}/SKILL.md", score=score)
            for score, skill in found
        )

    def fitting(self, task: str, limit: int) -> tuple[tuple[Skill, ...], str]:
        """The skills that fit a task well enough to be shown unasked, best first, and the digest of the library."""
        now = self._now()
        found = (now.by_name[hit.name] for hit in now.search(task, limit))
        fits = tuple(skill for skill in found if fit(task, skill, now.index).needed)
        return fits, now.head

    def load(self, name: str) -> Loaded:
        """The skill's instructions, and the files it has.

        Raises:
            UserError: there is no such skill.
        """
        found = self.entry(name)
        skill = found.skill
        return Loaded(name=name, description=skill.description, instructions=skill.body, files=found.files[1:])

    def read(self, name: str, path: str) -> bytes:
        """One file of a skill.

        Raises:
            UserError: there is no such skill, or it has no such file.
        """
        _, tree = self._one(name)
        if path not in tree:
            raise UserError(f"skill {name!r} has no file {path!r}", f"it has {', '.join(sorted(tree))}")
        return tree[path]

    def entry(self, name: str) -> Entry:
        """Raises UserError when there is no such skill."""
        return entry(*self._one(name))

    def entries(self, after: str = "", limit: int = 100) -> tuple[tuple[Entry, ...], str]:
        """Skills in the order of their names, those after the name `after`; and the name to go on from, or ''."""
        now = self._now()
        skills = [skill for skill in now.skills.skills if skill.name > after]
        page = tuple(entry(skill, now.trees[skill.name]) for skill in skills[:limit])
        return page, page[-1].skill.name if len(skills) > limit else ""

    def report(
        self,
        task: str,
        outcome: Literal["succeeded", "failed", "unknown"],
        skills: Sequence[str] = (),
        notes: str = "",
        *,
        agent: str = "unknown",
    ) -> Received:
        """Keeps what an agent says of its own work. It counts as use of the skills; it proves nothing of them.

        Raises:
            UserError: a skill is named that is not there.
        """
        snapshot = self._now().skills
        names = tuple(dict.fromkeys(skills))
        if unknown := [name for name in names if snapshot.get(name) is None]:
            raise UserError(f"there is no skill {unknown[0]!r}", "name those that were loaded here, or none")
        passed = outcome == "succeeded"
        score = Score(value=float(passed), passed=passed, verifier=f"agent:{agent}", trusted=False)
        steps = (Step(source="user", message=task), Step(source="agent", message=notes))
        trajectory, _ = redact_trajectory(
            Trajectory(
                id=uuid.uuid4().hex,
                agent=agent,
                model="unknown",
                snapshot=snapshot.digest,
                offered=names,
                loaded=names,
                used=names,
                steps=steps if notes else steps[:1],
                score=None if outcome == "unknown" else score,
            )
        )
        self._trajectories.put(trajectory)
        self._library.record_use([trajectory])
        return Received(id=trajectory.id, said="kept as the agent's own word; it decides nothing alone")

    def propose(self, skill_md: str, reason: str, *, agent: str = "unknown") -> Received:
        """Queues a new skill, or a new text for one that is there, for a person to look at.

        Raises:
            UserError: it is no valid SKILL.md, too long, says what is there already, or holds something dangerous.
        """
        if len(skill_md.encode("utf-8", "replace")) > MAX_SKILL:
            raise UserError("the SKILL.md is too long", f"{MAX_SKILL // 1024} KiB are the most")
        skill = parse(redact(skill_md), "the proposed SKILL.md")
        snapshot = self._now().skills
        there = snapshot.get(skill.name)
        operations: tuple[Operation, ...] = (CreateSkill(skill=skill),)
        if there is not None:
            skill = skill.model_copy(update={"files": there.files})
            operations = (DeleteSkill(name=skill.name), CreateSkill(skill=skill))
        if there == skill:
            raise UserError(f"skill {skill.name!r} says just that already", "propose what should change")
        if blocked := [found for found in scan_change(skill, there) if found.severity == "block"]:
            raise UserError(f"the proposed skill is not safe: {blocked[0].why}", "take that out, and propose it again")
        patch = Patch(base=snapshot.digest, operations=operations, reason=redact(reason), author=f"agent:{agent}")
        proposal = self._library.propose(patch, by=f"agent:{agent}")
        return Received(id=proposal.id, said="waits for a person, who sees it with `prowess review`")

    def _one(self, name: str) -> tuple[Skill, Tree]:
        now = self._now()
        skill = now.by_name.get(name)
        if skill is not None:
            return skill, now.trees[name]
        if name in now.barred:
            raise UserError(f"skill {name!r} is not served: {now.barred[name]}")
        raise UserError(f"there is no skill {name!r}", "search finds those that are there")

    def _now(self) -> Served:
        """What is served at this moment; made anew only when a folder or the trust in one has changed."""
        with self._lock:
            state = (self._library.stamps(), self._library.trust.number(), self._keyring.stamp())
            if self._known is None or self._known.state != state:
                self._known = Served.of(self._library, self._keyring, state)
            return self._known


def entry(skill: Skill, tree: Tree) -> Entry:
    """The skill with uri, digest and size of each of its files."""
    paths = ["SKILL.md", *sorted(path for path in tree if path != "SKILL.md")]
    files = tuple(
        FileOf(
            uri=f"{SCHEME}{skill.name}/{path}",
            digest=f"sha256:{hashlib.sha256(tree[path]).hexdigest()}",
            size=len(tree[path]),
        )
        for path in paths
    )
    return Entry(skill, frontmatter(tree["SKILL.md"].decode("utf-8", "replace")), files)


def mime_type(path: str) -> str:
    """What a file is, by its name."""
    return "text/markdown" if path.endswith(".md") else mimetypes.guess_type(path)[0] or "application/octet-stream"
