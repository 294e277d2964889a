"""Follows one training step: the layers that it passes, their values, and the gradients that come back to them."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from . import layers

#: Takes a tensor's values: its name, its kind, the values, the axis of its units.
Sink = Callable[[str, str, torch.Tensor, int], None]


@dataclass
class Layer:
    """A layer of a graph as it was called."""

    name: str
    kind: str
    shape: list[int]
    inputs: list[str]
    module: nn.Module | None = None
    path: str | None = None
    role: str | None = None
    #: The shape of a sample of what it reads, how many tensors these are, and the first function between that has moved values.
    read_shape: list[int] = field(default_factory=list)
    reads: int = 0
    moved_by: str = ""
    #: Arguments of a function that are no tensors.
    settings: list[object] = field(default_factory=list)
    named_settings: dict[str, object] = field(default_factory=dict)


@dataclass
class Pass:
    """One forward pass of one model within a step."""

    root: str
    suffix: str
    layers: dict[str, Layer] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    has_gradient: bool = False


@dataclass
class _Origin:
    """What is known of a tensor: the layers that it comes from, and the axis of its units."""

    layers: list[str]
    axis: int | None
    moved_by: str = ""


class StepTracer:
    """Hooks on some models for one training step. Each value and each gradient goes to ``sink`` when it is there."""

    def __init__(self, models: dict[str, nn.Module], sink: Sink, on_error: Callable[[BaseException], None], merges: bool):
        self._models = models
        self._sink = sink
        self._on_error = on_error
        self._merges = merges
        self._handles: list = []
        self._stack: list[tuple[nn.Module, bool, object]] = []
        self._leaf_depth = 0
        self._origins: dict[int, tuple[weakref.ref, _Origin]] = {}
        self._names: dict[nn.Module, tuple[str, str, str]] = {}
        self.passes: list[Pass] = []
        #: Samples of the first input.
        self.batch: int | None = None
        #: Layers by the nodes of the graph of gradients that made their outputs.
        self.by_gradient: dict[object, str] = {}

    def attach(self) -> None:
        """Puts hooks on every module."""
        for root, model in self._models.items():
            for path, module in model.named_modules():
                if module in self._names:
                    continue
                name = ".".join(part for part in (root, path) if part)
                self._names[module] = (root, name, path)
                self._handles.append(module.register_forward_pre_hook(self._before, with_kwargs=True, prepend=True))
                self._handles.append(module.register_forward_hook(self._after, always_call=True))

    def detach(self) -> None:
        """Takes all hooks away. Gradients that arrive later are still taken."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        while self._stack:
            _, _, mode = self._stack.pop()
            if mode is not None:
                mode.__exit__(None, None, None)

    # Forward passes

    def _before(self, module: nn.Module, args: tuple, kwargs: dict) -> None:
        try:
            follows = (
                module.training and torch.is_grad_enabled() and torch._C._current_graph_task_id() == -1 and not self._leaf_depth
            )
            mode = None
            if follows and not self._stack:
                self._begin_pass(module, args, kwargs)
                mode = _Functions(self)
                mode.__enter__()
            is_leaf = follows and layers.is_leaf(module)
            self._stack.append((module, is_leaf, mode))
            self._leaf_depth += is_leaf
        except Exception as error:  # a hook must not stop the training
            self._on_error(error)

    def _after(self, module: nn.Module, args: tuple, output: object) -> None:
        try:
            if not self._stack or self._stack[-1][0] is not module:
                return
            _, is_leaf, mode = self._stack.pop()
            self._leaf_depth -= is_leaf
            if mode is not None:
                mode.__exit__(None, None, None)
            if is_leaf and output is not None:
                # What is asked of tensors here is no part of the pass.
                with torch._C.DisableTorchFunction():
                    self._layer(module, args, output)
        except Exception as error:
            self._on_error(error)

    def _begin_pass(self, module: nn.Module, args: tuple, kwargs: dict) -> None:
        root = self._names[module][0]
        of_root = [known for known in self.passes if known.root == root]
        # A model's parts may be called one by one: what follows without a gradient between, and was not called yet, belongs
        # to the same pass.
        if of_root and module is not self._models[root] and not of_root[-1].has_gradient:
            own = self._names[module][1]
            if not any(name == own or name.startswith(own + ".") for name in of_root[-1].calls):
                return
        if of_root and self._merges and of_root[-1].has_gradient:
            of_root[-1].calls.clear()
            of_root[-1].has_gradient = False
        else:
            number = len(of_root) + 1
            self.passes.append(Pass(root, "" if number == 1 else f"@{number}"))
        tensors = [(f"x{at}" if at else "x", value) for at, value in enumerate(tree_leaves(args))]
        tensors += [(key, leaf) for key, value in kwargs.items() for leaf in tree_leaves(value)]
        for name, value in tensors:
            if isinstance(value, torch.Tensor) and value.is_floating_point() and value.dim() > 0:
                if self._origin(value) is not None:
                    continue
                self.batch = value.shape[0] if self.batch is None else self.batch
                self._define(Layer(name, "input", list(value.shape[1:]), [], role="input"), value, layers.usual_axis(value))

    def _layer(self, module: nn.Module, args: tuple, output: object) -> None:
        _, name, path = self._names[module]
        kind = layers.kind_of_module(module)
        inputs, axis = self._read(args)
        for at, value in enumerate(_tensors(output)):
            own = layers.unit_axis(module, value)
            shape = list(value.shape[1:])
            part = name if at == 0 else f"{name}[{at}]"
            layer = Layer(part, kind, shape, inputs, module if at == 0 else None, path)
            self._note_inputs(layer, args)
            self._define(layer, value, own if own is not None else axis)

    def function(self, name: str, args: object, output: object) -> None:
        """A function outside of every leaf module has returned."""
        if self._leaf_depth or not self._stack:
            return
        values = [value for value in _tensors(output) if value.is_floating_point()]
        if not values or name.startswith(("__get__", "__set__")) or name in ("backward", "register_hook"):
            return
        inputs, axis = self._read(args)
        if name in layers.FORMS:
            read = _tensors(args)
            for value in values:
                kept = axis if len(read) == 1 and read[0].dim() == value.dim() else None
                moved_by = self._moved_by(read) or ("" if name in layers.KEEPING else name)
                self._remember(value, _Origin(inputs, kept, moved_by))
            return
        kind = layers.kind_of_function(name)
        if kind == "standard_normal":
            inputs = []  # randn_like only reads a shape
        owner = self._owner()
        for value in values[:1]:
            fits = axis is not None and axis < value.dim()
            layer = Layer(".".join(part for part in (owner, kind) if part), kind, list(value.shape[1:]), inputs)
            self._note_inputs(layer, args)
            self._find_roles(layer, args)
            units = axis if fits else layers.usual_axis(value)
            self._define(layer, value, units, records=name in layers.RECORDED)

    def _owner(self) -> str:
        return self._names[self._stack[-1][0]][1]

    def _find_roles(self, layer: Layer, args: object) -> None:
        """A draw from a normal distribution that is scaled and shifted by layers is a latent vector: ``mu + eps * sigma``."""
        operands = [origin for leaf in _tensors(args) if (origin := self._origin(leaf))]
        graph = self.passes[-1].layers if self.passes else {}
        kinds = [graph[name].kind for origin in operands for name in origin.layers if name in graph]
        if layer.kind == "mul" and "standard_normal" in kinds:
            layer.role = "noise"
        if layer.kind != "add" or len(operands) != 2:
            return
        for noise, mean in (operands, operands[::-1]):
            scaled = next((graph[name] for name in noise.layers if name in graph and graph[name].role == "noise"), None)
            if scaled is None or not mean.layers or mean.layers[0] not in graph:
                continue
            above = [name for name in scaled.inputs if name in graph and graph[name].kind != "standard_normal"]
            log_variance = self._before_exponential(graph, above)
            graph[mean.layers[0]].role = "latent_mean"
            if log_variance:
                log_variance.role = "latent_log_variance"
            layer.role = "latent"
            return

    @staticmethod
    def _before_exponential(graph: dict[str, Layer], names: Iterable[str]) -> Layer | None:
        seen_exponential = False
        for name in names:
            while name in graph:
                layer = graph[name]
                if layer.module is not None:
                    return layer if seen_exponential else None
                seen_exponential |= layer.kind == "exp"
                name = layer.inputs[0] if layer.inputs else ""
        return None

    # Values

    def _define(self, layer: Layer, value: torch.Tensor, axis: int | None, *, records: bool = True) -> None:
        if not self.passes:
            return
        current = self.passes[-1]
        count = current.calls[layer.name] = current.calls.get(layer.name, 0) + 1
        if count > 1:
            layer.name = f"{layer.name}#{count}"
        axis = layers.usual_axis(value) if axis is None or axis >= value.dim() else axis
        current.layers.setdefault(layer.name, layer)
        self._remember(value, _Origin([layer.name], axis))
        if not records or not value.is_floating_point() or value.dim() == 0:
            return
        name = layer.name + current.suffix
        self._sink(name, "activation", value, axis)
        if not value.requires_grad:
            return
        if value.grad_fn is not None:
            self.by_gradient[value.grad_fn] = layer.name

        def take(gradient: torch.Tensor) -> None:
            try:
                current.has_gradient = True
                self._sink(name, "gradient", gradient, axis)
            except Exception as error:
                self._on_error(error)

        if layer.kind != "input":
            value.register_hook(take)

    def _read(self, args: object) -> tuple[list[str], int | None]:
        names: list[str] = []
        axis = None
        for value in _tensors(args):
            if origin := self._origin(value):
                names.extend(name for name in origin.layers if name not in names)
                axis = origin.axis if axis is None else axis
        return names, axis

    def _note_inputs(self, layer: Layer, args: object) -> None:
        """What an export must know of a layer besides its graph."""
        read = _tensors(args)
        layer.reads = len(read)
        layer.read_shape = list(read[0].shape[1:]) if read else []
        layer.moved_by = self._moved_by(read)
        if layer.module is None and isinstance(args, tuple):
            has_names = len(args) == 2 and isinstance(args[0], tuple) and isinstance(args[1], dict)
            given, named = args if has_names else (args, {})
            layer.settings = [value for value in given if not isinstance(value, torch.Tensor)]
            layer.named_settings = dict(named)

    def _moved_by(self, read: list[torch.Tensor]) -> str:
        origins = [self._origin(value) for value in read]
        return next((origin.moved_by for origin in origins if origin is not None and origin.moved_by), "")

    def _remember(self, value: torch.Tensor, origin: _Origin) -> None:
        self._origins[id(value)] = (weakref.ref(value), origin)

    def _origin(self, value: torch.Tensor) -> _Origin | None:
        known = self._origins.get(id(value))
        return known[1] if known is not None and known[0]() is value else None


class _Functions(TorchFunctionMode):
    """Tells a tracer of every function that is called."""

    def __init__(self, tracer: StepTracer):
        super().__init__()
        self._tracer = tracer

    def __torch_function__(self, func, types, args=(), kwargs=None):
        output = func(*args, **(kwargs or {}))
        try:
            self._tracer.function(getattr(func, "__name__", ""), (args, kwargs) if kwargs else args, output)
        except Exception as error:
            self._tracer._on_error(error)
        return output


def _tensors(values: object) -> list[torch.Tensor]:
    """All tensors in a nest of tuples, lists, dictionaries and data classes."""
    if isinstance(values, torch.Tensor):
        return [values]
    if isinstance(values, tuple) and all(isinstance(value, torch.Tensor) for value in values):
        return list(values)
    found = []
    for leaf in tree_leaves(values):
        if isinstance(leaf, torch.Tensor):
            found.append(leaf)
        elif hasattr(leaf, "__dataclass_fields__"):
            found += _tensors([getattr(leaf, name) for name in leaf.__dataclass_fields__])
    return found
