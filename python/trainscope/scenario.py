"""A traced model as a scenario: its layers in trainscope's words, or what of it a scenario does not have."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import nn

from .batches import image_shape
from .tracing import Layer, Pass

#: Modules and functions that a scenario writes as one word.
_WORDS = {
    nn.ReLU: "relu", nn.Tanh: "tanh", nn.Sigmoid: "sigmoid", nn.SiLU: "silu", nn.GELU: "gelu", nn.Softplus: "softplus",
    nn.Flatten: "flatten",
}  # fmt: skip
_FUNCTIONS = {"relu", "tanh", "sigmoid", "silu"}
#: Reconstruction terms of a VAE by the loss that the graph of gradients shows.
RECONSTRUCTIONS = {
    "binary_cross_entropy": "bce_with_logits",
    "binary_cross_entropy_of_probabilities": "bce",
    "squared_error": "squared_error",
}


class NotExpressible(Exception):
    """Something of a run that no scenario has; the message names it."""


@dataclass
class Expressed:
    """A model in a scenario's words."""

    #: The section ``[model]``.
    model: dict
    #: The names of layers and of their parameters in the scenario, by the recorded ones.
    layers: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    #: ``graph.json``.
    graph: dict = field(default_factory=dict)
    #: The recorded layers that the loss reads: logits, or reconstruction, mean, log-variance and latent vector.
    read: list[str] = field(default_factory=list)
    #: Layers that keep their first parameters, by the scenario's names.
    frozen: list[str] = field(default_factory=list)
    #: What a replay cannot repeat exactly.
    notes: list[str] = field(default_factory=list)


def express(traced: Pass, root: str, losses: Mapping[str, tuple[str, ...]], roles: Mapping[str, str]) -> Expressed:
    """The classifier or VAE of a forward pass. ``losses`` has the layers that each kind of loss reads; ``roles`` are those that
    were given.

    :raises NotExpressible: it has a layer, a connection or a loss that scenarios do not have.
    """
    inputs = [layer for layer in traced.layers.values() if layer.kind == "input"]
    if len(inputs) != 1:
        raise NotExpressible(f"the model reads {len(inputs)} inputs of floating point numbers, and a scenario's model reads one")
    shape = image_shape(inputs[0].shape)
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise NotExpressible(f"a sample of the input has the shape {inputs[0].shape}, and a scenario's data are images of 1 or 3 channels")
    builder = _Builder(traced.layers, root)
    builder.add_part(inputs[0].name, "input", "x", shape, [], role="input")
    role = {roles.get(layer.name, layer.role): layer.name for layer in traced.layers.values()}
    if "latent" in role:
        return builder.vae(inputs[0].name, shape, role, losses)
    # What else the loss may be a sum of shows when its value is compared.
    if set(losses) - {""} == {"softmax_cross_entropy"} and len(losses["softmax_cross_entropy"]) == 1:
        return builder.classifier(inputs[0].name, shape, losses["softmax_cross_entropy"][0])
    kinds = ", ".join(sorted(kind or "a sum of other functions" for kind in losses)) or "unknown"
    raise NotExpressible(f"it is neither a VAE nor a classifier with a cross-entropy of logits: its loss is {kinds}")


@dataclass(frozen=True)
class _Link:
    """A layer of a chain, or a sum of what is before it and a branch of layers."""

    name: str
    branch: list[_Link] | None = None


class _Builder:
    def __init__(self, layers: dict[str, Layer], root: str):
        self._layers = layers
        self._root = root
        self._parts: list[dict] = []
        self._found = Expressed({})

    def classifier(self, start: str, shape: list[int], end: str) -> Expressed:
        links = self._chain(start, end)
        if self._layers[end].kind == "log_softmax":
            links.pop()
        if not links:
            raise NotExpressible("it has no layer before its loss")
        specs = self._section("layers", links, "x", shape)
        logits = self._parts[-1]
        logits["role"] = "logits"
        self._found.model = {"kind": "classifier", "layers": specs}
        self.add_part("label", "input", "label", [], [], role="label")
        loss = self.add_part("", "softmax_cross_entropy", "cross_entropy", [], [logits["name"], "label"], role="loss")
        self._found.read = [links[-1].name]
        return self._done([(loss["name"], 1.0)])

    def vae(self, start: str, shape: list[int], role: Mapping[str, str], losses: Mapping[str, tuple[str, ...]]) -> Expressed:
        heads = [role.get("latent_mean"), role.get("latent_log_variance")]
        if None in heads:
            raise NotExpressible("the heads of the mean and of the log-variance were not found: name them with roles=")
        mean, log_variance = (self._layers[name] for name in heads)
        if mean.inputs != log_variance.inputs or mean.reads != 1 or log_variance.reads != 1:
            raise NotExpressible(f"'{mean.name}' and '{log_variance.name}' do not read the same layer")
        terms = [kind for kind in losses if kind in RECONSTRUCTIONS]
        if len(terms) != 1 or len(losses[terms[0]]) != 1:
            raise NotExpressible("the loss has no reconstruction term of one layer: binary cross-entropy or squared error")
        output = losses[terms[0]][0]
        encoder = self._section("encoder", self._chain(start, mean.inputs[0]), "x", shape)
        features, features_shape = self._parts[-1]["name"], self._parts[-1]["shape"]
        for layer, name, own in ((mean, "mu", "latent_mean"), (log_variance, "logvar", "latent_log_variance")):
            if not isinstance(layer.module, nn.Linear) or layer.moved_by or math.prod(features_shape) != layer.module.in_features:
                raise NotExpressible(f"'{layer.name}' ({layer.kind}) is no dense layer on the encoder's features")
            self._spec(layer, layer.read_shape)
            self.add_part(layer.name, "dense", name, layer.shape, [features], role=own)
        latent = self._layers[role["latent"]]
        self.add_part(latent.name, "reparameterize", "z", latent.shape, ["mu", "logvar"], role="latent")
        decoder = self._section("decoder", self._chain(latent.name, output), "z", latent.shape)
        image = self._parts[-1]
        image["role"] = "logits" if terms[0] == "binary_cross_entropy" else "image"
        reconstruction = self.add_part("", terms[0], "reconstruction", [], [image["name"], "x"], role="loss")
        self.add_part("", "gaussian_kl", "kl_divergence", [], ["mu", "logvar"], role="loss")
        self._found.model = {
            "kind": "vae", "latent": math.prod(latent.shape), "reconstruction": RECONSTRUCTIONS[terms[0]], "encoder": encoder,
            "decoder": decoder,
        }  # fmt: skip
        self._found.read = [output, mean.name, log_variance.name, latent.name]
        return self._done([(reconstruction["name"], 1.0), ("kl_divergence", 1.0)])

    def _done(self, losses: list[tuple[str, float]]) -> Expressed:
        terms = [{"name": name, "layer": name, "weight": weight} for name, weight in losses]
        self._found.graph = {"name": self._found.model["kind"], "layers": self._parts, "losses": terms}
        return self._found

    def _chain(self, start: str, end: str) -> list[_Link]:
        """The layers behind ``start`` up to ``end``, each of which reads the one before, and a sum what is before its branch."""
        links, name = [], end
        while name != start:
            layer = self._layers.get(name)
            if layer is None or layer.kind == "input":
                raise NotExpressible(f"'{end}' does not depend on '{start}' alone")
            if "#" in name and layer.module is not None and layer.module.state_dict():
                raise NotExpressible(f"'{name.split('#')[0]}' is used twice")
            if layer.moved_by:
                raise NotExpressible(f"{layer.moved_by}() moves the values that '{name}' reads")
            if layer.kind == "add" and len(layer.inputs) == layer.reads == 2:
                name, branch = self._branch(layer)
                links.append(_Link(layer.name, branch))
                continue
            if layer.reads != 1 or len(layer.inputs) != 1:
                raise NotExpressible(f"'{name}' ({layer.kind}) reads {layer.reads} tensors")
            links.append(_Link(name))
            name = layer.inputs[0]
        return links[::-1]

    def _branch(self, add: Layer) -> tuple[str, list[_Link]]:
        """Of the two that a sum reads the one that the other is computed from, and the layers between them."""
        for start, end in (add.inputs, add.inputs[::-1]):
            if self._depends(end, start):
                return start, self._chain(start, end)
        raise NotExpressible(f"'{add.name}' adds '{add.inputs[0]}' and '{add.inputs[1]}', and none of them is computed from the other")

    def _depends(self, name: str, on: str) -> bool:
        """Whether a layer is computed from another."""
        waiting, seen = [name], set()
        while waiting:
            layer = self._layers.get(waiting.pop())
            if layer is not None and layer.name not in seen:
                seen.add(layer.name)
                waiting += layer.inputs
        return on in seen - {name}

    def _section(self, section: str, links: list[_Link], before: str, shape: list[int]) -> list:
        """A list of layers; ``before`` is what its first one reads, of this shape."""
        specs: list = []
        for link in links:
            layer, own = self._layers[link.name], f"{section}.{len(specs)}"
            if link.branch is not None:
                parts = len(self._parts)
                specs.append({"residual": self._section(own, link.branch, before, shape)})
                if parts == len(self._parts) or self._parts[-1]["shape"] != layer.shape:
                    raise NotExpressible(f"'{link.name}' adds a layer to itself, or layers of two shapes")
                before = self.add_part(link.name, "add", own, layer.shape, [before, self._parts[-1]["name"]])["name"]
                continue
            if isinstance(layer.module, nn.Identity):
                continue
            flattens = isinstance(layer.module, nn.Linear)
            if layer.read_shape != shape and not (flattens and len(layer.read_shape) == 1):
                reshape = "flatten" if len(layer.read_shape) == 1 else {"reshape": layer.read_shape}
                before = self.add_part("", "reshape", own, layer.read_shape, [before])["name"]
                specs.append(reshape)
            if math.prod(layer.read_shape) != math.prod(shape):
                raise NotExpressible(f"'{link.name}' does not read the whole output of the layer before it")
            spec = self._spec(layer, layer.read_shape)
            shape = layer.shape[:1] if spec == "global_avg_pool" else layer.shape
            part = self.add_part(link.name, layer.kind, f"{section}.{len(specs)}", shape, [before])
            specs.append(spec)
            before = part["name"]
        return specs

    def add_part(self, recorded: str, kind: str, name: str, shape: list[int], inputs: list[str], role: str | None = None) -> dict:
        """A layer of ``graph.json``, and how its names follow from the recorded ones."""
        part = {"name": name, "kind": kind, "shape": shape, "inputs": inputs, "parameters": [], "state": []}
        if role:
            part["role"] = role
        layer = self._layers.get(recorded)
        if recorded and kind != "input":
            self._found.layers[recorded] = name
        module = layer.module if layer is not None else None
        if module is not None:
            prefix = ".".join(part for part in (self._root, layer.path) if part)
            trained = {own for own, tensor in module.named_parameters() if tensor.requires_grad}
            frozen = {own for own, tensor in module.named_parameters() if not tensor.requires_grad}
            if frozen and trained:
                raise NotExpressible(f"'{prefix}.{min(frozen)}' is frozen and '{prefix}.{min(trained)}' is not")
            if frozen:
                self._found.frozen.append(name)
                part["frozen"] = True
            for into, tensors in (("parameters", module.named_parameters()), ("state", module.named_buffers())):
                for own, tensor in tensors:
                    if f"{prefix}.{own}" in self._found.parameters:
                        raise NotExpressible(f"'{prefix}.{own}' is used twice")
                    self._found.parameters[f"{prefix}.{own}".lstrip(".")] = f"{name}.{own}"
                    part[into].append({"name": f"{name}.{own}", "shape": list(tensor.shape)})
        self._parts.append(part)
        return part

    def _spec(self, layer: Layer, shape: list[int]) -> object:
        """The layer in a scenario's words."""
        if layer.module is None:
            if layer.kind in _FUNCTIONS:
                return layer.kind
            if layer.kind == "max_pool2d":
                return {"max_pool2d": _pooling(layer)}
            raise NotExpressible(f"the function {layer.kind}() in '{layer.name}' is no layer of a scenario")
        spec, other = _of_module(layer.module, shape)
        if spec is None or other:
            what = type(layer.module).__name__ + (f" with {other[0]}" if other else "")
            raise NotExpressible(f"'{layer.name}' ({what}) is no layer of a scenario")
        if "dropout" in spec:
            self._found.notes.append(f"the masks of the dropout '{layer.name}' are drawn anew")
        return spec


def _of_module(module: nn.Module, shape: list[int]) -> tuple[object, list[str]]:
    """A module in a scenario's words, and what of its settings no scenario has."""

    def unless(**usual: object) -> list[str]:
        return [f"{key}={getattr(module, key)}" for key, value in usual.items() if getattr(module, key) != value]

    if type(module) in _WORDS:
        other = {nn.GELU: {"approximate": "none"}, nn.Softplus: {"beta": 1.0}, nn.Flatten: {"start_dim": 1, "end_dim": -1}}
        return _WORDS[type(module)], unless(**other.get(type(module), {}))
    no_bias = ["bias=False"] if getattr(module, "bias", True) is None else []
    match module:
        case nn.Linear():
            per_row = [f"inputs of the shape {shape}"] if len(shape) != 1 else []
            return {"dense": {"units": module.out_features}}, no_bias + per_row
        case nn.Conv2d() | nn.ConvTranspose2d():
            settings = {"channels": module.out_channels, "kernel": list(module.kernel_size), "stride": list(module.stride),
                        "padding": module.padding, "dilation": list(module.dilation)}
            other = no_bias + unless(groups=1, padding_mode="zeros")
            if isinstance(module.padding, str):
                return "", [*other, f"padding={module.padding!r}"]
            settings["padding"] = list(module.padding)
            if isinstance(module, nn.ConvTranspose2d):
                return {"conv_transpose2d": {**settings, "output_padding": list(module.output_padding)}}, other
            return {"conv2d": settings}, other
        case nn.MaxPool2d():
            settings = {"kernel": _pair(module.kernel_size), "stride": _pair(module.stride), "padding": _pair(module.padding)}
            return {"max_pool2d": settings}, unless(dilation=1, ceil_mode=False, return_indices=False)
        case nn.AvgPool2d():
            settings = {"kernel": _pair(module.kernel_size), "stride": _pair(module.stride), "padding": _pair(module.padding)}
            return {"avg_pool2d": settings}, unless(ceil_mode=False, count_include_pad=True, divisor_override=None)
        case nn.AdaptiveAvgPool2d():
            return "global_avg_pool", [] if module.output_size in (1, (1, 1)) else unless(output_size=1)
        case nn.BatchNorm1d() | nn.BatchNorm2d():
            return {"batch_norm": {"momentum": module.momentum, "eps": module.eps}}, unless(affine=True, track_running_stats=True)
        case nn.LayerNorm():
            return "layer_norm", no_bias + unless(normalized_shape=tuple(shape), eps=1e-5, elementwise_affine=True)
        case nn.Dropout():
            return {"dropout": module.p}, []
        case nn.LeakyReLU():
            return {"leaky_relu": {"slope": module.negative_slope}}, []
        case nn.ELU():
            return {"elu": {"alpha": module.alpha}}, []
        case nn.Unflatten():
            return {"reshape": list(module.unflattened_size)}, unless(dim=1)
        case nn.Upsample():
            whole = module.scale_factor is not None and float(module.scale_factor).is_integer()
            return {"upsample": {"factor": int(module.scale_factor or 1)}}, unless(mode="nearest") + ([] if whole else unless(scale_factor=2))
    return None, []


def _pooling(layer: Layer) -> dict:
    """The settings of a call of ``F.max_pool2d``."""
    names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
    given = {**dict(zip(names, layer.settings, strict=False)), **layer.named_settings}
    if given.get("dilation", 1) != 1 or given.get("ceil_mode") or given.get("return_indices") or "kernel_size" not in given:
        raise NotExpressible(f"max_pool2d() in '{layer.name}' has settings that no scenario has")
    kernel = _pair(given["kernel_size"])
    return {"kernel": kernel, "stride": _pair(given.get("stride") or kernel), "padding": _pair(given.get("padding", 0))}


def _pair(value: object) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)


def to_toml(scenario: Mapping[str, object]) -> str:
    """A scenario as text: its sections, each key on a line."""
    plain = [f"{key} = {_toml(value)}" for key, value in scenario.items() if not isinstance(value, Mapping)]
    for name, section in scenario.items():
        if isinstance(section, Mapping):
            plain += ["", f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in section.items())]
    return "\n".join(plain) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    return repr(value)
