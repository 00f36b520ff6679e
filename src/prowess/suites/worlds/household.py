"""Games of ALFWorld, drawn from what its package ships.

Real, from the package: the logic of the world (`alfred.pddl`), its text (`alfred.twl2`), the goals and how they are
put, which things fit where and can be cleaned, heated, cooled or sliced, and of each of 120 rooms the kinds of things
in it and its furniture that opens. Drawn by the seed: how many there are of other furniture, how many of each thing,
and where they lie.
"""

import json
import random
from collections import Counter
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NamedTuple

from prowess.suites.worlds.engine import Start

KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "pick_and_place_simple": ("", ""),
    "look_at_obj_in_light": ("", ""),
    "pick_clean_then_place_in_recep": ("Cleanable", "SinkBasin"),
    "pick_heat_then_place_in_recep": ("Heatable", "Microwave"),
    "pick_cool_then_place_in_recep": ("Coolable", "Fridge"),
    "pick_two_obj_and_place": ("", ""),
}
"""What a thing must allow for each kind of task, and the furniture that is needed for it."""
_MANY: Final = {"CounterTop": 3, "Shelf": 3, "StoveBurner": 4, "Drawer": 4, "SideTable": 2, "Cabinet": 6}
"""The most that there is of furniture whose number the package does not tell."""
_LAMP_HOLDERS: Final = (
    "Desk",
    "SideTable",
    "Dresser",
    "CoffeeTable",
    "DiningTable",
    "Shelf",
    "Sofa",
    "TVStand",
    "ArmChair",
)
_FACTS: Final = {"Cleanable": "cleanable", "Heatable": "heatable", "Coolable": "coolable", "Toggleable": "toggleable",
                 "Sliceable": "sliceable"}  # fmt: skip
_TRIES: Final = 1_000
_MARKS: Final = {"|": "_bar_", "+": "_plus_", "-": "_minus_", ".": "_dot_", ",": "_comma_"}
_NOWHERE: Final = "loc|99|0|0|0"


class Room(NamedTuple):
    furniture: dict[str, str]
    """Names and kinds."""
    things: list[tuple[str, str, str]]
    """Name, kind, and the furniture it lies in or on."""

    @property
    def stock(self) -> Counter[str]:
        """How many there are of each kind of thing."""
        return Counter(kind for _, kind, _ in self.things)


class Wish(NamedTuple):
    """What is to be done."""

    thing: str
    furniture: str
    lamp: str


def game(start: Start) -> tuple[dict[str, Any], dict[str, str]]:
    """The game of a start, as the package's engine loads it, and what its expert is told of the task.

    Raises:
        RuntimeError: none could be drawn, which is a defect.
    """
    constants: Any = import_module("alfworld.gen.constants")
    library: Any = import_module("alfworld.gen.goal_library")
    kind = str(start["kind"])
    rng = random.Random(f"{kind} {start['unseen']} {start['seed']}")
    plans = sorted(constants.TEST_SCENE_NUMBERS if start["unseen"] else constants.TRAIN_SCENE_NUMBERS)
    for _ in range(_TRIES):
        room = _room(constants, rng.choice(plans), rng)
        if (wish := _wish(constants, room, kind, rng)) is not None:
            break
    else:
        raise RuntimeError(f"no game could be drawn for {dict(start)}")
    said = rng.choice(library.gdict[kind]["templates"]).format(
        obj=wish.thing.lower(), recep=wish.furniture.lower(), toggle=wish.lamp.lower(), mrecep=""
    )
    data = _folder() / "data"
    made = {
        "pddl_domain": (data / "alfred.pddl").read_text(),
        "grammar": (data / "alfred.twl2").read_text().replace("UNKNOWN GOAL", said),
        "pddl_problem": _problem(constants, room, _goal(library, kind, wish)),
    }
    told = {
        "task_type": kind, "object_target": wish.thing.lower(), "parent_target": wish.furniture.lower(),
        "toggle_target": wish.lamp.lower(),
    }  # fmt: skip
    return made, told


def _room(constants: Any, plan: int, rng: random.Random) -> Room:
    layouts = _folder() / "gen" / "layouts"
    kinds: list[str] = sorted(set(json.loads((layouts / f"FloorPlan{plan}-objects.json").read_text())))
    opening = json.loads((layouts / f"FloorPlan{plan}-openable.json").read_text())
    furnishing = (constants.RECEPTACLES - set(constants.MOVABLE_RECEPTACLES)) & set(constants.VAL_RECEPTACLE_OBJECTS)
    furniture = {name: name.split("|")[0] for name in opening if name.split("|")[0] in furnishing}
    there = set(furniture.values())
    for kind in ({"Sink": "SinkBasin", "Bathtub": "BathtubBasin"}.get(kind, kind) for kind in kinds):
        if kind not in furnishing or kind in there:
            continue
        there.add(kind)
        for _ in range(rng.randint(1, _MANY.get(kind, 1))):
            basin = kind.endswith("Basin")  # the engine calls things by what stands before the first bar
            furniture[f"{kind.removesuffix('Basin')}|{_place(rng)}" + (f"|{kind}" if basin else "")] = kind
    lamps = constants.VAL_ACTION_OBJECTS["Toggleable"]
    things: list[tuple[str, str, str]] = []
    for kind in kinds:
        if kind in lamps:
            hosts = [name for name, host in furniture.items() if host in _LAMP_HOLDERS]
        else:
            hosts = [name for name, host in furniture.items() if kind in constants.VAL_RECEPTACLE_OBJECTS[host]]
        for _ in range(0 if not hosts else 1 if kind in lamps else rng.randint(1, 3)):
            things.append((f"{kind}|{_place(rng)}", kind, rng.choice(hosts)))
    return Room(furniture, things)


def _wish(constants: Any, room: Room, kind: str, rng: random.Random) -> Wish | None:
    """Something to be done that is not done yet; None where the room has nothing for it."""
    allows, place = KINDS[kind]
    there, count = set(room.furniture.values()), room.stock
    lamps = sorted(count.keys() & constants.VAL_ACTION_OBJECTS["Toggleable"])
    if (place and place not in there) or (kind == "look_at_obj_in_light" and not lamps):
        return None
    lying = {(thing, room.furniture[host]) for _, thing, host in room.things}
    choices = sorted(
        (thing, host)
        for host in there
        for thing in constants.VAL_RECEPTACLE_OBJECTS[host]
        if count[thing] >= (2 if kind == "pick_two_obj_and_place" else 1)
        and (not allows or (thing in constants.VAL_ACTION_OBJECTS[allows] and host != place))
        and (thing, host) not in lying
    )
    if not choices:
        return None
    thing, host = rng.choice(choices)
    return Wish(thing, host, lamps[0] if lamps else "")


def _problem(constants: Any, room: Room, goal: str) -> str:
    """The game in the language of planners."""
    allowed, count = constants.VAL_ACTION_OBJECTS, room.stock
    places = {name: f"loc|{nth}|0|0|0" for nth, name in enumerate(room.furniture)}
    facts: list[str] = []
    for name, kind in room.furniture.items():
        facts += [f"(receptacleType {name} {kind}Type)", f"(receptacleAtLocation {name} {places[name]})"]
        facts += [f"(openable {name})"] * (kind in constants.OPENABLE_CLASS_SET)
    for name, kind, host in room.things:
        facts += [f"(objectType {name} {kind}Type)", f"(inReceptacle {name} {host})"]
        facts += [f"(objectAtLocation {name} {places[host]})"]
        facts += [f"(pickupable {name})"] * (kind not in allowed["Toggleable"])
        facts += [f"({fact} {name})" for of, fact in _FACTS.items() if kind in allowed[of]]
    there = set(room.furniture.values())
    for host in sorted(there):  # only of what there is: each fact makes the engine's tables bigger
        fitting = constants.VAL_RECEPTACLE_OBJECTS[host] & count.keys()
        facts += [f"(canContain {host}Type {kind}Type)" for kind in sorted(fitting)]
    objects = [f"{name} - object" for name, _, _ in room.things]
    objects += [f"{name} - receptacle" for name in room.furniture]
    objects += [f"{place} - location" for place in (*places.values(), _NOWHERE)]
    objects += [f"{kind}Type - otype" for kind in sorted(count.keys() | {"Knife", "ButterKnife"})]
    objects += [f"{kind}Type - rtype" for kind in sorted(there | {"SinkBasin", "Microwave", "Fridge"})]
    named = "\n".join(f"{_plain(name)} - {kind}" for name, _, kind in (entry.rpartition(" - ") for entry in objects))
    lines = "\n".join(facts)
    return (
        f"(define (problem generated)\n(:domain alfred)\n(:objects\nagent1 - agent\n{named})\n"
        f"(:init\n(= (total-cost) 0)\n(atLocation agent1 {_plain(_NOWHERE)})\n{_plain(lines)})\n{goal}\n)"
    )


def _goal(library: Any, kind: str, wish: Wish) -> str:
    """As the package puts it; its text also closes the problem around it, or not."""
    filled = library.gdict[kind]["pddl"].format(obj=wish.thing, recep=wish.furniture, toggle=wish.lamp, mrecep="")
    goal = str(filled).replace("#", "-").rstrip().rstrip(")")
    return goal + ")" * (goal.count("(") - goal.count(")"))


def _place(rng: random.Random) -> str:
    return "|".join(f"{rng.uniform(-3, 3):+06.2f}" for _ in "xyz")


def _plain(text: str) -> str:
    """Names as planners take them; the package reads them back."""
    for mark, word in _MARKS.items():
        text = text.replace(mark, word)
    return text


def _folder() -> Path:
    return Path(str(import_module("alfworld").__file__)).parent
