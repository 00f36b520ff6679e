"""What becomes of several patches that were proposed in one round."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from prowess.agents.prompting import preload
from prowess.core.errors import PatchConflict
from prowess.core.patch import CreateSkill, Operation, Patch
from prowess.core.skill import Skill, Snapshot
from prowess.evolve.drafting import drafted, put
from prowess.evolve.prompts import Prompt
from prowess.evolve.protocols import Context
from prowess.library.patching import apply, touched
from prowess.measure.pool import for_each

Groups = Callable[[Sequence[Patch]], "list[list[Patch]]"]


@dataclass(frozen=True, slots=True)
class Unmerged:
    """Every patch on its own, those with the most lessons behind them first: prevalence, counted and not guessed."""

    async def merge(self, patches: Sequence[Patch], library: Snapshot, context: Context) -> tuple[Patch, ...]:
        unique = {patch.id: patch for patch in patches}
        return tuple(sorted(unique.values(), key=lambda patch: -len(patch.lessons)))


def by_skills(patches: Sequence[Patch]) -> list[list[Patch]]:
    """Patches that touch the same skills."""
    found: dict[tuple[str, ...], list[Patch]] = {}
    for patch in patches:
        found.setdefault(touched(patch), []).append(patch)
    return [*found.values()]


@dataclass(frozen=True, slots=True)
class Alike:
    """Groups: patches that touch the same skills, and new skills whose words are alike (cosine `least` or more)."""

    least: float = 0.5

    def __call__(self, patches: Sequence[Patch]) -> list[list[Patch]]:
        from prowess.search.lint import similar

        groups = by_skills(patches)
        at = {skill.name: i for i, group in enumerate(groups) if (skill := created(group[0])) is not None}
        made = [skill for group in groups if (skill := created(group[0])) is not None]
        for _, one, other in similar(made, self.least):
            into, gone = sorted((at[one], at[other]))
            if into != gone:
                groups[into] += groups[gone]
                groups[gone] = []
                at = {name: into if i == gone else i for name, i in at.items()}
        return [group for group in groups if group]


def created(patch: Patch) -> Skill | None:
    """The skill that a patch makes, where it makes just one."""
    skills = [op.skill for op in patch.operations if isinstance(op, CreateSkill)]
    return skills[0] if len(skills) == 1 else None


@dataclass(frozen=True, slots=True)
class Reduce:
    """Hierarchical merging (Trace2Skill, 2603.25158, stage 3b): the patches of a group, `size` at a time, by levels.

    Edits of one skill are joined by program, as far as they fit each other. New skills that are alike become one,
    written by the model from all of them; where it gives no usable answer they are carried to the next level as they
    are. What many lessons support is shown first, and tried first at the gates.
    """

    prompt: Prompt
    """About `$skills`, the texts to merge, the best supported first."""
    size: int = 5
    levels: int = 5
    groups: Groups = by_skills
    author: str = "reduce"

    async def merge(self, patches: Sequence[Patch], library: Snapshot, context: Context) -> tuple[Patch, ...]:
        merged: list[Patch] = []
        for group in self.groups(await Unmerged().merge(patches, library, context)):
            merged += await self._reduced(group, library, context)
        return await Unmerged().merge(merged, library, context)

    async def _reduced(self, level: list[Patch], library: Snapshot, context: Context) -> list[Patch]:
        for _ in range(self.levels):
            chunks = balanced(level, self.size)
            found: dict[int, list[Patch]] = {}

            async def one(
                number: int, chunks: list[list[Patch]] = chunks, into: dict[int, list[Patch]] = found
            ) -> None:
                into[number] = await self._one(chunks[number], library, context)

            await for_each(range(len(chunks)), one, context.concurrency)
            after = [patch for number in sorted(found) for patch in found[number]]
            if len(after) == len(level):
                return after
            level = after
        return level

    async def _one(self, patches: list[Patch], library: Snapshot, context: Context) -> list[Patch]:
        """The patches as one, or what is left where they cannot be."""
        made = {patch.id: skill for patch in patches if (skill := created(patch)) is not None}
        new = [patch for patch in patches if patch.id in made]
        edits = [patch for patch in patches if patch.id not in made]
        left = joined(edits, library, self.author) if edits else []
        if len(new) > 1:
            skills = tuple(made[patch.id] for patch in new)
            skill = await drafted(context, self.prompt, {"skills": preload(skills)}, name=skills[0].name)
            new = [combined(new, put(library, skill), library, self.author)] if skill is not None else new
        return [*left, *new]


def joined(patches: Sequence[Patch], library: Snapshot, author: str) -> list[Patch]:
    """One patch with the operations of all that fit each other, the first ones first; then those that do not fit."""
    whole, left = [patches[0]], list[Patch]()
    for patch in patches[1:]:
        try:
            apply(combined([*whole, patch], _operations([*whole, patch]), library, author), library)
            whole.append(patch)
        except PatchConflict:
            left.append(patch)
    one = whole[0] if len(whole) == 1 else combined(whole, _operations(whole), library, author)
    return [one, *left]


def _operations(patches: Sequence[Patch]) -> tuple[Operation, ...]:
    """Operations of all patches in order, equal ones once."""
    found: list[Operation] = []
    for operation in (operation for patch in patches for operation in patch.operations):
        if operation not in found:
            found.append(operation)
    return tuple(found)


def combined(behind: Sequence[Patch], operations: tuple[Operation, ...], library: Snapshot, author: str) -> Patch:
    lessons = tuple(dict.fromkeys(lesson for patch in behind for lesson in patch.lessons))
    names = ", ".join(dict.fromkeys(name for patch in behind for name in touched(patch)))
    reason = f"{names}: merged from {len(behind)} patches"
    return Patch(base=library.digest, operations=operations, reason=reason, lessons=lessons, author=author)


def balanced(patches: Sequence[Patch], size: int) -> list[list[Patch]]:
    """Chunks of `size`; a rest of less than half of that is spread over the others."""
    chunks = [list(patches[i : i + size]) for i in range(0, len(patches), size)]
    if len(chunks) > 1 and 2 * len(chunks[-1]) < size:
        for i, patch in enumerate(chunks.pop()):
            chunks[i % len(chunks)].append(patch)
    return chunks
