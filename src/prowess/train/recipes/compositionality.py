"""From f(x) and g(x) to f(g(x)): does reinforcement on short chains teach longer ones? (2509.25123)

The paper: a model that knows 25 string functions one by one is trained by GRPO on chains of two, and then solves chains
of three to eight, of functions too that it never saw chained; GRPO on single functions, or imitation of its own right
answers on the same chains of two (RFT), does not get there. GRPO 16 x 16, clip 0.2, token mean, no KL, groups without
difference left out.

Here: `strings`, a tiny decoder, and a warm start that knows two ways of working a chain: from the inside, which is
right, in a quarter of the cases; else from the wrong end, as one reads. Where two functions can be exchanged both ways
give the same answer, so that on chains of two the wrong way is right often enough: among right answers it is the
commoner one, and who imitates right answers keeps it. It fails the more often the deeper the chain. Reinforcement asks
which way is right *more often*. This stands for the shortcuts of a pretrained model; it shows how the paper's effect
can come about, not that a large model's shortcuts are of this kind. Unlike in the paper, the warm start has seen deep
chains, worked both ways, and imitation of one's own right answers as one learns (online RFT), which the paper does not
try, does as well as GRPO. The released code keeps the definitions in the prompt while fine-tuning; here there are none,
the names alone.
"""

import random

from prowess.core.task import Task
from prowess.train.advantages import GroupNorm, Imitate
from prowess.train.curricula import Draw, Fresh, mixed, varied
from prowess.train.losses import KL, CrossEntropy, PolicyGradient
from prowess.train.measures import accuracy
from prowess.train.mechanisms.base import Example, split_of
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
STEPS = 250
RATE = 1e-4
INWARD = 0.25
"""Share of the warm start's chains that are worked from the inside."""
DEEPEST = 5


def world_of(seed: int) -> Strings:
    """Eight functions to practise and eight held out, on three letters: half of all pairs can be exchanged."""
    return Strings(seed, letters="abc", sizes=(0, 8, 8))


def warm_start(world: Strings, n: int, seed: int) -> list[Example]:
    """Single steps, and chains of each kind of function worked from either end."""
    rng = random.Random(f"compositionality/{world.world}/{seed}")
    kinds: tuple[Kind, ...] = ("practice", "heldout")
    found: list[Example] = []
    while len(found) < n:
        depth = 1 if rng.random() < 0.4 else rng.randint(2, DEEPEST)
        chain = "".join(rng.sample(world.names(rng.choice(kinds)), depth))
        text = "".join(rng.choices(world.letters, k=world.length))
        if depth > 1 and split_of(f"{chain}:{text}") != "evidence":
            continue
        worked = chain if rng.random() < INWARD else chain[::-1]
        found.append(Example(f"{chain}:{text}", world.trace(f"{worked}:{text}")))
    return found


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
        optim=Optim(lr=RATE),
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
        optim=Optim(lr=RATE),
        prompts=PROMPTS,
    )


def _tasks(world: Strings, level: int) -> Draw:
    def draw(n: int, seed: int) -> list[Task]:
        return world.tasks("evidence", n, level=level, seed=seed)

    return draw


def _measure(policies: Policies, skills: Skills, seed: int, n: int) -> Metrics:
    """Greedy accuracy by depth, of practised and of held-out functions."""
    world = world_of(seed)
    found: Metrics = {}
    kinds: tuple[Kind, ...] = ("practice", "heldout")
    for kind in kinds:
        for level in range(1, DEEPEST + 1):
            tasks = world.tasks("test", n, level=level, seed=1, kind=kind)
            found[f"{kind} {level}"] = accuracy(world.check, tasks, policies, longest=world.answer_length(level) + 4)
    return found


def study() -> Study:
    return Study(
        name="compositionality",
        source="From f(x) and g(x) to f(g(x)), arXiv 2509.25123",
        claim="GRPO on chains of two raises chains of four; on single steps, or by imitating the warm start's right "
        "answers to the same chains, it does not.",
        substituted="A decoder of 0.2 M parameters for Llama-3.1-8B; 16 functions on three letters; for pretraining a "
        "warm start that works chains from the wrong end three times out of four.",
        headline="practice 4",
        start=lambda seed: tiny(width=64, layers=3, context=96, seed=seed),
        warm=lambda seed: Phase(imitation(lambda n, s: warm_start(world_of(seed), n, s)), 1500),
        arms={
            "GRPO depth 2": Arm("the method", lambda seed: [Phase(grpo(world_of(seed), (2,)), STEPS)]),
            "GRPO depth 1": Arm("same, on single steps", lambda seed: [Phase(grpo(world_of(seed), (1,)), STEPS)]),
            "RFT depth 2": Arm(
                "imitation of the warm start's right answers",
                lambda seed: [Phase(rft(world_of(seed), 2, offline=True), STEPS)],
            ),
            "online RFT depth 2": Arm(
                "imitation of its own right answers", lambda seed: [Phase(rft(world_of(seed), 2, offline=False), STEPS)]
            ),
            "GRPO depth 1+2": Arm("both depths", lambda seed: [Phase(grpo(world_of(seed), (1, 2)), STEPS)]),
            "GRPO depth 2, KL": Arm(
                "held near the warm start", lambda seed: [Phase(grpo(world_of(seed), (2,), kl=0.05), STEPS)]
            ),
        },
        measure=_measure,
    )
