"""Statistics of the units of a tensor, in one pass over it and without leaving its device."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

import torch

#: The columns of a matrix of statistics, in the order of the run directory.
NAMES = ("mean", "std", "min", "max", "zero_fraction", "nonfinite")


class Scratch(threading.local):
    """Memory that statistics are computed in, kept from one tensor to the next: fresh pages cost as much as the arithmetic.

    Each thread has its own: backward passes may call hooks from others.
    """

    def __init__(self) -> None:
        self._flat = torch.empty(0)

    def like(self, values: torch.Tensor) -> torch.Tensor:
        """Memory of the shape of a tensor in float32 on the CPU; what it held is gone."""
        if self._flat.numel() < values.numel():
            self._flat = torch.empty(values.numel())
        return self._flat[: values.numel()].view(values.shape)


def unit_statistics(values: torch.Tensor, axis: int, scratch: Scratch | None = None) -> tuple[torch.Tensor, int]:
    """Statistics ``[units, 6]`` in float32 of the units along ``axis``, and how many values each unit has.

    Values that are NaN or infinite are counted in ``nonfinite`` and left out of everything else; where a unit has no
    finite value, the first four are NaN. The standard deviation is that of the population.
    """
    values = values.detach()
    if values.dtype != torch.float32:
        values = values.float()
    if values.dim() == 0:
        values, axis = values.reshape(1), 0
    axis %= values.dim()
    units = values.shape[axis]
    count = values.numel() // max(units, 1)
    if values.numel() == 0:
        return _of_nothing(units, values.device), 0
    # `[outer, units, inner]`: images of a batch lie like that, and so do matrices, without a copy.
    values = values.reshape(math.prod(values.shape[:axis]), units, -1)
    if values.device.type == "cpu":
        plain = _of_finite(values, scratch or Scratch()) if count > 1 else _of_single(values.reshape(-1))
        # A sum over values that are not finite is not finite: the common case costs no test of each value.
        if math.isfinite(plain.sum().item()):
            return plain, count
    return _of_any(values, count), count


def _reduced(reduction: Callable[[torch.Tensor, int], torch.Tensor], values: torch.Tensor) -> torch.Tensor:
    """Over the contiguous axis first: several times the speed of both at once."""
    values = reduction(values, 2) if values.shape[2] > 1 else values.squeeze(2)
    return reduction(values, 0) if values.shape[0] > 1 else values.squeeze(0)


def _of_finite(values: torch.Tensor, memory: Scratch) -> torch.Tensor:
    """Each statistic is one vectorized pass; ``torch.var_mean`` alone would take sixty times as long as a mean."""
    mean = _reduced(torch.mean, values)
    scratch = torch.sub(values, mean.unsqueeze(1), out=memory.like(values))
    std = _reduced(torch.mean, torch.mul(scratch, scratch, out=scratch)).sqrt()
    zeros = _reduced(torch.mean, torch.eq(values, 0.0, out=scratch))
    least, most = _reduced(torch.amin, values), _reduced(torch.amax, values)
    return torch.stack([mean, std, least, most, zeros, torch.zeros_like(mean)], dim=1)


def _of_single(values: torch.Tensor) -> torch.Tensor:
    """Of units with one value each, such as biases."""
    nothing = torch.zeros_like(values)
    return torch.stack([values, nothing, values, values, (values == 0).float(), nothing], dim=1)


def _of_any(values: torch.Tensor, count: int) -> torch.Tensor:
    others = (0, 2)
    finite = torch.isfinite(values)
    found = finite.sum(dim=others)
    known = torch.where(finite, values, 0.0)
    n = found.clamp(min=1)
    mean = known.sum(dim=others) / n
    centered = torch.where(finite, values - mean.unsqueeze(1), 0.0)
    std = ((centered * centered).sum(dim=others) / n).sqrt()
    least = torch.where(finite, values, torch.inf).amin(dim=others)
    most = torch.where(finite, values, -torch.inf).amax(dim=others)
    zeros = ((values == 0) & finite).sum(dim=others) / n
    first = torch.stack([mean, std, least, most], dim=1)
    first = torch.where((found > 0).unsqueeze(1), first, torch.nan)
    return torch.cat([first, zeros.unsqueeze(1), (count - found).unsqueeze(1)], dim=1)


def _of_nothing(units: int, device: torch.device) -> torch.Tensor:
    out = torch.full((units, len(NAMES)), torch.nan, device=device)
    out[:, 4:] = 0.0
    return out


def merged(a: torch.Tensor, a_count: int, b: torch.Tensor, b_count: int) -> torch.Tensor:
    """The statistics of two batches together, from the statistics of each (Chan, Golub and LeVeque 1983)."""
    a_found, b_found = a_count - a[:, 5], b_count - b[:, 5]
    n = (a_found + b_found).clamp(min=1)
    a_mean = torch.where(a_found > 0, a[:, 0], 0.0)
    b_mean = torch.where(b_found > 0, b[:, 0], 0.0)
    a_std = torch.where(a_found > 0, a[:, 1], 0.0)
    b_std = torch.where(b_found > 0, b[:, 1], 0.0)
    mean = (a_found * a_mean + b_found * b_mean) / n
    squares = a_found * (a_std**2 + (a_mean - mean) ** 2) + b_found * (b_std**2 + (b_mean - mean) ** 2)
    least, most = torch.fmin(a[:, 2], b[:, 2]), torch.fmax(a[:, 3], b[:, 3])
    zeros = (a_found * a[:, 4] + b_found * b[:, 4]) / n
    nothing = (a_found + b_found) == 0
    first = torch.stack([mean, (squares / n).sqrt(), least, most], dim=1)
    first = torch.where(nothing.unsqueeze(1), torch.nan, first)
    return torch.cat([first, zeros.unsqueeze(1), (a[:, 5] + b[:, 5]).unsqueeze(1)], dim=1)
