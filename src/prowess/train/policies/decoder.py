"""A causal language model of the Llama family, in one file: from a quarter of a million parameters up.

Its parameters carry the names of Llama checkpoints, so that it reads them, and what is trained here is one. Its cache
is static: one tensor for each layer, written in place, so that sampling many rows costs little beside the arithmetic.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from prowess.train.policies.products import Product


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


class Merged(NamedTuple):
    """One layer's weights as a decoding step uses them: what reads the same input lies in one matrix, and adapters are
    added in. Made once for each batch of completions."""

    before: Tensor
    attend: Product
    """Queries, keys and values."""
    out: Product
    after: Tensor
    gate: Product
    """Both halves of the feed-forward block that read its input."""
    down: Product


class Cache:
    """Keys and values of a batch of sequences, one tensor for each layer, and how far each sequence has come."""

    __slots__ = ("even", "head", "kept", "lengths", "longest", "merged")

    def __init__(self, kept: list[Tensor], lengths: Tensor, merged: list[Merged], head: Product) -> None:
        self.kept, self.lengths, self.merged, self.head = kept, lengths, merged, head
        """`kept` is of shape (2, rows, groups, room, depth): keys, then values."""
        self.longest = int(lengths.max())
        self.even = bool((lengths == self.longest).all())
        """Whether all rows are equally long: then they write to one place, and nothing need be hidden."""

    def keep(self, rows: Tensor) -> None:
        """Drop all rows but these."""
        self.kept = [k[:, rows] for k in self.kept]
        self.lengths = self.lengths[rows]


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

    def forward(self, x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
        b, t, _ = x.shape
        q = _turned(self.q_proj(x).view(b, t, self.heads, self.depth).transpose(1, 2), angles)
        k = _turned(self.k_proj(x).view(b, t, self.groups, self.depth).transpose(1, 2), angles)
        v = self.v_proj(x).view(b, t, self.groups, self.depth).transpose(1, 2)
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=self.groups != self.heads)
        return self.o_proj(y.transpose(1, 2).reshape(b, t, -1))


def _turned(x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    """Rotary positions (RoFormer, 2104.09864), halves paired as in Llama checkpoints."""
    left, right = x.chunk(2, -1)
    return x * angles[0] + torch.cat((-right, left), -1) * angles[1]


def _inner(shape: Shape) -> int:
    return shape.inner or -(-shape.width * 8 // 48) * 16


class FeedForward(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        inner = _inner(shape)
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

    def forward(self, x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), angles)
        return x + self.mlp(self.post_attention_layernorm(x))

    def merged(self, rows: int) -> Merged:
        """The weights of a decoding step for so many rows."""
        a, m = self.self_attn, self.mlp
        return Merged(
            self.input_layernorm.weight,
            Product(torch.cat([_weight(a.q_proj), _weight(a.k_proj), _weight(a.v_proj)]), rows),
            Product(_weight(a.o_proj), rows),
            self.post_attention_layernorm.weight,
            Product(torch.cat([_weight(m.gate_proj), _weight(m.up_proj)]), rows),
            Product(_weight(m.down_proj), rows),
        )


def _weight(linear: Any) -> Tensor:
    """A linear layer's weight, with the adapter that is active in it."""
    weight: Tensor = linear.weight
    if hasattr(linear, "lora_A") and not linear.disable_adapters:
        for name in linear.active_adapters:
            weight = weight + linear.get_delta_weight(name)
    return weight


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

    @property
    def inner(self) -> int:
        """Width between the two halves of each feed-forward block."""
        return _inner(self.shape)

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

    def start(self, ids: Tensor, lengths: Tensor, rows: Tensor, room: int) -> tuple[Tensor, Cache]:
        """Read prompts once, and make sequences of them, with space for `room` tokens in all.

        Args:
            ids: prompts, padded on the right.
            lengths: of the prompts.
            rows: for each sequence, the prompt that it continues.
            room: most tokens of a sequence.

        Returns the last layer at each sequence's last token, and the cache.
        """
        n, t = ids.shape
        x = self.model.embed_tokens(ids).view(n * t, -1)
        angles = self.cos[:t].to(x.dtype), self.sin[:t].to(x.dtype)
        merged: list[Merged] = [cast("Layer", layer).merged(len(rows)) for layer in self.model.layers]
        size = (2, n, self.shape.groups or self.shape.heads, room, self.shape.width // self.shape.heads)
        kept = [x.new_zeros(size) for _ in merged]
        for w, own in zip(merged, kept, strict=True):
            x = self._read(x, w, own, angles)
        last = self.model.norm(x.view(n, t, -1)[torch.arange(n, device=ids.device), lengths - 1])
        head = Product(_weight(self.lm_head), len(rows))
        return last[rows], Cache([k[:, rows] for k in kept], lengths[rows], merged, head)

    def _read(self, x: Tensor, w: Merged, kept: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
        """One layer over whole prompts, with the weights of decoding steps; keys and values go to the cache."""
        shape, n, t = self.shape, kept.shape[1], angles[0].shape[0]
        groups = shape.groups or shape.heads
        read = w.attend(functional.rms_norm(x, w.before.shape, w.before, shape.epsilon))
        read = read.view(n, t, shape.heads + 2 * groups, -1).transpose(1, 2)
        turned, v = _turned(read[:, : shape.heads + groups], angles), read[:, shape.heads + groups :]
        q, k = turned[:, : shape.heads], turned[:, shape.heads :]
        kept[0, :, :, :t], kept[1, :, :, :t] = k, v
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=groups != shape.heads)
        x = w.out.added(x, y.transpose(1, 2).reshape(n * t, -1))
        return self._fed(x, w)

    def _fed(self, x: Tensor, w: Merged) -> Tensor:
        """The feed-forward half of a layer."""
        wide = w.gate(functional.rms_norm(x, w.after.shape, w.after, self.shape.epsilon))
        left, right = wide.chunk(2, -1)
        return w.down.added(x, functional.silu(left) * right)

    def next(self, hidden: Tensor, cache: Cache) -> Tensor:
        """What may come next: the logits of what `start` or `step` returned."""
        return cache.head(hidden)

    def step(self, ids: Tensor, cache: Cache) -> Tensor:
        """Add one token to each row; returns the last layer there.

        The same arithmetic as `Layer`, in as few calls as it takes: with small models the calls are what costs.
        """
        shape, at, n = self.shape, cache.longest, len(ids)
        depth, groups = shape.width // shape.heads, shape.groups or shape.heads
        where: Any = at if cache.even else cache.lengths
        rows = torch.arange(n, device=ids.device)
        seen = None
        if not cache.even:
            seen = (torch.arange(at + 1, device=ids.device) <= cache.lengths[:, None])[:, None, None]
        x = self.model.embed_tokens(ids)
        half = depth // 2
        cos, sin = self.cos[where].to(x.dtype), self.sin[where].to(x.dtype)
        sin = torch.cat((-sin[..., :half], sin[..., half:]), -1)
        cos, sin = (cos, sin) if cache.even else (cos[:, None], sin[:, None])
        for w, kept in zip(cache.merged, cache.kept, strict=True):
            read = w.attend(functional.rms_norm(x, w.before.shape, w.before, shape.epsilon))
            read = read.view(n, shape.heads + 2 * groups, depth)
            turned = read[:, : shape.heads + groups]
            turned = torch.addcmul(turned * cos, turned.roll(half, -1), sin)
            new = torch.stack((turned[:, shape.heads :], read[:, shape.heads + groups :]))
            if cache.even:
                kept[:, :, :, at] = new
            else:
                kept[:, rows, :, where] = new.transpose(0, 1)
            y = functional.scaled_dot_product_attention(
                turned[:, : shape.heads, None], kept[0, :, :, : at + 1], kept[1, :, :, : at + 1],
                attn_mask=seen, enable_gqa=groups != shape.heads,
            )  # fmt: skip
            x = self._fed(w.out.added(x, y.reshape(n, -1)), w)
        cache.lengths = cache.lengths + 1
        cache.longest = at + 1
        return self.model.norm(x)


def count(module: nn.Module) -> int:
    """Parameters of a model; shared ones once."""
    return sum(p.numel() for p in module.parameters())


def padded(rows: Sequence[Sequence[int]], device: str) -> tuple[Tensor, Tensor]:
    """Rows of ids as one tensor, padded on the right with 0, and their lengths."""
    longest = max(len(row) for row in rows)
    ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows], device=device)
    return ids, torch.tensor([len(row) for row in rows], device=device)
