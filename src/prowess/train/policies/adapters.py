"""LoRA adapters of one frozen network, by PEFT: several policies for the memory of one."""

import copy
import warnings
from typing import Any

from torch import nn

from prowess.core.errors import UserError

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
EVERYWHERE = (*ATTENTION, "gate_proj", "up_proj", "down_proj")
ACTIVE = "prowess_active_adapter"
"""Attribute of the network that remembers the last selection, so that selecting again costs nothing."""


def add(
    network: nn.Module, name: str, *, rank: int = 16, alpha: int | None = None, targets: tuple[str, ...] = EVERYWHERE
) -> None:  # fmt: skip
    """Add an adapter, which at first changes nothing. The network's own weights are frozen from now on.

    Args:
        alpha: its scale is alpha / rank; None for twice the rank.
        targets: names of the linear layers that it goes into.

    Raises:
        UserError: it has an adapter of that name, or no such layers.
    """
    from peft import LoraConfig, inject_adapter_in_model

    if name in names(network):
        raise UserError(f"the network has an adapter {name!r} already", "choose another name")
    config = LoraConfig(r=rank, lora_alpha=alpha or 2 * rank, lora_dropout=0.0, target_modules=list(targets))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # several adapters are the point here
            inject_adapter_in_model(config, network, adapter_name=name)
    except ValueError as error:
        raise UserError(f"adapter {name!r} does not fit: {error}", "name linear layers that the network has") from error
    for key, parameter in network.named_parameters():
        parameter.requires_grad_(is_adapter(key))
    setattr(network, ACTIVE, None)


def select(network: nn.Module, name: str) -> None:
    """Make the network act with this adapter; with none for an empty name."""
    if getattr(network, ACTIVE, None) == name:
        return
    for layer in _layers(network):
        layer.enable_adapters(bool(name))
        if name:
            layer.set_adapter([name])
    for key, parameter in network.named_parameters():  # PEFT freezes what is not selected; optimisers decide that here
        if is_adapter(key):
            parameter.requires_grad_(True)
    setattr(network, ACTIVE, name)


def merged(network: nn.Module, name: str) -> Any:
    """A copy of the network whose own weights are what the adapter makes of them; for an empty name just a copy."""
    select(network, name)
    twin = copy.deepcopy(network)
    for parent in list(twin.modules()):
        for key, child in list(parent.named_children()):
            if hasattr(child, "lora_A"):
                layer: Any = child
                if name:
                    layer.merge(adapter_names=[name])
                setattr(parent, key, layer.get_base_layer())
    return twin


def names(network: nn.Module) -> set[str]:
    """The adapters of a network."""
    return {name for layer in _layers(network) for name in layer.lora_A}


def parameters(network: nn.Module, name: str) -> list[tuple[str, nn.Parameter]]:
    """The parameters of one adapter; their names leave its own out, so that one may be put into another."""
    return [
        (key.replace(f".{name}.", "."), p)
        for key, p in network.named_parameters()
        if is_adapter(key) and f".{name}." in key
    ]


def is_adapter(key: str) -> bool:
    """Whether a parameter of this name belongs to some adapter."""
    return ".lora_" in key


def _layers(network: nn.Module) -> list[Any]:
    return [m for m in network.modules() if hasattr(m, "lora_A")]
