"""What scripts that solve pages read of them, and how they say what to do."""

import json
import re
from collections.abc import Iterator
from typing import Protocol

from prowess.suites.worlds.miniwob.sight import Thing


class Page(Protocol):
    """A page that is being played: what it shows changes with each action that is yielded."""

    @property
    def goal(self) -> str: ...

    @property
    def body(self) -> Thing: ...

    @property
    def attempt(self) -> int:
        """How often the script has failed on it before: 0, 1, ..."""
        ...


Plan = Iterator[str]


def click(thing: Thing) -> str:
    return f"click [{thing.ref}]"


def type_(thing: Thing, text: str) -> str:
    return f"type [{thing.ref}] {json.dumps(text, ensure_ascii=False)}"


def things(page: Page, tag: str = "", **attributes: str) -> list[Thing]:
    """What is numbered, of a tag and with attributes (`kind` is the class)."""
    wanted = {("class" if name == "kind" else name): value for name, value in attributes.items()}
    return [
        thing
        for thing in page.body.walk()
        if thing.ref and tag in ("", thing.tag) and all(has(thing, name, value) for name, value in wanted.items())
    ]


def has(thing: Thing, name: str, value: str) -> bool:
    found = thing.attributes.get(name, "")
    return value in found.split() if name == "class" else value == found


def parts(page: Page, kind: str) -> list[Thing]:
    """All of a class, numbered or not."""
    return [thing for thing in page.body.walk() if has(thing, "class", kind)]


def inside(thing: Thing, kind: str) -> Thing:
    return next(part for part in thing.walk() if has(part, "class", kind))


def called(page: Page, text: str, tag: str = "") -> Thing:
    """The numbered thing that says exactly `text`, else the one that says it in other letters."""
    found = [thing for thing in things(page, tag) if text in (thing.text, thing.name, thing.value)]
    return (found or [thing for thing in things(page, tag) if thing.said.casefold() == text.casefold()])[0]


def fields(page: Page) -> list[Thing]:
    return [thing for thing in things(page) if thing.takes_text]


def boxes(page: Page, role: str) -> list[Thing]:
    return [thing for thing in things(page) if thing.role == role]


def in_quotes(page: Page) -> list[str]:
    return re.findall(r'"([^"]*)"', page.goal)


def match(page: Page, pattern: str) -> tuple[str, ...]:
    found = re.search(pattern, page.goal)
    assert found is not None, page.goal
    return found.groups()


def submit(page: Page) -> str:
    return click(next(thing for thing in things(page) if thing.said.casefold() in ("submit", "submit query")))


def numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"-?\d+", text)]
