"""Many runs of one scenario: every combination of some settings and seeds, here or on a Ray cluster."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from . import program
from .reader import Explanation, Run


@dataclass(frozen=True)
class Job:
    """One run of a sweep."""

    name: str
    scenario: str
    settings: tuple[tuple[str, str], ...]
    seed: int


class Sweep:
    """The runs of a sweep below one folder, or one URL of an fsspec store."""

    def __init__(self, out: str, jobs: Sequence[Job]):
        self.out = out
        self.jobs = list(jobs)

    def results(self) -> list[dict[str, Any]]:
        """What became of each run: its settings and seed, ``status``, ``verdict``, ``cause``, the last loss."""
        return [_load(_join(self.out, job.name, "result.json")) for job in self.jobs]

    def frame(self):
        """:meth:`results` as a pandas frame."""
        import pandas

        rows = [{**row, **row.pop("settings")} for row in self.results()]
        return pandas.DataFrame(rows)

    def dataset(self) -> str:
        """Where the scalars of all runs lie as one Parquet data set, with a column ``run``."""
        return _join(self.out, "scalars")

    def explain(self) -> list[dict[str, Any]]:
        """For each setting the verdicts of its runs: which value cures. The value with most healthy runs comes first."""
        rows = self.results()
        out = []
        for key in sorted({key for row in rows for key in row["settings"]}):
            values = []
            for value in dict.fromkeys(row["settings"][key] for row in rows if key in row["settings"]):
                own = [row for row in rows if row["settings"].get(key) == value]
                healthy = sum(row["verdict"] == "healthy" for row in own)
                causes = sorted({row["cause"] for row in own if row["cause"]})
                values.append({"value": value, "runs": len(own), "healthy": healthy, "causes": causes})
            values.sort(key=lambda one: (-one["healthy"] / one["runs"], str(one["value"])))
            shares = {one["healthy"] / one["runs"] for one in values}
            cures = [one["value"] for one in values if one["healthy"] == one["runs"]] if len(shares) > 1 else []
            out.append({"setting": key, "cures": cures, "values": values})
        out.sort(key=lambda one: not one["cures"])
        return out


def sweep(
    scenario: str | os.PathLike[str],
    grid: Mapping[str, Iterable[object]],
    seeds: Iterable[int] = (0,),
    *,
    out: str | os.PathLike[str],
    steps: int | None = None,
    ray: bool = False,
    keep_runs: bool = True,
) -> Sweep:
    """Trains a scenario once for each combination of ``grid`` (``{"train.optimizer.adam.lr": [1e-3, 1e-2]}``) and seed.

    A run that is done is not done again, so a sweep that was stopped goes on where it was. With ``ray`` the runs are
    tasks of the Ray cluster that ``ray.init`` has joined, and a task whose worker dies is started again.

    :param out: a folder, or a URL that fsspec understands (``s3://bucket/sweep``).
    :param keep_runs: whether run directories are kept there, or only their results and scalars.
    """
    target = os.fspath(out)
    keys = list(grid)
    jobs = []
    for values in itertools.product(*(list(grid[key]) for key in keys)):
        for seed in seeds:
            settings = tuple((key, _toml(value)) for key, value in zip(keys, values, strict=True))
            jobs.append(Job(_name(settings, seed), os.fspath(scenario), settings, int(seed)))
    waiting = [job for job in jobs if not _exists(_join(target, job.name, "result.json"))]
    if ray:
        import ray as cluster

        task = cluster.remote(max_retries=3)(_train)
        cluster.get([task.remote(job, target, steps, keep_runs, program.find()) for job in waiting])
    else:
        for job in waiting:
            _train(job, target, steps, keep_runs, program.find())
    return Sweep(target, jobs)


def _train(job: Job, out: str, steps: int | None, keep_runs: bool, executable: str) -> None:
    os.environ["TRAINSCOPE"] = executable
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run"
        options = [part for key, value in job.settings for part in ("--set", f"{key}={value}")]
        options += ["--steps", str(steps)] if steps is not None else []
        error = None
        try:
            program.run("train", job.scenario, "--out", path, "--seed", str(job.seed), "--no-report", "--quiet", *options)
        except program.ProgramError as refused:
            error = str(refused)
        if not (path / "run.json").exists():
            raise program.ProgramError(error or f"{job.name}: the program wrote no run")
        _store(job, out, Run(path), error, keep_runs)


def _store(job: Job, out: str, run: Run, error: str | None, keep_runs: bool) -> None:
    explained: Explanation = run.explain()
    losses = run.loss()
    result = {
        "run": job.name,
        "settings": dict(job.settings),
        "seed": job.seed,
        "status": run.info["status"],
        "error": error,
        "steps": run.info["steps_done"],
        "verdict": explained.verdict,
        "cause": explained.findings[0].cause if explained.findings else None,
        "loss": losses[-1][1] if losses else None,
    }
    scalars = run.scalars_table()
    scalars = scalars.append_column("run", pa.array([job.name] * len(scalars), pa.string()))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "scalars.parquet"
        pq.write_table(scalars, file)
        _copy(file, _join(out, "scalars", f"{job.name}.parquet"))
        if keep_runs:
            _copy(run.path, _join(out, job.name, "run"))
        # Last: a run counts as done where its result stands.
        (Path(folder) / "result.json").write_text(json.dumps(result))
        _copy(Path(folder) / "result.json", _join(out, job.name, "result.json"))


def _name(settings: tuple[tuple[str, str], ...], seed: int) -> str:
    parts = [f"{key.rsplit('.', 1)[-1]}={value}" for key, value in settings]
    name = ",".join([*parts, f"seed={seed}"])
    return "".join(letter if letter.isalnum() or letter in "=,.-_+" else "-" for letter in name)


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _join(*parts: str) -> str:
    return "/".join(part.rstrip("/") for part in parts)


def _is_url(path: str) -> bool:
    return "://" in path


def _exists(path: str) -> bool:
    if _is_url(path):
        import fsspec

        system, inner = fsspec.core.url_to_fs(path)
        return system.exists(inner)
    return Path(path).exists()


def _load(path: str) -> dict[str, Any]:
    if _is_url(path):
        import fsspec

        with fsspec.open(path) as file:
            return json.load(file)
    return json.loads(Path(path).read_text())


def _copy(source: Path, target: str) -> None:
    if _is_url(target):
        import fsspec

        system, inner = fsspec.core.url_to_fs(target)
        system.makedirs(inner.rsplit("/", 1)[0], exist_ok=True)
        system.put(str(source), inner, recursive=source.is_dir())
        return
    path = Path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    if source.is_dir():
        shutil.copytree(source, temporary)
        shutil.rmtree(path, ignore_errors=True)
    else:
        shutil.copy(source, temporary)
    temporary.rename(path)
