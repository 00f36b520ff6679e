"""Published methods as compositions of parts: one file each, with the study that compares it to its baselines."""

from importlib import import_module
from typing import TYPE_CHECKING

from prowess.core.errors import UserError

if TYPE_CHECKING:
    from prowess.train.study import Study

STUDIES = {
    "compositionality": "does reinforcement on short chains teach longer ones? (2509.25123)",
    "score": "self-correction in two stages (2409.12917)",
    "sage": "reinforcement with a skill library over chains of tasks (2512.17102)",
    "skill0": "skills in the prompt, withdrawn by what they still help (2604.02268)",
    "skill_sd": "learning from oneself with skills in the prompt (2604.10674)",
    "slim": "which skills are shown follows what each still contributes (2605.10923)",
    "skillos": "a curator of skills, paid by later tasks (2605.06614)",
    "evolving": "one policy learns to extract skills and to use them (2605.10663)",
    "feedback": "hints of a teacher, and learning to do without (2602.16066)",
    "spear": "learning again from one's own good episodes (2509.22601)",
    "soar": "a teacher paid by a student's progress on hard problems (2601.18778)",
    "a3t": "random actions with reasons written afterwards (2403.14589)",
    "exit": "a space of tasks grown from the policy's own unfinished work (2509.04575)",
}
"""Name → what it is."""


def study(name: str) -> "Study":
    """The study called `name`.

    Raises:
        UserError: there is none, or torch is not installed.
    """
    if name not in STUDIES:
        raise UserError(f"no training recipe is called {name!r}", f"choose one of {', '.join(STUDIES)}")
    try:
        import_module("torch")
    except ImportError as error:
        raise UserError("training needs torch, which is not installed", "run `pip install 'prowess[train]'`") from error
    return import_module(f"{__name__}.{name}").study()
