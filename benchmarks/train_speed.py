"""How fast sampling and training are, beside the Transformers library and TRL on the same weights and the same work.

    python benchmarks/train_speed.py                        # tiny model: about a minute
    python benchmarks/train_speed.py --large                # SmolLM2-135M too: about ten minutes on two cores
    python benchmarks/train_speed.py --profile 15           # where our time goes, tiny model
    python benchmarks/train_speed.py --products             # a decoding step's products at 135M, by number of rows

Work: `--prompts` prompts with 8 completions of a fixed length each (no end token), then one update on them. Tokens
per second: sampled ones while sampling, all of a row while training. A GRPO step is both together. Each figure is the
best of `--repeat` runs after one that warms up, since a machine can only be disturbed towards slower. TRL is measured
where it is installed. Memory: what ten adapters of rank 16 add to the base.
"""

import argparse
import cProfile
import io
import pstats
import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.nn import functional

from prowess.core.task import Task
from prowess.train.advantages import GroupNorm
from prowess.train.curricula import Fresh
from prowess.train.losses import PolicyGradient
from prowess.train.parts import Optim, Recipe
from prowess.train.policies.decoder import Decoder, Shape, count
from prowess.train.policies.load import decoder_of, with_adapters
from prowess.train.policies.model import ModelPolicy
from prowess.train.policies.products import Product
from prowess.train.rollouts import SingleTurn
from prowess.train.samples import Context, Group
from prowess.train.study import machine
from prowess.train.trainer import Trainer

COPIES = 8


class Endless:
    """Tokens of a model that never ends, so that all engines do equal work. A prompt is its ids as text."""

    end = -1

    def prompt(self, text: str) -> list[int]:
        return [int(part) for part in text.split()]

    reply = answer = prompt

    def decode(self, ids: Any) -> str:
        return " ".join(map(str, ids))


def best(run: Callable[[], object], repeat: int) -> float:
    """Seconds of the quickest of several runs, after one that is not counted."""
    run()
    times: list[float] = []
    for _ in range(repeat):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return min(times)


def varied(groups: list[Group], ctx: Context) -> None:
    """A reward that differs within every group, so that nothing is left out."""
    for group in groups:
        for i, episode in enumerate(group):
            episode.reward = float(i % 2)


class Ours:
    name = "prowess"

    def __init__(self, model: Any, prompts: list[list[int]], new: int) -> None:
        network = decoder_of(model, len(prompts[0]) + new + 8)
        assert network is not None
        self.policy = ModelPolicy("actor", network, Endless())
        self.prompts, self.new = prompts, new
        tasks = [
            Task(id=str(i), suite="speed", family="f", split="evidence", seed=0, prompt=" ".join(map(str, p)))
            for i, p in enumerate(prompts)
        ]
        recipe = Recipe(
            name="speed",
            curriculum=Fresh(lambda n, seed: tasks),
            rollout=SingleTurn(new, COPIES),
            reward=varied,
            advantage=GroupNorm(),
            losses=(PolicyGradient(),),
            optim=Optim(lr=1e-6),
            prompts=len(prompts),
        )
        self.trainer = Trainer({"actor": self.policy}, recipe, steps=10**9)
        self.groups = recipe.rollout(tasks, self.trainer.policies, self.trainer.context)
        varied(self.groups, self.trainer.context)
        GroupNorm()(self.groups, self.trainer.context)

    def sample(self) -> None:
        self.policy.sample(self.prompts, copies=COPIES, longest=self.new, seed=0)

    def update(self) -> None:
        self.trainer._update("actor", [s for g in self.groups for e in g for s in e.samples])

    def step(self) -> None:
        self.trainer.step()


class Theirs:
    """The Transformers library: `generate`, and a plain update written by hand."""

    name = "transformers"

    def __init__(self, model: Any, prompts: list[list[int]], new: int, rows: int) -> None:
        self.model, self.new, self.rows = model, new, rows
        self.prompts = torch.tensor(prompts).repeat_interleave(COPIES, 0)
        self.optimiser = torch.optim.AdamW(model.parameters(), lr=1e-6)
        self.ids = self._generate()

    def _generate(self) -> torch.Tensor:
        with torch.inference_mode():
            return self.model.generate(
                self.prompts, attention_mask=torch.ones_like(self.prompts), do_sample=True, top_k=0, top_p=1.0,
                max_new_tokens=self.new, min_new_tokens=self.new, pad_token_id=0, eos_token_id=None,
            )  # fmt: skip

    def sample(self) -> None:
        self._generate()

    def update(self) -> None:
        self.optimiser.zero_grad()
        for part in self.ids.clone().split(self.rows):
            logits = self.model(part[:, :-1]).logits[:, self.prompts.shape[1] - 1 :].float()
            logp = torch.log_softmax(logits, -1).gather(2, part[:, self.prompts.shape[1] :, None])
            (-logp.sum() / self.ids.numel()).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()

    def step(self) -> None:
        self.sample()
        self.update()


def trl_step(model: Any, prompts: list[list[int]], new: int, rows: int, repeat: int) -> float | None:
    """Seconds of one step of TRL's GRPOTrainer on the same work; None where it is not installed."""
    try:
        from datasets import Dataset
        from tokenizers import Tokenizer, models, pre_tokenizers
        from transformers import PreTrainedTokenizerFast, TrainerCallback
        from trl import GRPOConfig, GRPOTrainer
    except ImportError:
        return None
    size = model.config.vocab_size
    inner = Tokenizer(models.WordLevel({f"t{i}": i for i in range(size)}, unk_token="t0"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="t0", eos_token="t1")
    times: list[float] = []

    class Clock(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            times.append(-time.perf_counter())

        def on_step_end(self, *_: Any, **__: Any) -> None:
            times[-1] += time.perf_counter()

    total = len(prompts) * COPIES
    with tempfile.TemporaryDirectory() as folder:
        config = GRPOConfig(
            output_dir=folder, per_device_train_batch_size=rows, gradient_accumulation_steps=total // rows,
            num_generations=COPIES, max_completion_length=new, max_steps=repeat + 1, learning_rate=1e-6, beta=0.0,
            temperature=1.0, logging_steps=10**6, save_strategy="no", report_to="none", bf16=False,
            use_cpu=not torch.cuda.is_available(), gradient_checkpointing=False, disable_tqdm=True,
            generation_kwargs={"min_new_tokens": new},
        )  # fmt: skip
        data = Dataset.from_list([{"prompt": " ".join(f"t{i}" for i in p)} for p in prompts * (repeat + 2)])

        def reward(completions: list[str], **_: Any) -> list[float]:
            return [float(i % 2) for i in range(len(completions))]

        trainer = GRPOTrainer(
            model=model, reward_funcs=reward, args=config, train_dataset=data, processing_class=tokenizer,
            callbacks=[Clock()],
        )  # fmt: skip
        trainer.train()
    return min(times[1:])


def tiny_llama() -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=98, hidden_size=64, intermediate_size=176, num_hidden_layers=3, num_attention_heads=4,
            num_key_value_heads=4, max_position_embeddings=128, tie_word_embeddings=True,
        )
    )  # fmt: skip


def smol() -> Any:
    from transformers import AutoModelForCausalLM

    from prowess.agents.models.pull import find

    path = find("smollm2-135m").path
    return AutoModelForCausalLM.from_pretrained(str(path.parent), gguf_file=path.name, dtype=torch.float32)


def compare(title: str, load: Callable[[], Any], prompts: int, length: int, new: int, rows: int, repeat: int) -> None:
    """One table: our engine, the library, TRL."""
    model = load()
    source = torch.Generator().manual_seed(0)
    work = torch.randint(2, model.config.vocab_size, (prompts, length), generator=source).tolist()
    total = prompts * COPIES
    print(f"\n### {title}: {count(model):,} parameters, {total} rows of {length} + {new} tokens\n")
    print("| engine | sampling, tokens/s | training, tokens/s | one GRPO step, s |\n|---|---|---|---|", flush=True)
    for engine in (Ours(model, work, new), Theirs(model, work, new, rows)):
        sampling = total * new / best(engine.sample, repeat)
        training = total * (length + new) / best(engine.update, repeat)
        print(f"| {engine.name} | {sampling:,.0f} | {training:,.0f} | {best(engine.step, repeat):.3f} |", flush=True)
    seconds = trl_step(model, work, new, rows, repeat)
    print("| TRL | | | not installed |" if seconds is None else f"| TRL | | | {seconds:.3f} |", flush=True)


def all_of(calls: list[Callable[[], object]]) -> None:
    for call in calls:
        call()


def products() -> None:
    """One decoding step's products with all weights of SmolLM2's shape: torch's, laid out once, and in bfloat16."""
    shape = Shape(49152, width=576, layers=30, heads=9, groups=3, inner=1536, context=64)
    network, width = Decoder(shape), shape.width

    def weights(kind: torch.dtype) -> list[torch.Tensor]:
        found: list[torch.Tensor] = []
        for layer in network.model.layers:
            a, m = layer.self_attn, layer.mlp
            found += [torch.cat([a.q_proj.weight, a.k_proj.weight, a.v_proj.weight]), a.o_proj.weight]
            found += [torch.cat([m.gate_proj.weight, m.up_proj.weight]), m.down_proj.weight]
        return [w.detach().to(kind) for w in (*found, network.lm_head.weight)]

    print("| rows | torch's product, ms | laid out once, ms | bfloat16, ms |\n|---|---|---|---|", flush=True)
    whole, half = weights(torch.float32), weights(torch.bfloat16)
    for rows in (1, 2, 4, 8, 16, 32, 64, 128):
        times: list[float] = []
        with torch.inference_mode():
            for kind, of in (("plain", whole), ("laid", whole), ("plain", half)):
                given = {k: torch.randn(rows, k).to(of[0].dtype) for k in (width, 1536)}
                calls = [
                    partial(
                        Product(w, rows) if kind == "laid" else partial(functional.linear, weight=w), given[w.shape[1]]
                    )
                    for w in of
                ]
                times.append(best(partial(all_of, calls), 5))
        print(f"| {rows} | " + " | ".join(f"{1000 * t:.0f}" for t in times) + " |", flush=True)


def memory() -> None:
    """What ten adapters add to a model of SmolLM2's shape; no weights are needed to count them."""
    shape = Shape(49152, width=576, layers=30, heads=9, groups=3, inner=1536, context=64)
    network = Decoder(shape)
    base = count(network)
    with_adapters(network, Endless(), [f"a{i}" for i in range(10)])
    print(f"\nEach adapter of rank 16 adds {(count(network) - base) / 10 / base:.1%} to {base:,} parameters.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--products", action="store_true")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--profile", type=int, default=0, metavar="LINES")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(machine())
    if options.products:
        products()
        return
    if options.profile:
        engine = Ours(tiny_llama(), [[5 + i] * 8 for i in range(options.prompts)], 32)
        engine.step()
        with cProfile.Profile() as profile:
            for _ in range(10):
                engine.step()
        text = io.StringIO()
        pstats.Stats(profile, stream=text).sort_stats("tottime").print_stats(options.profile)
        print(text.getvalue())
        return
    compare("tiny", tiny_llama, options.prompts, 8, 32, options.prompts * COPIES, options.repeat)
    if options.large:
        compare("SmolLM2-135M", smol, 2, 32, 16, 16, 2)
    memory()


if __name__ == "__main__":
    main()
