import json

import anyio
import pytest
from measure_parts import DiceAgent, MemoryStore, bench, tasks, trial

from prowess.core.cost import Cost
from prowess.core.errors import BudgetExceeded, ModelError, Refused, UserError
from prowess.core.evidence import Trial
from prowess.core.model import Request, Response
from prowess.measure.judge import Judge, agreement, judge_trials, model_families, require_independent
from prowess.measure.trials import Arm, run_trials

CRITERIA = ("The file says right.", "The answer is short.")


class Reader:
    """A judge model that really reads the work; `spoil` replaces answers by what it returns."""

    def __init__(self, name: str = "openai/gpt-5", spoil: object = None) -> None:
        self.name = name
        self.spoil = spoil
        self.requests: list[Request] = []

    async def complete(self, request: Request) -> Response:
        self.requests.append(request)
        if isinstance(self.spoil, Exception):
            raise self.spoil
        good = "\nright" in request.messages[-1].content
        answers = [{"met": good, "reason": "it says so"}, {"met": True, "reason": "one word"}]
        text = self.spoil if isinstance(self.spoil, str) else json.dumps({"criteria": answers})
        return Response(text=text, model=self.name, cost=Cost(calls=1))


def trials_of(store: MemoryStore) -> tuple[Trial, ...]:
    async def main() -> tuple[Trial, ...]:
        return await run_trials(tasks(6), [Arm.without()], (0,), bench(DiceAgent(base=50), store))

    return anyio.run(main)


def judged(judge: Judge, store: MemoryStore, trials: tuple[Trial, ...], **more: bool) -> tuple[Trial, ...]:
    async def main() -> tuple[Trial, ...]:
        return await judge_trials(trials, tasks(6), judge, store, "local/qwen2.5-coder", **more)

    return anyio.run(main)


def test_a_judge_decides_and_agrees_with_the_checks() -> None:
    store, model = MemoryStore(), Reader()
    trials = trials_of(store)
    by_judge = judged(Judge(model, CRITERIA), store, trials)
    assert [t.passed for t in by_judge] == [t.passed for t in trials]
    assert {t.value for t in by_judge} == {1.0, 0.5} and {t.judged_by for t in by_judge} == {"judge:openai/gpt-5"}
    a = agreement(trials, by_judge)
    assert (a.n, a.agreed, a.kappa) == (6, 6, 1.0)


def test_judgements_are_never_paid_twice_and_belong_to_their_rubric() -> None:
    store, model = MemoryStore(), Reader()
    trials = trials_of(store)
    first = judged(Judge(model, CRITERIA), store, trials)
    assert judged(Judge(model, CRITERIA), store, trials) == first and len(model.requests) == 6
    judged(Judge(model, (CRITERIA[0], "The answer is polite.")), store, trials)
    assert len(model.requests) == 12


@pytest.mark.parametrize(
    "spoil",
    [
        "I'd say 8 of 10.",
        '{"criteria": []}',
        '{"criteria": [{"met": true, "reason": ""}]}',
        '{"criteria": "all"}',
        "",
        ModelError("down"),
    ],
)
def test_a_judge_that_fails_makes_trials_missing_never_failed(spoil: object) -> None:
    store, model = MemoryStore(), Reader(spoil=spoil)
    trials = trials_of(store)
    assert all(t.passed is None and t.judged_by == "" for t in judged(Judge(model, CRITERIA), store, trials))
    assert len(model.requests) == 12, "asked again once each"
    mended = Reader()
    assert all(t.passed is not None for t in judged(Judge(mended, CRITERIA), store, trials)), "failure is not stored"


def test_a_judge_that_hangs_is_given_up() -> None:
    class Hangs(Reader):
        async def complete(self, request: Request) -> Response:
            await anyio.sleep_forever()
            raise AssertionError

    store = MemoryStore()
    assert all(t.passed is None for t in judged(Judge(Hangs(), CRITERIA, timeout=0.01), store, trials_of(store)))


def test_budget_is_raised_bare() -> None:
    store = MemoryStore()
    with pytest.raises(BudgetExceeded):
        judged(Judge(Reader(spoil=BudgetExceeded("no money")), CRITERIA), store, trials_of(store))


def test_the_own_kind_is_refused_unless_allowed() -> None:
    store, model = MemoryStore(), Reader("embedded/Qwen3-4B-Instruct")
    trials = trials_of(store)
    with pytest.raises(Refused, match=r"same family \(qwen\)"):
        judged(Judge(model, CRITERIA), store, trials)
    assert model.requests == []
    assert all(t.passed is not None for t in judged(Judge(model, CRITERIA), store, trials, allow_same_family=True))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("openai/gpt-5-mini", "azure/gpt-4o", True),
        ("o3-mini", "gpt-4.1", True),
        ("anthropic/claude-opus-4", "claude-3-5-haiku", True),
        ("openai/qwen2.5-coder-1.5b", "openai/gpt-4o", False),
        ("deepseek-r1-distill-qwen-7b", "qwq-32b", True),
        ("gemma-3-4b", "gemini-2.5-pro", True),
        ("SmolLM2-135M", "smollm3-3b", True),
        ("kimi-k2", "glm-4.6", False),
        ("123", "123", True),
    ],
)
def test_families(one: str, other: str, same: bool) -> None:
    assert bool(model_families(one) & model_families(other)) == same
    if not same:
        require_independent(Judge(Reader(one), CRITERIA), other)


def test_the_work_cannot_close_its_fence() -> None:
    store, model = MemoryStore(), Reader()
    judged(Judge(model, CRITERIA), store, trials_of(store))
    text = model.requests[0].messages[-1].content
    fence = text.split("between two marks ")[1].split(":")[0]
    assert text.count(fence) == 3 and text.endswith(fence)
    assert model.requests[0].json_schema is not None


def test_agreement_counts_only_what_both_decided() -> None:
    checked = [trial(i, "a", i < 3) for i in range(5)] + [trial(9, "a", None)]
    by_judge = [trial(i, "a", i < 2) for i in range(4)] + [trial(4, "a", None), trial(9, "a", True)]
    a = agreement(checked, by_judge)
    assert (a.n, a.agreed) == (4, 3)


def test_bad_questions_are_refused() -> None:
    with pytest.raises(UserError, match="without criteria"):
        Judge(Reader(), ())
    with pytest.raises(UserError, match="no task 't1'"):
        judged(Judge(Reader(), CRITERIA), MemoryStore(), (trial(1, "a", True),))
