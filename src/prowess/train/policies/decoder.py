"""A causal language model of the Llama family, in one file: from a quarter of a million parameters up.

Its parameters carry the names of Llama checkpoints, so that it reads them, and what is trained here is one. Its cache
is static: one tensor for each layer, written in place, so that sampling many rows costs little beside the arithmetic.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of a decoder."""

    vocabulary: int
    width: int = 64
    layers: int = 2
    heads: int = 4
    groups: int | None = None
    """Heads of keys and values; None for as many as there are heads."""
    inner: int | None = None
    """Width between the two halves of each feed-forward block; None for 8/3 of the width, rounded up to 16."""
    context: int = 256
    """Most tokens of one sequence."""
    theta: float = 10_000.0
    epsilon: float = 1e-5
    tied: bool = True
    """Whether the output layer is the embedding."""


class Cache:
    """Keys and values of a batch of sequences, and how far each has come."""

    __slots__ = ("keys", "lengths", "values")

    def __init__(self, keys: list[Tensor], values: list[Tensor], lengths: Tensor) -> None:
        self.keys, self.values, self.lengths = keys, values, lengths

    def keep(self, rows: Tensor) -> None:
        """Drop all rows but these."""
        self.keys = [k[rows] for k in self.keys]
        self.values = [v[rows] for v in self.values]
        self.lengths = self.lengths[rows]


class _Step(NamedTuple):
    """What all layers share while one token is added to each row."""

    rows: Tensor
    at: Tensor
    """Where each row writes, shape (rows,)."""
    room: int
    """Entries of the cache that any row has used, this step's included."""
    seen: Tensor
    """What each row may look at, shape (rows, 1, 1, room)."""


class Norm(nn.Module):
    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        return functional.rms_norm(x, self.weight.shape, self.weight, self.epsilon)


class Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads, self.groups = shape.heads, shape.groups or shape.heads
        self.depth = shape.width // shape.heads
        self.q_proj = nn.Linear(shape.width, self.heads * self.depth, bias=False)
        self.k_proj = nn.Linear(shape.width, self.groups * self.depth, bias=False)
        self.v_proj = nn.Linear(shape.width, self.groups * self.depth, bias=False)
        self.o_proj = nn.Linear(self.heads * self.depth, shape.width, bias=False)

    def forward(
        self, x: Tensor, angles: tuple[Tensor, Tensor], kept: tuple[Tensor, Tensor] | None, step: _Step | None
    ) -> Tensor:
        b, t, _ = x.shape
        q = _turned(self.q_proj(x).view(b, t, self.heads, self.depth).transpose(1, 2), angles)
        k = _turned(self.k_proj(x).view(b, t, self.groups, self.depth).transpose(1, 2), angles)
        v = self.v_proj(x).view(b, t, self.groups, self.depth).transpose(1, 2)
        if step is not None and kept is not None:
            kept[0][step.rows, :, step.at], kept[1][step.rows, :, step.at] = k[:, :, 0], v[:, :, 0]
            k, v = kept[0][:, :, : step.room], kept[1][:, :, : step.room]
        elif kept is not None:
            kept[0][:, :, :t], kept[1][:, :, :t] = k, v
        y = functional.scaled_dot_product_attention(
            q, k, v,
            attn_mask=None if step is None else step.seen,
            is_causal=step is None,
            enable_gqa=self.groups != self.heads,
        )  # fmt: skip
        return self.o_proj(y.transpose(1, 2).reshape(b, t, -1))


def _turned(x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    """Rotary positions (RoFormer, 2104.09864), halves paired as in Llama checkpoints."""
    left, right = x.chunk(2, -1)
    return x * angles[0] + torch.cat((-right, left), -1) * angles[1]


class FeedForward(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        inner = shape.inner or -(-shape.width * 8 // 48) * 16
        self.gate_proj = nn.Linear(shape.width, inner, bias=False)
        self.up_proj = nn.Linear(shape.width, inner, bias=False)
        self.down_proj = nn.Linear(inner, shape.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.self_attn = Attention(shape)
        self.mlp = FeedForward(shape)
        self.input_layernorm = Norm(shape.width, shape.epsilon)
        self.post_attention_layernorm = Norm(shape.width, shape.epsilon)

    def forward(
        self,
        x: Tensor,
        angles: tuple[Tensor, Tensor],
        kept: tuple[Tensor, Tensor] | None = None,
        step: _Step | None = None,
    ) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), angles, kept, step)
        return x + self.mlp(self.post_attention_layernorm(x))


class Body(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocabulary, shape.width)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = Norm(shape.width, shape.epsilon)


class Decoder(nn.Module):
    """The model. A fresh one has random weights, equal for equal seeds."""

    cos: Tensor
    sin: Tensor

    def __init__(self, shape: Shape, seed: int = 0) -> None:
        super().__init__()
        self.shape = shape
        self.model = Body(shape)
        self.lm_head = nn.Linear(shape.width, shape.vocabulary, bias=False)
        if shape.tied:
            self.lm_head.weight = self.model.embed_tokens.weight
        depth = shape.width // shape.heads
        rates = shape.theta ** (-torch.arange(0, depth, 2, dtype=torch.float32) / depth)
        angles = torch.outer(torch.arange(shape.context, dtype=torch.float32), rates).repeat(1, 2)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        self._start(seed)

    def _start(self, seed: int) -> None:
        source = torch.Generator().manual_seed(seed)
        for name, weight in self.named_parameters():
            if weight.ndim > 1:
                deep = name.endswith(("o_proj.weight", "down_proj.weight"))
                spread = self.shape.width**-0.5 / ((2 * self.shape.layers) ** 0.5 if deep else 1.0)
                nn.init.normal_(
                    weight, std=spread if weight.shape[1] == self.shape.width or deep else 0.02, generator=source
                )

    @property
    def context(self) -> int:
        return self.shape.context

    def logits(self, hidden: Tensor) -> Tensor:
        return self.lm_head(hidden)

    def hidden(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Last layer of every token. Rows are padded on the right; padding changes nothing before it."""
        del lengths  # causal: what stands before the padding never sees it
        x = self.model.embed_tokens(ids)
        angles = self.cos[: ids.shape[1]].to(x.dtype), self.sin[: ids.shape[1]].to(x.dtype)
        for layer in self.model.layers:
            x = layer(x, angles)
        return self.model.norm(x)

    def start(self, ids: Tensor, lengths: Tensor, copies: int, room: int) -> tuple[Tensor, Cache]:
        """Read prompts once, and make `copies` rows of each, with space for `room` tokens in all.

        Returns the last layer at each row's last token, and the cache.
        """
        x = self.model.embed_tokens(ids)
        angles = self.cos[: ids.shape[1]].to(x.dtype), self.sin[: ids.shape[1]].to(x.dtype)
        size = (len(ids), self.shape.groups or self.shape.heads, room, self.shape.width // self.shape.heads)
        keys = [x.new_zeros(size) for _ in self.model.layers]
        values = [x.new_zeros(size) for _ in self.model.layers]
        for layer, k, v in zip(self.model.layers, keys, values, strict=True):
            x = layer(x, angles, (k, v))
        last = self.model.norm(x[torch.arange(len(ids), device=ids.device), lengths - 1])
        if copies > 1:
            keys, values = ([t.repeat_interleave(copies, 0) for t in tensors] for tensors in (keys, values))
        cache = Cache(keys, values, lengths.repeat_interleave(copies))
        return last.repeat_interleave(copies, 0), cache

    def step(self, ids: Tensor, cache: Cache) -> Tensor:
        """Add one token to each row; returns the last layer there."""
        at = cache.lengths
        room = int(at.max()) + 1
        seen = (torch.arange(room, device=ids.device) <= at[:, None])[:, None, None]
        step = _Step(torch.arange(len(ids), device=ids.device), at, room, seen)
        x = self.model.embed_tokens(ids)[:, None]
        angles = self.cos[at][:, None, None].to(x.dtype), self.sin[at][:, None, None].to(x.dtype)
        for layer, k, v in zip(self.model.layers, cache.keys, cache.values, strict=True):
            x = layer(x, angles, (k, v), step)
        cache.lengths = at + 1
        return self.model.norm(x)[:, 0]


def count(module: nn.Module) -> int:
    """Parameters of a model; shared ones once."""
    return sum(p.numel() for p in module.parameters())


def padded(rows: Sequence[Sequence[int]], device: str) -> tuple[Tensor, Tensor]:
    """Rows of ids as one tensor, padded on the right with 0, and their lengths."""
    longest = max(len(row) for row in rows)
    ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows], device=device)
    return ids, torch.tensor([len(row) for row in rows], device=device)
