"""Writes the figures of search into docs/search.md and docs/catalogue.md, and draws the recall-latency plot.

    python benchmarks/search_figures.py [--retrieval FILE] [--need FILE] [--structure FILE] [--capacity FILE]

Each FILE is what the benchmark of that name wrote with `--json`; parts without one stay as they are. No figure of
search is typed by hand. Across in the plot: median time of a query at 26,000 skills, tasks as queries, on a logarithmic
scale. Up: recall at 1 on held-out queries, mean over data sets; bars are 95 % intervals of that mean, the sets'
intervals combined as independent.
"""

import argparse
import json
import math
import re
from html import escape
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1] / "docs"
PLOT = DOCS / "search-recall-latency.svg"
SIZE = 26_000
WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 760, 400, 64, 52, 20, 190
OURS, PEERS, INK, GRID = "#0b6e4f", "#7a5195", "#5b6470", "#d9dde2"


# Tables


def quality(result: dict[str, Any]) -> str:
    """MRR by set and system, recall and nDCG as means over sets, and the difference to the best peer of each set."""
    sets: dict[str, Any] = result["quality"]
    names = list(dict.fromkeys(name for one in sets.values() for name in one["systems"]))
    lines = ["| MRR | " + " | ".join(sets) + " | mean |", "|---" * (len(sets) + 2) + "|"]
    for name in names:
        rows = [one["systems"].get(name, {}).get("mrr") for one in sets.values()]
        shown = [f"{row[0]:.3f} [{row[1]:.2f}, {row[2]:.2f}]" if row else "" for row in rows]
        means = [row[0] for row in rows if row]
        lines.append(f"| {name} | " + " | ".join(shown) + f" | {sum(means) / len(means):.3f} |")
    lines.append("| *queries, subjects, skills* | " + " | ".join(
        f"{one['queries']}, {one['subjects']}, {one['skills']}" for one in sets.values()) + " | |")  # fmt: skip
    lines += ["", "| mean over the sets | recall at 1 | at 5 | at 10 | nDCG at 10 |", "|---|---|---|---|---|"]
    for name in names:
        cells: list[str] = []
        for metric in ("recall@1", "recall@5", "recall@10", "ndcg@10"):
            rows = [one["systems"][name][metric][0] for one in sets.values() if name in one["systems"]]
            cells.append(f"{sum(rows) / len(rows):.3f}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["", "Difference in MRR to the best peer of each set:", "", "| | " + " | ".join(sets) + " |"]
    lines.append("|---" * (len(sets) + 1) + "|")
    for name in (n for n in names if n.startswith("prowess")):
        gaps = [one["systems"].get(name, {}).get("mrr over best peer") for one in sets.values()]
        shown = [f"{g[0]:+.3f} [{g[1]:+.2f}, {g[2]:+.2f}] to {g[3]}" if g else "" for g in gaps]
        lines.append(f"| {name} | " + " | ".join(shown) + " |")
    return "\n".join(
        [*lines, "", f"At most {result['limit']} queries a set. Brackets: 95 % intervals, resampling subjects."]
    )


def learned(result: dict[str, Any]) -> str:
    found = result["learned"]
    rows = {name: row for name, row in found["recall@1"].items() if " - " not in name}
    lines = ["| router | right one first | learned over it |", "|---|---|---|"]
    for name, (mean, low, high) in rows.items():
        gap = found["recall@1"].get(f"learned - {name}")
        more = f"{gap[0]:+.3f} [{gap[1]:+.3f}, {gap[2]:+.3f}]" if gap else ""
        lines.append(f"| {name} | {mean:.3f} [{low:.3f}, {high:.3f}] | {more} |")
    told = (
        f"SRA-Bench, all five sets: trained on {found['trained on']:,} questions in "
        f"{found['processor seconds']:.0f} s of processor time, compared on {found['held out']:,} others "
        f"(95 % intervals, resampling skills)."
    )
    return "\n".join([told, "", *lines])


def need(result: dict[str, Any]) -> str:
    lines = ["| | shown one though none fits | shown the right one | shown a wrong one |", "|---|---|---|---|"]
    for name, row in result["held_out"].items():
        cells = [f"{k} of {n}, {k / n:.0%} [{low:.0%}, {high:.0%}]" for k, n, low, high in row.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def speed(result: dict[str, Any]) -> str:
    head = ["skills", "system", "index", "short p50 / p99", "task p50 / p99", "add one p50 / p99", "peak memory"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for key, row in result["speed"].items():
        name, _, size = key.rpartition(" @ ")

        def times(label: str, row: dict[str, Any] = row) -> str:
            return f"{row[f'{label}_p50_ms']:.2f} / {row[f'{label}_p99_ms']:.2f} ms"

        added = times("add") if "add_p50_ms" in row else ""
        build = f"{row['build_s']:.1f} s" + ("*" if row["making_included"] else "")
        lines.append(
            f"| {int(size):,} | {name} | {build} | {times('short')} | {times('task')} | {added} "
            f"| {row['peak_mb']:,.0f} MB |"
        )
    loads = max(row["load"] for row in result["speed"].values())
    told = (
        f"{result['machine']}; load {loads:.1f} at most. One process each, one query at a time. Peak memory is "
        "that of the whole process, which with the skills has "
        f"{min(row['before_mb'] for row in result['speed'].values()):,.0f} MB or more before it indexes."
    )
    star = ["", "\\* with the time to make the skills, which do not fit into memory at once."] if any(
        row["making_included"] for row in result["speed"].values()) else []  # fmt: skip
    picture = ["", f"![Recall at 1 against time]({PLOT.name})"] if points(result) else []
    return "\n".join([*lines, *star, "", told, *picture])


def structure(result: dict[str, Any]) -> str:
    lines = ["| set | indexed | MRR | first is right | structure adds to MRR |", "|---|---|---|---|---|"]
    for one in result["results"]:
        gaps = {pair["to"]: pair for pair in one["differences"]}
        for row in one["rows"]:
            low, high = row["mrr_interval"]
            gap = gaps.get(row["indexed"])
            more = f"{gap['difference']:+.3f} [{gap['interval'][0]:+.3f}, {gap['interval'][1]:+.3f}]" if gap else ""
            lines.append(f"| {one['dataset']} | {row['indexed']} | {row['mrr']:.3f} [{low:.3f}, {high:.3f}] "
                         f"| {row['hit@1']:.2f} | {more} |")  # fmt: skip
    sizes = "; ".join(
        f"*{one['dataset']}*: {one['skills']} skills, {one['queries']:,} queries on {one['subjects']} subjects"
        for one in result["results"]
    )
    return "\n".join([f"{sizes}.", "", *lines])


def capacity(result: dict[str, Any]) -> str:
    def cell(point: dict[str, Any]) -> str:
        return f"{point['accuracy']:.0%} [{point['low']:.0%}, {point['high']:.0%}]"

    columns = [(one["requests"], line) for one in result["results"] for line in one["lines"]]
    heads = [f"{asked}: {line['way'].partition(', ')[2] or 'flat'}" for asked, line in columns]
    lines = ["| skills | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for i, point in enumerate(columns[0][1]["points"]):
        lines.append(f"| {point['size']} | " + " | ".join(cell(line["points"][i]) for _, line in columns) + " |")
    lines += ["", "| | of small libraries | half is lost at | steepness |", "|---|---|---|---|"]
    for head, (_, line) in zip(heads, columns, strict=True):
        if line["curve"] is None or not line["curve"]["falls"]:
            lines.append(f"| {head} | | no fall | |")
            continue
        a, k, g = (line["curve"][name] for name in ("alpha", "kappa", "gamma"))
        far = k["high"] > 20 * line["points"][-1]["size"]
        lost = f"{k['value']:,.0f} [{k['low']:,.0f}, {'no end in sight' if far else format(k['high'], ',.0f')}]"
        lines.append(
            f"| {head} | {a['value']:.0%} [{a['low']:.0%}, {a['high']:.0%}] | {lost} "
            f"| {g['value']:.1f} [{g['low']:.1f}, {g['high']:.1f}] |"
        )
    differences: list[str] = []
    for one in result["results"]:
        for d in one["differences"]:
            last = d["by_size"][-1]
            differences.append(
                f"{one['requests']}, {d['to'].partition(', ')[2]} against flat at {last['size']} skills: "
                f"{100 * last['effect']:+.0f} points [{100 * last['low']:+.0f}, {100 * last['high']:+.0f}], "
                f"n = {last['n']}, p = {last['p']:.2g}"
            )
    told = f"{result['skills']:,} real skills, seed {result['seed']}; brackets are 95 % intervals."
    return "\n".join([*lines, "", *(f"- {d}" for d in differences), "", told])


# The plot


def points(result: dict[str, Any]) -> list[tuple[str, float, float, float, float]]:
    """Name, milliseconds, recall, low, high."""
    found: list[tuple[str, float, float, float, float]] = []
    for key, timed in result["speed"].items():
        name, _, at = key.rpartition(" @ ")
        rows = [d["systems"][name]["recall@1"] for d in result["quality"].values() if name in d["systems"]]
        if int(at) != SIZE or not rows:
            continue
        mean = sum(row[0] for row in rows) / len(rows)
        half = math.sqrt(sum(((row[2] - row[1]) / 2) ** 2 for row in rows)) / len(rows)
        found.append((name, timed["task_p50_ms"], mean, mean - half, mean + half))
    return found


def plot(found: list[tuple[str, float, float, float, float]], load: float) -> str:
    fastest, slowest = min(p[1] for p in found), max(p[1] for p in found)
    left, right = math.log10(fastest) - 0.2, math.log10(slowest) + 0.2
    low, high = min(p[3] for p in found) - 0.02, max(p[4] for p in found) + 0.02

    def x(ms: float) -> float:
        return LEFT + (math.log10(ms) - left) / (right - left) * (WIDTH - LEFT - RIGHT)

    def y(recall: float) -> float:
        return HEIGHT - BOTTOM - (recall - low) / (high - low) * (HEIGHT - BOTTOM - TOP)

    title = f"Recall at 1 against the time of a query, {SIZE:,} skills"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'font-family="sans-serif" font-size="12" role="img" aria-label="{title}">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
    ]
    for i in range(math.ceil(low * 20), math.floor(high * 20) + 1):
        at = y(i / 20)
        parts.append(f'<path d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}" stroke="{GRID}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end" fill="{INK}">{i / 20:.2f}</text>')
    for ms in (m * 10**e for e in range(-2, 4) for m in (1, 2, 5)):
        if left <= math.log10(ms) <= right:
            parts.append(f'<path d="M{x(ms):.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="{GRID}"/>')
            label = f'<text x="{x(ms):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle" fill="{INK}">{ms:g}</text>'
            parts.append(label)
    for name, ms, recall, bottom, top in found:
        colour = OURS if name.startswith("prowess") else PEERS
        parts.append(f'<path d="M{x(ms):.1f} {y(bottom):.1f}V{y(top):.1f}" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<circle cx="{x(ms):.1f}" cy="{y(recall):.1f}" r="5" fill="{colour}"/>')
        parts.append(f'<text x="{x(ms) + 9:.1f}" y="{y(recall) + 4:.1f}" fill="{colour}">{escape(name)}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    note = f"milliseconds for half of the queries (load {load:.1f} at most)"
    parts.append(f'<text x="{middle}" y="{HEIGHT - 12}" text-anchor="middle" fill="{INK}">{note}</text>')
    turned = f'transform="rotate(-90 16 {HEIGHT / 2})"'
    parts.append(f'<text x="16" y="{HEIGHT / 2}" text-anchor="middle" fill="{INK}" {turned}>recall at 1</text>')
    return "\n".join([*parts, "</svg>", ""])


def put(page: Path, name: str, text: str) -> None:
    """Replaces what stands between the marks of `name` on a page."""
    mark = re.compile(rf"(<!-- figures: {name},.*?-->\n).*?(<!-- /figures -->)", re.DOTALL)
    old = page.read_text("utf-8")
    if not mark.search(old):
        raise SystemExit(f"{page} has no marks for {name}")
    page.write_text(mark.sub(lambda m: f"{m[1]}\n{text}\n\n{m[2]}", old), "utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("retrieval", "need", "structure", "capacity"):
        parser.add_argument(f"--{name}", type=Path)
    args = parser.parse_args()
    search, catalogue = DOCS / "search.md", DOCS / "catalogue.md"
    if args.retrieval:
        result = json.loads(args.retrieval.read_text("utf-8"))
        for name, make in (("quality", quality), ("learned", learned), ("speed", speed)):
            if result.get(name):
                put(search, name, make(result))
        if found := points(result):
            PLOT.write_text(plot(found, max(row["load"] for row in result["speed"].values())), "utf-8")
    for name, make, page in (
        ("need", need, search), ("structure", structure, catalogue), ("capacity", capacity, catalogue),
    ):  # fmt: skip
        if path := getattr(args, name):
            put(page, name, make(json.loads(path.read_text("utf-8"))))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
