"""TRL's GRPOTrainer under a recipe: it brings the optimiser, its schedules, kernels, PEFT, Accelerate and checkpoints.

The recipe collects, rewards and annotates as in `Trainer`; TRL asks for a batch and for a loss, and is given the
recipe's own. Two methods of the class are replaced, and both are private: `_generate_and_score_completions` and
`_compute_loss`. They were read in TRL 1.16, the only version that is accepted; a test takes one and the same step with
both engines.

One process, one trained policy. Several policies, and updates in several parts (`Optim.epochs`, `Optim.rows`), stay
with `Trainer`; rate, clipping and accumulation are those of the GRPOConfig.
"""

from collections.abc import Mapping
from importlib import import_module, metadata
from typing import Any

from prowess.core.errors import UserError
from prowess.train.packing import Whole, pack
from prowess.train.parts import Policy, Recipe
from prowess.train.policies.model import ModelPolicy
from prowess.train.samples import Sample
from prowess.train.trainer import Trainer

VERSION = "1.16"


def trl_trainer(
    policy: ModelPolicy, tokenizer: Any, recipe: Recipe, config: Any, *, others: Mapping[str, Policy] | None = None,
    seed: int = 0,
) -> Any:  # fmt: skip
    """A GRPOTrainer that trains `policy` by `recipe`; call its `train()`.

    Args:
        policy: around a model of Transformers (`pretrained(..., engine="transformers")`), which TRL will train.
        tokenizer: of the model; TRL wants it, though nothing is tokenised.
        config: a `trl.GRPOConfig`. Its accumulation steps are the parts that an update is cut into; what a recipe
            decides (loss, generations, temperature) is ignored.
        others: the recipe's other policies by name: references, executors.

    Raises:
        UserError: TRL is not installed or of another version; or the recipe trains several policies.
    """
    base: Any = _grpo_trainer()
    if recipe.train != (policy.name,):
        raise UserError(
            f"TRL is to train {policy.name!r} alone, and recipe {recipe.name!r} trains {', '.join(recipe.train)}",
            "use `prowess.train.trainer.Trainer`",
        )
    datasets: Any = import_module("datasets")
    collector = Trainer({policy.name: policy, **(others or {})}, recipe, steps=max(1, config.max_steps), seed=seed)

    class RecipeTrainer(base):
        """Collects by the recipe, learns by TRL."""

        def _generate_and_score_completions(self, inputs: list[Any]) -> dict[str, Any]:
            """One step's samples, spread over as many rows as TRL expects; a row may hold several, or none."""
            policy.device = str(self.accelerator.device)
            collected = collector.collect()
            samples = collected.samples[policy.name]
            self.prowess_whole = Whole.of(samples)
            for name, value in collected.metrics.items():
                self._metrics["train"][name].append(value)
            rows: list[list[Sample]] = [samples[i :: len(inputs)] for i in range(len(inputs))]
            torch: Any = import_module("torch")
            return {"row": torch.arange(len(inputs)), "samples": rows}

        def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Any:
            """The recipe's losses on some rows; all parts of an update together are the whole loss."""
            samples = [sample for row in inputs["samples"] for sample in row]
            if not samples:
                return sum(p.sum() * 0.0 for p in policy.parameters())
            batch = pack(samples, self.prowess_whole, policy.device)
            needs = frozenset[str]().union(*(term.needs for term in recipe.losses))
            forward = policy.forward(batch, needs)
            terms = [term(forward, batch, collector.context) for term in recipe.losses]
            for term in terms:
                for name, value in term.figures.items():
                    self._metrics["train"][name].append(float(value))
            return sum(term.loss for term in terms)

        def training_step(self, *given: Any, **named: Any) -> Any:
            out: Any = base.training_step(self, *given, **named)
            if self._step % self.current_gradient_accumulation_steps == 0:
                policy.version += 1
                collector.finish()
            return out

    rows = config.per_device_train_batch_size * config.gradient_accumulation_steps
    model = getattr(policy.network, "model", policy.network)
    data = datasets.Dataset.from_dict({"prompt": [""] * rows})  # the recipe has a curriculum of its own
    return RecipeTrainer(
        model=model, reward_funcs=_unused, args=config, train_dataset=data, processing_class=tokenizer
    )  # fmt: skip


def _unused(completions: list[Any], **_: Any) -> list[float]:
    raise AssertionError("the recipe has a reward of its own")


def _grpo_trainer() -> Any:
    """The class, where it is the one that was read."""
    try:
        found = metadata.version("trl")
    except metadata.PackageNotFoundError as error:
        raise UserError("TRL is not installed", f"run `pip install 'trl=={VERSION}.*'`") from error
    if not found.startswith(f"{VERSION}."):
        raise UserError(f"TRL {found} is installed, and its insides change", f"run `pip install 'trl=={VERSION}.*'`")
    return import_module("trl").GRPOTrainer
