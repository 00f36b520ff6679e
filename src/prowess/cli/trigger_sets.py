"""What `prowess triggers --generate` does."""

from pathlib import Path

import anyio

from prowess.cli.places import write
from prowess.cli.progress import Waiting
from prowess.cli.screen import BAD, SOFT, Screen
from prowess.core.errors import BudgetExceeded, UserError
from prowess.core.model import Model
from prowess.core.skill import Snapshot
from prowess.measure.triggers.generate import Draft, generate, together
from prowess.measure.triggers.sets import dump, dump_skill_creator


def write_set(
    screen: Screen,
    library: Snapshot,
    names: tuple[str, ...],
    path: Path,
    needs: int,
    seed: int,
    model: Model,
    yes: bool,
) -> None:
    """Let the model write queries for each skill into a file, and tell what was kept and what was not.

    Raises:
        UserError: nothing usable came, or the file cannot be written.
        BudgetExceeded: what came before is in the file.
    """
    if path.suffix == ".json" and len(names) != 1:
        raise UserError("a set of skill-creator is about one skill", "name one SKILL, or a file that ends in .yaml")
    if path.exists():
        screen.confirm(f"{path} exists. Replace it?", yes)
    drafts: list[Draft] = []

    async def work() -> None:
        with Waiting() as waiting:
            for name in names:
                skill = library.get(name)
                assert skill is not None  # its name was looked up before
                drafts.append(await generate(model, library, skill, needs, seed=seed))
                waiting.at("skills", len(drafts), len(names), name)

    stopped: BudgetExceeded | None = None
    try:
        anyio.run(work)
    except BudgetExceeded as error:
        stopped = error
    queries = together(drafts)
    if queries:
        write(path, dump_skill_creator(queries, names[0]) if path.suffix == ".json" else dump(queries))
    if stopped is not None:
        raise stopped
    if not queries:
        raise UserError(f"the model wrote nothing that can be used: {drafts[0].error}", "try another --model")
    _tell(screen, library, drafts, path, len(queries))


def _tell(screen: Screen, library: Snapshot, drafts: list[Draft], path: Path, queries: int) -> None:
    rows = [
        {
            "skill": d.skill, "needs": d.positives, "near": d.negatives, "leaked": d.leaked, "repeated": d.repeated,
            "overlap": [round(share, 3) for share in d.overlap(library.get(d.skill) or library.skills[0])],
            "error": d.error,
        }
        for d in drafts
    ]  # fmt: skip
    if screen.json:
        screen.data({"file": path, "queries": queries, "skills": rows})
        return
    screen.table(
        ("skill", "needs", "near", "leaked", "repeated", "own words: should", "should not"),
        [
            (
                str(row["skill"]), *(str(row[k]) for k in ("needs", "near", "leaked", "repeated")),
                *(f"{share:.0%}" for share in d.overlap(library.get(d.skill) or library.skills[0])),
            )
            for row, d in zip(rows, drafts, strict=True)
        ],
    )  # fmt: skip
    for d in drafts:
        if d.error:
            screen.line((f"  {d.skill}: {d.error[:300]}", BAD))
    screen.line(f"Read {path}, mend what is wrong, then: prowess triggers --from {path}")
    screen.line(("Leaked queries named the skill or recited its description; they were thrown away.", SOFT))
