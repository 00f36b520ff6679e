"""Imports point down only: a layer may import itself and those below it."""

import ast
from pathlib import Path

import pytest

import prowess

LAYERS = [
    "cli",
    "serve",
    "report",
    "evolve",
    "train",
    "measure",
    "agents",
    "suites",
    "search",
    "trajectories",
    "guard",
    "library",
    "sandbox",
    "core",
]
ROOT = Path(prowess.__file__).parent
MODULES = sorted(p for p in ROOT.rglob("*.py") if p.parent != ROOT)
ALLOWED_IN_CORE = {"pydantic", "prowess"}


def layer_of(parts: tuple[str, ...]) -> str:
    """The sandbox needs core alone, and both agents and suites run programs in it: a layer of its own in `agents`.

    The rooms of task folders lie there too, but are made to what a suite asks for: they belong to agents.
    """
    rooms = parts[2:3] in (("rooms",), ("rooms.py",))
    return "sandbox" if parts[:2] == ("agents", "sandbox") and not rooms else parts[0]


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    layer = layer_of(path.relative_to(ROOT).parts)
    above = set(LAYERS[: LAYERS.index(layer)])
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "prowess" and len(parts) > 1:
            assert layer_of(tuple(parts[1:])) not in above, (
                f"{path.name} in {layer} imports {name}, which lies above it"
            )


@pytest.mark.parametrize("path", sorted((ROOT / "train").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_train_and_evolve_never_meet(path: Path) -> None:
    """The layers above forbid one direction; this is the other's reason: neither needs what the other needs."""
    assert not any(name.startswith("prowess.evolve") for name in imports(path))


HEAVY = {"torch", "transformers", "peft"}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_only_training_knows_torch(path: Path) -> None:
    """The command line asks for it inside its verb, so that nobody else waits for it."""
    if path.relative_to(ROOT).parts[0] != "train":
        top = {a.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import) for a in node.names}
        assert not top & HEAVY


def test_every_package_is_a_layer() -> None:
    assert {p.name for p in ROOT.iterdir() if p.is_dir() and p.name != "__pycache__"} <= set(LAYERS)


@pytest.mark.parametrize("path", sorted((ROOT / "core").glob("*.py")), ids=lambda p: p.name)
def test_core_needs_only_pydantic(path: Path) -> None:
    import sys

    roots = {name.split(".")[0] for name in imports(path)}
    assert roots - set(sys.stdlib_module_names) <= ALLOWED_IN_CORE
