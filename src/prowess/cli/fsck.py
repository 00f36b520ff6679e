"""`prowess fsck`: is everything that was stored still whole, and putting right what is not."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prowess.cli.options import Json, LibraryPath, Yes, chosen_library

if TYPE_CHECKING:
    from collections.abc import Callable

    from prowess.cli.screen import Screen
    from prowess.library.checking import Fault


def fsck(
    *,
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE]...", help="Run stores to look at as well, such as the run.db of a run."),
    ] = None,
    library: LibraryPath = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Verify all that is stored, and mend what can be.

    Looks at the library, the imported sessions and the stored trials. Nothing is deleted: what cannot be mended is
    moved aside. Exit code 0 when all is whole at the end, 1 when something is not.
    """
    from prowess.cli.screen import Screen
    from prowess.library import mending
    from prowess.settings import load
    from prowess.trajectories import salvage

    screen, data, path = Screen(json), load().settings.data, chosen_library(library)
    places: list[tuple[Path, Callable[[Path], list[Fault]], Callable[[Path], list[Fault]]]] = []
    if library is not None or (path / ".prowess").exists():
        places.append((path, mending.examine, mending.mend))
    places.append((data / "trajectories.db", salvage.examine_sessions, salvage.mend_sessions))
    for store in (data / "trials.db", data / "triggers.db", *(files or ())):
        places.append((store, salvage.examine_trials, salvage.mend_trials))
    found = {place: examine(place) for place, examine, _ in places}
    if not json:
        for place, faults in found.items():
            _tell(screen, place, faults)
    left = found
    if any(fault.mend for faults in found.values() for fault in faults) and (yes or (screen.interactive and not json)):
        screen.confirm("Mend what can be mended?", yes)
        left = {place: mend(place) if found[place] else [] for place, _, mend in places}
    if json:
        told = [{"place": p, "faults": found[p], "left": left[p]} for p in found if p.exists()]
        screen.data({"ok": not any(left.values()), "places": told})
    elif left is not found:
        for place, faults in left.items():
            for fault in faults:
                screen.line(("lost ", "red"), f"{place.name}: {fault.what}")
        screen.line("all is whole now" if not any(left.values()) else "the rest is whole now")
    elif any(found.values()):
        screen.note("  → ", "`prowess fsck --yes` mends what can be mended")
    if any(left.values()):
        raise typer.Exit(1)


def _tell(screen: "Screen", place: Path, faults: "list[Fault]") -> None:
    if not place.exists():
        return
    if not faults:
        screen.line(("✓ ", "green"), f"{place} is whole")
    for fault in faults:
        screen.line(("✗ ", "red"), f"{place.name}: {fault.what}")
        screen.line("    → ", fault.mend or "it cannot be mended from here: restore it from a copy")
