"""Reads a run directory: tables as frames, checkpoints as state dicts, and what the program finds in it as objects."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from . import program
from .notebook import loss_chart, table_html

if TYPE_CHECKING:
    import pandas
    import polars


class Result(SimpleNamespace):
    """What the program answered, its keys as attributes: ``result.findings[0].cause``. :meth:`raw` gives the JSON."""

    def __init__(self, values: Mapping[str, Any], picture: bytes | None = None):
        super().__init__(**{key: _typed(value) for key, value in values.items()})
        self.__dict__["_values"] = dict(values)
        self.__dict__["_picture"] = picture

    def raw(self) -> dict[str, Any]:
        """The JSON object as it was printed."""
        return self._values

    def keys(self) -> list[str]:
        """The names of its values."""
        return list(self._values)

    def __repr__(self) -> str:
        shown = ", ".join(f"{key}={_short(value)}" for key, value in self._values.items())
        return f"Result({shown})"

    def _repr_png_(self) -> bytes | None:
        return self._picture


class Explanation(Result):
    """What ``trainscope explain`` says of a run: ``headline``, ``verdict`` and ``findings``."""

    def _repr_html_(self) -> str:
        rows = [("verdict", self.verdict), *((f.cause, f"{f.severity}: {f.title}") for f in self.findings)]
        return table_html(str(self.headline), rows, "")


class Run:
    """A run directory, open for reading. Files are read when they are asked for."""

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        if not (self.path / "run.json").is_file():
            raise FileNotFoundError(f"{self.path} is not a run directory: it has no run.json")
        self.info: dict[str, Any] = json.loads((self.path / "run.json").read_text())

    # Tables

    def trace_table(self, tensor: str | None = None, kind: str | None = None) -> pa.Table:
        """The statistics of every unit as an Arrow table; of one tensor, or of one kind (``"activation"``, ``"gradient"``,
        ``"weight"``, ``"update"``)."""
        wanted = [(key, "==", value) for key, value in (("tensor", tensor), ("kind", kind)) if value is not None]
        return self._table("trace", wanted or None)

    def trace(self, tensor: str | None = None, kind: str | None = None) -> pandas.DataFrame:
        """:meth:`trace_table` as a pandas frame."""
        return self.trace_table(tensor, kind).to_pandas()

    def scalars(self) -> pandas.DataFrame:
        """The scalars, one column for each name, by step."""
        table = self.scalars_table().to_pandas()
        return table.pivot_table(index="step", columns="name", values="value", aggfunc="first", dropna=False)

    def scalars_table(self) -> pa.Table:
        """The scalars as an Arrow table of ``step``, ``name`` and ``value``."""
        return self._table("scalars", None)

    def polars(self, tensor: str | None = None, kind: str | None = None) -> polars.DataFrame:
        """:meth:`trace_table` as a Polars frame."""
        import polars

        return polars.from_arrow(self.trace_table(tensor, kind))

    def loss(self) -> list[tuple[int, float]]:
        """The loss as ``(step, value)``."""
        table = self.scalars_table()
        table = table.filter(pc.equal(table["name"], "loss"))
        return list(zip(table["step"].to_pylist(), table["value"].to_pylist(), strict=True))

    def _table(self, folder: str, wanted: list | None) -> pa.Table:
        parts = [pq.read_table(file, filters=wanted) for file in sorted((self.path / folder).glob("*.parquet"))]
        return pa.concat_tables(parts, promote_options="default") if parts else pa.table({})

    # Checkpoints, events, graphs

    @property
    def checkpoints(self) -> list[int]:
        """The steps after which there is a checkpoint."""
        folder = self.path / "checkpoints"
        return sorted(int(entry.name) for entry in folder.glob("*") if entry.name.isdigit()) if folder.is_dir() else []

    def state_dict(self, step: int | None = None, *, numpy: bool = False) -> dict[str, Any]:
        """The parameters after ``step`` steps (the last by default), for ``load_state_dict``; as numpy arrays where asked."""
        return self._checkpoint("parameters", step, numpy)

    def optimizer_state(self, step: int | None = None, *, numpy: bool = False) -> dict[str, Any]:
        """The optimizer's state after ``step`` steps, as ``PARAMETER.MOMENT``."""
        return self._checkpoint("optimizer", step, numpy)

    def _checkpoint(self, part: str, step: int | None, numpy: bool) -> dict[str, Any]:
        known = self.checkpoints
        if not known:
            raise FileNotFoundError(f"{self.path} has no checkpoint")
        step = known[-1] if step is None else step
        if step not in known:
            raise KeyError(f"no checkpoint after {step} steps; there are {', '.join(map(str, known))}")
        if numpy:
            from safetensors.numpy import load_file
        else:
            from safetensors.torch import load_file
        file = self.path / "checkpoints" / f"{step:06d}" / f"{part}.safetensors"
        return load_file(file) if file.exists() else {}

    def events(self) -> Iterator[dict[str, Any]]:
        """What the run noticed while it trained."""
        file = self.path / "events.jsonl"
        for line in file.read_text().splitlines() if file.exists() else []:
            if line.strip():
                yield json.loads(line)

    def graphs(self) -> list[dict[str, Any]]:
        """The graphs of the model."""
        file = self.path / "graph.json"
        if not file.exists():
            return []
        content = json.loads(file.read_text())
        return content.get("graphs") or [{"name": "model", "layers": content["layers"], "losses": content["losses"]}]

    # What the program finds

    def explain(self, *, verify: bool = False, seconds: float | None = None) -> Explanation:
        """Why the run went wrong; see ``trainscope explain``."""
        options = ["--verify"] if verify else []
        options += ["--seconds", str(seconds)] if seconds is not None else []
        return Explanation(program.ask("explain", self.path, *options))

    def findings(self) -> list[Any]:
        """The findings of :meth:`explain`."""
        return self.explain().findings

    def sample(self, keep: int = 50, tensor: str | None = None, **options: object) -> Result:
        """A blue-noise sample of the run's lines; see ``trainscope sample``."""
        chosen = {"tensor": tensor} if tensor else {}
        return self._plotted("sample", {"keep": keep, **chosen, **options})

    def credit(self, layer: str, unit: int, start: int, stop: int, **options: object) -> Result:
        """What moved a unit between two steps; see ``trainscope credit``."""
        return self._plotted("credit", {"layer": layer, "unit": unit, "from": start, "to": stop, **options})

    def cluster(self, layer: str, **options: object) -> Result:
        """Which units behave alike; see ``trainscope cluster``."""
        return self._plotted("cluster", {"layer": layer, **options})

    def attribute(self, layer: str, unit: int, **options: object) -> Result:
        """What drives a unit; see ``trainscope attribute``."""
        return Result(program.ask("attribute", self.path, *_options({"layer": layer, "unit": unit, **options})))

    def dream(self, unit: str, out: str | os.PathLike[str] | None = None, **options: object) -> Result:
        """What a unit, as ``"LAYER:CHANNEL"``, wants to see; see ``trainscope dream``."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(out) if out else Path(folder) / "dream.png"
            answer = program.ask("dream", self.path, *_options({"unit": unit, "out": file, **options}))
            return Result(answer, file.read_bytes() if file.exists() and file.suffix == ".png" else None)

    def report(self) -> Path:
        """Makes the report and returns its path."""
        program.run("report", self.path)
        return self.path / "report" / "index.html"

    def _plotted(self, command: str, options: Mapping[str, object]) -> Result:
        with tempfile.TemporaryDirectory() as folder:
            picture = Path(folder) / "plot.png"
            answer = program.ask(command, self.path, *_options({**options, "plot": picture}))
            return Result(answer, picture.read_bytes() if picture.exists() else None)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, {self.info.get('status')}, {self.info.get('steps_done')} steps)"

    def _repr_html_(self) -> str:
        rows = [(key, self.info.get(key)) for key in ("status", "steps_done", "adapter", "driver", "parameters", "started")]
        rows = [(key, value) for key, value in rows if value is not None]
        return table_html(str(self.info.get("name", self.path.name)), rows, loss_chart(self.loss()))


def open(path: str | os.PathLike[str]) -> Run:
    """Opens a run directory, of trainscope's own runs or of recorded ones."""
    return Run(path)


def _options(values: Mapping[str, object]) -> list[str]:
    out: list[str] = []
    for key, value in values.items():
        name = "--" + key.strip("_").replace("_", "-")
        if value is True:
            out.append(name)
        elif value is not None and value is not False:
            for one in value if isinstance(value, (list, tuple)) else [value]:
                out += [name, str(one)]
    return out


def _typed(value: Any) -> Any:
    if isinstance(value, dict):
        return Result(value)
    return [_typed(one) for one in value] if isinstance(value, list) else value


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
