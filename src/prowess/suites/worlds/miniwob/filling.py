"""Scripts for pages on which one also types: texts, forms, dates, mail, search."""

import json
import re
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
from prowess.suites.worlds.miniwob.sight import Thing, as_dom

# --- typing


def quoted_text(page: Page) -> Plan:
    yield type_(fields(page)[0], in_quotes(page)[0])
    yield submit(page)


def letter_case(page: Page) -> Plan:
    text = in_quotes(page)[0]
    yield type_(fields(page)[0], text.upper() if "upper case" in page.goal else text.lower())
    yield submit(page)


def password(page: Page) -> Plan:
    for field in fields(page):
        yield type_(field, in_quotes(page)[0])
    yield submit(page)


def login(page: Page) -> Plan:
    """A window that asks whether to leave may come up in between; what was typed then was not taken."""
    for nth in (0, 1):
        wanted = in_quotes(page)[nth]
        yield type_(fields(page)[nth], wanted)
        if cancel := [thing for thing in things(page, "button") if thing.text == "Cancel"]:
            yield click(cancel[0])
            yield type_(fields(page)[nth], wanted)
    yield click(things(page, "button")[-1])


def focus(page: Page) -> Plan:
    yield click(fields(page)[(numbers(page.goal) or [1])[0] - 1])


def date_field(page: Page) -> Plan:
    month, day, year = match(page, r"Enter (\d+)/(\d+)/(\d+) as")
    yield type_(fields(page)[0], f"{year}-{month}-{day}")
    yield submit(page)


def time_field(page: Page) -> Plan:
    hour, minute, half = match(page, r"Enter (\d+):(\d+)\W+([AP]M) as")
    yield type_(fields(page)[0], f"{int(hour) % 12 + 12 * (half == 'PM'):02}:{minute}")
    yield submit(page)


def copy(page: Page) -> Plan:
    areas = [thing for thing in fields(page) if thing.tag == "textarea"]
    field = next(thing for thing in fields(page) if thing.tag == "input")
    yield type_(field, areas[(numbers(page.goal) or [1])[0] - 1].value)
    yield submit(page)


def last_word(page: Page) -> Plan:
    area, field = fields(page)
    yield type_(field, area.value.split()[-1])
    yield submit(page)


def nth_word(page: Page) -> Plan:
    words = re.findall(r"[^\s.,]+", next(t.text for t in page.body.walk() if t.tag == "p"))
    yield type_(fields(page)[0], words[numbers(page.goal)[0] - 1])
    yield submit(page)


def captcha(page: Page) -> Plan:
    shown = next(thing for thing in page.body.walk() if thing.attributes.get("id") == "captcha")
    yield type_(fields(page)[0], shown.text.replace(" ", ""))
    yield submit(page)


def arithmetic(page: Page) -> Plan:
    left, sign, right = _sum(page, r"(-?\d+) ?([-+*x×]) ?(-?\d+) ?=")
    a, b = int(left), int(right)
    yield type_(fields(page)[0], str({"+": a + b, "-": a - b}.get(sign, a * b)))
    yield submit(page)


def algebra(page: Page) -> Plan:
    left, sign, right, result = _sum(page, r"(x|-?\d+) ?([-+]) ?(x|-?\d+) ?= ?(-?\d+)")
    if left == "x":
        x = int(result) - int(right) if sign == "+" else int(result) + int(right)
    else:
        x = int(result) - int(left) if sign == "+" else int(left) - int(result)
    yield type_(fields(page)[0], str(x))
    yield submit(page)


def _sum(page: Page, pattern: str) -> tuple[str, ...]:
    found = re.search(pattern, page.body.text)
    assert found is not None, page.body.text
    return found.groups()


def _table(page: Page) -> dict[str, str]:
    rows = [thing for thing in page.body.walk() if thing.tag == "tr"]
    return {row.children[0].text: row.children[1].text for row in rows}


def read_table(page: Page) -> Plan:
    yield type_(fields(page)[0], _table(page)[match(page, r"value of (.*) into")[0]])
    yield submit(page)


def read_table_2(page: Page) -> Plan:
    table = _table(page)
    names = [t.text.removesuffix(":") for t in page.body.walk() if not t.tag and t.text.endswith(":")]
    for nth, name in enumerate(name for name in names if name in table):
        yield type_(fields(page)[nth], table[name])
    yield submit(page)


def films(page: Page) -> Plan:
    genre, director, year = match(page, r"for (.*) movies directed by (.*) from year (\d+)")
    by = {"genre": genre, "director": director, "year": year, "date": year}
    labels = re.findall("|".join(by), as_dom(page.body).casefold())
    for nth, label in enumerate(dict.fromkeys(labels)):
        yield type_(fields(page)[nth], by[label])
    yield click(next(thing for thing in reversed(things(page)) if not thing.takes_text))


def autocomplete(page: Page) -> Plan:
    begins, ends = ([*in_quotes(page), ""])[:2]
    yield type_(fields(page)[0], begins)
    yield click(next(t for t in choices(page) if t.text.startswith(begins) and t.text.endswith(ends)))
    yield submit(page)


def choices(page: Page) -> list[Thing]:
    """What a field offers while text is typed into it."""
    return things(page, kind="ui-menu-item-wrapper")


def terminal(page: Page) -> Plan:
    yield type_(fields(page)[0], "ls")
    yield "press Enter"
    names = [thing.text for thing in parts(page, "output")][-1].split()
    found = re.search(r"extension (\.\S+)", page.goal)
    fits = [name for name in names if (name.endswith(found[1]) if found else "." not in name)]
    yield type_(fields(page)[0], f"rm {fits[0]}")
    yield "press Enter"


def search(page: Page) -> Plan:
    yield type_(fields(page)[0], in_quotes(page)[0])
    yield click(called(page, "Search", "button"))
    nth = int(match(page, r"the (\d+)\w\w search result")[0])
    for _ in range((nth - 1) // 3):
        yield click(called(page, ">", "a"))
    results = [thing for thing in things(page, "a") if "data-result" in thing.attributes]
    yield click(results[(nth - 1) % 3])


# --- forms


def slider_form(page: Page) -> Plan:
    value, nth = match(page, r"Select (-?\d+) with the slider, click the (\d)")
    yield from _slide(page, 0, int(value))
    yield click(boxes(page, "checkbox")[int(nth) - 1])
    yield submit(page)


def radio_form(page: Page) -> Plan:
    nth, text, field = match(page, r'Check the (\d)\w\w radio button and enter the number "(.*)" into the (\d)')
    yield click(boxes(page, "radio")[int(nth) - 1])
    yield type_(fields(page)[int(field) - 1], text)
    yield submit(page)


def choice_form(page: Page) -> Plan:
    wanted, button = match(page, r'Choose (.*) from the dropdown, then click the button labeled "(.*)"')
    choice = things(page, "select")[0]
    yield f"select [{choice.ref}] {json.dumps(wanted)}"
    yield click(called(page, button, "button"))


def slider(page: Page) -> Plan:
    yield from _slide(page, 0, int(match(page, r"Select (-?\d+) with")[0]))
    yield submit(page)


def sliders(page: Page) -> Plan:
    for nth, value in enumerate(numbers(match(page, r"combination \[(.*)\]")[0])):
        yield from _slide(page, nth, value)
    yield submit(page)


def _slide(page: Page, nth: int, value: int) -> Plan:
    """By keys: the handle has the focus after a click."""
    yield click(things(page, "span", kind="ui-slider-handle")[nth])

    def shown() -> int:
        values = [t for t in page.body.walk() if re.match(r"val", t.attributes.get("id", ""))]
        return int(values[nth].text)

    while (now := shown()) != value:
        yield "press ArrowRight" if now < value else "press ArrowLeft"


def spinner(page: Page) -> Plan:
    wanted = int(match(page, r"Select (-?\d+) with")[0])
    yield click(fields(page)[0])
    while (now := int(fields(page)[0].value or 0)) != wanted:
        yield "press ArrowUp" if now < wanted else "press ArrowDown"
    yield submit(page)


def date(page: Page) -> Plan:
    month, day, _ = numbers(page.goal)[:3]
    yield click(fields(page)[-1])
    yield from _day(page, month, day)
    yield submit(page)


def _day(page: Page, month: int, day: int) -> Plan:
    while (now := _MONTHS.index(parts(page, "ui-datepicker-month")[0].text) + 1) != month:
        yield click(things(page, "a", kind="ui-datepicker-next" if now < month else "ui-datepicker-prev")[0])
    yield click(next(thing for thing in things(page, "a") if thing.text == str(day)))


_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


# --- mail, people, posts


def mail(page: Page) -> Plan:
    sender = match(page, r"email by (\w+)")[0]
    threads = [t for t in parts(page, "email-thread") if inside(t, "email-sender").text == sender]
    thread = threads[page.attempt % len(threads)]  # some senders have sent two, and the page means one of them
    if "trash" in page.goal or "star" in page.goal:
        yield click(inside(thread, "trash" if "trash" in page.goal else "star"))
        return
    yield click(thread)
    if found := re.search(r'with the text "(.*)"', page.goal):
        yield click(parts(page, "email-reply")[0])
        yield type_(things(page, "textarea")[-1], found[1])
    else:
        yield click(parts(page, "email-forward")[0])
        yield type_(fields(page)[0], match(page, r"to (\w+)\.")[0])
    yield click(next(t for t in things(page) if t.attributes.get("id", "").startswith("send")))


def post(page: Page) -> Plan:
    who = match(page, r"user (@\w+)")[0]
    wanted = in_quotes(page)[0]
    media = next(m for m in parts(page, "media") if inside(m, "username").text == who)
    if wanted.casefold() in ("reply", "retweet", "like", "more"):
        yield click(inside(media, wanted.casefold()))
        return
    yield click(inside(media, "more"))
    yield click(next(t for t in things(page, "li") if t.text.startswith(wanted)))


def posts(page: Page) -> Plan:
    button, who = match(page, r'Click the "(\w+)" button on .* by (@\w+)')
    most = int((re.findall(r"on (\d+) post", page.goal) or ["99"])[0])
    found = [m for m in parts(page, "media") if inside(m, "username").text == who]
    for media in found[:most]:
        yield click(inside(media, button.casefold()))
    yield submit(page)


def phone_book(page: Page) -> Plan:
    name, what = match(page, r"Find (.*) in the contact book and click on their (\w+)")
    while parts(page, "name")[0].text != name:
        yield click(called(page, ">", "a"))
    yield click(things(page, "a", kind=what)[0])


def agreement(page: Page) -> Plan:
    if "cancel button" in page.goal:
        yield click(called(page, "Cancel", "button"))
        return
    name, button = in_quotes(page)
    yield click(fields(page)[0])
    yield "press Control+End"
    yield "wait"
    yield type_(next(t for t in fields(page) if t.tag == "input"), name)
    yield click(called(page, button, "button"))


def scroll(page: Page) -> Plan:
    yield click(fields(page)[0])
    yield "press Control+End" if "bottom" in page.goal else "press Control+Home"
    yield submit(page)


def flight(page: Page) -> Plan:
    kind, start, end, when = match(page, r"Book the (\w+) one-way flight from: (.*) to: (.*) on (\S+)\.")
    for nth, place in enumerate((start, end)):
        yield type_(fields(page)[nth], place)
        yield click(next(choice for choice in choices(page) if place in choice.text))
    yield click(fields(page)[2])
    month, day, _ = numbers(when.replace("/", " "))
    yield from _day(page, month, day)
    yield click(called(page, "Search", "button"))

    def worth(found: Thing) -> int:
        if kind == "cheapest":
            return int(inside(found, "flight-price").attributes["data-price"])
        return int(inside(found, "time-duration").attributes["data-duration"])

    yield click(next(part for part in min(parts(page, "flight"), key=worth).walk() if part.tag == "button"))
