"""`prowess add`: bring skills of others into the library."""

from typing import TYPE_CHECKING, Annotated

import typer

from prowess.cli.options import Json, LibraryPath, Yes, open_library

if TYPE_CHECKING:
    from prowess.cli.screen import Screen
    from prowess.core.trust import Tier
    from prowess.guard.scan import Finding


def add(
    *,
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A skill folder, a folder of them, an archive, or a git address.")
    ],
    ref: Annotated[
        str | None, typer.Option("--ref", metavar="REF", help="Of a repository: branch, tag or commit.")
    ] = None,
    skill: Annotated[
        list[str] | None, typer.Option("--skill", metavar="SKILL", help="Only this skill; may stand more than once.")
    ] = None,
    library: LibraryPath = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Bring skills of others into the library.

    Every file is checked before the first is written. What the scan blocks stays out, whatever is answered; the rest
    is asked for, with the findings to review. What came in is quarantined (T1) until somebody vouches for it. Exit
    code 1 when something blocks.
    """
    from prowess.cli.scan import plain, show
    from prowess.cli.screen import Screen
    from prowess.core.errors import InvalidSkill, UserError
    from prowess.core.trust import Tier
    from prowess.guard.keys import Keyring
    from prowess.guard.scan import scan_files
    from prowess.guard.tiers import standings_now
    from prowess.library.bundles import read_bundle
    from prowess.library.trees import skill_of

    screen = Screen(json)
    bundle = read_bundle(source, ref)
    if skill and (absent := sorted(set(skill) - bundle.skills.keys())):
        raise UserError(f"{source} has no skill {', '.join(absent)}", f"it holds {', '.join(bundle.skills)}")
    chosen = {name: tree for name, tree in bundle.skills.items() if not skill or name in skill}
    for name, tree in chosen.items():
        parsed = skill_of(name, tree)
        if parsed.skill is None:
            raise InvalidSkill(f"{source}: {name}", list(parsed.problems))
    found: dict[str, list[Finding]] = {name: scan_files(tree, name) for name, tree in chosen.items()}
    blocked = sorted(name for name, findings in found.items() if any(f.severity == "block" for f in findings))
    if not json:
        for name, findings in found.items():
            show(screen, name, findings)
    change, tiers = None, dict[str, Tier]()
    if not blocked:
        opened = open_library(library, create=True)
        screen.confirm(f"Add {', '.join(chosen)} to {opened.path}?", yes)
        change = opened.bring(chosen, by=f"add {bundle.source}")
        tiers = {name: stands.tier for name, stands in standings_now(opened, Keyring()).items() if name in chosen}
    if json:
        screen.data(
            {
                "source": bundle.source,
                "added": [] if blocked else sorted(chosen),
                "blocked": blocked,
                "change": change.id if change else None,
                "tiers": tiers,
                "findings": {name: plain(findings) for name, findings in found.items()},
            }
        )
    elif change is not None:
        screen.line(f"added {', '.join(chosen)}; they are read-only to prowess, like everything it did not write")
        _say_tiers(screen, tiers)
    if blocked:
        screen.note(f"nothing was added: the scan blocks {', '.join(blocked)}")
        raise typer.Exit(1)


def _say_tiers(screen: "Screen", tiers: "dict[str, Tier]") -> None:
    from prowess.core.trust import Tier

    fresh = [name for name, tier in tiers.items() if tier == Tier.QUARANTINED]
    for name, tier in tiers.items():
        if name not in fresh:
            screen.line((name, "bold"), f" is {tier}: somebody vouched for this very version before")
    if fresh:
        some = fresh[0] if len(fresh) == 1 else "SKILL"
        screen.line(
            (", ".join(fresh), "bold"),
            f": T1 quarantined; agents see the text on request only, fenced, and run no scripts. "
            f"Once you have read it: `prowess trust {some} --to T2`; what T3 takes: `prowess trust {some}`",
        )
