"""What is to be seen on a page: Chromium's accessibility tree and its DOM, joined, and written as text.

Both come from the browser itself (the protocol's `Accessibility.getFullAXTree` and `DOMSnapshot.captureSnapshot`), so
nothing is put into the page. Things that answer to clicks or keys have numbers, by which actions name them; a number
stays with its thing for the whole episode.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, Final

_FURNITURE: Final = frozenset({"query", "reward-display", "click-canvas", "sync-task-cover"})
"""Ids of what the package adds to each page: the goal, which is told apart, and displays of the score."""
_UNSEEN: Final = frozenset({"HEAD", "SCRIPT", "STYLE", "BR", "LINK", "META", "NOSCRIPT"})
_PASSED: Final = frozenset({"generic", "none", "LabelText", "InlineTextBox", "GenericContainer", "paragraph"})
"""Roles that say nothing."""
_LONG: Final = 120
"""Characters of an attribute that are shown: styles may be endless."""
STYLES: Final = ("visibility", "cursor")
"""What the snapshot must say of the style of each element."""
_STATES: Final = ("checked", "selected", "expanded", "focused", "disabled", "pressed")
_USED: Final = frozenset(
    {"textbox", "searchbox", "spinbutton", "slider", "combobox", "listbox", "menuitem", "link", "button"}
)
"""Roles of what is there to be used, whatever else it is around."""
_BREAKS: Final = {ord(mark): f"\\u{ord(mark):04x}" for mark in "\x7f\x85\u2028\u2029"}
"""What JSON leaves as it is, and readers take for the end of a line."""
_DOM: Final = frozenset(
    {"id", "class", "type", "title", "alt", "placeholder", "name", "for", "href", "style", "role", "index", "max"}
    | {"x", "y", "cx", "cy", "r", "width", "height", "fill", "points", "transform", "font-size", "min", "step"}
)
"""Attributes that are shown; `data-` ones of the page itself, too."""


@dataclass(slots=True)
class Thing:
    """An element of the page, or a text in it."""

    id: int
    """Its number in the browser, which actions are sent to."""
    tag: str
    """Lower case; "" for a text."""
    attributes: Mapping[str, str]
    text: str
    """Of a text, what it says; else all text inside it."""
    clickable: bool
    """Whether it listens for clicks, or shows the pointer of what does."""
    focusable: bool = False
    role: str = ""
    name: str = ""
    value: str = ""
    states: tuple[str, ...] = ()
    ref: int = 0
    """Its number for the player; 0 where it has none."""
    children: list["Thing"] = field(default_factory=list["Thing"])
    parent: "Thing | None" = None

    def walk(self) -> Iterator["Thing"]:
        """This and all in it, in the order of the document."""
        yield self
        for child in self.children:
            yield from child.walk()

    @property
    def takes_text(self) -> bool:
        if self.tag == "textarea":
            return True
        kinds = ("checkbox", "radio", "button", "submit", "range", "image", "reset")
        return self.tag == "input" and self.attributes.get("type", "text") not in kinds

    @property
    def said(self) -> str:
        """By what a reader would call it: its text, else its name."""
        return self.text or self.name


class Numbers:
    """Hands numbers to things, the same again to the same thing."""

    def __init__(self) -> None:
        self._of: dict[int, int] = {}

    def __getitem__(self, id: int) -> int:
        return self._of.setdefault(id, len(self._of) + 1)


def seen(snapshot: Mapping[str, Any], tree: Mapping[str, Any], numbers: Numbers) -> Thing:
    """The page as things, from what the browser says of its DOM (with `STYLES`) and of its accessibility tree."""
    body = _dom(snapshot)
    _add_roles(body, tree)
    for thing in body.walk():
        if _usable(thing) and not (thing.role not in _USED and _wraps(thing)):
            thing.ref = numbers[thing.id]
    return body


def _usable(thing: Thing) -> bool:
    if not thing.tag or thing.tag in ("body", "label", "option"):
        return False
    return thing.clickable or thing.takes_text or thing.focusable or thing.role in _USED


def _wraps(thing: Thing) -> bool:
    """Whether it is only around another thing that can be used, and says no more than that."""
    within = [inner for inner in thing.walk() if inner is not thing and _usable(inner)]
    return len(within) == 1 and within[0].text == thing.text


def _dom(snapshot: Mapping[str, Any]) -> Thing:
    document: Any = snapshot["documents"][0]

    def word(index: Any) -> str:
        return snapshot["strings"][index]

    nodes, layout = document["nodes"], document["layout"]
    clickable = frozenset(nodes["isClickable"]["index"])
    styles: dict[int, list[str]] = {
        int(node): [word(index) for index in style]
        for node, style in zip(layout["nodeIndex"], layout["styles"], strict=True)
    }
    inputs = dict(zip(nodes["inputValue"]["index"], nodes["inputValue"]["value"], strict=True))
    inputs |= dict(zip(nodes["textValue"]["index"], nodes["textValue"]["value"], strict=True))
    found: dict[int, Thing] = {}
    body: Thing | None = None
    for i, (parent, kind, name) in enumerate(
        zip(nodes["parentIndex"], nodes["nodeType"], nodes["nodeName"], strict=True)
    ):
        tag = word(name)
        if tag.upper() == "BODY":
            body = found[i] = Thing(nodes["backendNodeId"][i], "body", {}, "", False)
            continue
        above = found.get(parent)
        if above is None or kind not in (1, 3) or tag.upper() in _UNSEEN or tag.startswith("::"):
            continue
        if i not in styles and above.tag not in ("select", "option") and tag.lower() != "g":
            continue
        pairs = [word(index) for index in nodes["attributes"][i]]
        attributes = dict(zip(pairs[::2], pairs[1::2], strict=True))
        if attributes.get("id") in _FURNITURE:
            continue
        text = " ".join(word(nodes["nodeValue"][i]).split()) if kind == 3 else ""
        if kind == 3 and not text:
            continue
        visibility, cursor = styles.get(i) or ("", "")
        if kind == 3 and visibility == "hidden":
            continue
        inherited = styles.get(parent) or ("", "")
        thing = Thing(
            nodes["backendNodeId"][i], "" if kind == 3 else tag.lower(), attributes, text,
            i in clickable or (kind == 1 and cursor == "pointer" != inherited[1]), parent=above,
        )  # fmt: skip
        if (value := inputs.get(i, -1)) >= 0:
            thing.value = word(value)
        above.children.append(thing)
        found[i] = thing
    assert body is not None
    _add_texts(body)
    return body


def _add_texts(thing: Thing) -> str:
    if thing.tag:
        thing.text = " ".join(filter(None, (_add_texts(child) for child in thing.children)))
    return thing.text


def _add_roles(body: Thing, tree: Mapping[str, Any]) -> None:
    roles = {node["backendDOMNodeId"]: node for node in tree["nodes"] if "backendDOMNodeId" in node}
    for thing in body.walk():
        node = roles.get(thing.id)
        if node is None or node["ignored"]:
            continue
        role = str(node["role"]["value"])
        thing.role = "" if role in _PASSED else role
        thing.name = " ".join(str(node.get("name", {}).get("value", "")).split())
        if "value" in node and not thing.value:
            thing.value = str(node["value"].get("value", ""))
        given: dict[str, Any] = {p["name"]: p["value"].get("value") for p in node.get("properties", ())}
        thing.focusable = given.get("focusable") is True
        thing.states = tuple(
            name if given[name] in (True, "true") else f"not {name}"
            for name in _STATES
            if name in given and (given[name] in (True, "true") or name in ("checked", "expanded"))
        )


def as_accessibility(body: Thing) -> str:
    """The page as its accessibility tree: a line for each thing that has a role, a number or a text."""
    return "\n".join(_accessible(body, 0)) or "(an empty page)"


def _accessible(thing: Thing, depth: int) -> list[str]:
    lines: list[str] = []
    for child in thing.children:
        if not child.tag:
            lines.append("  " * depth + f"text {_quoted(child.text)}")
            continue
        role = child.role or (child.tag if child.ref else "")
        if not role:
            lines += _accessible(child, depth)
            continue
        plain = not any(inner.tag for inner in child.children)
        own = child.name if plain or not child.clickable else ""
        own = own or (child.text if child.ref and plain else "")
        parts = [f"[{child.ref}]"] if child.ref else []
        parts.append(role)
        if own:
            parts.append(_quoted(own))
        elif child.ref and not child.text and (called := child.attributes.get("class") or child.attributes.get("id")):
            parts.append(f"({' '.join(called.split())})")
        if child.value and child.value != own and child.role not in ("checkbox", "radio", "option", "MenuListPopup"):
            parts.append(f"value={_quoted(child.value)}")
        parts += child.states
        lines.append("  " * depth + " ".join(parts))
        inside = _accessible(child, depth + 1)
        if [line.strip() for line in inside] != [f"text {_quoted(own)}"]:
            lines += inside
    return lines


def _quoted(text: str) -> str:
    """On one line, whatever a page says, and not to be taken for a line of ours."""
    return json.dumps(text, ensure_ascii=False).translate(_BREAKS)


def as_dom(body: Thing) -> str:
    """The page as its DOM, without what is not displayed: a line for each element and text."""
    return "\n".join(_markup(body, 0)) or "(an empty page)"


def _markup(thing: Thing, depth: int) -> list[str]:
    lines: list[str] = []
    for child in thing.children:
        if not child.tag:
            lines.append("  " * depth + escape(child.text, quote=False))
            continue
        parts = [child.tag, *([f"ref={child.ref}"] if child.ref else [])]
        shown = {k: v for k, v in child.attributes.items() if v and (k in _DOM or k.startswith("data-"))}
        parts += [f"{k}={_quoted(v[:_LONG])}" for k, v in shown.items() if not k.startswith("data-wob")]
        if child.value:
            parts.append(f"value={_quoted(child.value)}")
        parts += child.states
        inside = _markup(child, depth + 1)
        only = child.children[0] if len(child.children) == 1 else None
        if only is not None and not only.tag:
            lines.append("  " * depth + f"<{' '.join(parts)}>{escape(only.text, quote=False)}</{child.tag}>")
        else:
            lines.append("  " * depth + f"<{' '.join(parts)}>")
            lines += inside
    return lines


def actions(body: Thing, texts: Sequence[str]) -> tuple[str, ...]:
    """What can be done on the page, with `texts` as what may be typed."""
    found: list[str] = []
    focused: Thing | None = None
    for thing in body.walk():
        focused = thing if "focused" in thing.states else focused
        if not thing.ref or "disabled" in thing.states:
            continue
        if thing.tag == "select":
            found += [
                f"select [{thing.ref}] {_quoted(option.text)}"
                for option in thing.walk() if option.tag == "option" and option.text
            ]  # fmt: skip
            continue
        found.append(f"click [{thing.ref}]")
        if thing.role == "menuitem":
            found.append(f"hover [{thing.ref}]")
        if thing.takes_text:
            found += [f"type [{thing.ref}] {_quoted(text)}" for text in texts]
    if focused is not None:
        found += [f"press {key}" for key in _KEYS.get(focused.role, ())]
    return (*found, "wait")


_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "": ("ArrowLeft", "ArrowRight"),  # such as the handles of home-made sliders
    "slider": ("ArrowLeft", "ArrowRight"),
    "spinbutton": ("ArrowUp", "ArrowDown"),
    "textbox": ("Enter",),
    "searchbox": ("Enter",),
}
"""Keys that are listed where a thing of such a role has the focus."""
