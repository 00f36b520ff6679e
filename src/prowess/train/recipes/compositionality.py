"""From f(x) and g(x) to f(g(x)): does reinforcement on short chains teach longer ones? (2509.25123)

The paper: a model that knows 25 string functions one by one is trained by GRPO on chains of two, and then solves chains
of three to eight, of functions too that it never saw chained; GRPO on single functions, or imitation of its own right
answers on the same chains of two (RFT), does not get there. GRPO 16 x 16, clip 0.2, token mean, no KL, groups without
difference left out.

Here: `strings`, a tiny decoder, and a warm start in which other functions (`format`) are chained to every depth: that
stands for what pretraining teaches about working step by step. Chains of the functions in question are never shown.
The released code keeps the definitions in the prompt while fine-tuning; here there are none, the names alone.
"""

from prowess.core.task import Task
from prowess.train.advantages import GroupNorm, Imitate
from prowess.train.curricula import Draw, Fresh, mixed, varied
from prowess.train.losses import KL, CrossEntropy, PolicyGradient
from prowess.train.measures import accuracy
from prowess.train.mechanisms.strings import Kind, Strings
from prowess.train.parts import Optim, Recipe
from prowess.train.policies.load import tiny
from prowess.train.rewards import Outcome
from prowess.train.rollouts import SingleTurn
from prowess.train.study import Arm, Phase, Policies, Skills, Study
from prowess.train.teachers import Scored
from prowess.train.trainer import Metrics
from prowess.train.warm import imitation

COPIES = 8
PROMPTS = 16
STEPS = 600


def grpo(world: Strings, levels: tuple[int, ...], *, kl: float = 0.0) -> Recipe:
    """GRPO on chains of these depths; with `kl`, held near the warm start."""
    return Recipe(
        name=f"GRPO on depth {'+'.join(map(str, levels))}, KL {kl:g}",
        curriculum=Fresh(mixed(*(_tasks(world, level) for level in levels))),
        rollout=SingleTurn(world.answer_length(max(levels)) + 4, COPIES),
        reward=Outcome(world.check),
        gates=(varied,),
        refills=1,
        advantage=GroupNorm(),
        teacher=Scored("reference") if kl else None,
        losses=(PolicyGradient(0.2, 0.2), KL(kl)) if kl else (PolicyGradient(0.2, 0.2),),
        optim=Optim(lr=3e-4),
        prompts=PROMPTS,
    )


def rft(world: Strings, level: int, *, offline: bool) -> Recipe:
    """Imitation of right answers: offline those of the warm start, as in the paper; else the policy's own, which is
    REINFORCE without a baseline."""
    sampler = "reference" if offline else "actor"
    return Recipe(
        name=f"{'offline' if offline else 'online'} RFT on depth {level}",
        curriculum=Fresh(_tasks(world, level)),
        rollout=SingleTurn(world.answer_length(level) + 4, COPIES, policy=sampler, learner="actor"),
        reward=Outcome(world.check),
        advantage=Imitate(),
        losses=(CrossEntropy(),),
        optim=Optim(lr=3e-4),
        prompts=PROMPTS,
    )


def _tasks(world: Strings, level: int) -> Draw:
    def draw(n: int, seed: int) -> list[Task]:
        return world.tasks("evidence", n, level=level, seed=seed)

    return draw


def _measure(policies: Policies, skills: Skills, seed: int, n: int) -> Metrics:
    """Greedy accuracy by depth, of practised and of held-out functions."""
    world = Strings(world=seed)
    found: Metrics = {}
    kinds: tuple[Kind, ...] = ("practice", "heldout")
    for kind in kinds:
        for level in range(1, 6):
            tasks = world.tasks("test", n, level=level, seed=1, kind=kind)
            found[f"{kind} {level}"] = accuracy(world.check, tasks, policies, longest=world.answer_length(level) + 4)
    return found


def study() -> Study:
    return Study(
        name="compositionality",
        source="From f(x) and g(x) to f(g(x)), arXiv 2509.25123",
        claim="GRPO on chains of two raises chains of three; on single steps, or by imitation, it does not.",
        substituted="A decoder of 0.2 M parameters for Llama-3.1-8B; 24 functions on three letters; a warm start with "
        "chains of other functions for pretraining.",
        headline="practice 3",
        start=lambda seed: tiny(width=64, layers=3, context=96, seed=seed),
        warm=lambda seed: Phase(imitation(lambda n, s: Strings(world=seed).warm_start(n, seed=s)), 2000),
        arms={
            "GRPO depth 2": Arm("the method", lambda seed: [Phase(grpo(Strings(seed), (2,)), STEPS)]),
            "GRPO depth 1": Arm("same, on single steps", lambda seed: [Phase(grpo(Strings(seed), (1,)), STEPS)]),
            "RFT depth 2": Arm(
                "imitation of the warm start's right answers",
                lambda seed: [Phase(rft(Strings(seed), 2, offline=True), STEPS)],
            ),
            "online RFT depth 2": Arm(
                "imitation of its own right answers", lambda seed: [Phase(rft(Strings(seed), 2, offline=False), STEPS)]
            ),
            "GRPO depth 1+2": Arm("both depths", lambda seed: [Phase(grpo(Strings(seed), (1, 2)), STEPS)]),
            "GRPO depth 2, KL": Arm(
                "held near the warm start", lambda seed: [Phase(grpo(Strings(seed), (2,), kl=0.05), STEPS)]
            ),
        },
        measure=_measure,
    )
