"""Rollouts: one question and its answer, and episodes of many turns, as one long sample or one for each step."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from prowess.core.task import Task
from prowess.train.mechanisms.base import Env
from prowess.train.parts import Policy
from prowess.train.samples import Completion, Context, Episode, Group, Sample, extend, joined

Prompt = Callable[[Task, Context], str]


def plain(task: Task, ctx: Context) -> str:
    """The task's own prompt."""
    return task.prompt


@dataclass(frozen=True, slots=True)
class SingleTurn:
    """`copies` answers to each task, as one group. The text of an answer is `info["answer"]`."""

    longest: int
    copies: int = 8
    policy: str = "actor"
    prompt: Prompt = plain
    learner: str = ""
    """Who is to learn from what `policy` says: another one, offline. Empty for itself."""

    def __call__(self, tasks: Sequence[Task], policies: Mapping[str, Policy], ctx: Context) -> list[Group]:
        actor = policies[self.policy]
        prompts = [actor.tokens.prompt(self.prompt(task, ctx)) for task in tasks]
        said = actor.sample(
            prompts, copies=self.copies, longest=self.longest, temperature=ctx.temperature, seed=ctx.seed()
        )
        groups: list[Group] = []
        for i, (task, prompt) in enumerate(zip(tasks, prompts, strict=True)):
            group: Group = []
            for c in said[i * self.copies : (i + 1) * self.copies]:
                learner = self.learner or self.policy
                sample = joined(prompt, c, learner, version=actor.version, temperature=ctx.temperature)
                info = {"answer": actor.tokens.decode(c.ids), "finished": c.finished}
                group.append(Episode(task, [sample], info=info))
            groups.append(group)
        return groups


@dataclass(frozen=True, slots=True)
class Episodes:
    """Plays environments, all of them at once, one batch of answers for each turn.

    `concat`: the whole episode is one sample, the environment's words in it but not trained on. `steps`: a fresh prompt
    and a sample of its own for each step, with the last `history` exchanges in the prompt. The reward of an episode is
    the sum of what its steps earned; `info["rewards"]` has them one by one, `info["answers"]` the actions.
    """

    env: Callable[[Task, Context], Env]
    longest: int
    copies: int = 8
    turns: int = 8
    style: Literal["concat", "steps"] = "concat"
    history: int = 2
    policy: str = "actor"

    def __call__(self, tasks: Sequence[Task], policies: Mapping[str, Policy], ctx: Context) -> list[Group]:
        actor = policies[self.policy]
        plays = [[_Play(task, self.env(task, ctx)) for _ in range(self.copies)] for task in tasks]
        live = [play for group in plays for play in group]
        for turn in range(self.turns):
            prompts = [play.context(actor, self) for play in live]
            said = actor.sample(prompts, longest=self.longest, temperature=ctx.temperature, seed=ctx.seed())
            for play, prompt, c in zip(live, prompts, said, strict=True):
                sample = joined(prompt, c, self.policy, version=actor.version, temperature=ctx.temperature)
                play.take(sample, len(c.ids), actor.tokens.decode(c.ids), turn, concat=self.style == "concat")
            live = [play for play in live if not play.done]
            if not live:
                break
        return [[play.episode for play in group] for group in plays]


class _Play:
    """One episode while it lasts."""

    def __init__(self, task: Task, env: Env) -> None:
        self.env, self.done = env, False
        self.said = env.reset()
        self.first = self.said
        self.past: list[tuple[str, str]] = []
        self.episode = Episode(task, [], info={"answers": list[str](), "rewards": list[float]()})

    def context(self, actor: Policy, how: Episodes) -> list[int]:
        """The ids that the next answer continues."""
        if how.style == "concat" and self.episode.samples:
            return [*self.episode.samples[0].ids, *actor.tokens.reply(self.said)]
        if how.style == "concat" or not self.past:
            return actor.tokens.prompt(self.said)
        recent = "".join(f"{was}>{did};" for was, did in self.past[-how.history :]) if how.history else ""
        return actor.tokens.prompt(recent + self.said)

    def take(self, sample: Sample, new: int, answer: str, turn: int, *, concat: bool) -> None:
        episode, before = self.episode, self.said
        if concat and episode.samples:
            _grow(episode.samples[0], sample, new)
        else:
            sample.position = 0 if concat else turn
            sample.anchor = before
            episode.samples.append(sample)
        heard = self.env.step(answer)
        self.past.append((before, answer))
        self.said, self.done = heard.text, heard.done
        episode.info["answers"].append(answer)
        episode.info["rewards"].append(heard.reward)
        episode.reward = (episode.reward or 0.0) + heard.reward
        if heard.done:
            episode.info |= heard.info


def _grow(long: Sample, latest: Sample, new: int) -> None:
    """Let the long sample be the latest one, whose ids extend its own, keeping what was sampled before."""
    at = len(latest.ids) - new
    said = Completion(latest.ids[at:], latest.logp[at:], True)
    extend(long, said, latest.ids[len(long.ids) : at])
