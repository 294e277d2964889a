"""What is known of PyTorch's modules and functions: trainscope's word for each, and along which axis its units lie."""

from __future__ import annotations

import torch
from torch import nn

#: Modules whose units are channels, the second axis of their output.
_CHANNELS = (
    nn.modules.conv._ConvNd,
    nn.modules.batchnorm._NormBase,
    nn.GroupNorm,
    nn.Upsample,
    nn.PixelShuffle,
    nn.modules.pooling._MaxPoolNd,
    nn.modules.pooling._AvgPoolNd,
    nn.modules.pooling._AdaptiveAvgPoolNd,
    nn.modules.pooling._AdaptiveMaxPoolNd,
    nn.modules.dropout.Dropout2d,
    nn.modules.dropout.Dropout3d,
)
#: Modules whose units are features, the last axis of their output.
_FEATURES = (nn.Linear, nn.LayerNorm, nn.Embedding, nn.EmbeddingBag, nn.RNNBase, nn.MultiheadAttention, nn.Flatten)

_MODULES = {
    "Linear": "dense",
    "Conv1d": "conv1d",
    "Conv2d": "conv2d",
    "Conv3d": "conv3d",
    "ConvTranspose2d": "conv_transpose2d",
    "BatchNorm1d": "batch_norm",
    "BatchNorm2d": "batch_norm",
    "BatchNorm3d": "batch_norm",
    "SyncBatchNorm": "batch_norm",
    "LayerNorm": "layer_norm",
    "MaxPool2d": "max_pool2d",
    "Dropout": "dropout",
    "Dropout2d": "dropout",
    "Embedding": "embedding",
    "ReLU": "relu",
    "LeakyReLU": "leaky_relu",
    "ELU": "elu",
    "GELU": "gelu",
    "SiLU": "silu",
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "Softplus": "softplus",
    "Softmax": "softmax",
    "LogSoftmax": "log_softmax",
    "Flatten": "reshape",
    "Unflatten": "reshape",
    "Upsample": "upsample",
}
#: Kinds whose units are weighted sums of the input.
_WEIGHTED_SUMS = {"dense", "conv1d", "conv2d", "conv3d", "conv_transpose2d", "linear"}

#: Functions that only give a tensor another form: what they return has the layers of what they read.
FORMS = {
    "view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "permute", "transpose", "contiguous", "to", "float",
    "half", "bfloat16", "clone", "chunk", "split", "unbind", "__getitem__", "expand", "expand_as", "type", "t", "movedim",
    "narrow", "select", "view_as", "reshape_as", "detach", "swapaxes", "double", "cuda", "cpu", "requires_grad_",
}  # fmt: skip
#: Those of them that leave the order of a sample's values as it is.
KEEPING = {
    "view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "contiguous", "to", "float", "half", "bfloat16", "clone",
    "type", "view_as", "reshape_as", "double", "cuda", "cpu", "requires_grad_",
}  # fmt: skip
#: Functions that are layers, whose values are recorded.
RECORDED = {
    "relu", "relu_", "leaky_relu", "leaky_relu_", "elu", "elu_", "gelu", "silu", "sigmoid", "tanh", "softplus", "softmax",
    "log_softmax", "linear", "conv1d", "conv2d", "conv3d", "conv_transpose2d", "batch_norm", "layer_norm", "group_norm",
    "max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "interpolate", "scaled_dot_product_attention", "cat", "add", "add_",
    "matmul", "bmm", "einsum", "embedding", "hardtanh", "relu6", "selu", "mish", "hardswish", "normalize", "logsigmoid",
}  # fmt: skip
_FUNCTIONS = {
    "linear": "dense", "relu_": "relu", "leaky_relu_": "leaky_relu", "elu_": "elu", "cat": "concat", "add_": "add",
    "interpolate": "upsample", "flatten": "reshape", "mul_": "mul", "randn_like": "standard_normal", "normal": "standard_normal",
    "randn": "standard_normal", "__add__": "add", "__mul__": "mul", "__radd__": "add", "__rmul__": "mul", "__iadd__": "add",
    "__sub__": "sub", "__truediv__": "div", "__matmul__": "matmul", "div": "div", "true_divide": "div", "__neg__": "neg",
}  # fmt: skip
#: Losses by the names of their nodes in the graph of gradients.
LOSSES = {
    "NllLoss": "softmax_cross_entropy",
    "NllLoss2D": "softmax_cross_entropy",
    "BinaryCrossEntropyWithLogits": "binary_cross_entropy",
    "BinaryCrossEntropy": "binary_cross_entropy_of_probabilities",
    "MseLoss": "squared_error",
    "L1Loss": "absolute_error",
    "SmoothL1Loss": "smooth_l1",
    "HuberLoss": "huber",
    "KlDiv": "kl_divergence",
    "SoftMarginLoss": "soft_margin",
}


def kind_of_module(module: nn.Module) -> str:
    """trainscope's word for a module, or its class in the same spelling."""
    name = type(module).__name__
    return _MODULES.get(name) or _snake_case(name)


def kind_of_function(name: str) -> str:
    """trainscope's word for a function."""
    return _FUNCTIONS.get(name, name.strip("_"))


def properties(kind: str) -> list[str]:
    """What follows from a kind, in the words of ``graph.json``."""
    if kind in _WEIGHTED_SUMS:
        return ["weighted_sum"]
    return ["rectifier"] if kind in ("relu", "relu6") else []


def is_leaf(module: nn.Module) -> bool:
    """Whether a module is recorded as one layer: it has no modules inside, or is one of PyTorch's own that are whole."""
    if isinstance(module, (nn.MultiheadAttention, nn.RNNBase)):
        return True
    return next(module.children(), None) is None


def unit_axis(module: nn.Module | None, output: torch.Tensor) -> int | None:
    """The axis of the units where a module decides it; ``None`` where its input does."""
    if isinstance(module, _CHANNELS) and output.dim() > 1:
        return 1
    if isinstance(module, _FEATURES):
        return output.dim() - 1
    return None


def usual_axis(output: torch.Tensor) -> int:
    """The axis of the units of a tensor of which only the shape is known: features of vectors and sequences, channels of
    images."""
    return {0: 0, 1: 0, 2: 1, 3: 2}.get(output.dim(), 1)


def weight_axis(module: nn.Module, name: str) -> int:
    """The axis of a parameter along which the layer's output units lie."""
    return 1 if isinstance(module, nn.modules.conv._ConvTransposeNd) and name == "weight" and module.groups == 1 else 0


def _snake_case(name: str) -> str:
    out = ""
    for at, letter in enumerate(name):
        starts = letter.isupper() and at > 0 and (name[at - 1].islower() or (at + 1 < len(name) and name[at + 1].islower()))
        out += ("_" if starts else "") + letter.lower()
    return out
