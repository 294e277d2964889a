"""The batches that a run has seen, one after the other, as a data set of bytes."""

from __future__ import annotations

import math

import numpy as np
import torch

#: Bytes of batches and noise that are kept at most: what comes later is not exported.
_MOST = 2 << 30


class Batches:
    """Inputs, labels and noise of every step, on the CPU."""

    def __init__(self) -> None:
        self._inputs: list[np.ndarray] = []
        self._labels: list[np.ndarray] = []
        self._noise: list[np.ndarray] = []
        self._drawn: torch.Tensor | None = None
        self._bytes = 0
        #: Why no more batches are taken.
        self.end: str | None = None

    @property
    def steps(self) -> int:
        """Steps that are whole."""
        return len(self._inputs)

    @property
    def size(self) -> int:
        """Samples in a batch."""
        return len(self._inputs[0]) if self._inputs else 0

    @property
    def has_labels(self) -> bool:
        """Whether there is a class for each sample."""
        return bool(self._labels)

    @property
    def has_noise(self) -> bool:
        """Whether every step has noise."""
        return bool(self._noise) and len(self._noise) == self.steps

    def draw(self, noise: torch.Tensor) -> None:
        """Keeps the noise of the step that is under way."""
        self._drawn = noise.detach()

    @property
    def drawn(self) -> torch.Tensor | None:
        """The noise of the step that is under way."""
        return self._drawn

    def take(self, step: int, batch: object) -> None:
        """Keeps the batch of ``step``: inputs, or a pair of inputs and labels."""
        noise, self._drawn = self._drawn, None
        if self.end is not None:
            return
        self.end = self._fault(step, batch)
        if self.end is not None:
            return
        inputs, labels = batch if isinstance(batch, (tuple, list)) else (batch, None)
        kept = inputs.detach().to("cpu", torch.float32).numpy().copy()
        as_bytes = np.rint(kept * 255)
        # Exactly what a division by 255 gives: a fourth of the memory.
        if kept.size and kept.min() >= 0 and kept.max() <= 1 and np.array_equal((as_bytes / 255).astype(np.float32), kept):
            kept = as_bytes.astype(np.uint8)
        self._inputs.append(kept)
        self._bytes += kept.nbytes
        if _are_classes(labels):
            self._labels.append(labels.detach().cpu().numpy().astype(np.uint8))
        if noise is not None:
            self._noise.append(noise.to("cpu", torch.float32).numpy().copy())
            self._bytes += self._noise[-1].nbytes

    def _fault(self, step: int, batch: object) -> str | None:
        inputs = batch[0] if isinstance(batch, (tuple, list)) and batch else batch
        if not isinstance(inputs, torch.Tensor) or inputs.dim() < 2:
            return f"step() was given no batch of inputs at step {step}"
        if self._inputs and inputs.shape != torch.Size(self._inputs[0].shape):
            shapes = f"{list(inputs.shape)} and not {list(self._inputs[0].shape)}"
            return f"the batch of step {step} is of shape {shapes} (drop_last=True in the loader keeps them alike)"
        if not torch.isfinite(inputs.detach()).all():
            return f"the batch of step {step} holds values that are not finite"
        return "the batches take more than 2 GiB" if self._bytes > _MOST else None

    def labels(self) -> np.ndarray:
        """All labels, step after step."""
        return np.concatenate(self._labels)

    def noise(self) -> np.ndarray:
        """Noise ``[steps, batch, latent]``."""
        return np.stack(self._noise)

    def as_bytes(self) -> tuple[np.ndarray, float, float, float]:
        """All inputs ``[samples, channels, height, width]`` as bytes, with the scale and shift that make numbers of them (after
        a division by 255), and the largest error of that."""
        if all(one.dtype == np.uint8 for one in self._inputs):
            return _images(np.concatenate(self._inputs)), 1.0, 0.0, 0.0
        inputs = [one.astype(np.float32) / np.float32(255) if one.dtype == np.uint8 else one for one in self._inputs]
        low, high = min(float(one.min()) for one in inputs), max(float(one.max()) for one in inputs)
        grid = _grid(inputs[0], low, high)
        worst, parts = 0.0, []
        for one in inputs:
            part = np.rint((one.astype(np.float64) - low) / grid).clip(0, 255)
            worst = max(worst, float(np.abs(part * grid + low - one).max()))
            parts.append(part.astype(np.uint8))
        return _images(np.concatenate(parts)), 255 * grid, low, worst


def _are_classes(labels: object) -> bool:
    if not isinstance(labels, torch.Tensor) or labels.is_floating_point() or labels.dim() != 1:
        return False
    return labels.numel() > 0 and 0 <= int(labels.min()) and int(labels.max()) < 256


def _grid(values: np.ndarray, low: float, high: float) -> float:
    """The distance of neighboring values: what 256 levels over the range have, or less where the values lie on a finer grid
    that bytes hold, as pixels that were normalized do."""
    coarse = (high - low) / 255 if high > low else 1.0
    gaps = np.diff(np.unique(values.astype(np.float64)))
    gaps = gaps[gaps > 1e-5 * (high - low)]
    if not len(gaps):
        return coarse
    levels = round((high - low) / float(gaps.min()))
    if not 1 <= levels <= 255:
        return coarse
    grid = (high - low) / levels
    off = np.abs((values - low) / grid - np.rint((values - low) / grid)).max()
    return grid if off < 1e-3 else coarse


def image_shape(shape: list[int]) -> list[int]:
    """The channels, height and width that a sample of ``shape`` has in a data set: vectors are images of one row, or squares,
    which show more."""
    if len(shape) == 1:
        side = math.isqrt(shape[0])
        return [1, side, side] if side * side == shape[0] and side > 3 else [1, 1, shape[0]]
    return [1, *shape] if len(shape) == 2 else list(shape)


def _images(values: np.ndarray) -> np.ndarray:
    return values.reshape(len(values), *image_shape(list(values.shape[1:])))
