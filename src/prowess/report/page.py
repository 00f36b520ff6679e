"""From a run record to one HTML page that needs nothing else: no request leaves the reader's machine.

Every text in a record is hostile. Three things keep it inert: templates escape all output, invisible characters are
made visible on the way out, and a content security policy lets only our own script and style run.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, cast

from prowess import __version__
from prowess.core.cost import total
from prowess.core.text import cut
from prowess.core.trajectory import Trajectory
from prowess.evolve.record import RunRecord
from prowess.report import charts, sessions, skills, summary, text

LONGEST = 5000
"""Most characters of any one text; templates cut most of them shorter."""

if TYPE_CHECKING:
    from jinja2 import Environment

Trajectories = Mapping[str, Trajectory] | Callable[[str], Trajectory | None]
"""Where the page finds trajectories by id; ids that are not found are left out."""


def render(record: RunRecord, trajectories: Trajectories) -> str:
    """The page of one run, as HTML text to be stored as UTF-8."""
    load = trajectories if callable(trajectories) else trajectories.get
    table = summary.rows(record.comparisons)
    shown, others = sessions.choose(record, load)
    cost = summary.cost_of(record)
    return page(
        "page.html",
        record=record,
        sentence=summary.sentence(record),
        outcome=summary.outcome(table),
        head=summary.headline(table),
        better=sum(r.main.outcome == "better" for r in table if summary.is_learned(r)),
        learned_rows=sum(summary.is_learned(r) for r in table),
        accepted=sum(d.accepted for d in record.decisions),
        decision_costs=[total([v.cost for v in d.verdicts]) for d in record.decisions],
        harms=summary.harms(record),
        noise=summary.noise(record),
        table=table,
        arms=summary.arm_names(table),
        titles=summary.TITLES,
        forest=charts.forest(record),
        changes=skills.changes(record),
        curve=charts.curve(record.curve),
        cost=cost,
        stages=sorted(record.costs, key=lambda s: -s.cost.seconds),
        shown=shown,
        others=others,
        anchors={s.trajectory.id: s.anchor for s in shown},
    )


def page(template: str, **values: Any) -> str:
    """A page that stands alone: our style and script inside, and a policy that lets nothing else run or load."""
    style, script = _asset("style.css"), _asset("script.js")
    policy = (
        f"default-src 'none'; style-src {_source(style)}; script-src {_source(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    filled = environment().get_template(template)
    return filled.render(**values, version=__version__, style=style, script=script, policy=policy)


@cache
def environment(*packages: str) -> "Environment":
    """Templates with escaping, our filters and `finalize`: those of `packages`, then our own."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    def finalize(value: Any) -> Any:
        if not isinstance(value, str) or isinstance(value, Markup):
            return value
        return text.visible(cut(value, LONGEST))

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package) for package in (*packages, "prowess.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = cast("dict[str, Any]", environment.filters)  # pyright: ignore[reportUnknownMemberType]
    for function in (text.points, text.percent, text.probability, text.duration, text.money, text.count, text.spent):
        filters[function.__name__] = function
    filters |= {"says": skills.says, "content": skills.content, "cut": cut}
    return environment


@cache
def _asset(name: str) -> Any:
    """Our own style or script, as markup that needs no escaping."""
    from markupsafe import Markup

    return Markup("\n" + (files("prowess.report") / "templates" / name).read_text("utf-8"))


def _source(content: str) -> str:
    """The content security policy's name for an inline text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
