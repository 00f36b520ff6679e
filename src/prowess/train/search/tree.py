"""Tree search over steps of an answer, as AlphaLLM searches (2404.12253).

A node is an answer so far; its children differ by the next step. Selection by UCT, q / n + c sqrt(ln N / n). How many
children a node may have follows its own: as many as `alpha` times how far the best of them lies from their mean, `cap`
at most. A child too like a sibling is merged with it. A judge values every new node, whole or not.
"""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from prowess.core.task import Task
from prowess.train.parts import Policy
from prowess.train.search.base import Ask, Attempt, Found, Judge, Meter, need
from prowess.train.search.prompts import plain

Alike = Callable[[str, str], bool]


def equal(one: str, other: str) -> bool:
    """Merges siblings that say the very same."""
    return one == other


def uct(total: float, visits: int, parent: int, c: float) -> float:
    """The upper bound by which a child is chosen; infinite for one that was never visited."""
    return math.inf if visits == 0 else total / visits + c * math.sqrt(math.log(max(1, parent)) / visits)


def width(values: Sequence[float], alpha: float, least: int, cap: int) -> int:
    """How many children a node with children of these values may have."""
    if not values:
        return least
    mean = statistics.fmean(values)
    return max(least, min(cap, int(alpha * max(abs(v - mean) for v in values))))


@dataclass(slots=True)
class Node:
    """An answer so far."""

    text: str
    ids: list[int]
    logp: float = 0.0
    whole: bool = False
    value: float = 0.0
    total: float = 0.0
    visits: int = 0
    parent: "Node | None" = None
    children: list["Node"] = field(default_factory=list["Node"])
    dull: int = 0
    """Samples from here that were merged with a child: a node that says nothing new is as wide as it gets."""

    def learn(self, value: float) -> None:
        """Count a value here and in all that lead here."""
        node: Node | None = self
        while node is not None:
            node.total, node.visits, node = node.total + value, node.visits + 1, node.parent


@dataclass(frozen=True, slots=True)
class Tree:
    """The controller.

    Args:
        step: most tokens of a step, which ends at `cut`, the cut included, or with the answer.
        longest: most tokens of an answer.
        judge: values answers, unfinished ones too, from 0 to 1.
        least: children of every node, however alike in value they are; the root has `root` of them.
    """

    step: int
    longest: int
    cut: str
    judge: Judge
    ask: Ask = plain
    temperature: float = 1.0
    c: float = 1.0
    alpha: float = 2.0
    least: int = 2
    root: int = 4
    cap: int = 10
    alike: Alike = equal

    def __call__(self, tasks: Sequence[Task], policy: Policy, budget: int, seed: int) -> list[Found]:
        need(budget, self.longest, "tree search")
        meter = Meter(policy, len(tasks), budget, seed)
        prompts = [policy.tokens.prompt(self.ask(task)) for task in tasks]
        roots = [Node("", []) for _ in tasks]
        ends: list[list[Node]] = [[] for _ in tasks]
        idle = set[int]()
        while live := [i for i in range(len(tasks)) if meter.left(i) >= self.step and i not in idle]:
            grown = {i: node for i in live if (node := self._select(roots[i])) is not None}
            idle |= set(live) - set(grown)
            rows = [(i, [*prompts[i], *node.ids]) for i, node in grown.items()]
            said = meter.sample(rows, self.step, temperature=self.temperature)
            for (i, node), c in zip(grown.items(), said, strict=True):
                child = self._child(node, policy, c.ids, c.logp)
                same = next((k for k in node.children if self.alike(k.text, child.text)), None)
                if same is not None:
                    node.dull += 1
                    same.learn(same.value)
                    continue
                node.children.append(child)
                [child.value] = self.judge(tasks[i], [_attempt(child)])
                child.learn(child.value)
                if child.whole:
                    ends[i].append(child)
        return [self._found(of, roots[i], meter.spent[i]) for i, of in enumerate(ends)]

    def _child(self, node: Node, policy: Policy, ids: Sequence[int], logp: Sequence[float]) -> Node:
        """The node after one more step: what was sampled up to the cut."""
        taken = list[int]()
        for token in ids:
            taken.append(token)
            if token == policy.tokens.end or self.cut in policy.tokens.decode([token]):
                break
        every = [*node.ids, *taken]
        whole = taken[-1] == policy.tokens.end or len(every) >= self.longest
        said = sum(logp[: len(taken)])
        return Node(policy.tokens.decode(every), every, node.logp + said, whole, parent=node)

    def _select(self, root: Node) -> Node | None:
        """The node to grow: down the best bounds until one is not yet as wide as it may be; None where all are
        whole."""
        node = root
        while not node.whole:
            most = self.root if node is root else self.least
            wide = width([child.value for child in node.children], self.alpha, most, self.cap)
            if len(node.children) + node.dull < wide:
                return node
            open_ = [child for child in node.children if not _closed(child)]
            if not open_:
                node.whole = True  # nothing below it can grow: closed for good
                return None if node is root else self._select(root)
            visits = node.visits
            node = max(open_, key=lambda child: uct(child.total, child.visits, visits, self.c))
        return None

    def _found(self, ends: Sequence[Node], root: Node, tokens: int) -> Found:
        """The whole answer of the highest value, the more visited among equals; the best beginning where none is
        whole."""
        nodes = ends or _all(root)
        best = max(nodes, key=lambda node: (node.value, node.visits))
        return Found(best.text, tokens, tuple(_attempt(node) for node in ends))


def _closed(node: Node) -> bool:
    return node.whole


def _attempt(node: Node) -> Attempt:
    return Attempt(node.text, node.logp, len(node.ids))


def _all(node: Node) -> list[Node]:
    return [node, *(below for child in node.children for below in _all(child))]
