"""From samples to tensors: right-padded rows, cut into parts that fit the memory, each aware of the whole update."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from prowess.train.samples import Sample


@dataclass(frozen=True, slots=True)
class Whole:
    """Counts over all samples of one update, whatever part of them a batch holds. Loss terms divide by these."""

    rows: int
    longest: int
    """Most sampled tokens of one row."""
    tokens: dict[str, int]
    """For each weight stream, the tokens whose weight is not zero. Terms do not dilute one another."""

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> "Whole":
        names = {name for s in samples for name in s.streams}
        return cls(
            rows=len(samples),
            longest=max((sum(s.mask) for s in samples), default=0),
            tokens={n: sum(sum(map(bool, s.streams.get(n, ()))) for s in samples) for n in names},
        )


@dataclass(frozen=True, slots=True)
class Packed:
    """Samples as tensors of shape (rows, length). Entry `t` of a stream is about token `t`, given those before."""

    ids: Tensor
    lengths: Tensor
    mask: Tensor
    """Float: 1 where the policy sampled the token."""
    logp: Tensor
    temperature: Tensor
    """Of shape (rows, 1)."""
    streams: dict[str, Tensor]
    whole: Whole
    samples: Sequence[Sample]

    def stream(self, name: str) -> Tensor:
        """The stream, zeros where no sample has it."""
        found = self.streams.get(name)
        return torch.zeros_like(self.logp) if found is None else found

    @property
    def needed(self) -> Tensor:
        """Where log-probabilities are needed: sampled tokens, and all that carry a weight."""
        needed = self.mask > 0
        for name, values in self.streams.items():
            if name.startswith("w_"):
                needed = needed | (values != 0)
        return needed & (torch.arange(self.ids.shape[1], device=self.ids.device) > 0)


@dataclass(frozen=True, slots=True)
class Forward:
    """What a policy says to a batch, with gradients; shapes as in `Packed`, zero where nothing was needed."""

    logp: Tensor
    entropy: Tensor | None = None
    hidden: Tensor | None = None
    """Last layer, of shape (rows, length, width)."""


def pack(samples: Sequence[Sample], whole: Whole | None = None, device: str = "cpu") -> Packed:
    """The samples as one batch. `whole` counts the update that it is part of; by default it is all of it."""
    length = max(len(s.ids) for s in samples)

    def rows(values: Sequence[Sequence[float]], kind: torch.dtype = torch.float32) -> Tensor:
        return torch.tensor([[*row, *[0] * (length - len(row))] for row in values], dtype=kind, device=device)

    names = sorted({name for s in samples for name in s.streams})
    return Packed(
        ids=rows([s.ids for s in samples], torch.long),
        lengths=torch.tensor([len(s.ids) for s in samples], device=device),
        mask=rows([s.mask for s in samples]),
        logp=rows([s.logp for s in samples]),
        temperature=torch.tensor([[s.temperature] for s in samples], dtype=torch.float32, device=device),
        streams={n: rows([s.streams.get(n, ()) for s in samples]) for n in names},
        whole=whole or Whole.of(samples),
        samples=samples,
    )


def listed(tensor: Tensor) -> list[Any]:
    """The tensor's numbers as nested lists."""
    return cast("list[Any]", tensor.tolist())  # pyright: ignore[reportUnknownMemberType]


def parts(samples: Sequence[Sample], tokens: int) -> Generator[list[Sample]]:
    """Cut samples into batches of at most `tokens` tokens, padding included; like lengths stand together."""
    batch: list[Sample] = []
    for sample in sorted(samples, key=lambda s: len(s.ids)):
        if batch and (len(batch) + 1) * len(sample.ids) > tokens:
            yield batch
            batch = []
        batch.append(sample)
    if batch:
        yield batch
