"""Policies: the sampler agrees with the trained forward pass, adapters keep apart, and real models load."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from train_parts import actor, sample

from prowess.core.errors import UserError
from prowess.train.packing import pack
from prowess.train.policies import adapters
from prowess.train.policies.decoder import Decoder, Shape, count
from prowess.train.policies.load import Foreign, decoder_of, save, with_adapters
from prowess.train.policies.model import ModelPolicy
from prowess.train.policies.scripted import ScriptedPolicy
from prowess.train.policies.tokens import Characters, Chat

PROMPTS = [[5, 6, 7], [8], [9, 10, 11, 12, 13]]


def test_sampled_log_probabilities_are_those_of_the_forward_pass() -> None:
    """Rows of unequal lengths, dropped as they end: the cache must give what a whole pass gives."""
    policy = actor()
    said = policy.sample(PROMPTS, copies=40, longest=12, seed=1)
    assert len({len(c.ids) for c in said}) > 1
    rows = [[*PROMPTS[i // 40], *c.ids] for i, c in enumerate(said)]
    for row, c, scored in zip(rows, said, policy.score(rows), strict=True):
        assert scored[len(row) - len(c.ids) :] == pytest.approx(c.logp, abs=1e-4)


def test_completions_end_at_the_end_token_or_the_limit() -> None:
    for c in actor().sample(PROMPTS, copies=20, longest=6, seed=3):
        ended = Characters.end in c.ids
        assert c.finished == ended and len(c.ids) == len(c.logp)
        assert (c.ids.index(Characters.end) == len(c.ids) - 1) if ended else len(c.ids) == 6


def test_equal_seeds_equal_words_and_greedy_needs_none() -> None:
    policy = actor()
    assert policy.sample(PROMPTS, longest=8, seed=1) == policy.sample(PROMPTS, longest=8, seed=1)
    assert policy.sample(PROMPTS, longest=8, seed=1) != policy.sample(PROMPTS, longest=8, seed=2)
    greedy = policy.sample(PROMPTS, longest=8, seed=1, temperature=0)
    assert greedy == policy.sample(PROMPTS, longest=8, seed=2, temperature=0)


def test_a_prompt_is_answered_alike_in_any_company() -> None:
    policy = actor()
    together = policy.sample(PROMPTS, longest=8, seed=0, temperature=0)
    alone = [policy.sample([p], longest=8, seed=0, temperature=0)[0] for p in PROMPTS]
    assert [c.ids for c in together] == [c.ids for c in alone]


def test_equal_prompts_are_read_once() -> None:
    policy = actor()
    start, read = policy.network.start, list[int]()

    def counted(ids: torch.Tensor, *rest: Any) -> Any:
        read.append(len(ids))
        return start(ids, *rest)

    policy.network.start = counted  # type: ignore[method-assign]
    apart = policy.sample([PROMPTS[0], PROMPTS[1], PROMPTS[0]], longest=8, seed=4)
    assert read == [2] and len(apart) == 3
    assert policy.sample([PROMPTS[0]] * 3, longest=8, seed=4) == policy.sample(
        [PROMPTS[0]], copies=3, longest=8, seed=4
    )


@pytest.mark.parametrize("least", [1, 1 << 60])
def test_products_of_a_decoding_step_agree_with_the_forward_pass_however_weights_are_laid_out(
    least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prowess.train.policies.products.PACKED", least)
    policies = with_adapters(network(), Characters(), ["one"], rank=2)
    for parameter in policies["one"].parameters():
        parameter.data += 0.05
    for policy in (policies["one"], actor()):
        said = policy.sample(PROMPTS, copies=2, longest=6, seed=1)
        rows = [[*PROMPTS[i // 2], *c.ids] for i, c in enumerate(said)]
        for row, c, scored in zip(rows, said, policy.score(rows), strict=True):
            assert scored[len(row) - len(c.ids) :] == pytest.approx(c.logp, abs=1e-4)


def test_the_sampler_draws_from_the_distribution() -> None:
    policy = actor(width=16)
    chances = torch.tensor([policy.score([[5, t]])[0][1] for t in range(Characters.size)]).exp()
    drawn = [c.ids[0] for c in policy.sample([[5]], copies=20_000, longest=1, seed=0)]
    seen = torch.bincount(torch.tensor(drawn), minlength=Characters.size) / len(drawn)
    assert float((seen - chances).abs().sum() / 2) < 0.04  # about 0.02 by chance alone


def test_a_prompt_beyond_the_context_is_refused() -> None:
    with pytest.raises(UserError, match="exceed its context of 64"):
        actor().sample([[5] * 60], longest=8, seed=0)


@given(st.integers(1, 2), st.sampled_from([1, 2, 4]), st.booleans())
@settings(max_examples=6, deadline=None)
def test_the_decoder_is_a_llama(layers: int, groups: int, tied: bool) -> None:
    """Same weights, same outputs as the Transformers library: what is trained here is a Llama checkpoint."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=50, hidden_size=32, intermediate_size=48, num_hidden_layers=layers, num_attention_heads=4,
        num_key_value_heads=groups, max_position_embeddings=64, tie_word_embeddings=tied,
    )  # fmt: skip
    theirs = LlamaForCausalLM(config).eval()
    ours = decoder_of(theirs, 64)
    assert ours is not None and count(ours) == count(theirs)
    ids = torch.randint(0, 50, (3, 9))
    with torch.no_grad():
        out = ours.logits(ours.hidden(ids, torch.full((3,), 9)))
        assert torch.allclose(out, theirs(ids).logits, atol=1e-4)
    assert ours.state_dict().keys() == theirs.state_dict().keys()


def test_a_model_of_another_family_runs_in_its_own_code() -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=Characters.size, n_embd=16, n_layer=2, n_head=2, n_positions=64, bos_token_id=1, eos_token_id=1
    )  # fmt: skip
    model = GPT2LMHeadModel(config).eval()
    assert decoder_of(model, 64) is None
    policy = ModelPolicy("actor", Foreign(model, 64), Characters())
    said = policy.sample(PROMPTS, copies=4, longest=10, seed=1)
    rows = [[*PROMPTS[i // 4], *c.ids] for i, c in enumerate(said)]
    for row, c, scored in zip(rows, said, policy.score(rows), strict=True):
        assert scored[len(row) - len(c.ids) :] == pytest.approx(c.logp, abs=1e-4)


def network() -> Decoder:
    return Decoder(Shape(Characters.size, width=32, layers=2, context=64))


def test_adapters_share_a_base_and_nothing_else() -> None:
    policies = with_adapters(network(), Characters(), ["one", "two"], rank=2)
    one, two = policies["one"], policies["two"]
    base = ModelPolicy("base", one.network, Characters(), trainable=False)
    before = base.score([[5, 6, 7]]), two.snapshot(), base.snapshot()
    assert one.score([[5, 6, 7]]) == before[0]  # a new adapter changes nothing
    s = sample()
    s.write("w_ce", 1.0)
    optimiser = torch.optim.SGD(one.parameters(), lr=1.0)
    for _ in range(3):
        batch = pack([s])
        optimiser.zero_grad()
        (-one.forward(batch).logp.sum()).backward()
        optimiser.step()
    assert one.score([[5, 6, 7]]) != before[0]
    assert base.score([[5, 6, 7]]) == before[0]
    assert all(torch.equal(a, b) for a, b in zip(two.snapshot().values(), before[1].values(), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(base.snapshot().values(), before[2].values(), strict=True))
    assert sum(p.numel() for p in one.parameters()) < 0.2 * count(one.network)


def test_adapters_say_what_is_wrong() -> None:
    shared = network()
    adapters.add(shared, "one", rank=2)
    with pytest.raises(UserError, match="already"):
        adapters.add(shared, "one")
    with pytest.raises(UserError, match="no adapter 'two'"):
        ModelPolicy("x", shared, Characters(), adapter="two")
    with pytest.raises(UserError, match="does not fit"):
        adapters.add(network(), "one", targets=("nothing",))


def test_weights_of_another_model_are_refused() -> None:
    with pytest.raises(UserError, match="another model"):
        actor(width=16).restore(actor(width=32).snapshot())
    small = with_adapters(network(), Characters(), ["a"], rank=2)["a"]
    large = with_adapters(network(), Characters(), ["a"], rank=4)["a"]
    with pytest.raises(UserError, match="another model"):
        small.restore(large.snapshot())


def test_clones_are_apart_and_may_follow() -> None:
    one = actor()
    two = one.clone("two")
    with torch.no_grad():
        for p in one.parameters():
            p.add_(1.0)
    gap = one.parameters()[0] - two.parameters()[0]
    assert torch.allclose(gap, torch.ones_like(gap))
    two.follow(one, 0.25)
    assert torch.allclose(one.parameters()[0] - two.parameters()[0], torch.full_like(gap, 0.75))


def test_scripts_answer_and_never_learn() -> None:
    policy = ScriptedPolicy("expert", lambda prompt, rng: prompt.upper())
    said = policy.sample([policy.tokens.prompt("abc")], copies=2, longest=9, seed=0)
    assert [policy.tokens.decode(c.ids) for c in said] == ["ABC", "ABC"] and said[0].finished


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=40))
def test_characters_keep_every_text(text: str) -> None:
    tokens = Characters()
    assert tokens.decode(tokens.answer(text)) == text and tokens.answer(text)[-1] == tokens.end


def test_characters_say_what_they_cannot_hold() -> None:
    with pytest.raises(UserError, match="no token for 'é'"):
        Characters().prompt("café")


class FakeTokenizer:
    """A template in the manner of ChatML over characters."""

    eos_token_id = 0

    def __init__(self, template: str = "keeps") -> None:
        self.chat_template = template

    def apply_chat_template(self, messages: list[dict[str, str]], tokenize: bool, add_generation_prompt: bool) -> str:
        assert not tokenize and add_generation_prompt
        if self.chat_template == "rewrites" and len(messages) > 1:
            messages = messages[-1:]
        return "".join(f"<{m['role']}>{m['content']}\x03\n" for m in messages) + "<assistant>"

    def encode(self, text: str, add_special_tokens: bool) -> list[int]:
        assert not add_special_tokens
        return [ord(c) for c in text]

    def decode(self, ids: list[int], skip_special_tokens: bool) -> str:
        return "".join(map(chr, ids))

    def save_pretrained(self, folder: Path) -> None:
        pass


def test_a_dialogue_built_by_turns_is_the_template_of_the_whole() -> None:
    tokenizer = FakeTokenizer()
    chat = Chat(tokenizer)
    ids = [*chat.prompt("hi"), *chat.answer("yes"), *chat.reply("more"), *chat.answer("no")]
    turns = [("user", "hi"), ("assistant", "yes"), ("user", "more"), ("assistant", "no")]
    whole = tokenizer.apply_chat_template([{"role": r, "content": c} for r, c in turns], False, True)
    assert whole.startswith(tokenizer.decode(ids, True)) and chat.decode(chat.answer("yes")) == "yes"


def test_a_conversation_is_the_template_of_its_messages() -> None:
    from prowess.core.model import Message

    messages = (Message(role="system", content="be"), Message(role="user", content="hi"))
    tokenizer = FakeTokenizer()
    whole = tokenizer.apply_chat_template([{"role": m.role, "content": m.content} for m in messages], False, True)
    assert tokenizer.decode(Chat(tokenizer).conversation(messages), True) == whole
    assert Characters().conversation(messages) == Characters().encode("be\nhi")


@pytest.mark.parametrize("adapter", ["one", ""])
def test_a_saved_policy_is_a_model_of_the_library_with_its_adapter_in(adapter: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    policies = with_adapters(network(), Chat(FakeTokenizer()), ["one", "two"], rank=2)
    for parameter in policies["one"].parameters():
        parameter.data += 0.1
    policy = policies["one"] if adapter else ModelPolicy("base", policies["one"].network, policies["one"].tokens)
    rows = [[5, 6, 7, 8]]
    before = policy.score(rows), policies["one"].score(rows), policies["two"].score(rows)
    save(policy, tmp_path)
    assert before == (policy.score(rows), policies["one"].score(rows), policies["two"].score(rows))  # a copy was merged
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path)
    back = decoder_of(theirs, 64)
    assert back is not None
    assert ModelPolicy("back", back, Characters()).score(rows)[0] == pytest.approx(before[0][0], abs=1e-4)
    assert (before[0] != before[2]) == bool(adapter)
    with pytest.raises(UserError, match="no tokenizer"):
        save(actor(), tmp_path)


def test_templates_that_rewrite_the_past_are_refused() -> None:
    with pytest.raises(UserError, match="rewrites earlier turns"):
        Chat(FakeTokenizer("rewrites"))
    with pytest.raises(UserError, match="no chat template"):
        Chat(FakeTokenizer(""))


def test_an_unknown_model_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from prowess.train.policies.load import pretrained

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="could not be loaded"):
        pretrained(str(tmp_path / "empty"))


def smol() -> Any:
    from prowess.agents.models.pull import installed

    return next((m.path for m in installed() if m.name == "smollm2-135m"), None)


@pytest.mark.model
def test_a_real_model_samples_and_learns_a_step() -> None:
    """SmolLM2-135M out of its GGUF file: one small update, all of it finite, the ratio one at first."""
    if smol() is None:
        pytest.skip("smollm2-135m is not on this machine: prowess model pull smollm2-135m")
    from prowess.train.policies.load import pretrained
    from prowess.train.samples import joined

    policy = pretrained("smollm2-135m", context=256)
    assert isinstance(policy.network, Decoder)
    policy = with_adapters(policy.network, policy.tokens, ["actor"], rank=4)["actor"]
    prompt = policy.tokens.prompt("What is the capital of France? One word.")
    said = policy.sample([prompt], longest=8, seed=0, temperature=0)[0]
    assert "Paris" in policy.tokens.decode(said.ids)
    s = joined(prompt, said, "actor")
    s.reinforce(1.0)
    batch = pack([s])
    forward = policy.forward(batch)
    assert float(((forward.logp - batch.logp) * batch.mask).abs().max().detach()) < 1e-3
    forward.logp.sum().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in policy.parameters())
