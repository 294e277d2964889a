"""``graph.json``: the layers that a traced step has passed, how they are connected, and the loss behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from . import layers
from .tracing import Pass, StepTracer

_POSTERIOR = {"latent_mean", "latent_log_variance"}
_ON_LOGITS = {"softmax_cross_entropy", "binary_cross_entropy"}


@dataclass(frozen=True)
class Loss:
    """A scalar that is trained on: its name, the function that it is, and the layers that it reads."""

    name: str
    kind: str
    inputs: tuple[str, ...]


def describe(
    tracer: StepTracer, models: Mapping[str, nn.Module], scalars: Mapping[str, object], roles: Mapping[str, str]
) -> list[dict]:
    """One graph for each forward pass of the step. ``scalars`` are those of the step, the loss and its terms among them.
    Roles that are given win over those that were found."""
    found = losses(tracer, scalars)
    graphs = [_graph(one, models[one.root], found, roles) for one in tracer.passes]
    return [graph for graph in graphs if graph["layers"]]


def _graph(one: Pass, model: nn.Module, found: list[Loss], roles: Mapping[str, str]) -> dict:
    parts, seen = [], set()
    for layer in one.layers.values():
        if layer.name.endswith("]") and layer.name.split("[")[0] not in one.layers:
            continue
        # What comes from another pass enters this one as an input.
        for name in layer.inputs:
            if name not in one.layers and name not in seen:
                seen.add(name)
                parts.append(_layer(name, "input", [], [], role="input"))
        role = roles.get(layer.name, layer.role if layer.role != "noise" else None)
        part = _layer(layer.name, layer.kind, layer.shape, layer.inputs, role=role)
        if layer.module is not None and "#" not in layer.name:
            prefix = f"{one.root}." if one.root else ""
            path = prefix + layer.path if layer.path else one.root
            for name, parameter in layer.module.named_parameters():
                into = part["parameters"] if parameter.requires_grad else part["state"]
                into.append({"name": f"{path}.{name}".lstrip("."), "shape": list(parameter.shape)})
            for name, buffer in layer.module.named_buffers():
                part["state"].append({"name": f"{path}.{name}".lstrip("."), "shape": list(buffer.shape)})
        parts.append(part)
    by_name = {part["name"]: part for part in parts}
    terms = []
    for loss in found:
        if not set(loss.inputs) <= set(by_name):
            continue
        read = [by_name[name] for name in loss.inputs]
        kind = loss.kind
        if not kind:
            kind = "gaussian_kl" if {part.get("role") for part in read} == _POSTERIOR else "function"
        name = kind if kind not in by_name else f"loss.{kind}"
        part = by_name[name] = _layer(name, kind, [], list(loss.inputs), role="loss")
        if kind == "softmax_cross_entropy":
            part["properties"] = ["cross_entropy"]
        if kind in _ON_LOGITS and "role" not in read[0]:
            read[0]["role"] = "logits"
        parts.append(part)
        terms.append({"name": loss.name, "layer": name, "weight": 1.0})
    graph = {"name": one.root or type(model).__name__, "layers": parts, "losses": terms}
    if one.suffix:
        graph["suffix"] = one.suffix
    return graph


def _layer(name: str, kind: str, shape: list[int], inputs: list[str], *, role: str | None) -> dict:
    part = {"name": name, "kind": kind, "shape": shape, "inputs": inputs, "parameters": [], "state": []}
    if properties := layers.properties(kind):
        part["properties"] = properties
    if role:
        part["role"] = role
    return part


def losses(tracer: StepTracer, scalars: Mapping[str, object]) -> list[Loss]:
    """The terms of the loss where they are among the scalars, else the functions that the loss is a sum of."""
    found = {name: _sources(tracer, value) for name, value in scalars.items()}
    terms = {name: sources for name, sources in found.items() if name != "loss" and sources}
    out = []
    for name, sources in terms.items() or found.items():
        kinds = {kind for kind, _ in sources}
        for kind in sorted(kinds):
            inputs = tuple(dict.fromkeys(layer for own, layer in sources if own == kind))
            out.append(Loss(name if len(kinds) == 1 else f"{name}.{kind or 'rest'}", kind, inputs))
    return out


def _sources(tracer: StepTracer, value: object) -> list[tuple[str, str]]:
    """From a scalar's node in the graph of gradients back to the first layers: each with the loss function between."""
    found: list[tuple[str, str]] = []
    seen = set()
    waiting = [(getattr(value, "grad_fn", None), "")]
    while waiting and len(seen) < 10_000:
        node, kind = waiting.pop()
        if node is None or (node, kind) in seen:
            continue
        seen.add((node, kind))
        if layer := tracer.by_gradient.get(node):
            if (kind, layer) not in found:
                found.append((kind, layer))
            continue
        kind = layers.LOSSES.get(type(node).__name__.split("Backward")[0], kind)
        waiting.extend((above, kind) for above, _ in reversed(node.next_functions))
    return found
