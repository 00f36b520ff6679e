"""The suite `workbench`: families of small office tasks with house rules that no model can know."""

from functools import lru_cache
from typing import Any

from prowess.core.errors import UserError
from prowess.core.skill import Skill
from prowess.core.task import File, Score, Split, Task
from prowess.suites.workbench import (
    address_list,
    budget_sheet,
    catalogue_merge,
    config_merge,
    expense_claims,
    human,
    inventory_reorder,
    invoice_ageing,
    ledger_totals,
    orders_report,
    room_conflicts,
    server_log_summary,
    timesheet_hours,
)
from prowess.suites.workbench.family import Case, Family, draw, prompt
from prowess.suites.workbench.judge import judge

FAMILIES: dict[str, Family[Any]] = {
    module.FAMILY.name: module.FAMILY
    for module in (
        ledger_totals,
        timesheet_hours,
        inventory_reorder,
        server_log_summary,
        room_conflicts,
        catalogue_merge,
        budget_sheet,
        orders_report,
        config_merge,
        address_list,
        invoice_ageing,
        expense_claims,
    )
}
OFFSETS: dict[Split, int] = {"evidence": 0, "gate": 1, "test": 2}
EXAMPLE_SEED = -1
"""The instance behind the human skill; in no split, whose seeds are all zero or more."""


@lru_cache(maxsize=512)
def _case(family: str, variant: str, seed: int) -> Case:
    return draw(FAMILIES[family], variant, seed)


class Workbench:
    """Procedural office tasks. Task number `i` of a split has seed `3 * i` plus the offset of the split."""

    name = "workbench"

    @property
    def families(self) -> tuple[str, ...]:
        return tuple(FAMILIES)

    def variants(self, family: str) -> tuple[str, ...]:
        return tuple(_family(family).houses)

    def tasks(self, family: str, split: Split, n: int, variant: str = "base", start: int = 0) -> tuple[Task, ...]:
        """Tasks number `start` to `start + n - 1`; there is no end to them.

        Raises:
            UserError: no such family or variant, or a negative number.
        """
        if variant not in self.variants(family):
            raise UserError(
                f"family {family!r} has no variant {variant!r}", f"choose one of {', '.join(self.variants(family))}"
            )
        if start < 0 or n < 0:
            raise UserError(f"tasks {start} to {start + n - 1} cannot be drawn", "give start and n of zero or more")
        return tuple(_task(family, variant, split, 3 * i + OFFSETS[split]) for i in range(start, start + n))

    def check(self, task: Task, outputs: tuple[File, ...], answer: str = "") -> Score:
        """Judge the output file of a task; `answer` is not looked at."""
        family = _family(task.family)
        case = _case(task.family, task.variant, task.seed)
        checks = judge(family, case, family.houses[task.variant], outputs)
        return Score(
            value=sum(check.passed for check in checks) / len(checks),
            passed=all(check.passed for check in checks),
            checks=checks,
            verifier="suite:workbench",
            trusted=True,
        )

    def oracle(self, task: Task) -> tuple[File, ...]:
        family = _family(task.family)
        case, house = _case(task.family, task.variant, task.seed), family.houses[task.variant]
        return (File(path=case.target, data=family.output.write(family.answer(case, house), house)),)

    def program(self, task: Task) -> str:
        """A short program that does the task: what a good agent would write."""
        family = _family(task.family)
        return family.program(_case(task.family, task.variant, task.seed), family.houses[task.variant])

    def human_skill(self, family: str) -> Skill:
        """What a person would leave to colleagues: rules, a script that follows them, and its call; for `base`."""
        return human.skill(_family(family), _case(family, "base", EXAMPLE_SEED))


def _family(name: str) -> Family[Any]:
    if name not in FAMILIES:
        raise UserError(f"the workbench has no family {name!r}", f"choose one of {', '.join(FAMILIES)}")
    return FAMILIES[name]


def _task(family: str, variant: str, split: Split, seed: int) -> Task:
    case = _case(family, variant, seed)
    return Task(
        id=f"{family}/{variant}/{seed}",
        suite="workbench",
        family=family,
        variant=variant,
        split=split,
        seed=seed,
        prompt=prompt(case, variant),
        files=case.files,
        outputs=(case.target,),
        meta={"flow": list(FAMILIES[family].flow)},
    )
