"""TensorBoard's event files and tables of scalars: a run's scalars and pictures out, scalars of other tools in.

What reads and writes event files is TensorBoard's own package.
"""

from __future__ import annotations

import csv
import os
import struct
from pathlib import Path

from .reader import Run
from .run_directory import RunDirectory

#: Columns of a table that number the steps, and columns that are no scalars.
_STEPS = ("_step", "step", "Step", "global_step", "trainer/global_step")
_TIMES = ("Wall time", "_timestamp", "_runtime")


def to_tensorboard(run: Run | str | os.PathLike[str], folder: str | os.PathLike[str], *, images: bool = True) -> Path:
    """Writes a run's scalars, and its PNG pictures where there are any, as an event file into ``folder``."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    run = run if isinstance(run, Run) else Run(run)
    writer = EventFileWriter(os.fspath(folder), filename_suffix=".trainscope")

    def add(step: int, name: str, **value: object) -> None:
        summary = Summary(value=[Summary.Value(tag=name, **value)])
        writer.add_event(Event(step=step, summary=summary))

    table = run.scalars_table()
    rows = zip(*(table[name].to_pylist() for name in ("step", "name", "value")), strict=True) if len(table) else ()
    for step, name, value in sorted(rows):
        add(step, name, simple_value=value)
    for picture in sorted(run.path.rglob("*.png")) if images else ():
        content = picture.read_bytes()
        width, height = struct.unpack(">II", content[16:24])
        image = Summary.Image(width=width, height=height, colorspace=4, encoded_image_string=content)
        add(int(run.info.get("steps_done", 0)), str(picture.relative_to(run.path).with_suffix("")), image=image)
    writer.close()
    return Path(folder)


def from_tensorboard(source: str | os.PathLike[str], path: str | os.PathLike[str], *, name: str | None = None) -> Run:
    """Makes a run directory of the scalars in an event file, or in those of a folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    if not (Path(source).is_file() or any(Path(source).glob("*tfevents*"))):
        raise FileNotFoundError(f"{source} has no event file of TensorBoard (a file with 'tfevents' in its name)")
    events = EventAccumulator(os.fspath(source), size_guidance={"scalars": 0, "tensors": 0}).Reload()
    tags = events.Tags()
    scalars = {(event.step, tag): float(event.value) for tag in tags["scalars"] for event in events.Scalars(tag)}
    for tag in tags["tensors"]:
        for event in events.Tensors(tag):
            value = tensor_util.make_ndarray(event.tensor_proto)
            if value.size == 1 and value.dtype.kind in "fiu":
                scalars[event.step, tag] = float(value.reshape(-1)[0])
    rows = [(step, tag, value) for (step, tag), value in scalars.items()]
    return _run_of(rows, path, name or Path(source).stem, "TensorBoard")


def from_csv(
    source: str | os.PathLike[str], path: str | os.PathLike[str], *, step: str | None = None, name: str | None = None
) -> Run:
    """Makes a run directory of a table of scalars, as W&B exports it or as TensorBoard downloads it: a column of steps
    (``_step``, ``step``, ``Step``, ``global_step``, or the one named), every other column of numbers a scalar."""
    with Path(source).open(newline="") as file:
        reader = csv.DictReader(file)
        columns = reader.fieldnames or []
        steps = next((one for one in ([step] if step else _STEPS) if one in columns), None)
        if steps is None:
            raise ValueError(f"{source} has no column of steps among {', '.join(columns) or 'none'}: name it with step=...")
        scalars = []
        for row in reader:
            at = _number(row[steps])
            for column in columns:
                value = _number(row.get(column))
                if column not in (steps, *_TIMES) and value is not None and at is not None:
                    # A column of W&B has the run's name before the scalar's: "brave-fox-3 - loss".
                    scalars.append((int(at), column.rsplit(" - ", 1)[-1], value))
    return _run_of(scalars, path, name or Path(source).stem, "CSV")


def _run_of(scalars: list[tuple[int, str, float]], path: str | os.PathLike[str], name: str, tool: str) -> Run:
    if RunDirectory.holds_a_run(path):
        raise FileExistsError(f"{path} is not an empty folder: name another one")
    if not scalars:
        raise ValueError("no scalar was found")
    steps = max(step for step, _, _ in scalars) + 1
    info = {"name": name, "adapter": "not known", "driver": tool, "backend": "not known", "steps": steps, "steps_done": steps}
    directory = RunDirectory(path, {**info, "status": "done"})
    directory.write_graphs([])
    directory.write_scalars(scalars)
    return Run(path)


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
