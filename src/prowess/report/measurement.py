"""The page of a measurement: the effect of each skill with its interval, learning curve, cost for each point gained."""

from collections.abc import Iterable

from prowess.core.evidence import Evidence
from prowess.measure.libraries import Measurement, SkillEffect
from prowess.measure.stats.agreement import Agreement
from prowess.report import charts, sessions
from prowess.report.page import Trajectories, page
from prowess.report.summary import noise_sentence
from prowess.report.text import count, points, probability

WHOLE = "the whole library"
NAMES = {"holm": "Holm", "benjamini-hochberg": "Benjamini and Hochberg"}


def render_measurement(found: Measurement, trajectories: Trajectories) -> str:
    """The page, as HTML text to be stored as UTF-8."""
    load = trajectories if callable(trajectories) else trajectories.get
    shown, others = sessions.load_first(_named(found), load)
    adjusted = NAMES[found.adjustment]
    group = f"skill by skill, adjusted by {adjusted}"
    effects = [("the library", WHOLE, found.evidence)]
    effects += [(group, s.skill, _adjusted(s, s.evidence)) for s in found.skills if s.evidence]
    return page(
        "measurement.html",
        found=found,
        graded="graded" in found.evidence.test,
        agreement=agreement_sentence(found.agreement),
        e=found.evidence,
        adjusted=adjusted,
        compared=len(effects) - 1,
        sentence=sentence(found),
        noise=noise_sentence(found.evidence.noise),
        forest=charts.forest_of(effects),
        unseen=[s.skill for s in found.skills if s.evidence is None],
        steps=charts.steps(found.states),
        prices=charts.prices(found.skills),
        shown=shown,
        others=others,
        anchors={s.trajectory.id: s.anchor for s in shown},
    )


def sentence(found: Measurement) -> str:
    """Whether the library helps, and how many of its skills do, in plain words."""
    e = found.evidence
    against = "no skills" if found.against is None else "the other library"
    whole = (
        f"On {count(e.n, 'pair')} of held-out tasks the library is {points(e.effect)} points against {against}: "
        f"{e.outcome} ({probability(e.p)})."
    )
    by = {outcome: sum(s.outcome == outcome for s in found.skills) for outcome in ("better", "worse")}
    unseen = sum(s.evidence is None for s in found.skills)
    open_ = len(found.skills) - by["better"] - by["worse"] - unseen
    parts = [f"{by['better']} shown to help", f"{by['worse']} to harm", f"{open_} not enough evidence"]
    parts += [f"{unseen} on no task"] if unseen else []
    return f"{whole} Of {count(len(found.skills), 'skill')}: {', '.join(parts)}."


def agreement_sentence(found: Agreement | None) -> str:
    """How far a judge model agrees with the checks; empty where no judge stood beside them."""
    if found is None:
        return ""
    kappa = "" if found.kappa is None else f", kappa {found.kappa:.2f} [{found.low:.2f}, {found.high:.2f}]"
    return f"The judge model agrees with the checks on {found.agreed} of {found.n}{kappa}."


def _adjusted(skill: SkillEffect, evidence: Evidence) -> Evidence:
    """As the forest plot shows it: p and verdict adjusted."""
    return evidence.model_copy(update={"p": skill.adjusted_p, "outcome": skill.outcome})


def _named(found: Measurement) -> Iterable[tuple[str, str]]:
    yield from ((trajectory, "got worse") for _, trajectory in found.evidence.harms)
    yield from sessions.some_of(found.evidence)
    yield from ((t.trajectory, f"trial, {t.arm}") for t in found.evidence.trials)
