"""What something cost: tokens, calls, seconds, money."""

from prowess.core.base import Frozen


class Cost(Frozen):
    """A sum of model use. Adding two gives their total."""

    calls: int = 0
    prompt_tokens: int = 0
    """All tokens sent, those served from a prefix cache included."""
    cached_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    """Time inside the model, summed over calls; not wall time."""
    usd: float = 0.0

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            calls=self.calls + other.calls,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            seconds=self.seconds + other.seconds,
            usd=self.usd + other.usd,
        )


def total(costs: "list[Cost] | tuple[Cost, ...]") -> Cost:
    """The sum of `costs`; zero for none."""
    calls = sent = cached = made = 0
    seconds = usd = 0.0
    for c in costs:  # no `+`: a verdict may sum a hundred thousand
        calls += c.calls
        sent += c.prompt_tokens
        cached += c.cached_tokens
        made += c.completion_tokens
        seconds += c.seconds
        usd += c.usd
    return Cost(calls=calls, prompt_tokens=sent, cached_tokens=cached, completion_tokens=made, seconds=seconds, usd=usd)
