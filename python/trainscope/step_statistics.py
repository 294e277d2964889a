"""The statistics of every tensor of one recorded step, most of them taken while the training goes on.

Small values are copied where the training passes them, those of one shape beside each other: a pass then measures all of them,
while the next steps run. Of a large value a copy would take as long as its statistics, which are taken at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from .statistics import Scratch, merged, unit_statistics

#: A tensor and which of its values: activation, gradient, weight or update.
Key = tuple[str, str]
#: Values of a tensor that is staged: up to here a copy is cheaper than the passes that it saves.
_STAGED = 1 << 19
#: Values of all of them.
_ALL_STAGED = 1 << 25


@dataclass(frozen=True)
class Form:
    """A tensor as ``[outer, units, inner]``: images of a batch lie like that, and so do matrices, without a copy."""

    outer: int
    units: int
    inner: int
    device: torch.device

    @classmethod
    def of(cls, values: torch.Tensor, axis: int) -> Form:
        """The form of a tensor whose units lie along ``axis``."""
        shape = values.shape or (1,)
        axis %= len(shape)
        return cls(math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :]), values.device)

    def view(self, values: torch.Tensor) -> torch.Tensor:
        """The tensor in its form."""
        return values.reshape(self.outer, self.units, self.inner)


class Stage:
    """Memory for the small values of one step, kept from one step to another: fresh pages cost as much as the arithmetic."""

    def __init__(self, forms: Mapping[Key, Form]):
        self._places: dict[Key, torch.Tensor] = {}
        #: The memory of each group, and whose units it holds, one after the other.
        self._groups: list[tuple[torch.Tensor, list[tuple[Key, int]]]] = []
        of_shape: dict[tuple, list[tuple[Key, int]]] = {}
        room = _ALL_STAGED
        for key, form in forms.items():
            size = form.outer * form.units * form.inner
            if 0 < size <= min(_STAGED, room):
                of_shape.setdefault((form.outer, form.inner, form.device), []).append((key, form.units))
                room -= size
        for (outer, inner, device), members in of_shape.items():
            memory = torch.zeros(outer, sum(units for _, units in members), inner, device=device)
            parts = memory.split([units for _, units in members], dim=1)
            self._places.update((key, part) for (key, _), part in zip(members, parts, strict=True))
            self._groups.append((memory, members))

    def place(self, key: Key, form: Form) -> torch.Tensor | None:
        """Where the values of a tensor belong; ``None`` where it has no place, or another form."""
        place = self._places.get(key)
        fits = place is not None and place.shape == (form.outer, form.units, form.inner) and place.device == form.device
        return place if fits else None

    def measured(self, scratch: Scratch) -> dict[Key, tuple[torch.Tensor, int]]:
        """The statistics of all that has a place, and how many values each unit has."""
        found = {}
        for memory, members in self._groups:
            statistics, count = unit_statistics(memory, 1, scratch)
            parts = statistics.split([units for _, units in members])
            found.update((key, (part, count)) for (key, _), part in zip(members, parts, strict=True))
        return found


class StepStatistics:
    """Takes the values of one step, and gives the statistics of all of them."""

    def __init__(self, stage: Stage, scratch: Scratch, merges: bool):
        self.stage = stage
        #: The form in which each tensor has come last.
        self.forms: dict[Key, Form] = {}
        self._scratch = scratch
        self._merges = merges
        #: What was measured at once; ``None`` where the values are on the stage.
        self._taken: dict[Key, tuple[torch.Tensor, int] | None] = {}
        #: Parameters that have no place there.
        self._before: dict[str, torch.Tensor] = {}

    @property
    def is_on_cpu(self) -> bool:
        """Whether another thread may measure what is left."""
        return all(form.device.type == "cpu" for form in self.forms.values())

    def take(self, key: Key, values: torch.Tensor, axis: int) -> None:
        """Takes a tensor whose units lie along ``axis``. One that comes again is another part of the batch, or replaces it."""
        values, form = values.detach(), Form.of(values, axis)
        place = self.stage.place(key, form)
        is_part = self._merges and key in self._taken
        if place is not None and not is_part:
            place.copy_(form.view(values))
            self._taken[key] = None
        else:
            found, count = unit_statistics(values, axis, self._scratch)
            if is_part:
                known, known_count = self._taken[key] or self._staged(key)
                if known.shape == found.shape:
                    found, count = merged(known, known_count, found, count), known_count + count
            self._taken[key] = (found, count)
        self.forms[key] = form

    def take_weight(self, name: str, parameter: torch.Tensor, axis: int) -> None:
        """Takes a parameter before its update."""
        self.take((name, "weight"), parameter, axis)
        if self._taken[name, "weight"] is not None:
            self._before[name] = parameter.detach().clone()

    def take_update(self, name: str, parameter: torch.Tensor, axis: int) -> None:
        """Takes by how much a parameter is another than before."""
        key, after, form = (name, "update"), parameter.detach(), Form.of(parameter, axis)
        before = self._before.pop(name, None)
        before = self.stage.place((name, "weight"), form) if before is None else form.view(before)
        place = self.stage.place(key, form)
        if place is None:
            self.take(key, form.view(after) - before, 1)
            return
        torch.sub(form.view(after), before, out=place)
        self.forms[key], self._taken[key] = form, None

    @torch.no_grad()
    def found(self) -> dict[Key, torch.Tensor]:
        """The statistics ``[units, 6]`` of each tensor."""
        staged = self.stage.measured(self._scratch)
        return {key: (taken or staged[key])[0] for key, taken in self._taken.items()}

    def _staged(self, key: Key) -> tuple[torch.Tensor, int]:
        return unit_statistics(self.stage.place(key, self.forms[key]), 1, self._scratch)
