"""Models to train: a tiny decoder from nothing, SmolLM2-135M from the cache, any causal model of Transformers.

Llama-shaped models run in our own decoder, whose sampler is quicker; all others run in their own code.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from prowess.core.errors import UserError
from prowess.train.policies import adapters
from prowess.train.policies.decoder import Decoder, Shape
from prowess.train.policies.model import ModelPolicy
from prowess.train.policies.tokens import Characters, Chat

SMOL = "smollm2-135m"


def tiny(
    name: str = "actor", *, width: int = 64, layers: int = 2, heads: int = 4, context: int = 256, seed: int = 0
) -> ModelPolicy:  # fmt: skip
    """A from-scratch decoder over characters: knows nothing, learns in seconds."""
    shape = Shape(Characters.size, width=width, layers=layers, heads=heads, context=context)
    return ModelPolicy(name, Decoder(shape, seed), Characters())


def pretrained(
    source: str, name: str = "actor", *, device: str = "cpu", dtype: str = "float32", context: int = 2048,
    engine: Literal["own", "transformers"] = "own",
) -> ModelPolicy:  # fmt: skip
    """A real language model.

    Args:
        source: `smollm2-135m` for the model that `prowess model pull smollm2-135m` fetches; else the path of a GGUF
            file or of a folder, or a name on the model hub, as Transformers takes it.
        context: most tokens of one sequence; kept small because the cache is made for it.
        engine: `transformers` leaves even a Llama-shaped model in its own code, for trainers that expect that.

    Raises:
        UserError: the model is not there, or cannot be read.
    """
    import transformers

    transformers.utils.logging.disable_progress_bar()
    models: Any = transformers.AutoModelForCausalLM
    tokenizers: Any = transformers.AutoTokenizer
    where, options = _where(source)
    try:
        tokenizer = tokenizers.from_pretrained(where, **options)
        model = models.from_pretrained(where, dtype=getattr(torch, dtype), **options)
    except (OSError, ValueError, ImportError) as error:
        raise UserError(
            f"the model {source!r} could not be loaded: {str(error).splitlines()[0]}",
            f"give {SMOL}, the path of a GGUF file, the folder of a model, or its name on the hub",
        ) from error
    ours = decoder_of(model, context) if engine == "own" else None
    network = ours or Foreign(model, context)
    return ModelPolicy(name, network.to(device), Chat(tokenizer), device=device)


def save(policy: ModelPolicy, folder: Path) -> None:
    """Write a policy, its adapter added in, as a model with its tokenizer: any engine reads it, `pretrained` too.

    Raises:
        UserError: it speaks single characters, for which other engines have no tokenizer.
    """
    if not isinstance(policy.tokens, Chat):
        raise UserError(f"{policy.name} has no tokenizer that could be saved", "its checkpoint holds its weights")
    network = adapters.merged(policy.network, policy.adapter)
    model = network.model if isinstance(network, Foreign) else _llama(network)
    model.save_pretrained(folder)
    policy.tokens.save(folder)


def _llama(decoder: Decoder) -> Any:
    """The weights of a decoder as a model of Transformers."""
    import transformers

    s = decoder.shape
    config: Any = transformers.LlamaConfig
    model: Any = transformers.LlamaForCausalLM
    made = model(
        config(
            vocab_size=s.vocabulary, hidden_size=s.width, num_hidden_layers=s.layers, num_attention_heads=s.heads,
            num_key_value_heads=s.groups or s.heads, intermediate_size=decoder.inner, rms_norm_eps=s.epsilon,
            max_position_embeddings=s.context, tie_word_embeddings=s.tied,
            rope_parameters={"rope_type": "default", "rope_theta": s.theta},
        )
    )  # fmt: skip
    made.load_state_dict(decoder.state_dict())
    return made.to(next(decoder.parameters()).dtype)


def _where(source: str) -> tuple[str, dict[str, str]]:
    if source == SMOL or source.endswith(".gguf"):
        from prowess.agents.models.pull import find

        path = find(source).path
        return str(path.parent), {"gguf_file": path.name}
    return str(Path(source).expanduser()) if Path(source).expanduser().is_dir() else source, {}


def decoder_of(model: Any, context: int) -> Decoder | None:
    """The same weights in our own decoder; None for a model of another shape. Shares no memory with `model`."""
    c = model.config
    rope: dict[str, Any] = getattr(c, "rope_parameters", None) or {}
    plain = c.model_type == "llama" and rope.get("rope_type", "default") == "default"
    if not plain or c.attention_bias or c.mlp_bias or getattr(c, "head_dim", None) not in (
        None, c.hidden_size // c.num_attention_heads
    ):  # fmt: skip
        return None
    shape = Shape(
        vocabulary=c.vocab_size, width=c.hidden_size, layers=c.num_hidden_layers, heads=c.num_attention_heads,
        groups=c.num_key_value_heads, inner=c.intermediate_size, context=min(context, c.max_position_embeddings),
        theta=rope.get("rope_theta") or getattr(c, "rope_theta", 10_000.0), epsilon=c.rms_norm_eps,
        tied=c.tie_word_embeddings,
    )  # fmt: skip
    decoder = Decoder(shape)
    decoder.load_state_dict(model.state_dict())
    return decoder.to(next(model.parameters()).dtype)


class Foreign(nn.Module):
    """Any causal language model of the Transformers library as a network, with the cache of that library."""

    def __init__(self, model: Any, context: int) -> None:
        super().__init__()
        self.model = model
        self.body: Any
        object.__setattr__(self, "body", getattr(model, model.base_model_prefix))  # not registered twice
        self.context = min(context, getattr(model.config, "max_position_embeddings", context))

    def logits(self, hidden: Tensor) -> Tensor:
        return self.model.get_output_embeddings()(hidden)

    def hidden(self, ids: Tensor, lengths: Tensor) -> Tensor:
        mask = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]
        return self.body(input_ids=ids, attention_mask=mask.long(), use_cache=False).last_hidden_state

    def start(self, ids: Tensor, lengths: Tensor, rows: Tensor, room: int) -> "tuple[Tensor, _ForeignCache]":
        del room  # that library's cache grows by itself
        mask = (torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]).long()
        out = self.body(input_ids=ids, attention_mask=mask, use_cache=True)
        out.past_key_values.batch_select_indices(rows)
        last = out.last_hidden_state[torch.arange(len(ids), device=ids.device), lengths - 1]
        return last[rows], _ForeignCache(out.past_key_values, mask[rows], lengths[rows])

    def step(self, ids: Tensor, cache: "_ForeignCache") -> Tensor:
        """The padding of shorter prompts stays in the cache, unseen; positions count real tokens only."""
        cache.mask = torch.cat((cache.mask, torch.ones_like(cache.mask[:, :1])), 1)
        out = self.body(
            input_ids=ids[:, None], attention_mask=cache.mask, position_ids=cache.lengths[:, None],
            past_key_values=cache.inner, use_cache=True,
        )  # fmt: skip
        cache.lengths = cache.lengths + 1
        return out.last_hidden_state[:, 0]

    def next(self, hidden: Tensor, cache: "_ForeignCache") -> Tensor:
        del cache
        return self.logits(hidden)


class _ForeignCache:
    def __init__(self, inner: Any, mask: Tensor, lengths: Tensor) -> None:
        self.inner, self.mask, self.lengths = inner, mask, lengths

    def keep(self, rows: Tensor) -> None:
        self.inner.batch_select_indices(rows)
        self.mask, self.lengths = self.mask[rows], self.lengths[rows]


def with_adapters(
    network: Any, tokens: Any, names: Sequence[str], *, rank: int = 16, device: str = "cpu"
) -> dict[str, ModelPolicy]:  # fmt: skip
    """A policy for each name, all adapters of one frozen network."""
    for name in names:
        adapters.add(network, name, rank=rank)
    return {n: ModelPolicy(n, network, tokens, adapter=n, device=device) for n in names}
