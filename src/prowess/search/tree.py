"""A category tree over a library: made past about thirty skills, kept up as they come and go, routed level by level.

Models choose well among some twenty to thirty skills and badly among hundreds; two choices among thirty restore what
one choice among nine hundred loses (arXiv 2601.04748). So no node has more than `FANOUT` children where clusters allow
it, and a library of some hundred skills has two levels.

Categories are clusters of skills with like words (bisecting k-means: Steinbach, Karypis and Kumar, KDD workshop 2000),
or classes of what their verbs say (`by_verb`). Their names are their distinctive words until somebody, or a model,
gives better ones; upkeep leaves the categories that it need not touch as they are.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import numpy as np
from pydantic import ValidationError

from prowess.core.base import Frozen
from prowess.core.skill import Skill
from prowess.library.derived import Derived
from prowess.search.background import rarity
from prowess.search.encoders import Vectors
from prowess.search.likeness import Embed, about, centre, cosine, cosines, lexical, subject, topics
from prowess.search.verbs import verb_of
from prowess.search.words import words

FLAT: Final = 30
"""Skills up to which a flat list serves as well as a tree."""
FANOUT: Final = 24
"""Most children or members of one node."""
_REGROW: Final = 1 / 3
"""Share of skills that came or went since, beyond which the tree is grown anew."""
_ROUNDS: Final = 20
_TELLING: Final = math.log(2)
_COMMON: Final = 0.2
"""Share of the skills of a category that hold a word which may name it."""
_WORDS: Final = 6
_UNFIT: Final = re.compile(r"[^\w &,/()-]")
_KIND, _KEY = "tree", "categories"


class Node(Frozen):
    """A category: of skills, or of categories."""

    name: str
    """Unique in the tree."""
    words: tuple[str, ...] = ()
    """What sets it apart from its neighbours."""
    members: tuple[str, ...] = ()
    """Names of skills, sorted; none where there are children."""
    children: tuple["Node", ...] = ()

    @property
    def skills(self) -> tuple[str, ...]:
        """All skills below, in the order of the tree."""
        return self.members + tuple(name for child in self.children for name in child.skills)

    @property
    def below(self) -> Iterator["Node"]:
        """Every category below this one."""
        for child in self.children:
            yield child
            yield from child.below

    @property
    def leaves(self) -> Iterator["Node"]:
        if not self.children:
            yield self
        for child in self.children:
            yield from child.leaves


class Tree(Frozen):
    """The categories of a library."""

    root: Node
    grown: tuple[str, ...] = ()
    """Skills that were there when it was grown as a whole; upkeep measures drift against them."""


def grow(skills: Sequence[Skill], embed: Embed = lexical) -> Tree:
    """A tree over `skills`, from nothing. Equal skills give an equal tree."""
    ordered = sorted(skills, key=lambda s: s.name)
    names = tuple(s.name for s in ordered)
    if len(ordered) <= FLAT:
        return Tree(root=Node(name="all", members=names), grown=names)
    rows = topics(embed([subject(s) for s in ordered]))
    groups = _joined(_partition(list(range(len(ordered))), rows, FANOUT), rows)
    leaves = [Node(name="", members=tuple(names[i] for i in group)) for group in groups]
    return Tree(root=_named(_stack(leaves, groups, rows), ordered), grown=names)


def by_verb(skills: Sequence[Skill]) -> Tree:
    """A tree by what skills do instead of what they are about: class of verb, then verb (Uni-Skill, 2603.02623).

    The first verb of the description counts, else one in the name; skills without a known verb share a class.
    """
    found: dict[str, dict[str, list[str]]] = {}
    for skill in sorted(skills, key=lambda s: s.name):
        kind, verb = verb_of(skill.description) or verb_of(skill.name.replace("-", " ")) or ("other", "other")
        found.setdefault(kind, {}).setdefault(verb, []).append(skill.name)
    classes = [
        Node(
            name=kind,
            words=tuple(sorted(verbs)),
            children=tuple(
                Node(name=f"{kind}/{verb}", words=(verb,), members=tuple(names))
                for verb, names in sorted(verbs.items())
            ),
        )
        for kind, verbs in sorted(found.items())
    ]
    return Tree(root=Node(name="all", children=tuple(classes)), grown=tuple(sorted(s.name for s in skills)))


def tend(tree: Tree, skills: Sequence[Skill], embed: Embed = lexical) -> Tree:
    """`tree` kept up with `skills`: gone ones are taken out, new ones go to the nearest category.

    A category that gets too large is split, an empty one goes; all others keep members and name. Once a third of the
    skills has changed since the tree was grown, or it is too small for a tree, it is grown anew.
    """
    ordered = sorted(skills, key=lambda s: s.name)
    now, then = {s.name for s in ordered}, set(tree.grown)
    known = set(tree.root.skills)
    if now == known:
        return tree
    if not tree.root.children or len(now) <= FLAT or len(now ^ then) > _REGROW * max(1, len(then)):
        return grow(ordered, embed)
    kept = _pruned(tree.root, now)
    if added := sorted(now - known):
        kept = _placed(kept, added, ordered, embed)
    if len(kept.children) > FANOUT:
        return grow(ordered, embed)
    return Tree(root=_named(kept, ordered), grown=tree.grown)


def kept_tree(skills: Sequence[Skill], kept: Derived, embed: Embed = lexical) -> Tree:
    """The tree that is kept beside a library, brought up to date with `skills` and kept again."""
    data = kept.get(_KIND, _KEY)
    try:
        old = Tree.model_validate_json(data) if data is not None else None
    except (ValidationError, RecursionError):
        old = None
    new = tend(old, skills, embed) if old is not None and _is_sound(old) else grow(skills, embed)
    if new != old:
        keep_tree(new, kept)
    return new


def _is_sound(tree: Tree) -> bool:
    """Whether names of categories and of skills are unique, as upkeep needs them; a file may have been edited."""
    names = [node.name for node in (tree.root, *tree.root.below)]
    skills = tree.root.skills
    return len(set(names)) == len(names) and len(set(skills)) == len(skills)


def keep_tree(tree: Tree, kept: Derived) -> None:
    """Keeps `tree` as that of the library."""
    kept.put(_KIND, _KEY, tree.model_dump_json().encode())


def renamed(tree: Tree, names: Mapping[str, str]) -> Tree:
    """`tree` with categories called by other names, cleared of signs; one that is taken or empty is left out."""
    taken = {node.name for node in (tree.root, *tree.root.below)}

    def rename(node: Node) -> Node:
        wanted = " ".join(_UNFIT.sub(" ", names.get(node.name, "")).split())[:60]
        if wanted and wanted not in taken:
            taken.add(wanted)
        else:
            wanted = node.name
        return node.model_copy(update={"name": wanted, "children": tuple(rename(child) for child in node.children)})

    return tree.model_copy(update={"root": rename(tree.root)})


def as_skill(node: Node, skills: Mapping[str, Skill]) -> Skill:
    """A category dressed as a skill, so that every router and selector can choose among categories."""
    below = [skills[name] for name in node.skills if name in skills]
    listed = ", ".join(s.name for s in below[:FANOUT])
    return Skill(
        name=node.name,
        description=f"{', '.join(node.words)}. Skills: {listed}" + (", …" if len(below) > FANOUT else ""),
        body="\n".join(s.description for s in below),
    )


# Growing

_Group = list[int]


def _partition(group: _Group, rows: Vectors, most: int) -> list[_Group]:
    """`group` cut in two, the largest part again, until no part has more than `most`; ordered by first member."""
    parts = [group]
    while True:
        at = max(range(len(parts)), key=lambda i: len(parts[i]))
        if len(parts[at]) <= most:
            return sorted(parts, key=lambda part: part[0])
        parts[at : at + 1] = _halves(parts[at], rows)


def _halves(group: _Group, rows: Vectors) -> list[_Group]:
    """2-means on the sphere, from two members that lie far apart; alike ones are cut in the middle."""
    here = rows[group]
    first = int(np.argmin(cosines(here, centre(here))))
    second = int(np.argmin(cosines(here, here[first])))
    centres = here[[first, second]]
    side = np.zeros(len(group), dtype=bool)
    for _ in range(_ROUNDS):
        before, side = side, cosines(here, centres[1]) > cosines(here, centres[0])
        if not side.any() or side.all():
            side = np.arange(len(group)) >= len(group) // 2
            break
        if np.array_equal(before, side):
            break
        centres = np.stack([centre(here[~side]), centre(here[side])])
    return [[i for i, right in zip(group, side, strict=True) if right == wanted] for wanted in (False, True)]


def _joined(groups: list[_Group], rows: Vectors) -> list[_Group]:
    """Groups of one or two, and the smallest while there are too many, joined with the nearest that has room."""
    done = sorted(groups, key=len)
    while len(done) > 1 and (len(done[0]) <= 2 or len(done) > FANOUT):
        small = done[0]
        middle = centre(rows[small])
        room = [i for i in range(1, len(done)) if len(done[i]) + len(small) <= FANOUT]
        if not room:
            break
        at = max(room, key=lambda i: cosine(middle, centre(rows[done[i]])))
        done[at] = sorted(done[at] + small)
        done = sorted(done[1:], key=len)
    return sorted(done, key=lambda group: group[0])


def _stack(nodes: list[Node], groups: list[_Group], rows: Vectors) -> Node:
    """Levels on top of the leaves until one has few enough nodes."""
    while len(nodes) > FANOUT:
        centres = np.stack([centre(rows[group]) for group in groups])
        above = _partition(list(range(len(nodes))), centres, min(FANOUT, math.isqrt(len(nodes)) + 1))
        nodes = [Node(name="", children=tuple(nodes[i] for i in part)) for part in above]
        groups = [[i for p in part for i in groups[p]] for part in above]
    return Node(name="all", children=tuple(nodes))


# Upkeep


def _pruned(node: Node, now: set[str]) -> Node:
    children = tuple(kept for child in node.children if (kept := _pruned(child, now)).skills)
    return node.model_copy(update={"members": tuple(n for n in node.members if n in now), "children": children})


def _placed(root: Node, added: Sequence[str], skills: Sequence[Skill], embed: Embed) -> Node:
    """`added` in the leaves that they are nearest to; leaves that get too large become several without a name."""
    place = {s.name: i for i, s in enumerate(skills)}
    rows = topics(embed([subject(s) for s in skills]))
    homes = {leaf.name: list(leaf.members) for leaf in root.leaves}
    middles = {leaf: centre(rows[[place[n] for n in names]]) for leaf, names in homes.items()}
    for name in added:
        nearest = max(sorted(middles), key=lambda leaf: cosine(middles[leaf], rows[place[name]]))
        homes[nearest].append(name)

    def refill(node: Node) -> list[Node]:
        if node.children:
            return [node.model_copy(update={"children": tuple(n for child in node.children for n in refill(child))})]
        names = sorted(homes[node.name])
        if len(names) <= FANOUT:
            return [node.model_copy(update={"members": tuple(names)})]
        parts = _partition([place[n] for n in names], rows, FANOUT)
        return [Node(name="", members=tuple(skills[i].name for i in part)) for part in parts]

    return refill(root)[0]


# Naming


def _named(root: Node, skills: Sequence[Skill]) -> Node:
    """Words and names for every node that has no name yet, by the words that set it apart from the whole library."""
    # A word of the name tells more than one of the description.
    by_name = {
        s.name: dict.fromkeys(words().count(about(s)), 0.5) | dict.fromkeys(words().count(s.name), 1.0) for s in skills
    }
    everywhere = _sums(by_name.values())
    taken = {node.name for node in (root, *root.below) if node.name}
    spelt = words().spelt("\n".join(about(s) for s in skills))

    def name(node: Node) -> Node:
        here = node.model_copy(update={"children": tuple(name(child) for child in node.children)})
        if here.name:
            return here
        best = [spelt[t] for t in _distinctive([by_name[n] for n in here.skills], everywhere, len(by_name))]
        wanted = " ".join(best[:2]) or "others"
        chosen = next(n for i in range(1, len(taken) + 2) if (n := wanted if i == 1 else f"{wanted} {i}") not in taken)
        taken.add(chosen)
        return here.model_copy(update={"name": chosen, "words": tuple(best)})

    return name(root)


def _distinctive(inside: Sequence[Mapping[str, float]], everywhere: Mapping[str, float], total: int) -> list[str]:
    """Terms by how much they tell of the category: their share in it, times the log of how much commoner they are,
    times what they tell anywhere. Those that are not at least twice as common as in the whole library tell nothing,
    and neither do those of few skills, such as names of single ones.
    """
    found = _sums(inside)
    least = min(len(inside), max(2, round(_COMMON * len(inside))))
    held = Counter(term for terms in inside for term in terms)
    share = {term: weight / len(inside) for term, weight in found.items() if held[term] >= least}
    lift = {term: math.log(s * total / everywhere[term]) for term, s in share.items() if not term.isdigit()}
    telling = {t: share[t] * lift[t] * rarity(t, 0, 0) for t in lift if lift[t] >= _TELLING}
    return sorted(telling, key=lambda term: (-telling[term], term))[:_WORDS]


def _sums(weights: Iterable[Mapping[str, float]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for row in weights:
        for term, weight in row.items():
            found[term] = found.get(term, 0.0) + weight
    return found
