"""The page that describes every recipe: made from the recipes themselves, so that it says nothing else than they do.

`python -m prowess.report.methods > docs/methods.md` writes it.
"""

from prowess.evolve import recipes

_HEAD = """# Methods

One section a recipe: what it does, what is as in its paper, what is ours and what we had to reconstruct, what each
ablation leaves out, and what was measured, with the command that measures it. The page is made from the recipes
(`python -m prowess.report.methods`). [Recipes](recipes.md) says how one is written, and which part does what.

All recipes ask for the same steps in the same words, so that a difference between two of them comes from their ideas.
What a recipe needs a stronger model for is proven with models that are played: in its tests by a script, and with
`python benchmarks/recipes.py --model pretend -r NAME` by one that has the suite's own solutions. Such runs prove
that a path works; they are no measurement.
"""


def page() -> str:
    """The whole page as Markdown."""
    found = [name for name in recipes.names() if name not in recipes.BASELINES]
    return "\n".join([_HEAD, *(_section(name) for name in found)])


def _section(name: str) -> str:
    method = recipes.method(name)
    title, _, rest = recipes.documentation(name).partition("\n\n")
    parts = [f"## {name}\n", f"**{' '.join(title.split())}**\n", rest.strip() + "\n"]
    parts.append(f"Cost: {method.cost}. Compared with: `{method.baseline}`.")
    if method.needs:
        parts.append(f"Needs {method.needs}.")
    parts.append("")
    if method.ablations:
        parts += ["| ablation | without |", "|---|---|"]
        parts += [f"| `{name}.{ablation.name}` | {ablation.without} |" for ablation in method.ablations]
        parts.append("")
    return "\n".join([*parts, *_measured(name, method.suite), ""])


def _measured(name: str, suite: str) -> list[str]:
    result = recipes.measured().get(name)
    families = ",".join(result.families) if result else ""
    where = f"{suite}:{families}" if families else suite
    command = f"prowess bench recipes --suite {where} --recipe {name} --model {result.model if result else 'embedded'}"
    if result is None:
        return ["Not measured yet. To measure it:\n", f"```sh\n{command}\n```"]
    said = (
        f"Measured on {result.date}: {100 * result.success:.0f} % of held-out tasks, "
        f"{100 * result.effect:+.0f} points [{100 * result.low:+.0f}, {100 * result.high:+.0f}] against no skills, "
        f"{result.n} pairs, {result.seeds} seeds, {result.tokens:,.0f} tokens to learn ({families}).\n"
    )
    return [said, f"```sh\n{command}\n```"]


if __name__ == "__main__":
    print(page(), end="")
