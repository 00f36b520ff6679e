"""The parts of a recipe: one-method protocols, and what is put together of them.

One step of the trainer: a curriculum draws tasks, a rollout makes groups of episodes, a reward judges them, gates pick
those worth training on, an advantage (and a teacher) annotate their tokens, loss terms turn annotations into one
gradient. No part knows the others, and the trainer knows no algorithm.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from prowess.core.model import Message
from prowess.core.task import Task
from prowess.train.samples import Completion, Context, Group

if TYPE_CHECKING:
    from torch import Tensor

    from prowess.train.packing import Forward, Packed

Ids = Sequence[int]


class Tokens(Protocol):
    """How text becomes ids for one model, and back."""

    @property
    def end(self) -> int:
        """The token that ends a completion."""
        ...

    def prompt(self, text: str) -> list[int]:
        """A first message, ready to be answered."""
        ...

    def conversation(self, messages: Sequence[Message]) -> list[int]:
        """A whole conversation, ready to be answered."""
        ...

    def reply(self, text: str) -> list[int]:
        """What follows a completion and its end token: the environment's next message, ready to be answered."""
        ...

    def answer(self, text: str) -> list[int]:
        """A completion that says `text`, its end token included; for warm starts."""
        ...

    def decode(self, ids: Ids) -> str:
        """The text of a completion, without its end token."""
        ...


class Policy(Protocol):
    """Something that acts: a model, an adapter of a shared base, a script, a remote model."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> int: ...

    @property
    def tokens(self) -> Tokens: ...

    def sample(
        self, prompts: Sequence[Ids], *, copies: int = 1, longest: int, temperature: float = 1.0, seed: int
    ) -> list[Completion]:
        """`copies` completions of each prompt, of at most `longest` tokens; those of one prompt stand together.

        Temperature 0 takes the likeliest token. Equal arguments give equal completions.

        Raises:
            UserError: a prompt and its completion would not fit the context.
        """
        ...

    def score(self, rows: Sequence[Ids]) -> list[list[float]]:
        """Log-probability of each token given those before it, at temperature 1; 0 for the first."""
        ...


class Rollout(Protocol):
    """Plays tasks; owns the loop with environments, tools and libraries, and may call several policies."""

    def __call__(self, tasks: Sequence[Task], policies: Mapping[str, Policy], ctx: Context) -> list[Group]: ...


class Reward(Protocol):
    """Sets `reward`, and what else of an episode depends on its outcome. Sees groups, so it may be relative."""

    def __call__(self, groups: Sequence[Group], ctx: Context) -> None: ...


class Advantage(Protocol):
    """Writes the stream `adv`, and the weights that decide which tokens it moves."""

    def __call__(self, groups: Sequence[Group], ctx: Context) -> None: ...


class Teacher(Protocol):
    """Writes `ref_logp` and its weight: what another policy, or the same with another prompt, thinks of the tokens."""

    def __call__(self, groups: Sequence[Group], policies: Mapping[str, Policy], ctx: Context) -> None: ...


class Term(NamedTuple):
    """A loss and what is to be known of it. Figures are shares of the whole update: those of its parts add up."""

    loss: "Tensor"
    figures: dict[str, "Tensor"]


class Loss(Protocol):
    """One term of the loss, already divided by what it counts over the whole update."""

    @property
    def needs(self) -> frozenset[str]:
        """What it reads of the forward pass beside log-probabilities: `entropy`, `hidden`."""
        ...

    def __call__(self, forward: "Forward", batch: "Packed", ctx: Context) -> Term: ...


class Curriculum(Protocol):
    """Chooses what to try next, and learns from what came of it."""

    def draw(self, n: int, ctx: Context) -> list[Task]: ...

    def observe(self, groups: Sequence[Group], ctx: Context) -> None: ...


Gate = Callable[[Group], bool]
"""Whether a group is worth training on."""


class Replay(Protocol):
    """Keeps groups, and adds some of them to those of this step."""

    def __call__(self, groups: list[Group], ctx: Context) -> list[Group]: ...


class Audit(Protocol):
    """Looks at the policies from time to time and changes what they are shown."""

    def __call__(self, policies: Mapping[str, Policy], ctx: Context) -> None: ...


class Remembers(Protocol):
    """Any part may do this as well; then checkpoints hold its state, which must be plain data."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@dataclass(frozen=True, slots=True)
class Optim:
    """How gradients become steps: AdamW, one for each trained policy."""

    lr: float = 1e-4
    warmup: int = 0
    """Steps over which the rate rises from nothing."""
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    clip: float = 1.0
    """Largest norm of the gradient."""
    epochs: int = 1
    """Passes over the samples of one step."""
    rows: int | None = None
    """Samples of one update; None for all of a step."""
    tokens: int | None = None
    """Tokens, padding included, that go through the network at once; by default what fits the caches of a processor, or
    keeps a GPU busy. Changes memory and speed, not results, but of terms that compare the rows of a batch."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One method, as a composition of parts."""

    name: str
    curriculum: Curriculum
    rollout: Rollout
    losses: tuple[Loss, ...]
    reward: Reward | None = None
    advantage: Advantage | None = None
    teacher: Teacher | None = None
    gates: tuple[Gate, ...] = ()
    replay: Replay | None = None
    audits: tuple[Audit, ...] = ()
    audit_every: int = 10
    optim: Optim = field(default_factory=Optim)
    prompts: int = 16
    """Tasks, and so groups, of one step."""
    refills: int = 0
    """How often more tasks are drawn while gates leave fewer groups than `prompts`."""
    skills: Mapping[str, str] = field(default_factory=dict[str, str])
    """The library at the start: name → text."""
    train: tuple[str, ...] = ("actor",)
    """Names of the policies that learn. All others stay as they are."""
