"""Writes a recorded run as one that trainscope can replay: scenario, data, noise, and its records under the scenario's names."""

from __future__ import annotations

import hashlib
import io
import math
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from torch import nn

from . import graph
from .batches import Batches
from .optimizers import in_scenario, scaled
from .run_directory import RunDirectory
from .scenario import Expressed, NotExpressible, express, to_toml
from .tracing import StepTracer

#: Recorded steps at which the loss is compared with that of the scenario, and how far the two may be apart.
_OBSERVED = 8
_CLOSE = 1e-4
#: The share of the largest gradient below which one is rounding.
_ROUNDING = 1e-5


class ExportError(RuntimeError):
    """What of a run no scenario has, or what was not kept of it."""


class Exporter:
    """Keeps of a run that is recorded what its export needs."""

    def __init__(self, models: Mapping[str, nn.Module], optimizers: list[torch.optim.Optimizer], roles: Mapping[str, str]):
        self.batches = Batches()
        self._models = models
        self._optimizers = optimizers
        self._roles = roles
        self._expressed: Expressed | None = None
        self._refusal: str | None = None
        #: Of each observed step the loss and the terms that the scenario's loss has, for a loss of size 1 each.
        self._observed: list[tuple[float, list[float]]] = []
        self._implied: list[float] = []
        self._values: dict[str, torch.Tensor] = {}
        self._rates: list[float] = []
        self._hooks = [one.register_step_pre_hook(self._take_rate) for one in optimizers[:1]]

    @property
    def observes(self) -> bool:
        """Whether it wants the values of the recorded step that is under way."""
        return self._refusal is None and len(self._observed) < _OBSERVED

    def release(self) -> None:
        """Takes its hooks away."""
        for hook in self._hooks:
            hook.remove()

    def take_value(self, tensor: str, values: torch.Tensor) -> None:
        """A layer's output in a recorded step."""
        if self._expressed is None or tensor in self._expressed.read:
            self._values[tensor] = values.detach()

    def _take_rate(self, optimizer: torch.optim.Optimizer, args: tuple, kwargs: dict) -> None:
        self._rates.append(float(optimizer.param_groups[0]["lr"]))

    def observe(self, tracer: StepTracer, scalars: Mapping[str, object], batch: object) -> None:
        """Finds at the first recorded step which model it is, and compares its loss with the scenario's in some steps."""
        try:
            if self._refusal is None and self._expressed is None:
                self._expressed = self._express(tracer, scalars)
            if self.observes and batch is not None:
                self._compare(scalars.get("loss"), batch)
        except NotExpressible as refusal:
            self._refusal = str(refusal)
        self._values = {}

    def _express(self, tracer: StepTracer, scalars: Mapping[str, object]) -> Expressed:
        if len(self._models) != 1 or len(tracer.passes) != 1:
            raise NotExpressible(f"a step has {len(tracer.passes)} forward passes of {len(self._models)} models, a scenario's model one of one")
        losses: dict[str, tuple[str, ...]] = {}
        for loss in graph.losses(tracer, scalars):
            losses[loss.kind] = tuple(dict.fromkeys((*losses.get(loss.kind, ()), *loss.inputs)))
        return express(tracer.passes[0], next(iter(self._models)), losses, self._roles)

    @torch.no_grad()
    def _compare(self, loss: object, batch: object) -> None:
        read = [self._values.get(name) for name in self._expressed.read]
        inputs, labels = batch if isinstance(batch, (tuple, list)) else (batch, None)
        if loss is None or any(value is None for value in read):
            return
        read = [value.to("cpu", torch.float64) for value in read]
        if self._expressed.model["kind"] == "classifier":
            if not isinstance(labels, torch.Tensor) or labels.is_floating_point() or labels.dim() != 1:
                raise NotExpressible("step() was given no classes: pass batch=(inputs, labels) with a whole number for each sample")
            terms = [float(nn.functional.cross_entropy(read[0], labels.cpu()))]
        else:
            terms = self._vae_terms(read, inputs.detach().to("cpu", torch.float64))
        self._observed.append((float(loss), terms))

    def _vae_terms(self, read: list[torch.Tensor], inputs: torch.Tensor) -> list[float]:
        output, mean, log_variance, latent = read
        target = inputs.reshape(output.shape)
        of = {
            "bce_with_logits": nn.functional.binary_cross_entropy_with_logits, "bce": nn.functional.binary_cross_entropy,
            "squared_error": nn.functional.mse_loss,
        }[self._expressed.model["reconstruction"]]  # fmt: skip
        reconstruction = float(of(output, target, reduction="sum")) / len(inputs)
        divergence = float(-0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum()) / len(inputs)
        noise = (latent - mean) / torch.exp(0.5 * log_variance)
        drawn = self.batches.drawn
        if drawn is not None:
            if drawn.shape != latent.shape or (drawn.double().cpu() - noise).abs().max() > 1e-2:
                raise NotExpressible("the latent vector is not mean + noise * exp(log_variance / 2) with the noise that run.noise() was given")
        else:
            self._implied.append(float(noise.std()))
        return [reconstruction, divergence]

    # Writing

    def write(self, recorded: Path, info: Mapping[str, object], path: str | os.PathLike[str]) -> Path:
        """Writes the export of the run directory ``recorded`` to ``path``."""
        path = Path(path)
        found = self._expressed
        if self._refusal is not None or found is None:
            raise ExportError(f"{recorded} cannot be exported: {self._refusal or 'no step was recorded'}")
        if not self.batches.steps:
            raise ExportError(f"{recorded} cannot be exported: {self.batches.end or 'no step is done'}; pass batch= to step()")
        if RunDirectory.holds_a_run(path):
            raise ExportError(f"{path} is not an empty folder: name another one, or delete it")
        try:
            scenario, factor, notes = self._scenario(info)
        except NotExpressible as refusal:
            raise ExportError(f"{recorded} cannot be exported: {refusal}") from None
        steps = self.batches.steps
        if steps < info["steps_done"]:
            notes.append(f"it ends after {steps} of {info['steps_done']} steps: {self.batches.end}")
        samples, scale, shift, error = self.batches.as_bytes()
        if scale != 1.0 or shift != 0.0:
            scenario["data"].update(scale=scale, shift=shift)
        if error > 1e-3 * scale / 255:
            notes.append(f"inputs were rounded to 256 levels, by at most {error:.2g}")
        own = ("name", "adapter", "driver", "backend", "seed", "seconds", "started", "parameters", "recorder", "recorded_every")
        run = RunDirectory(path, {
            **{key: info[key] for key in own if key in info},
            "status": "done", "steps": steps, "steps_done": steps,
            "data": self._tally(path, samples),
            "exported": {"from": str(recorded), "loss_factor": factor, "names": {**found.layers, **found.parameters}, "notes": notes},
        })  # fmt: skip
        self._write_data(run, samples)
        run.write_file("scenario.toml", to_toml(scenario).encode())
        run.write_graphs([found.graph])
        _copy_records(recorded, run, found, steps, factor)
        _copy_checkpoints(recorded, run, found, steps, lambda state: scaled(self._optimizer(), state, factor)[1])
        return path

    def _scenario(self, info: Mapping[str, object]) -> tuple[dict, float, list[str]]:
        """The scenario, the factor of the run's loss over the scenario's, and what a replay cannot repeat exactly."""
        model, notes = dict(self._expressed.model), list(self._expressed.notes)
        factor = self._loss(model)
        if model["kind"] == "vae":
            if self.batches.has_noise:
                model["noise_file"] = "noise.npy"
            else:
                off = [std for std in self._implied if not 0.8 < std < 1.2]
                if off:
                    raise NotExpressible(f"the noise of the latent vector has a standard deviation of {off[0]:.2g}, not of 1: draw it with run.noise()")
                notes.append("the noise of the latent vector is drawn anew: steps are those of another draw (run.noise() keeps it)")
        settings, _ = scaled(self._optimizer(), {}, factor)
        train = {
            "batch": self.batches.size, "steps": self.batches.steps, "optimizer": settings,
            "schedule": self._schedule(next(iter(self._optimizer().values()))["lr"]), "stop_after_nonfinite": 0,
        }  # fmt: skip
        if self._expressed.frozen:
            train["frozen"] = self._expressed.frozen
        name = "".join(c if c.isalnum() or c in "-_." else "-" for c in str(info["name"])).lstrip(".") or "exported"
        return {
            "name": name, "seed": int(info["seed"]),
            "data": {"source": "npy", "path": "samples.npy", "shuffle": False},
            "model": model, "train": train,
            "record": {"every": int(info["recorded_every"]), "checkpoint_every": self.batches.steps},
        }, factor, notes  # fmt: skip

    def _optimizer(self) -> dict:
        if len(self._optimizers) != 1:
            raise NotExpressible(f"{len(self._optimizers)} optimizers train the model, in a scenario it is one")
        optimizer = self._optimizers[0]
        found = [in_scenario(optimizer, group) for group in optimizer.param_groups]
        other = [what for settings, whats in found for what in whats]
        if other:
            raise NotExpressible(f"{other[0]} is no optimizer of a scenario")
        if any(settings != found[0][0] for settings, _ in found):
            raise NotExpressible("its parameter groups have different settings")
        return found[0][0]

    def _loss(self, model: dict) -> float:
        """The factor of the run's loss over the scenario's; sets ``beta``, the weight of the divergence of a VAE."""
        steps = [(loss, terms) for loss, terms in self._observed if math.isfinite(loss) and all(map(math.isfinite, terms))]
        if not steps:
            raise NotExpressible("no recorded step has a finite loss and a batch to compare it with: pass loss= and batch= to step()")
        values = math.prod(self._expressed.graph["layers"][0]["shape"])
        batch = self.batches.size
        for factor in (1.0, float(batch), 1 / values, batch / values):
            beta = self._beta(steps, factor)
            sums = [(loss, factor * (terms[0] + beta * sum(terms[1:]))) for loss, terms in steps]
            if beta >= 0 and all(abs(loss - own) <= _CLOSE * abs(loss) + 1e-6 for loss, own in sums):
                if len(steps[0][1]) > 1:
                    model["beta"] = beta
                return factor
        loss, terms = steps[-1]
        named = " and a divergence of ".join(f"{term:.6g}" for term in terms)
        what = "a cross-entropy" if len(terms) == 1 else "a reconstruction"
        raise NotExpressible(f"the loss of {loss:.6g} is no fixed sum of {what} of {named}: it has other terms, or weights that change")

    @staticmethod
    def _beta(steps: list[tuple[float, list[float]]], factor: float) -> float:
        """The weight of the divergence, from the step where it is largest; a round number where that is as good."""
        if len(steps[0][1]) < 2:
            return 0.0
        loss, (reconstruction, divergence) = max(steps, key=lambda step: step[1][1])
        if divergence <= 0:
            return 1.0
        beta = (loss / factor - reconstruction) / divergence
        round_one = float(f"{beta:.2g}")
        fits = abs(factor * (reconstruction + round_one * divergence) - loss) <= 0.1 * _CLOSE * abs(loss)
        return round_one if fits else beta

    def _schedule(self, rate: float) -> dict:
        """The schedule whose shares the learning rate had."""
        shares = np.array(self._rates[: self.batches.steps]) / rate
        steps = np.arange(len(shares))
        below = np.flatnonzero(shares < 1 - 1e-6)
        candidates = [({"constant": {"warmup": 0}}, np.ones(len(shares)))]
        if len(below) and shares[0] < 1:
            warmup = round(1 / shares[0]) if shares[0] > 0 else 0
            candidates.append(({"constant": {"warmup": warmup}}, np.minimum((steps + 1) / max(warmup, 1), 1)))
        elif len(below):
            every, factor = int(below[0]), float(shares[below[0]])
            candidates.append(({"step": {"every": every, "factor": factor}}, factor ** (steps // every)))
            for period in {len(shares) - 1, len(shares), len(shares) + 1}:
                wave = 0.5 * (1 + np.cos(np.pi * np.minimum(steps, period) / max(period, 1)))
                floor = max((shares[-1] - wave[-1]) / (1 - wave[-1]), 0.0) if wave[-1] < 1 else 0.0
                floor = round(float(floor), 9)
                candidates.append(({"cosine": {"steps": period, "floor": floor}}, floor + (1 - floor) * wave))
        for settings, own in candidates:
            if np.allclose(shares, own, rtol=1e-5, atol=1e-9):
                return settings
        raise NotExpressible("the learning rate follows no schedule of a scenario: constant with or without a warm-up, steps, or half a cosine over the run")

    def _tally(self, path: Path, samples: np.ndarray) -> dict:
        labels = self.batches.labels() if self.batches.has_labels else np.zeros(0, np.uint8)
        digest = hashlib.sha256()
        for number in samples.shape:
            digest.update(int(number).to_bytes(8, "little"))
        digest.update(samples.tobytes())
        digest.update(len(labels).to_bytes(8, "little"))
        digest.update(labels.tobytes())
        classes = [{"name": str(label), "label": int(label), "count": int(count)}
                   for label, count in zip(*np.unique(labels, return_counts=True), strict=True)]
        return {
            "source": "npy", "path": "samples.npy", "absolute_path": str((path / "samples.npy").resolve()), "count": len(samples),
            "shape": list(samples.shape[1:]), "range": [int(samples.min()), int(samples.max())], "digest": digest.hexdigest(),
            "classes": classes,
        }  # fmt: skip

    def _write_data(self, run: RunDirectory, samples: np.ndarray) -> None:
        arrays = {"samples.npy": samples}
        if self.batches.has_labels:
            arrays["samples.labels.npy"] = self.batches.labels()
        if self.batches.has_noise:
            arrays["noise.npy"] = self.batches.noise()
        for name, array in arrays.items():
            content = io.BytesIO()
            np.save(content, array)
            run.write_file(name, content.getvalue())


def _copy_records(recorded: Path, run: RunDirectory, found: Expressed, steps: int, factor: float) -> None:
    """Scalars and statistics under the scenario's names, with gradients of its loss."""
    rows = []
    for file in sorted((recorded / "scalars").glob("*.parquet")):
        table = pq.read_table(file)
        for step, name, value in zip(*(table[key].to_pylist() for key in ("step", "name", "value")), strict=True):
            parameter = found.parameters.get(name.removeprefix("gradient_norm/"))
            if step < steps and name == "loss":
                rows.append((step, name, value / factor))
            elif step < steps and name.startswith("gradient_norm/") and parameter:
                rows.append((step, f"gradient_norm/{parameter}", value / factor))
    if rows:
        run.write_scalars(_without_rounding(rows))
    names = {**found.layers, **found.parameters}
    for file in sorted((recorded / "trace").glob("*.parquet")):
        frame = pq.read_table(file, filters=[("step", "<", steps)]).to_pandas()
        frame = frame[frame.tensor.isin(names)]
        if frame.empty:
            continue
        layout, parts = [], []
        for (tensor, kind), part in frame.groupby(["tensor", "kind"], sort=False, observed=True):
            part = part.sort_values(["step", "unit"])
            units = int(part.unit.max()) + 1
            values = part[["mean", "std", "min", "max", "zero_fraction", "nonfinite"]].to_numpy(np.float32).reshape(-1, units, 6)
            if kind == "gradient":
                values[:, :, :4] /= factor
            layout.append((names[tensor], str(kind), units))
            parts.append(values)
        run.write_trace(layout, np.sort(frame.step.unique()), np.concatenate(parts, axis=1))


def _without_rounding(rows: list[tuple[int, str, float]]) -> list[tuple[int, str, float]]:
    """Norms of gradients that are 0 but for rounding, as a bias before a normalization has them, say nothing of a replay."""
    largest: dict[str, float] = {}
    for _, name, value in rows:
        if name != "loss" and math.isfinite(value):
            largest[name] = max(largest.get(name, 0.0), value)
    least = _ROUNDING * max(largest.values(), default=0.0)
    return [row for row in rows if largest.get(row[1], math.inf) > least]


def _copy_checkpoints(recorded: Path, run: RunDirectory, found: Expressed, steps: int, of_loss) -> None:
    """States under the scenario's names. ``of_loss`` makes an optimizer's state that of the scenario's loss."""
    from safetensors.numpy import load_file

    folders = [entry for entry in (recorded / "checkpoints").glob("*") if entry.name.isdigit() and int(entry.name) <= steps]
    for folder in sorted(folders):
        parameters = load_file(folder / "parameters.safetensors")
        state = load_file(folder / "optimizer.safetensors") if (folder / "optimizer.safetensors").exists() else {}
        renamed = {}
        for name, values in state.items():
            parameter, moment = name.rsplit(".", 1)
            if parameter in found.parameters and moment != "step":
                renamed[f"{found.parameters[parameter]}.{moment}"] = values
        own = {found.parameters[name]: values for name, values in parameters.items() if name in found.parameters}
        run.write_checkpoint(int(folder.name), own, of_loss(renamed))
