"""No agent at all: a stand-in that loads the skill whose name and description share most words with the prompt.

It answers thousands of queries a second, which is good for trying out a set of queries, and for finding descriptions
that share so many words that anything would mix them up. It says nothing about what a model would load: it knows no
meanings and no context, and never calls a tool.
"""

import re

from prowess.agents.record import trajectory_of
from prowess.core.model import ToolCall
from prowess.core.task import Task
from prowess.core.trajectory import Observation, Step, Trajectory
from prowess.core.view import View
from prowess.search.index import SearchIndex, listed

COMMON = 2
"""Long words that prompt and entry must share before anything is loaded."""
_WORD = re.compile(r"[^\W\d_]{4,}")


class LexicalAgent:
    """Loads the best match by words among what is listed, or nothing."""

    def __init__(self) -> None:
        self._last: tuple[View, SearchIndex] | None = None

    @property
    def name(self) -> str:
        return f"lexical/2 common={COMMON}"

    async def run(self, task: Task, view: View, seed: int) -> Trajectory:
        """Nothing is drawn at random: `seed` only tells repetitions apart."""
        best = self._best(task.prompt, view)
        call = ToolCall(id="1", name="load_skill", arguments={"name": best or ""})
        said = Observation(content="loaded", call_id="1")
        load = (Step(source="agent", tool_calls=(call,), observations=(said,)),) if best else ()
        return trajectory_of(
            self.name,
            "none",
            task,
            view,
            seed,
            loaded=(best,) if best else (),
            used=(),
            steps=(Step(source="user", message=task.prompt), *load, Step(source="agent")),
            outputs=(),
            error=None,
        )

    def _best(self, prompt: str, view: View) -> str | None:
        if self._last is None or self._last[0] is not view:
            self._last = view, SearchIndex.of(listed(view.skills))
        hits = self._last[1].search(prompt, 1)
        skill = next((s for s in view.skills if hits and s.name == hits[0].name), None)
        if skill is None:
            return None
        shared = _words(prompt) & _words(f"{skill.name} {skill.description}")
        return skill.name if len(shared) >= COMMON else None


def _words(text: str) -> set[str]:
    """Longer words, without their endings as far as that is needed here."""
    return {word[:5] for word in _WORD.findall(text.casefold())}
