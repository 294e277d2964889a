"""Many runs of one scenario, also on a cluster that loses a worker."""

import json
import os
import signal
import time

import pyarrow.parquet as pq
import pytest

import trainscope
from trainscope.sweeping import Job, Sweep, _name

pytestmark = pytest.mark.usefixtures("executable")

SCENARIO = """
name = "tiny"
[data]
source = "shapes"
count = 256
size = 8
[model]
kind = "vae"
latent = 4
encoder = [{ dense = { units = 16 } }, "relu"]
decoder = [{ dense = { units = 16 } }, "relu", { dense = { units = 192 } }]
[train]
batch = 16
steps = 12
optimizer = { sgd = { lr = 1e-3 } }
[record]
every = 4
"""


@pytest.fixture
def scenario(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(SCENARIO)
    return path


def test_each_combination_is_trained_once(scenario, tmp_path):
    grid = {"train.optimizer.sgd.lr": [1e-4, 1e6]}
    sweep = trainscope.sweep(scenario, grid, seeds=[1], out=tmp_path / "sweep")
    results = sweep.results()
    assert [row["settings"]["train.optimizer.sgd.lr"] for row in results] == ["0.0001", "1000000.0"]
    assert results[1]["verdict"] == "failed" and results[0]["verdict"] != "failed"
    table = pq.read_table(sweep.dataset())
    assert set(table["run"].to_pylist()) == {row["run"] for row in results}
    times = {row["run"]: (tmp_path / "sweep" / row["run"] / "result.json").stat().st_mtime_ns for row in results}
    again = trainscope.sweep(scenario, grid, seeds=[1], out=tmp_path / "sweep")
    assert {row["run"]: (tmp_path / "sweep" / row["run"] / "result.json").stat().st_mtime_ns for row in again.results()} == times
    assert len(again.frame()) == 2 and trainscope.open(tmp_path / "sweep" / results[0]["run"] / "run").checkpoints


def test_which_setting_cures(tmp_path):
    jobs = []
    for rate, verdict in (("0.1", "failed"), ("0.01", "healthy")):
        for seed in (1, 2):
            settings = (("train.lr", rate), ("train.batch", "8"))
            job = Job(_name(settings, seed), "s", settings, seed)
            jobs.append(job)
            result = {"settings": dict(settings), "verdict": verdict, "cause": "learning_rate_too_high" if verdict == "failed" else None}
            (tmp_path / job.name).mkdir()
            (tmp_path / job.name / "result.json").write_text(json.dumps(result))
    first, second = Sweep(str(tmp_path), jobs).explain()
    assert first["setting"] == "train.lr" and first["cures"] == ["0.01"]
    assert first["values"][1] == {"value": "0.1", "runs": 2, "healthy": 0, "causes": ["learning_rate_too_high"]}
    assert second["setting"] == "train.batch" and second["cures"] == []


def test_a_store_by_its_url(scenario):
    import fsspec

    sweep = trainscope.sweep(scenario, {}, seeds=[3], out="memory://sweeps/one", keep_runs=False)
    assert sweep.results()[0]["seed"] == 3
    assert fsspec.filesystem("memory").exists("/sweeps/one/scalars/seed=3.parquet")


def test_a_worker_that_dies_loses_nothing(scenario, tmp_path):
    ray = pytest.importorskip("ray")
    import psutil

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        import threading

        done = {}

        def work():
            grid = {"train.optimizer.sgd.lr": [1e-4, 2e-4]}
            done["sweep"] = trainscope.sweep(scenario, grid, seeds=[1, 2], out=tmp_path / "sweep", steps=60, ray=True)

        thread = threading.Thread(target=work)
        thread.start()
        killed = False
        while thread.is_alive() and not killed:
            for process in psutil.process_iter(["cmdline", "ppid"]):
                line = process.info["cmdline"] or []
                if "train" in line and str(scenario) in line:
                    worker = psutil.Process(process.info["ppid"])
                    os.kill(worker.pid, signal.SIGKILL)
                    process.kill()
                    killed = True
                    break
            time.sleep(0.1)
        thread.join()
    finally:
        ray.shutdown()
    assert killed
    assert [row["steps"] for row in done["sweep"].results()] == [60] * 4
