"""Records a PyTorch training run into a run directory."""

from __future__ import annotations

import functools
import os
import sys
import time
import warnings
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import nn

from . import graph, layers, optimizers
from ._version import VERSION
from .exporting import ExportError, Exporter
from .run_directory import RunDirectory
from .statistics import NAMES, Scratch
from .step_statistics import Form, Key, Stage, StepStatistics
from .tracing import StepTracer

#: Rows of statistics that are kept before they are written.
_ROWS = 1 << 20
#: Steps whose statistics are on their way at a time.
_STAGES = 2
#: Seconds after which what is recorded is written, and the share of the run's time above it: a long run has few segments.
_SECONDS, _SHARE = 30.0, 0.05


class RecordingWarning(UserWarning):
    """The recorder cannot do what it was asked. The training goes on without it."""


class RecordingError(RuntimeError):
    """The same with ``strict=True``."""


def _guarded(method):
    """What goes wrong in the recorder never reaches the training: it warns once and records nothing more."""

    @functools.wraps(method)
    def call(self, *args, **kwargs):
        if self._is_off:
            return None
        try:
            return method(self, *args, **kwargs)
        except Exception as error:
            self._give_up(error)
            return None

    return call


class Recorder:
    """A run that is being recorded. Made by :func:`record`."""

    def __init__(
        self,
        model: nn.Module | Mapping[str, nn.Module],
        optimizer: torch.optim.Optimizer | list[torch.optim.Optimizer] | None,
        path: str | os.PathLike[str],
        *,
        every: int = 20,
        loss: nn.Module | None = None,
        name: str | None = None,
        steps: int | None = None,
        seed: int | None = None,
        checkpoint_every: int | None = 1000,
        roles: Mapping[str, str] | None = None,
        scaler: object | None = None,
        accumulate: bool | None = None,
        progress: bool = False,
        export: bool = False,
        strict: bool = False,
    ):
        self.strict = strict
        self._exporter: Exporter | None = None
        self.path = Path(path)
        self._is_off = _rank() != 0
        self._is_closed = False
        self._step = 0
        self._losses: list[tuple[int, float]] = []
        if self._is_off:
            return
        try:
            self._every = max(int(every), 1)
            self._models = {key: _unwrapped(one) for key, one in _named(model).items()}
            self._optimizers = [one for one in (optimizer if isinstance(optimizer, (list, tuple)) else [optimizer]) if one]
            self._loss_module = loss
            self._loss_value: torch.Tensor | None = None
            self._loss_hook = loss.register_forward_hook(self._take_loss) if isinstance(loss, nn.Module) else None
            self._checkpoint_every = checkpoint_every
            self._roles = dict(roles or {})
            self._scaler = scaler
            self._merges = len(self._optimizers) < 2 if accumulate is None else accumulate
            self._progress = progress
            self._tracer: StepTracer | None = None
            self._layout: list[tuple[str, str, int]] = []
            self._rows: dict[Key, range] = {}
            self._forms: dict[Key, Form] = {}
            self._parameters = self._trainable()
            self._scratch = Scratch()
            #: Stages that no step is on, and how many there are.
            self._free: list[Stage] = []
            self._stages = 0
            self._graph_done = False
            self._nonfinite = False
            self._steps_wanted = steps
            self._records: list[tuple[int, Future | torch.Tensor, torch.cuda.Event | None]] = []
            self._scalars: list[tuple[int, str, object]] = []
            self._late: set[str] = set()
            self._buffers: list[torch.Tensor] = []
            self._writing: Future | None = None
            # A segment takes long to write: the statistics of the next steps do not wait for it.
            self._writer, self._measurer = (ThreadPoolExecutor(1, thread_name_prefix="trainscope") for _ in range(2))
            self._exporter = Exporter(self._models, self._optimizers, self._roles) if export else None
            self._started = self._flushed = time.monotonic()
            self._run = self._make_directory(name, steps, seed)
            self._checkpoint(0)
            self._arm()
        except Exception as error:
            self._give_up(error)

    # What a training script calls

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind, error, trace) -> None:
        if error is None:
            self.close()
        elif isinstance(error, KeyboardInterrupt):
            self.close(status="stopped")
        else:
            self.close(status=f"failed: {type(error).__name__}: {error}"[:300].replace("\n", " "))

    @_guarded
    def step(self, loss: torch.Tensor | float | None = None, *, batch: object = None, **scalars: torch.Tensor | float) -> None:
        """Ends a training step, after the optimizer's. ``loss`` and other scalars are recorded at every step, the
        statistics of every unit at every ``every``-th. ``batch``, the inputs or a pair of inputs and labels, is kept for
        :meth:`export` where that was asked for."""
        if self._is_closed:
            raise RecordingError("step() was called after close(): open a new recording for a new run")
        loss = self._loss_value if loss is None else loss
        for name, value in (("loss", loss), *scalars.items()):
            if value is not None:
                self._scalars.append((self._step, name, value.detach() if isinstance(value, torch.Tensor) else float(value)))
        if self._tracer is not None:
            self._finish_record({"loss": loss, **scalars}, batch)
        if self._exporter is not None:
            self._exporter.batches.take(self._step, batch)
        self._loss_value = None
        self._step += 1
        if self._checkpoint_every and self._step % self._checkpoint_every == 0:
            self._checkpoint(self._step)
        waited = time.monotonic() - self._flushed
        rows = len(self._records) * max(sum(units for *_, units in self._layout), 1)
        if rows >= _ROWS or waited > max(_SECONDS, _SHARE * (time.monotonic() - self._started)):
            self._flush()
        self._arm()
        if self._progress:
            self._show_progress()

    def close(self, status: str = "done") -> None:
        """Writes what is left and takes every hook away. A ``with`` statement does it."""
        if self._is_off or self._is_closed:
            return
        self._is_closed = True
        try:
            self._disarm()
            if self._loss_hook is not None:
                self._loss_hook.remove()
            if self._exporter is not None:
                self._exporter.release()
            if self._checkpoint_every:
                self._checkpoint(self._step)
            self._flush(wait=True)
            self._run.write_info(status=status, **self._progress_info())
        except Exception as error:
            self._give_up(error)
        finally:
            self._measurer.shutdown(wait=True)
            self._writer.shutdown(wait=True)

    def noise(self, noise: torch.Tensor) -> torch.Tensor:
        """Keeps the noise of a VAE's latent vector for :meth:`export`, and returns it:
        ``z = mu + run.noise(torch.randn_like(mu)) * torch.exp(logvar / 2)``."""
        if self._exporter is not None and torch.is_grad_enabled():
            self._exporter.batches.draw(noise)
        return noise

    def export(self, path: str | os.PathLike[str]) -> Path:
        """Writes the run as one that trainscope can replay: scenario, initial weights, and the batches in their order.

        :raises ExportError: no scenario has its model, loss or optimizer, or its batches were not kept; the message names it.
        """
        if self._exporter is None:
            raise ExportError(f"{self.path} keeps no batches: record with export=True and pass batch= to step()")
        if not self._is_closed:
            self._flush(wait=True)
        return self._exporter.write(self.path, {**self._run.info, **self._progress_info()}, path)

    @property
    def steps(self) -> int:
        """How many steps are done."""
        return self._step

    @property
    def is_recording(self) -> bool:
        """Whether it records; not on other ranks than 0, after :meth:`close`, or after something went wrong."""
        return not (self._is_off or self._is_closed)

    def _repr_html_(self) -> str:
        from .notebook import recorder_html

        return recorder_html(self)

    # One recorded step

    def _arm(self) -> None:
        """Prepares the next step where it is recorded: its parameters are kept, its modules get hooks."""
        if self._step % self._every or self._is_closed:
            return
        self._statistics = StepStatistics(self._free_stage(), self._scratch, self._merges)
        with torch.no_grad():
            for name, parameter, axis in self._parameters:
                self._statistics.take_weight(name, parameter, axis)
        self._norms: dict[str, torch.Tensor] = {}
        self._step_hooks = [one.register_step_pre_hook(self._take_gradients) for one in self._optimizers]
        self._tracer = StepTracer(self._models, self._take, self._give_up, self._merges)
        self._tracer.attach()
        self._stance = None
        # What was compiled has no place for hooks: a recorded step runs as it was written. Who compiles nothing does not
        # wait for the compiler's modules.
        if "torch._dynamo" in sys.modules:
            self._stance = torch.compiler.set_stance("force_eager")
            self._stance.__enter__()

    def _free_stage(self) -> Stage:
        """Memory for the values of a step. Where all of it is taken, the step before is waited for."""
        if not self._layout:
            forms = {(name, kind): Form.of(parameter, axis) for name, parameter, axis in self._parameters for kind in ("weight", "update")}
            return Stage(forms)
        if not self._free and self._stages < _STAGES:
            self._stages += 1
            return Stage(self._forms)
        pending = (values for _, values, _ in self._records if isinstance(values, Future))
        while not self._free:
            next(pending).result()
        return self._free.pop()

    def _disarm(self) -> None:
        if self._tracer is None:
            return
        self._tracer.detach()
        for hook in self._step_hooks:
            hook.remove()
        if self._stance is not None:
            self._stance.__exit__(None, None, None)
        self._tracer = None

    def _take(self, tensor: str, kind: str, values: torch.Tensor, axis: int) -> None:
        if self._tracer is None:
            return
        if self._exporter is not None and kind == "activation" and self._exporter.observes:
            self._exporter.take_value(tensor, values)
        with torch.no_grad(), torch._C.DisableTorchFunction():
            if kind == "gradient" and self._scaler is not None and self._scaler.is_enabled():
                values = values.float() / self._scaler.get_scale()
            self._statistics.take((tensor, kind), values, axis)

    def _take_gradients(self, optimizer: torch.optim.Optimizer, args: tuple, kwargs: dict) -> None:
        try:
            own = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
            kept = [(n, p.grad) for n, p, _ in self._parameters if id(p) in own and p.grad is not None and not p.grad.is_sparse]
            if kept:
                norms = torch._foreach_norm([gradient for _, gradient in kept])
                self._norms.update((name, norm) for (name, _), norm in zip(kept, norms, strict=True))
            groups = [group for one in self._optimizers for group in one.param_groups]
            for at, group in enumerate(groups):
                if any(group is one for one in optimizer.param_groups) and "lr" in group:
                    name = "learning_rate" if len(groups) == 1 else f"learning_rate/{at}"
                    self._scalars.append((self._step, name, float(group["lr"])))
        except Exception as error:
            self._give_up(error)

    def _take_loss(self, module: nn.Module, args: tuple, output: object) -> None:
        if isinstance(output, torch.Tensor) and output.requires_grad:
            self._loss_value = output

    def _finish_record(self, scalars: Mapping[str, object], batch: object) -> None:
        tracer = self._tracer
        if self._exporter is not None:
            self._exporter.observe(tracer, scalars, batch)
        if not self._graph_done:
            self._run.write_graphs(graph.describe(tracer, self._models, scalars, self._roles))
            self._run.info["training"]["batch"] = tracer.batch
            self._graph_done = True
        with torch.no_grad():
            for name, parameter, axis in self._parameters:
                self._statistics.take_update(name, parameter, axis)
        self._disarm()
        self._scalars += [(self._step, f"gradient_norm/{name}", norm) for name, norm in self._norms.items()]
        self._store(self._statistics)

    def _make_layout(self, forms: dict[Key, Form]) -> None:
        """What the first recorded step has is recorded from then on."""
        self._forms = forms
        kinds = ("activation", "gradient", "weight", "update")
        places = {name: at for at, (name, _, _) in enumerate(self._parameters)}
        row = 0
        for (tensor, kind), form in sorted(forms.items(), key=lambda item: (kinds.index(item[0][1]), places.get(item[0][0], 0))):
            self._layout.append((tensor, kind, form.units))
            self._rows[tensor, kind] = range(row, row + form.units)
            row += form.units
        if not self._layout:
            raise RecordingError("the first recorded step has passed no layer and the model has no parameter: pass the model that is trained")

    def _store(self, statistics: StepStatistics) -> None:
        """Puts the statistics of a step on their way."""
        is_first = not self._layout
        if is_first:
            self._make_layout(statistics.forms)
        for key, form in statistics.forms.items():
            if len(self._rows.get(key, ())) != form.units:
                self._warn_of(key[0], "was not there, or had other units, at the first recorded step: it is not recorded")
        if self._records and isinstance(self._records[-1][1], Future) and self._records[-1][1].done():
            self._records[-1][1].result()  # raises what went wrong

        def gathered() -> torch.Tensor:
            values = self._gather(statistics.found())
            # The stage of the first step has places for parameters alone.
            self._free += [] if is_first else [statistics.stage]
            return values

        if statistics.is_on_cpu:
            self._records.append((self._step, self._measurer.submit(gathered), None))
            return
        values, event = gathered(), None
        if values.device.type == "cuda":
            host = self._buffers.pop() if self._buffers else torch.empty(values.shape, pin_memory=True)
            host.copy_(values, non_blocking=True)
            event = torch.cuda.Event()
            event.record()
            values = host
        self._records.append((self._step, values, event))

    def _gather(self, found: dict[Key, torch.Tensor]) -> torch.Tensor:
        """The statistics of a step in one buffer."""
        device = next((values.device for values in found.values()), torch.device("cpu"))
        values = torch.full((sum(units for *_, units in self._layout), len(NAMES)), torch.nan, device=device)
        values[:, 4:] = 0.0
        for key, rows in self._rows.items():
            if len(found.get(key, ())) == len(rows):
                values[rows.start : rows.stop] = found[key]
        return values

    # Writing

    def _flush(self, wait: bool = False) -> None:
        """Hands what was recorded to the thread that writes. One segment is written at a time."""
        if self._writing is not None:
            self._writing.result()
            self._writing = None
        records, self._records = self._records, []
        scalars, self._scalars = self._scalars, []
        self._flushed = time.monotonic()
        numbers = _numbers(scalars)
        self._losses += [(step, value) for step, name, value in numbers if name == "loss"]
        self._losses = self._losses[:: 2 if len(self._losses) > 2000 else 1]
        for _, _, event in records:
            if event is not None:
                event.synchronize()
        steps = np.array([step for step, _, _ in records], dtype=np.int64)
        taken = [values.result() if isinstance(values, Future) else values for _, values, _ in records]
        values = np.stack([values.cpu().numpy() for values in taken]) if records else None
        if records and records[0][2] is not None:
            self._buffers = taken[:2]
        info = self._progress_info()
        work = functools.partial(self._write, steps, values, numbers, info)
        self._writing = self._writer.submit(work)
        if wait:
            self._writing.result()
            self._writing = None

    def _write(self, steps: np.ndarray, values: np.ndarray | None, scalars: list, info: dict) -> None:
        if values is not None:
            self._run.write_trace(self._layout, steps, values)
            self._find_nonfinite(steps, values)
        if scalars:
            self._run.write_scalars(scalars)
        self._run.write_info(**info)

    def _find_nonfinite(self, steps: np.ndarray, values: np.ndarray) -> None:
        """The first value that is NaN or infinite is an event; what follows from it is not."""
        found = values[:, :, 5] > 0
        if self._nonfinite or not found.any():
            return
        self._nonfinite = True
        at = int(found.any(axis=1).argmax())
        row = int(found[at].argmax())
        first = 0
        for tensor, kind, units in self._layout:
            if row < first + units:
                bad = np.flatnonzero(found[at, first : first + units])
                subject = {"tensor": tensor, "quantity": kind, "units": bad[:64].tolist()}
                count = float(values[at, first : first + units, 5].sum())
                self._run.write_event(int(steps[at]), "nonfinite", "fatal", subject, statistics={"values": count})
                return
            first += units

    def _checkpoint(self, step: int) -> None:
        parameters = {}
        for key, model in self._models.items():
            for name, value in model.state_dict().items():
                if isinstance(value, torch.Tensor):
                    parameters[".".join(part for part in (key, name) if part)] = _array(value)
        moments = {}
        names = {id(parameter): name for name, parameter, _ in self._parameters}
        for optimizer in self._optimizers:
            for parameter, state in optimizer.state.items():
                for moment, value in state.items():
                    if id(parameter) in names and isinstance(value, torch.Tensor):
                        moments[f"{names[id(parameter)]}.{moment}"] = _array(value)
        self._run.write_checkpoint(step, parameters, moments)

    def _make_directory(self, name: str | None, steps: int | None, seed: int | None) -> RunDirectory:
        path = self.path
        for number in range(2, 1000):
            if not RunDirectory.holds_a_run(path):
                break
            if self.strict:
                raise RecordingError(f"{path} is not an empty folder: name another one, or delete it")
            path = self.path.with_name(f"{self.path.name}-{number}")
        if path != self.path:
            self._warn(f"{self.path} is not an empty folder: this run is recorded to {path}")
            self.path = path
        parameter = next((parameter for _, parameter, _ in self._parameters), None)
        device = parameter.device if parameter is not None else torch.device("cpu")
        adapter = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
        count = sum(parameter.numel() for _, parameter, _ in self._parameters if parameter.requires_grad)
        info = {
            "name": name or self.path.name,
            "adapter": adapter,
            "driver": f"PyTorch {torch.__version__}",
            "backend": device.type,
            "steps": steps or 0,
            "seed": torch.initial_seed() % (1 << 63) if seed is None else seed,
            "parameters": count,
            "recorder": f"trainscope for Python {VERSION}",
            "recorded_every": self._every,
            "training": {"optimizers": optimizers.recorded(self._optimizers, {id(p): n for n, p, _ in self._parameters})},
        }
        return RunDirectory(self.path, info)

    def _progress_info(self) -> dict[str, object]:
        done = {"steps_done": self._step, "seconds": time.monotonic() - self._started}
        return done if self._steps_wanted else {**done, "steps": self._step}

    def _trainable(self) -> list[tuple[str, nn.Parameter, int]]:
        found = []
        for key, model in self._models.items():
            owners = {id(p): (module, name) for module in model.modules() for name, p in module.named_parameters(recurse=False)}
            for name, parameter in model.named_parameters():
                if parameter.numel() and not isinstance(parameter, nn.parameter.UninitializedParameter):
                    axis = layers.weight_axis(*owners[id(parameter)])
                    found.append((".".join(part for part in (key, name) if part), parameter, axis))
        return found

    # What goes wrong

    def _give_up(self, error: BaseException) -> None:
        """Stops recording; the training goes on."""
        if self.strict:
            self._is_off = True
            self._release()
            raise error if isinstance(error, RecordingError) else RecordingError(str(error)) from error
        if not self._is_off:
            self._is_off = True
            text = str(error) if isinstance(error, RecordingError) else f"{type(error).__name__}: {error}"
            self._warn(f"recording stops at step {self._step}, the training goes on: {text}")
            self._release()

    def _release(self) -> None:
        hooks = [one for one in (self._loss_hook and self._loss_hook.remove, self._exporter and self._exporter.release) if one]
        for release in (self._disarm, *hooks):
            try:
                release()
            except Exception:  # nothing more can be done for it
                continue
        try:
            self._run.write_info(status=f"failed: recording stopped at step {self._step}", **self._progress_info())
        except Exception:
            return

    def _warn(self, text: str) -> None:
        level = 2
        while (frame := sys._getframe(level)) and frame.f_globals.get("__name__", "").startswith("trainscope"):
            level += 1
        warnings.warn(f"trainscope: {text}", RecordingWarning, stacklevel=level + 1)

    def _warn_of(self, tensor: str, text: str) -> None:
        if tensor not in self._late:
            self._late.add(tensor)
            self._warn(f"'{tensor}' {text}")

    def _show_progress(self) -> None:
        from .notebook import show_progress

        show_progress(self)


def record(
    model: nn.Module | Mapping[str, nn.Module],
    optimizer: torch.optim.Optimizer | list[torch.optim.Optimizer] | None,
    path: str | os.PathLike[str],
    **options: object,
) -> Recorder:
    """Records a training run into the run directory ``path``.

    >>> with trainscope.record(model, optimizer, "runs/mine", every=20) as run:
    ...     for x, y in batches:
    ...         loss = criterion(model(x), y)
    ...         optimizer.zero_grad(); loss.backward(); optimizer.step()
    ...         run.step(loss=loss)

    :param model: the module that is trained, or several by name: ``{"generator": g, "discriminator": d}``.
    :param optimizer: its optimizer, or a list of them.
    :param every: statistics of every unit are taken at every so-many-th step.
    :param loss: a loss module; its value is recorded where :meth:`Recorder.step` is given none.
    :param steps: how many steps are planned.
    :param checkpoint_every: parameters are saved after every so many steps, at the start and at the end; ``None``: never.
    :param roles: what layers mean, by their names, where that is not found by itself: ``{"fc_mu": "latent_mean",
        "fc_logvar": "latent_log_variance"}``.
    :param scaler: the ``GradScaler`` of mixed precision: gradients are recorded without its factor.
    :param accumulate: whether several forward and backward passes before :meth:`Recorder.step` are parts of one batch (by
        default where there is one optimizer) or different passes.
    :param progress: a line on a terminal, a line with a chart in a notebook.
    :param export: keep every batch, in memory, for :meth:`Recorder.export`; ``step`` has to be given them.
    :param strict: raise :class:`RecordingError` where it would warn and go on without recording.
    """
    return Recorder(model, optimizer, path, **options)


def _named(model: nn.Module | Mapping[str, nn.Module]) -> dict[str, nn.Module]:
    if isinstance(model, nn.Module):
        return {"": model}
    return dict(model)


def _unwrapped(model: nn.Module) -> nn.Module:
    """The module inside of ``torch.compile`` and of data parallelism."""
    while True:
        if hasattr(model, "_orig_mod"):
            model = model._orig_mod
        elif isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            model = model.module
        else:
            return model


def _rank() -> int:
    distributed = torch.distributed
    return distributed.get_rank() if distributed.is_available() and distributed.is_initialized() else 0


def _array(value: torch.Tensor) -> np.ndarray:
    value = value.detach()
    value = value.float() if value.is_floating_point() else value.to(torch.int64)
    return value.cpu().contiguous().numpy().copy()


def _numbers(scalars: list[tuple[int, str, object]]) -> list[tuple[int, str, float]]:
    """Scalars as numbers; those that are still on a device come over together."""
    waiting = [value for _, _, value in scalars if isinstance(value, torch.Tensor)]
    if waiting:
        flat = torch.stack([value.reshape(-1)[0].to(torch.float64) if value.device.type != "mps" else value.reshape(-1)[0].float()
                            for value in waiting])
        ready = iter(flat.cpu().tolist())
    return [(step, name, next(ready) if isinstance(value, torch.Tensor) else value) for step, name, value in scalars]
