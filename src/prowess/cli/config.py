"""`prowess config`: the settings that hold, and where each comes from."""

from typing import Any, cast

from prowess.cli.options import Json


def config(json: Json = False) -> None:
    """Print the settings and where each comes from."""
    from prowess.cli.screen import SOFT, Screen
    from prowess.settings import PREFIX, load

    screen, loaded = Screen(json), load()
    values: dict[str, Any] = loaded.settings.model_dump(mode="json")
    if json:
        origins = loaded.origins
        screen.data(
            {"file": loaded.file, "settings": {n: {"value": v, "origin": origins[n]} for n, v in values.items()}}
        )
        return
    screen.table(
        ("setting", "value", "from", "variable"),
        [
            (
                (name, "bold"),
                _shown(value),
                loaded.origins[name],
                (PREFIX + name.upper(), SOFT),
            )
            for name, value in values.items()
        ],
    )
    there = "" if loaded.file.is_file() else " (not there; make it to change a setting)"
    screen.note(f"file: {loaded.file}{there}")


def _shown(value: Any) -> str:
    if value in (None, []):
        return "–"
    return ", ".join(cast("list[str]", value)) if isinstance(value, list) else str(value)
