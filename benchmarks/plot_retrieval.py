"""Draws `docs/search-recall-latency.svg` from what `benchmarks/retrieval.py --json FILE` wrote.

    python benchmarks/plot_retrieval.py FILE

Across: median time of a query at 26,000 skills, tasks as queries, on a logarithmic scale. Up: recall at 1 on held-out
queries, mean over datasets; bars are 95 % intervals of that mean, the sets' intervals combined as independent.
"""

import json
import math
import sys
from html import escape
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parents[1] / "docs" / "search-recall-latency.svg"
WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 720, 400, 64, 52, 20, 190
OURS, PEERS, INK, GRID = "#0b6e4f", "#7a5195", "#5b6470", "#d9dde2"


def points(result: dict[str, Any], size: int) -> list[tuple[str, float, float, float, float]]:
    """Name, milliseconds, recall, low, high."""
    found: list[tuple[str, float, float, float, float]] = []
    for key, timed in result["speed"].items():
        name, at = key.rsplit(" @ ", 1)
        rows = [d["systems"][name]["recall@1"] for d in result["quality"].values() if name in d["systems"]]
        if int(at) != size or not rows:
            continue
        mean = sum(row[0] for row in rows) / len(rows)
        half = math.sqrt(sum(((row[2] - row[1]) / 2) ** 2 for row in rows)) / len(rows)
        found.append((name, timed["task_p50_ms"], mean, mean - half, mean + half))
    return found


def svg(found: list[tuple[str, float, float, float, float]], load: float) -> str:
    fastest, slowest = min(p[1] for p in found), max(p[1] for p in found)
    left, right = math.log10(fastest) - 0.2, math.log10(slowest) + 0.2
    low, high = min(p[3] for p in found) - 0.02, max(p[4] for p in found) + 0.02

    def x(ms: float) -> float:
        return LEFT + (math.log10(ms) - left) / (right - left) * (WIDTH - LEFT - RIGHT)

    def y(recall: float) -> float:
        return HEIGHT - BOTTOM - (recall - low) / (high - low) * (HEIGHT - BOTTOM - TOP)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"',
        'font-size="12">',
        "<title>Recall at 1 against the time of a query, 26,000 skills</title>",
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
    note = f"milliseconds for half of the queries, at most (load {load:.0f} on 2 cores)"
    parts.append(f'<text x="{middle}" y="{HEIGHT - 12}" text-anchor="middle" fill="{INK}">{note}</text>')
    turned = f'transform="rotate(-90 16 {HEIGHT / 2})"'
    parts.append(f'<text x="16" y="{HEIGHT / 2}" text-anchor="middle" fill="{INK}" {turned}>recall at 1</text>')
    return "\n".join([*parts, "</svg>", ""])


def main() -> int:
    result = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    found = points(result, 26_000)
    TARGET.write_text(svg(found, max(row["load"] for row in result["speed"].values())), "utf-8")
    print(f"{len(found)} systems in {TARGET}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
