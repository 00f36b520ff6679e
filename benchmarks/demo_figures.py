"""Writes the figures of a demo's record into README.md and docs/demo.md: `python benchmarks/demo_figures.py demo`.

No figure of the demo is typed by hand; run `prowess demo` first, on a quiet machine.
"""

import argparse
import re
from pathlib import Path

from prowess.evolve.record import RunRecord
from prowess.report.summary import noise

MARK = re.compile(r"(<!-- demo-figures:.*?-->\n).*?(<!-- /demo-figures -->)", re.DOTALL)


def table(record: RunRecord) -> str:
    """The held-out comparison, the gate's verdict and the cost, as Markdown."""
    pooled = [c.evidence for c in record.comparisons if c.family is None and not c.shifted]
    if not pooled:
        raise SystemExit("the record holds no comparison")
    tasks, base = pooled[0].n, pooled[0].baseline_rate
    names = {"with": "with what it learned", "human": "with a human's skill"}
    lines = [
        f"| held-out tasks, n = {tasks} | passed | difference (95 % interval) | won / tied / lost | p |",
        "|---|---|---|---|---|",
        f"| without skills | {round(base * tasks)} of {tasks} | | | |",
    ]
    for e in pooled:
        lines.append(
            f"| {names.get(e.treatment, e.treatment)} | {round(e.treatment_rate * e.n)} of {e.n} | "
            f"{100 * e.effect:+.0f} points ({100 * e.low:+.0f} to {100 * e.high:+.0f}) | "
            f"{e.wins} / {e.ties} / {e.losses} | {e.p:.2g} |"
        )
    gates = [
        f"Gate for {d.patch.reason.split(':')[0]}: **{v.evidence.outcome}** on {v.evidence.n} pairs of other tasks "
        f"({v.evidence.wins} won, {v.evidence.ties} tied, {v.evidence.losses} lost), p = {v.evidence.p:.2g}."
        for d in record.decisions
        for v in d.verdicts
        if v.evidence is not None
    ]
    others = [
        f"On {e.n} held-out tasks of offices with other rules, which the skill does not know, "
        f"{round(e.baseline_rate * e.n)} passed without it and {round(e.treatment_rate * e.n)} with it."
        for e in (c.evidence for c in record.comparisons if c.shifted)
    ]
    calls = sum(c.cost.calls for c in record.costs)
    tokens = sum(c.cost.tokens for c in record.costs)
    model_seconds = sum(c.cost.seconds for c in record.costs)
    told = (
        f"{record.seconds / 60:.1f} minutes in all, {100 * model_seconds / record.seconds:.0f} % of it in the model; "
        f"{calls} calls, {tokens:,} tokens, no money. Model {record.model}, seed {record.seed}, {record.machine}."
    )
    return "\n".join([*lines, "", *gates, *others, *([noise(record)] if record.noise else []), "", told, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the demo ran; holds record.json")
    record = RunRecord.model_validate_json((parser.parse_args().folder / "record.json").read_bytes())
    text = table(record)
    for page in (Path("README.md"), Path("docs/demo.md")):
        page.write_text(MARK.sub(lambda m: f"{m[1]}\n{text}\n{m[2]}", page.read_text("utf-8")), "utf-8")
    print(text)


if __name__ == "__main__":
    main()
