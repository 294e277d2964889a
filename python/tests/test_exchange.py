"""Other tools read what is written, and what they write comes in."""

import datetime

import duckdb
import numpy as np
import polars
import pytest
import torch
from conftest import Net, train

import trainscope


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    torch.manual_seed(0)
    return train(Net(), tmp_path_factory.mktemp("runs") / "run", steps=10)


def test_tables_as_frames(run):
    frame = run.trace("body.1", "activation")
    assert list(frame.columns)[:5] == ["step", "tensor", "kind", "unit", "mean"] and len(frame) == 5 * 6
    assert run.polars("body.1", "activation")["mean"].to_list() == pytest.approx(frame["mean"].tolist())
    assert run.trace_table("nothing").num_rows == 0
    assert run.scalars().index.tolist() == list(range(10))
    with pytest.raises(FileNotFoundError, match="no run.json"):
        trainscope.open(run.path / "trace")


DEAD_UNITS = """
    select tensor, unit, min(step) as since
    from read_parquet('{trace}/*.parquet')
    where kind = 'activation' and zero_fraction = 1
    group by tensor, unit order by tensor, unit
"""


def test_units_that_are_dead_by_duckdb(run):
    rows = duckdb.sql(DEAD_UNITS.format(trace=run.path / "trace")).fetchall()
    frame = run.trace(kind="activation")
    expected = frame[frame.zero_fraction == 1].groupby(["tensor", "unit"]).step.min()
    assert rows == [(tensor, unit, since) for (tensor, unit), since in expected.items()]


def test_the_largest_updates_by_polars(run):
    lines = polars.scan_parquet(str(run.path / "trace" / "*.parquet"))
    weight = lines.filter(polars.col("kind") == "weight").select("step", "tensor", "unit", scale="std")
    update = lines.filter(polars.col("kind") == "update").select("step", "tensor", "unit", change="std")
    found = (
        update.join(weight, on=["step", "tensor", "unit"])
        .filter(polars.col("scale") > 0)
        .with_columns(ratio=polars.col("change") / polars.col("scale"))
        .group_by("tensor")
        .agg(polars.col("ratio").median())
        .sort("ratio", descending=True)
        .collect()
    )
    assert found["tensor"].to_list() and found["ratio"].is_finite().all() and (found["ratio"] > 0).all()


def test_the_gradient_by_layer_by_datafusion(run):
    from datafusion import SessionContext

    context = SessionContext()
    context.sql(f"create external table trace stored as parquet location '{run.path / 'trace'}/'")
    query = "select tensor, step, max(std) as spread from trace where kind = 'gradient' group by tensor, step order by tensor, step"
    table = context.sql(query).to_pandas()
    assert set(table.tensor) == {"body.0", "body.1", "head"} and (table.spread > 0).all() and len(table) == 15


def test_tensorboard_reads_the_scalars_and_the_pictures(run, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    picture = run.path / "report" / "pictures" / "loss.png"
    picture.parent.mkdir(parents=True)
    import matplotlib.image as image

    image.imsave(picture, np.zeros((4, 6, 3)))
    trainscope.to_tensorboard(run, tmp_path / "board")
    events = EventAccumulator(str(tmp_path / "board")).Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [
        (step, pytest.approx(value, rel=1e-6)) for step, value in run.loss()
    ]
    (shown,) = events.Images("report/pictures/loss")
    assert (shown.width, shown.height) == (6, 4)


def test_scalars_of_tensorboard_come_in(run, tmp_path):
    trainscope.to_tensorboard(run, tmp_path / "board", images=False)
    found = trainscope.from_tensorboard(tmp_path / "board", tmp_path / "run")
    assert found.loss() == [(step, pytest.approx(value, rel=1e-6)) for step, value in run.loss()]
    with pytest.raises(FileNotFoundError, match="no event file"):
        trainscope.from_tensorboard(tmp_path, tmp_path / "other")


def test_scalars_that_newer_writers_keep_as_tensors_come_in(tmp_path):
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter
    from tensorboard.util.tensor_util import make_tensor_proto

    writer = EventFileWriter(str(tmp_path / "board"))
    for step in range(3):
        value = Summary.Value(tag="loss", tensor=make_tensor_proto(np.float32(step / 2)))
        writer.add_event(Event(step=step, summary=Summary(value=[value])))
    writer.close()
    assert trainscope.from_tensorboard(tmp_path / "board", tmp_path / "run").loss() == [(0, 0.0), (1, 0.5), (2, 1.0)]


def test_tables_of_scalars_come_in(tmp_path):
    table = tmp_path / "export.csv"
    table.write_text('"_step","fox - loss","fox - accuracy","_timestamp"\n0,2.5,,1\n5,1.5,0.5,2\n10,NaN,0.75,3\n')
    run = trainscope.from_csv(table, tmp_path / "run")
    assert run.loss()[:2] == [(0, 2.5), (5, 1.5)] and np.isnan(run.loss()[2][1])
    assert run.info["steps_done"] == 11 and set(run.scalars()) == {"loss", "accuracy"}
    table.write_text("time,loss\n0,1\n")
    with pytest.raises(ValueError, match="no column of steps among time, loss"):
        trainscope.from_csv(table, tmp_path / "other")


def test_what_run_json_says(run):
    started = datetime.datetime.fromisoformat(run.info["started"].replace("Z", "+00:00"))
    assert abs((datetime.datetime.now(datetime.timezone.utc) - started).total_seconds()) < 3600
    assert run.info["format"] == 1 and run.info["recorder"].startswith("trainscope for Python")
