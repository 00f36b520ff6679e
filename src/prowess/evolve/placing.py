"""How a run's agents and models get to where the executor runs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from prowess.agents.acting import ActingAgent
from prowess.agents.base import Agent
from prowess.agents.code import CodeAgent
from prowess.agents.executor import Executor, Local, PlacedAgent, PlacedModel
from prowess.agents.models import open_model
from prowess.agents.models.meter import Meter
from prowess.core.model import Model
from prowess.sandbox import Sandbox, find_sandbox
from prowess.suites import Suite, open_suite
from prowess.suites.worlds.suite import WorldSuite


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """The agent of a run, but for its model."""

    suite: str = "workbench"
    attempts: int = 2
    max_tokens: int = 500
    temperature: float = 0.0

    def agent(self, model: Model, sandbox: Sandbox, suite: Suite) -> Agent:
        """The agent for tasks of `suite`: where they are played, it acts; elsewhere it writes programs."""
        if isinstance(suite, WorldSuite):
            return ActingAgent(model, suite, temperature=self.temperature)
        return CodeAgent(
            model, sandbox, attempts=self.attempts, max_tokens=self.max_tokens, temperature=self.temperature
        )


@dataclass(frozen=True, slots=True)
class OpenModel:
    """Opens a model by its name, in whatever process that happens."""

    spec: str

    def __call__(self) -> Model:
        return open_model(self.spec)


@dataclass(frozen=True, slots=True)
class MakeAgent:
    """Makes the agent of a run where it acts, with a model, a sandbox and a suite of that place."""

    open: Callable[[], Model]
    settings: AgentSettings

    def __call__(self) -> Agent:
        return self.settings.agent(self.open(), find_sandbox(), open_suite(self.settings.suite))


@dataclass(frozen=True, slots=True, eq=False)
class _Here:
    """An agent that is there already."""

    agent: Agent

    def __call__(self) -> Agent:
        return self.agent


@dataclass(frozen=True, slots=True)
class Place:
    """Where the work of a run is done."""

    executor: Executor
    open: Callable[[], Model] | None = None
    """Opens the executor's model there; None in this process, where the run's own is used."""
    meters: tuple[Meter, ...] = ()
    """Told what is spent elsewhere."""

    @classmethod
    def here(cls, width: int) -> "Place":
        return cls(Local(width))

    def counted_by(self, *meters: Meter) -> "Place":
        return replace(self, meters=(*self.meters, *meters))

    def agent(self, settings: AgentSettings, model: Model, sandbox: Sandbox, suite: Suite) -> Agent:
        """The agent with `model`; its name does not say where it acts, which changes no result."""
        known = settings.agent(model, sandbox, suite)
        if self.open is None:
            return PlacedAgent(known.name, _Here(known), self.executor)
        return PlacedAgent(known.name, MakeAgent(self.open, settings), self.executor, self.meters)

    def model(self, known: Model) -> Model:
        """`known` itself, or where it is opened elsewhere, one of its name that answers there."""
        return known if self.open is None else PlacedModel(known.name, self.open, self.executor)


def place_on(executor: Executor, open_: Callable[[], Model], meters: Sequence[Meter] = ()) -> Place:
    """The place of `executor`: this process where it is local."""
    return Place(executor) if isinstance(executor, Local) else Place(executor, open_, tuple(meters))
