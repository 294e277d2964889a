"""Writes the run directory that trainscope reads: see docs/run-directory.md of the project."""

from __future__ import annotations

import datetime
import hashlib
import json
import math
import os
import re
import shutil
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ._version import VERSION

#: The version of the format that is written.
FORMAT = 1
_DIGITS = 8
_CREATED_BY = f"trainscope version {VERSION} (build python)"

_TRACE = pa.schema(
    [
        pa.field("step", pa.int64(), nullable=False),
        pa.field("tensor", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("kind", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("unit", pa.int32(), nullable=False),
        pa.field("mean", pa.float32(), nullable=False),
        pa.field("std", pa.float32(), nullable=False),
        pa.field("min", pa.float32(), nullable=False),
        pa.field("max", pa.float32(), nullable=False),
        pa.field("zero_fraction", pa.float32(), nullable=False),
        pa.field("nonfinite", pa.int32(), nullable=False),
    ]
)
_SCALARS = pa.schema(
    [
        pa.field("step", pa.int64(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
    ]
)


class RunDirectory:
    """A run directory that is being written. Every file gets its name only when it is complete."""

    def __init__(self, path: str | os.PathLike[str], info: Mapping[str, object]):
        self.path = Path(path)
        self.path.mkdir(parents=True, exist_ok=True)
        self.info: dict[str, object] = {
            "format": FORMAT,
            "kernels": {},
            "version": VERSION,
            "status": "running",
            "steps_done": 0,
            "steps": 0,
            "seed": 0,
            "seconds": 0.0,
            "started": _utc_now(),
            **info,
        }
        self.write_info()
        self._write("events.jsonl", b"")

    @staticmethod
    def holds_a_run(path: str | os.PathLike[str]) -> bool:
        """Whether a folder holds a run, or anything else that must not be mixed with one."""
        folder = Path(path)
        return folder.exists() and (not folder.is_dir() or any(folder.iterdir()))

    def write_info(self, **changes: object) -> None:
        """Writes ``run.json`` with some of its values changed."""
        self.info.update(changes)
        self._write("run.json", _json(self.info))

    def write_file(self, name: str, content: bytes) -> None:
        """Writes another file of the run."""
        self._write(name, content)

    def write_graphs(self, graphs: list[dict]) -> None:
        """Writes ``graph.json``: the layers and losses of the first graph, and all graphs."""
        first = graphs[0] if graphs else {"layers": [], "losses": []}
        self._write("graph.json", _json({"layers": first["layers"], "losses": first["losses"], "graphs": graphs}))

    def write_trace(self, layout: list[tuple[str, str, int]], steps: np.ndarray, values: np.ndarray) -> None:
        """Writes the statistics ``[steps, rows, 6]`` of some steps, the rows being the units of the layout's tensors."""
        entries = [{"tensor": tensor, "kind": kind, "units": units} for tensor, kind, units in layout]
        groups, row = [], 0
        for tensor, kind, units in layout:
            part = values[:, row : row + units].transpose(1, 0, 2).reshape(-1, 6)
            row += units
            groups.append(
                pa.table(
                    [
                        np.tile(steps, units),
                        _repeated(tensor, len(part)),
                        _repeated(kind, len(part)),
                        np.repeat(np.arange(units, dtype=np.int32), len(steps)),
                        *(np.ascontiguousarray(part[:, column]) for column in range(5)),
                        part[:, 5].astype(np.int32),
                    ],
                    schema=_TRACE,
                )
            )
        name = f"trace/{steps[0]:06d}-{steps[-1] + 1:06d}.parquet"
        continuous = {"mean", "std", "min", "max"}
        self._write(name, _parquet(_TRACE, ("trainscope.layout", json.dumps(entries)), continuous, groups))

    def write_scalars(self, scalars: list[tuple[int, str, float]]) -> None:
        """Writes scalars as ``(step, name, value)``, by name and then by step."""
        scalars = sorted(scalars, key=lambda row: (row[1], row[0]))
        steps = [step for step, _, _ in scalars]
        table = pa.table(
            [
                pa.array(steps, pa.int64()),
                pa.array([name for _, name, _ in scalars], pa.string()),
                pa.array([value for _, _, value in scalars], pa.float64()),
            ],
            schema=_SCALARS,
        )
        name = f"scalars/{min(steps):06d}-{max(steps) + 1:06d}.parquet"
        self._write(name, _parquet(_SCALARS, ("trainscope.scalars", "1"), {"value"}, [table]))

    def write_event(self, step: int, kind: str, severity: str, subject: Mapping[str, object], **more: object) -> None:
        """Appends a line to ``events.jsonl``."""
        event = {"step": step, "kind": kind, "severity": severity, "subject": subject, "since": step, **more}
        if "tensor" in subject:
            event["layer"] = f"{subject['tensor']} {subject['quantity']}" if kind == "nonfinite" else subject["tensor"]
        with open(self.path / "events.jsonl", "ab") as file:
            file.write(json.dumps(event).encode() + b"\n")

    def write_checkpoint(self, step: int, parameters: Mapping[str, np.ndarray], optimizer: Mapping[str, np.ndarray]) -> None:
        """Writes the state after ``step`` steps, as safetensors and with a digest over both files' tensors."""
        from safetensors.numpy import save_file

        name = f"{step:06d}"
        temporary = self.path / f"{name}.{os.getpid()}.tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        try:
            for file, tensors in (("parameters", parameters), ("optimizer", optimizer)):
                if tensors or file == "parameters":
                    save_file(dict(tensors), temporary / f"{file}.safetensors", metadata={"format": "pt"})
            (temporary / "digest").write_text(digest(step, parameters, optimizer) + "\n")
            target = self.path / "checkpoints" / name
            target.parent.mkdir(exist_ok=True)
            shutil.rmtree(target, ignore_errors=True)
            temporary.rename(target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _write(self, name: str, content: bytes) -> None:
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path / f"{target.name}.{os.getpid()}.tmp"
        try:
            temporary.write_bytes(content)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


def digest(step: int, parameters: Mapping[str, np.ndarray], optimizer: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over the step and over names, shapes and float32 values of all tensors, each part sorted by name."""
    total = hashlib.sha256(step.to_bytes(8, "little"))
    for part in (parameters, optimizer):
        total.update(len(part).to_bytes(8, "little"))
        for name in sorted(part, key=lambda name: name.encode()):
            values = part[name]
            total.update(len(name.encode()).to_bytes(8, "little") + name.encode())
            total.update(values.ndim.to_bytes(8, "little"))
            for side in values.shape:
                total.update(side.to_bytes(8, "little"))
            total.update(np.ascontiguousarray(values, dtype="<f4").tobytes())
    return total.hexdigest()


def _repeated(text: str, count: int) -> pa.Array:
    """One text many times: in the file a column of text, here a number for each row."""
    return pa.DictionaryArray.from_arrays(np.zeros(count, dtype=np.int32), pa.array([text]))


def _parquet(schema: pa.Schema, text: tuple[str, str], continuous: set[str], groups: Iterable[pa.Table]) -> bytes:
    """A Parquet file with one row group for each table, and a CRC-32 over the whole file in its own metadata."""
    blank = "crc32:" + "0" * _DIGITS
    sink = pa.BufferOutputStream()
    options = {
        "compression": "zstd",
        "use_dictionary": [name for name in schema.names if name not in continuous],
        "store_schema": False,
        "write_statistics": [name for name in schema.names if name not in continuous],
        "data_page_version": "1.0",
    }
    with pq.ParquetWriter(sink, schema, **options) as writer:
        for table in groups:
            writer.write_table(table, row_group_size=max(len(table), 1))
        writer.add_key_value_metadata({text[0]: text[1], "trainscope.seal": blank})
    content = bytearray(sink.getvalue().to_pybytes())
    at = content.rindex(blank.encode()) + len("crc32:")
    content[at : at + _DIGITS] = f"{zlib.crc32(content):08x}".encode()
    return bytes(content)


def _json(value: object) -> bytes:
    return (json.dumps(_finite(value), indent=2) + "\n").encode()


def _finite(value: object) -> object:
    """JSON has no NaN: such numbers become the strings that trainscope writes."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return value


def _utc_now() -> str:
    now = datetime.datetime.now(datetime.timezone.utc)
    return re.sub(r"\.\d+", "", now.isoformat()).replace("+00:00", "Z")
