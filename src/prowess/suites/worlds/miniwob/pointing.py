"""Scripts for pages on which one clicks: buttons, menus, colours, shapes, choices."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Final

from prowess.suites.worlds.miniwob.reading import (
    Page,
    Plan,
    boxes,
    called,
    click,
    fields,
    in_quotes,
    inside,
    match,
    numbers,
    parts,
    submit,
    things,
    type_,
)
from prowess.suites.worlds.miniwob.sight import Thing

# --- buttons, links and menus


def ascending(page: Page) -> Plan:
    """The numbers vanish after the first; where they were, boxes are left in their order."""
    yield click(called(page, "1", "text"))
    while left := things(page, "rect"):
        yield click(min(left, key=lambda box: int(box.attributes["data-index"])))


def quoted_button(page: Page) -> Plan:
    yield click(called(page, in_quotes(page)[0], "button"))


def first_button(page: Page) -> Plan:
    yield click(things(page, "button")[0])


def one(page: Page) -> Plan:
    yield click(called(page, "ONE"))


def one_then_two(page: Page) -> Plan:
    yield click(called(page, "ONE"))
    yield click(called(page, "TWO"))


def one_wait_two(page: Page) -> Plan:
    """Each action takes a second itself."""
    yield click(called(page, "ONE"))
    yield from ("wait",) * (numbers(page.goal)[0] - 1)
    yield click(called(page, "TWO"))


def link(page: Page) -> Plan:
    yield click(called(page, in_quotes(page)[0], "span"))


def close_dialog(page: Page) -> Plan:
    yield click(things(page, "button")[0])


def dialog_button(page: Page) -> Plan:
    wanted = in_quotes(page)[0]
    yield click(called(page, "Close" if wanted == "x" else wanted, "button"))


def menu(page: Page) -> Plan:
    *above, last = (part.strip(" .") for part in page.goal.removeprefix("Select ").split(">"))
    for name in above:
        yield f"hover [{called(page, name, 'div').ref}]"
    yield click(called(page, last, "div"))


def tab(page: Page) -> Plan:
    yield click(called(page, match(page, r"Click on (.*)\.$")[0], "a"))


def tabs(page: Page) -> Plan:
    wanted = in_quotes(page)[0]
    for nth in range(len(parts(page, "ui-tabs-anchor"))):
        yield click(parts(page, "ui-tabs-anchor")[nth])
        if found := [thing for thing in things(page, "span") if thing.text == wanted]:
            yield click(found[0])
            return


def section(page: Page) -> Plan:
    yield click(things(page, "h3")[0])
    yield submit(page)


def sections(page: Page) -> Plan:
    wanted = in_quotes(page)[0]
    for nth in range(len(things(page, "h3"))):
        yield click(things(page, "h3")[nth])
        if found := [thing for thing in things(page, "span") if thing.text == wanted]:
            yield click(found[0])
            return


def tree(page: Page) -> Plan:
    wanted, tried = in_quotes(page)[0], set[int]()
    while True:
        if found := [thing for thing in things(page) if thing.text == wanted]:
            yield click(found[-1])
            return
        closed = next(folder for folder in things(page, "span", kind="folder") if folder.ref not in tried)
        tried.add(closed.ref)
        yield click(closed)


def pie(page: Page) -> Plan:
    """The label, else the slice that it lies on: which of them is on top differs."""
    yield click(called(page, "+", "text"))
    wanted = in_quotes(page)[0]
    all_ = things(page)
    nth = next(n for n, thing in enumerate(all_) if thing.tag == "text" and thing.text == wanted)
    for thing in reversed(all_[nth - 2 : nth + 1]):
        yield click(thing)


# --- colours and shapes


def coloured(page: Page) -> Plan:
    (wanted,) = match(page, r"the (.*) colored box")
    yield click(things(page, **{"data-color": wanted})[0])


def shades(page: Page) -> Plan:
    (wanted,) = match(page, r"shades of (\w+)")
    for thing in things(page, "span", **{"data-color": wanted}):
        yield click(thing)
    yield submit(page)


_SHAPES: Final = {"rect": "rectangle", "circle": "circle", "polygon": "triangle"}


def _looks(thing: Thing) -> tuple[str, str, str, str]:
    """Size, colour, what it is, and of which sort."""
    seen = thing.attributes
    if thing.tag == "text":
        size = float(seen["font-size"].removesuffix("px"))
        return (_size(size), seen["fill"], thing.text, "digit" if thing.text.isdigit() else "letter")
    points = [float(x) for x in re.split(r"[ ,]", seen.get("points", "0"))[::2]]
    size = float(seen.get("width", 0)) or 2 * float(seen.get("r", 0)) or max(points) - min(points)
    return (_size(size), seen["fill"], _SHAPES[thing.tag], "shape")


def _size(size: float) -> str:
    return "large" if size > 15 else "small"


def _shapes(page: Page, wanted: str) -> list[Thing]:
    """The shapes that a description such as `small red letter` fits."""
    words = wanted.split()
    return [
        thing
        for thing in page.body.walk()
        if thing.tag in ("text", *_SHAPES)
        and all(word == "item" or word in _looks(thing) for word in words)
    ]  # fmt: skip


def shape(page: Page) -> Plan:
    (wanted,) = match(page, r"Click on an? (.*)$")
    yield click(_shapes(page, wanted.strip(". "))[0])


def count(page: Page) -> Plan:
    (wanted,) = match(page, r"How many (.*) are there")
    yield click(called(page, str(len(_shapes(page, wanted.removesuffix("s")))), "button"))


def identify(page: Page) -> Plan:
    found = next(thing for thing in page.body.walk() if thing.tag in ("text", *_SHAPES))
    _, _, name, sort = _looks(found)
    yield click(things(page, "button", **{"data-type": name if sort == "shape" else sort})[0])


def grid(page: Page) -> Plan:
    yield click(things(page, id=match(page, r"coordinate (\(.*\))")[0])[0])


def blocks(page: Page) -> Plan:
    yield type_(fields(page)[0], str(len(parts(page, "addition-block"))))
    yield submit(page)


# --- ticking and choosing


def ticks(page: Page) -> Plan:
    names = match(page, r"Select (.*) and click Submit")[0].split(", ")
    for box in [box for box in boxes(page, "checkbox") if box.name in names]:
        yield click(box)
    yield submit(page)


def option(page: Page) -> Plan:
    wanted = match(page, r"Select (.*) and click Submit")[0]
    yield click(next(box for box in boxes(page, "radio") if box.name == wanted))
    yield submit(page)


def listed(page: Page) -> Plan:
    wanted = match(page, r"Select (.*) from the (?:scroll )?list and click Submit")[0]
    choice = things(page, "select")[0]
    texts = {option.text for option in choice.walk() if option.tag == "option"}
    for name in [wanted] if wanted in texts else wanted.split(", "):
        yield f"select [{choice.ref}] {json.dumps(name, ensure_ascii=False)}"
    yield submit(page)


def widget(page: Page) -> Plan:
    wanted = in_quotes(page)[0]
    yield click(next(t for t in things(page) if t.attributes.get("data-type") == wanted))


def odd_or_even(page: Page) -> Plan:
    for nth, number in enumerate(parts(page, "display-number")):
        yield click(things(page, "button", kind="even" if int(number.text) % 2 == 0 else "odd")[nth])
    yield submit(page)


def greatest(page: Page) -> Plan:
    yield click(max(things(page, "div", kind="card"), key=lambda card: int(card.text)))
    yield submit(page)


def generate(page: Page) -> Plan:
    (kind,) = match(page, r"(less than|greater than|odd|even)")
    limit = (numbers(page.goal) or [0])[0]
    fits: Mapping[str, Callable[[int], bool]] = {
        "less than": lambda n: n < limit, "greater than": lambda n: n > limit,
        "odd": lambda n: n % 2 == 1, "even": lambda n: n % 2 == 0,
    }  # fmt: skip
    while True:
        yield click(called(page, "Generate"))
        shown = next(thing for thing in page.body.walk() if thing.attributes.get("id") == "display-number")
        if fits[kind](int(shown.text)):
            break
    yield submit(page)


def guess(page: Page) -> Plan:
    low, high = 0, 9
    while True:
        middle = (low + high) // 2
        yield type_(fields(page)[0], str(middle))
        yield submit(page)
        if "higher" in page.body.text:
            low = middle + 1
        else:
            high = middle - 1


def ticket(page: Page) -> Plan:
    (wanted,) = match(page, r"with the (\w+)")
    flights = parts(page, "flight")

    def price(flight: Thing) -> int:
        return numbers(inside(flight, "buy-ticket").text)[0]

    def duration(flight: Thing) -> int:
        return int(inside(flight, "time-duration").attributes["data-duration"])

    by: Mapping[str, tuple[Callable[[list[Thing]], Thing]]] = {
        "cheapest": (lambda all_: min(all_, key=price),), "most": (lambda all_: max(all_, key=price),),
        "shortest": (lambda all_: min(all_, key=duration),), "longest": (lambda all_: max(all_, key=duration),),
    }  # fmt: skip
    yield click(inside(by[wanted][0](flights), "buy-ticket"))


def order(page: Page) -> Plan:
    dishes = parts(page, "food-item")
    if found := re.match(r"Order (\d+) items? that (?:are|is) (.*?)\.?$", page.goal):
        fitting = [d for d in dishes if any(part.attributes.get("title") == found[2] for part in d.walk())]
        wanted = [inside(fitting[0], "add")] * int(found[1])
    else:
        names = re.sub(r"^Order ", "", page.goal)
        wanted = [
            inside(dish, "add")
            for dish in dishes
            for _ in range(_how_many(names, inside(dish, "item-name").text))
        ]  # fmt: skip
    for thing in wanted:
        yield click(thing)
    yield click(called(page, "Order!"))


def _how_many(names: str, name: str) -> int:
    found = re.search(rf"(?:(\d+|one|two|three) (?:of )?)?{re.escape(name)}", names)
    return 0 if found is None else {"one": 1, "two": 2, "three": 3}.get(found[1] or "", int(found[1] or 1))
