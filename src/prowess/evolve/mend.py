"""Patches made to fit and to hold: the translation and the fixing of Trace2Skill (2603.25158, stages 3c and 3e).

An edit that was made against one text may not fit another: a better supported edit has changed the line that it
replaces. A small question, which line is it about now, puts it in its place or drops it. What a finished patch breaks
is told to the model, which mends it by further edits, a bounded number of times.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from prowess.core.base import Frozen
from prowess.core.errors import PatchConflict
from prowess.core.patch import Operation, Patch, Replace
from prowess.core.skill import Skill, Snapshot
from prowess.evolve.asking import answer, fields
from prowess.evolve.consolidate import Unmerged, by_skills, combined
from prowess.evolve.editing import Edit, Edits, lines_of, operations_of, schema, shown
from prowess.evolve.prompts import Prompt
from prowess.evolve.protocols import Consolidator, Context
from prowess.library.lint import lint, names_of_one_task
from prowess.library.patching import apply
from prowess.measure.gates import changed

NOWHERE = 0
"""In place of a line: the text says it already, or has no place for it."""


class _Place(Frozen):
    line: int


@dataclass(frozen=True, slots=True)
class Mended:
    """Consolidator: what `inner` leaves, with edits that no longer fit put in their place, and broken patches fixed."""

    inner: Consolidator
    fix: Prompt
    """About `$skill`, its lines with numbers, and `$problems`, one a line."""
    translate: Prompt | None = None
    """About `$skill` and an edit: `$old` text and `$new`. None: an edit that has lost its place is dropped."""
    rounds: int = 3
    """Of fixing a patch; what is still broken then is left to the gates, which refuse it."""

    async def merge(self, patches: Sequence[Patch], library: Snapshot, context: Context) -> tuple[Patch, ...]:
        found: list[Patch] = []
        for group in by_skills(await self.inner.merge(patches, library, context)):
            only_edits = all(isinstance(op, Replace) for patch in group for op in patch.operations)
            left = [await self._joined(group, library, context)] if only_edits else group
            found += [await self._fixed(patch, library, context) for patch in left]
        return await Unmerged().merge(found, library, context)

    async def _joined(self, patches: Sequence[Patch], library: Snapshot, context: Context) -> Patch:
        """The first patch, with all of the others that finds a place in what it leaves."""
        whole = patches[0]
        for patch in patches[1:]:
            added: list[Operation] = []
            for operation in patch.operations:
                after = apply(combined([whole], (*whole.operations, *added), library, whole.author), library)
                if isinstance(operation, Replace) and (skill := after.get(operation.name)) is not None:
                    added += await self._placed(operation, skill, context)
            if added:
                whole = combined([whole, patch], (*whole.operations, *added), library, whole.author)
        return whole

    async def _placed(self, edit: Replace, skill: Skill, context: Context) -> tuple[Replace, ...]:
        """The edit, made to fit `skill`; nothing where it has no place."""
        if skill.body.find(edit.old) == skill.body.rfind(edit.old) >= 0:
            return (edit,)
        if self.translate is None:
            return ()
        lines: list[JsonValue] = [NOWHERE, *(number for number, _ in lines_of(skill))]
        values = {"skill": shown(skill), "old": edit.old, "new": edit.new or "(nothing)"}
        request = self.translate.request(values, seed=context.seed)
        found = await answer(
            context, "translation", request, _Place, lambda place: _moved(edit, place.line, skill),
            fields(line={"enum": lines}),
        )  # fmt: skip
        return found or ()

    async def _fixed(self, patch: Patch, library: Snapshot, context: Context) -> Patch:
        for round_ in range(self.rounds):
            broken = _broken(patch, library, context)
            if broken is None:
                break
            skill, problems = broken
            values = {"skill": shown(skill), "problems": "\n".join(f"- {problem}" for problem in problems)}
            edits = await answer(
                context,
                "fix",
                self.fix.request(values, seed=context.seed + round_),
                Edits,
                lambda edits, skill=skill: operations_of(edits.edits, skill),
                schema(skill),
            )
            if edits:
                patch = patch.model_copy(update={"operations": (*patch.operations, *edits)})
        return patch


def _moved(edit: Replace, line: int, skill: Skill) -> tuple[Replace, ...]:
    """`edit` at another line: an addition stays one, and so does a deletion."""
    if line == NOWHERE:
        return ()
    if edit.new.startswith(f"{edit.old}\n"):
        moved = Edit(action="add", line=line, text=edit.new[len(edit.old) + 1 :])
    else:
        moved = Edit(action="replace" if edit.new.strip() else "delete", line=line, text=edit.new)
    return operations_of([moved], skill)


def _broken(patch: Patch, library: Snapshot, context: Context) -> tuple[Skill, list[str]] | None:
    """The first skill that the patch leaves broken, and what is wrong with it; None where all are sound.

    A patch that cannot be applied at all is not mended: there is no text to mend.
    """
    try:
        after = apply(patch, library)
    except PatchConflict:
        return None
    leaks: Iterable[str] = names_of_one_task(task for task, _ in context.past.episodes)
    for skill in changed(after, library):
        problems = [problem.what for problem in lint(skill, leaks) if problem.severity == "error"]
        if problems:
            return skill, problems
    return None
