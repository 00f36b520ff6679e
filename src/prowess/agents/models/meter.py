"""What a run spends on models, and the limits that stop it."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from prowess.core.base import Frozen
from prowess.core.cost import Cost
from prowess.core.errors import BudgetExceeded, ModelError
from prowess.core.model import Model, Request, Response


class Budget(Frozen):
    """Limits on what may be spent; None is no limit."""

    calls: int | None = None
    tokens: int | None = None
    """Prompt and answer together, cached ones included."""
    usd: float | None = None
    seconds: float | None = None
    """Time inside the model, summed over calls, as in `Cost`."""


@runtime_checkable
class Bounded(Protocol):
    """A model that can tell beforehand what a request may cost at most."""

    def bound(self, request: Request) -> Cost: ...


class AllowanceSpent(BudgetExceeded):
    """A part of a run, such as one recipe's learning, has used up what it was given; the run itself goes on."""


class Meter:
    """A running sum and its limits; share one among models that share a budget.

    A call is only let through when what was spent, what the calls in flight may still cost, and what it may cost itself
    stay within every limit, so that concurrency cannot overshoot. The answer's length is bounded exactly, the prompt's
    by an estimate. Time cannot be known beforehand: its limit stops the first call after it was reached.
    """

    def __init__(
        self,
        budget: Budget | None = None,
        *,
        spent: Cost | None = None,
        progress: Callable[[Cost], None] | None = None,
        error: type[BudgetExceeded] = BudgetExceeded,
    ) -> None:
        self.budget = budget or Budget()
        self.spent = spent or Cost()
        """What was spent so far; give what a resumed run spent before."""
        self._reserved = Cost()
        self._progress = progress
        self._error = error

    def reserve(self, bound: Cost) -> None:
        """Set `bound` aside. Raises `BudgetExceeded` when a limit does not allow it."""
        after = self.spent + self._reserved + bound
        over = [
            f"{name}: {spent:g} spent of {limit:g}"
            for name, limit, spent, wanted in (
                ("calls", self.budget.calls, self.spent.calls, after.calls),
                ("tokens", self.budget.tokens, self.spent.tokens, after.tokens),
                ("usd", self.budget.usd, self.spent.usd, after.usd),
            )
            if limit is not None and wanted > limit
        ]
        if self.budget.seconds is not None and self.spent.seconds >= self.budget.seconds:
            over.append(f"seconds: {self.spent.seconds:g} spent of {self.budget.seconds:g}")
        if over:
            raise self._error(
                f"the budget leaves no room for another call ({', '.join(over)})",
                "raise the limit and run the same command again; finished work is kept",
            )
        self._reserved += bound

    def settle(self, bound: Cost, paid: Cost) -> None:
        """Replace what was set aside by what was paid."""
        self._reserved += Cost(
            calls=-bound.calls,
            prompt_tokens=-bound.prompt_tokens,
            completion_tokens=-bound.completion_tokens,
            usd=-bound.usd,
        )
        self.spent += paid
        if self._progress is not None:
            self._progress(self.spent)


class Metered:
    """A model whose every call is counted, failed ones included, and held within a budget."""

    def __init__(self, model: Model, meter: Meter | Budget) -> None:
        self._model = model
        self.meter = meter if isinstance(meter, Meter) else Meter(meter)

    @property
    def name(self) -> str:
        return self._model.name

    @property
    def spent(self) -> Cost:
        return self.meter.spent

    def bound(self, request: Request) -> Cost:
        return bound(self._model, request)

    async def complete(self, request: Request) -> Response:
        most = self.bound(request)
        self.meter.reserve(most)
        paid = Cost(calls=1)  # also for a call that fails: failures must run out some day
        try:
            response = await self._model.complete(request)
            paid = response.cost
        except ModelError as error:
            paid = getattr(error, "cost", paid)
            raise
        finally:
            self.meter.settle(most, paid)
        return response


def bound(model: Model, request: Request) -> Cost:
    """What `request` may cost at most: by the model's own word, else in tokens, for a model without a price."""
    return model.bound(request) if isinstance(model, Bounded) else tokens_bound(request)


def tokens_bound(request: Request) -> Cost:
    """One call, the prompt at three bytes a token (code is dense), and the longest answer allowed."""
    text = sum(len(m.content.encode("utf-8", "surrogatepass")) for m in request.messages)
    text += sum(len(str(m.tool_calls)) for m in request.messages if m.tool_calls)
    text += sum(len(tool.description) + len(str(tool.parameters)) for tool in request.tools)
    return Cost(calls=1, prompt_tokens=-(-text // 3) + 16 * len(request.messages), completion_tokens=request.max_tokens)
