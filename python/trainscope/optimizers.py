"""PyTorch's optimizers in the words of a scenario."""

from __future__ import annotations

from collections.abc import Mapping

import torch

#: By class: the name in a scenario, its settings by PyTorch's, and what changes the formula in a way that no scenario has.
_KNOWN = {
    torch.optim.SGD: ("sgd", ("lr", "momentum", "weight_decay"), {"dampening": 0, "nesterov": False, "maximize": False}),
    torch.optim.Adam: ("adam", ("lr", "eps", "weight_decay"), {"amsgrad": False, "maximize": False, "decoupled_weight_decay": False}),
    torch.optim.AdamW: ("adamw", ("lr", "eps", "weight_decay"), {"amsgrad": False, "maximize": False}),
    torch.optim.RMSprop: ("rmsprop", ("lr", "alpha", "eps", "momentum", "centered", "weight_decay"), {"maximize": False}),
}


def in_scenario(optimizer: torch.optim.Optimizer, group: Mapping[str, object]) -> tuple[dict | None, list[str]]:
    """The optimizer of a parameter group as ``[train]`` of a scenario has it, and what of it no scenario has. The learning
    rate is that which a scheduler multiplies."""
    known = _KNOWN.get(type(optimizer))
    if known is None:
        return None, [f"the optimizer {type(optimizer).__name__}"]
    name, keys, usual = known
    settings = {key: _plain(group["initial_lr"] if key == "lr" and "initial_lr" in group else group[key]) for key in keys}
    if "betas" in group:
        settings["beta1"], settings["beta2"] = (float(beta) for beta in group["betas"])
    other = [f"{type(optimizer).__name__} with {key}={group[key]}" for key, value in usual.items() if group.get(key, value) != value]
    return {name: settings}, other


def recorded(optimizers: list[torch.optim.Optimizer], names: Mapping[int, str]) -> list[dict]:
    """Every parameter group that has an optimizer of a scenario, with the names of its parameters, which ``names`` has by
    identity."""
    found = []
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            settings, _ = in_scenario(optimizer, group)
            own = [names[id(parameter)] for parameter in group["params"] if id(parameter) in names]
            if settings is not None and own:
                found.append({"optimizer": settings, "parameters": own})
    return found


def scaled(settings: dict, state: Mapping[str, object], factor: float) -> tuple[dict, dict]:
    """Settings and state of an optimizer for a loss that is divided by ``factor``, with the same updates: an optimizer that
    divides by the size of gradients has another ``eps``, one that does not has another learning rate."""
    if factor == 1.0:
        return settings, dict(state)
    (name, own), = settings.items()
    own = dict(own)
    if own.get("weight_decay") and name != "adamw":
        own["weight_decay"] /= factor
    if name == "sgd":
        own["lr"] *= factor
    else:
        own["eps"] /= factor
    powers = {"exp_avg": 1, "exp_avg_sq": 2, "square_avg": 2, "grad_avg": 1, "momentum_buffer": 1 if name == "sgd" else 0}
    return {name: own}, {key: value / factor ** powers.get(key.rsplit(".", 1)[-1], 0) for key, value in state.items()}


def _plain(value: object) -> object:
    if isinstance(value, bool):
        return value
    return float(value)
