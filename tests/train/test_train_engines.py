"""Other engines: the same step as ours, where they are installed; a clear word where they are not."""

import ast
import asyncio
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Optional

import pytest
from pydantic import BaseModel
from train_parts import context, task

from prowess.core.errors import UserError
from prowess.train.advantages import GroupNorm
from prowess.train.curricula import Fresh
from prowess.train.engines import trl as engine
from prowess.train.engines import verl
from prowess.train.losses import PolicyGradient
from prowess.train.parts import Optim, Recipe
from prowess.train.policies.load import Foreign
from prowess.train.policies.model import ModelPolicy
from prowess.train.policies.tokens import Characters
from prowess.train.rewards import Outcome
from prowess.train.rollouts import SingleTurn
from prowess.train.samples import Completion, Episode, Group, extend, joined
from prowess.train.trainer import Trainer


def installed() -> str:
    try:
        return metadata.version("trl")
    except metadata.PackageNotFoundError:
        return ""


needs_trl = pytest.mark.skipif(
    not installed().startswith(engine.VERSION), reason=f"needs TRL {engine.VERSION}, in an environment of its own"
)


def llama() -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    words = {"vocab_size": Characters.size, "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": None}
    return LlamaForCausalLM(LlamaConfig(**sizes, **words, max_position_embeddings=64, tie_word_embeddings=True))


def recipe() -> Recipe:
    return Recipe(
        name="x",
        curriculum=Fresh(lambda n, seed: [task(p, id=p) for p in "abcdefgh"[:n]]),
        rollout=SingleTurn(4, copies=3),
        reward=Outcome(lambda of, answer: float(len(answer) % 3) + answer.count("e")),
        advantage=GroupNorm(),
        losses=(PolicyGradient(),),
        optim=Optim(lr=1e-3, clip=1.0),
        prompts=5,  # 15 samples, which do not divide evenly among TRL's rows
    )


def foreign(model: Any) -> ModelPolicy:
    return ModelPolicy("actor", Foreign(model, 64), Characters())


@needs_trl
@pytest.mark.parametrize("parts", [1, 4])
def test_trl_takes_the_step_that_we_take(parts: int, tmp_path: Path) -> None:
    import torch
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast
    from trl import GRPOConfig

    ours, theirs = foreign(llama()), foreign(llama())
    own = Trainer({"actor": ours}, recipe(), steps=2, seed=3)
    own.run()
    words = Tokenizer(models.WordLevel({f"t{i}": i for i in range(Characters.size)}, unk_token="t0"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="t0", eos_token="t1")
    config = GRPOConfig(
        output_dir=str(tmp_path), per_device_train_batch_size=8 // parts, gradient_accumulation_steps=parts,
        num_generations=2, max_steps=2, learning_rate=1e-3, lr_scheduler_type="constant", weight_decay=0.0,
        max_grad_norm=1.0, beta=0.0, report_to="none", save_strategy="no", use_cpu=True, bf16=False,
        gradient_checkpointing=False, disable_tqdm=True, logging_steps=1,
    )  # fmt: skip
    trainer = engine.trl_trainer(theirs, tokenizer, recipe(), config, seed=3)
    trainer.train()
    assert theirs.version == 2
    for (name, a), b in zip(ours.snapshot().items(), theirs.snapshot().values(), strict=True):
        assert torch.allclose(a, b, atol=2e-5), name
    assert any("reward" in entry for entry in trainer.state.log_history)


def test_without_trl_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError

    policy = foreign(llama())
    monkeypatch.setattr(metadata, "version", missing)
    with pytest.raises(UserError, match="TRL is not installed"):
        engine.trl_trainer(policy, None, recipe(), None)
    monkeypatch.setattr(metadata, "version", lambda name: "1.9.0")
    with pytest.raises(UserError, match=r"TRL 1\.9\.0 is installed"):
        engine.trl_trainer(policy, None, recipe(), None)


def test_collecting_changes_no_weight_and_finishing_counts() -> None:
    policy = foreign(llama())
    trainer, before = Trainer({"actor": policy}, recipe(), steps=2), policy.snapshot()
    found = trainer.collect()
    assert len(found.samples["actor"]) == 15 and found.metrics["episodes"] == 15
    assert all((a == b).all() for a, b in zip(before.values(), policy.snapshot().values(), strict=True))
    assert trainer.context.step == 0
    trainer.finish()
    assert trainer.context.step == 1 and context().step == 0


# verl


class FakeServer:
    """Answers every prompt with its last id and the end token."""

    def __init__(self, logp: bool = True) -> None:
        self.asked: list[dict[str, Any]] = []
        self.logp = logp

    async def generate(self, request_id: str, *, prompt_ids: list[int], sampling_params: dict[str, Any]) -> Any:
        self.asked.append(sampling_params)
        ids = [prompt_ids[-1], Characters.end]
        return SimpleNamespace(token_ids=ids, log_probs=[-0.5, -0.1] if self.logp else None)


def played(server: FakeServer) -> list[Group]:
    async def go() -> list[Group]:
        policy = verl.ServerPolicy("actor", server, Characters(), asyncio.get_running_loop())
        return await asyncio.to_thread(SingleTurn(4, copies=3), [task("ab"), task("c")], {"actor": policy}, context())

    return asyncio.run(go())


def test_rollouts_run_against_a_server() -> None:
    server = FakeServer()
    groups = played(server)
    assert [[e.info["answer"] for e in g] for g in groups] == [["b"] * 3, ["c"] * 3]
    assert len({asked["seed"] for asked in server.asked}) == 6
    assert all(a["top_p"] == 1.0 and a["top_k"] == -1 and a["max_tokens"] == 4 for a in server.asked)
    with pytest.raises(UserError, match="log-probabilities"):
        played(FakeServer(logp=False))


def test_outputs_keep_ids_masks_and_rewards() -> None:
    long = joined([5, 6], Completion([7, 1], [-0.5, -0.1], True), "actor")
    extend(long, Completion([8, 1], [-0.3, -0.2], True), [9])
    [out] = verl.outputs(Episode(task(), [long], reward=0.5))
    assert out["prompt_ids"] == [5, 6] and out["response_ids"] == [7, 1, 9, 8, 1]
    assert out["response_mask"] == [1, 1, 0, 1, 1] and out["response_logprobs"] == [-0.5, -0.1, 0, -0.3, -0.2]
    assert out["reward_score"] == 0.5 and out["num_turns"] == 2
    short = joined([5], Completion([1], [-1.0], True), "actor")
    steps = verl.outputs(Episode(task(), [short, short], reward=1.0, step_rewards=[0.0, 1.0]))
    assert [o["reward_score"] for o in steps] == [0.0, 1.0]
    long.reinforce([0, 0, 1, 1, 0, 2, 2])
    assert verl.advantages([long, short], 6) == [[1, 1, 0, 2, 2, 0], [0] * 6]
    with pytest.raises(UserError, match="exceeds 3"):
        verl.advantages([long], 3)
    with pytest.raises(UserError, match="no reward"):
        verl.outputs(Episode(task(), [long]))


def test_outputs_are_what_verl_asks_for() -> None:
    """Its record is read from its source, since importing verl starts Ray and much else."""
    found = find_spec("verl")
    if found is None or not found.submodule_search_locations:
        pytest.skip("needs verl, in an environment of its own")
    source = Path(found.submodule_search_locations[0]) / "experimental" / "agent_loop" / "agent_loop.py"
    wanted = {"AgentLoopMetrics", "AgentLoopOutput"}
    records = [n for n in ast.parse(source.read_text("utf-8")).body if isinstance(n, ast.ClassDef) and n.name in wanted]
    names: dict[str, Any] = {"BaseModel": BaseModel, "Optional": Optional, "Any": Any}
    exec(compile(ast.Module(records, []), str(source), "exec"), names)
    sample = joined([5], Completion([1], [-1.0], True), "actor")
    [out] = verl.outputs(Episode(task(), [sample], reward=1.0))
    assert out.keys() <= names["AgentLoopOutput"].model_fields.keys()
    assert names["AgentLoopOutput"](**out).response_ids == [1]
