"""Teachers: what somebody else thinks of the tokens that were sampled."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from prowess.train.parts import Policy
from prowess.train.samples import Context, Episode, Group, Sample

Weight = Callable[[Sample, int], float]
"""A token's weight, by its sample and place."""


@dataclass(frozen=True, slots=True)
class Scored:
    """Writes `ref_logp` and `w_kl` from a policy: a frozen reference, or the student itself with more to read.

    With `prompt` the teacher reads another prompt before the very same completion, whose ids are not tokenised again;
    only samples of one turn can be scored so.
    """

    by: str
    prompt: Callable[[Episode], str] | None = None
    weight: Weight = lambda sample, at: 1.0

    def __call__(self, groups: Sequence[Group], policies: Mapping[str, Policy], ctx: Context) -> None:
        teacher = policies[self.by]
        samples = [(e, s) for group in groups for e in group for s in e.samples if any(s.mask)]
        starts = [s.mask.index(True) for _, s in samples]
        before = [
            teacher.tokens.prompt(self.prompt(e)) if self.prompt else s.ids[:at]
            for (e, s), at in zip(samples, starts, strict=True)
        ]
        rows = [[*b, *s.ids[at:]] for b, (_, s), at in zip(before, samples, starts, strict=True)]
        for b, (_, s), at, logp in zip(before, samples, starts, teacher.score(rows), strict=True):
            s.write("ref_logp", [0.0] * at + logp[len(b) :])
            s.write("w_kl", [self.weight(s, t) if m else 0.0 for t, m in enumerate(s.mask)])
