"""What a training script may do while it is recorded."""

import json
import time
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import Net, batch, layers, tensors, train
from torch import nn

import trainscope
from trainscope.statistics import unit_statistics


def statistic(run, tensor, kind, step, name="mean"):
    frame = run.trace(tensor, kind)
    return frame[frame.step == step].sort_values("unit")[name].to_numpy()


def test_values_gradients_weights_and_updates_are_those_of_the_step(tmp_path):
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    kept = {}
    with trainscope.record(model, optimizer, tmp_path / "run", every=3, strict=True) as run:
        for step in range(7):
            x, y = batch()
            before = {name: value.detach().clone() for name, value in model.named_parameters()}
            hidden = model.body(x)
            hidden.retain_grad()
            loss = F.cross_entropy(model.head(hidden), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            run.step(loss=loss, accuracy=0.5)
            after = {name: value.detach().clone() for name, value in model.named_parameters()}
            kept[step] = (hidden.detach(), hidden.grad, before, after, loss.item())
    run = trainscope.open(tmp_path / "run")
    assert sorted(set(run.trace_table()["step"].to_pylist())) == [0, 3, 6]
    for step in (0, 3, 6):
        hidden, gradient, before, after, _ = kept[step]
        np.testing.assert_allclose(statistic(run, "body.1", "activation", step), hidden.mean(0), rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(statistic(run, "body.1", "gradient", step), gradient.mean(0), rtol=1e-5, atol=1e-9)
        weight = before["body.0.weight"]
        np.testing.assert_allclose(statistic(run, "body.0.weight", "weight", step), weight.mean(1), rtol=1e-5, atol=1e-7)
        update = unit_statistics(after["body.0.weight"] - weight, 0)[0][:, 1]
        np.testing.assert_allclose(statistic(run, "body.0.weight", "update", step, "std"), update, rtol=1e-5, atol=1e-9)
    assert [value for _, value in run.loss()] == pytest.approx([kept[step][4] for step in range(7)])
    assert list(run.scalars().accuracy) == [0.5] * 7
    assert "gradient_norm/body.0.weight" in run.scalars()
    assert run.info["status"] == "done" and run.info["steps_done"] == 7 and run.checkpoints == [0, 7]
    for name, value in run.state_dict().items():
        assert torch.equal(value, after[name])


def test_in_place_relu(tmp_path):
    model = Net(inplace=True)
    run = train(model, tmp_path / "run")
    assert tensors(run) == ["x", "body.0", "body.1", "head"]
    assert (statistic(run, "body.0", "activation", 0, "min") < 0).any(), "values before the activation function"
    assert (statistic(run, "body.1", "activation", 0, "min") >= 0).all()
    assert set(tensors(run, "gradient")) == {"body.0", "body.1", "head"}


def test_a_module_used_twice_is_two_layers(tmp_path):
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.act, self.last = nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3)

        def forward(self, x):
            return self.last(self.act(self.first(self.act(self.first(x)))))

    run = train(Twice(), tmp_path / "run")
    assert tensors(run) == ["x", "first", "act", "first#2", "act#2", "last"]
    graph = layers(run)
    assert graph["first#2"]["inputs"] == ["act"] and graph["last"]["inputs"] == ["act#2"]
    assert graph["first"]["parameters"] and not graph["first#2"]["parameters"]
    assert tensors(run, "weight") == ["first.weight", "first.bias", "last.weight", "last.bias"]


def test_functions_are_layers_of_the_graph(tmp_path):
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.out = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(36, 3)
            self.matrix = nn.Parameter(torch.randn(5, 36) * 0.1)

        def forward(self, x):
            h = F.relu(self.conv(x.view(-1, 1, 2, 4).repeat(1, 1, 3, 3)[:, :, :6, :6]))
            h = F.max_pool2d(h, 2).flatten(1)
            side = F.linear(h, self.matrix)
            return self.out(h + side.sum(1, keepdim=True))

    run = train(Functional(), tmp_path / "run", every=1, steps=2)
    assert {"relu", "max_pool2d", "dense", "add"} <= set(tensors(run))
    graph = layers(run)
    assert graph["relu"]["inputs"] == ["conv"] and graph["max_pool2d"]["inputs"] == ["relu"]
    assert graph["dense"]["inputs"] == ["max_pool2d"] and "max_pool2d" in graph["add"]["inputs"]
    assert graph["relu"]["properties"] == ["rectifier"] and len(statistic(run, "relu", "activation", 0)) == 4
    assert graph["softmax_cross_entropy"]["inputs"] == ["out"] and graph["out"]["role"] == "logits"


@pytest.mark.parametrize("way", ["function", "module"])
def test_compiled_models(tmp_path, way):
    model = Net()
    compiled = torch.compile(model, backend="eager") if way == "function" else model
    if way == "module":
        model.compile(backend="eager")
    x, _ = batch()
    compiled(x)  # also when it was called before
    run = train(compiled, tmp_path / "run", forward=compiled)
    assert tensors(run) == ["x", "body.0", "body.1", "head"]
    assert sorted(set(run.trace_table()["step"].to_pylist())) == [0, 2, 4]
    assert set(run.state_dict()) == set(model.state_dict()) or way == "function"


def test_keyword_arguments_and_nested_outputs(tmp_path):
    class Nested(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm, self.out = nn.LSTM(4, 5, batch_first=True), nn.Linear(5, 3)

        def forward(self, *, image, scale=1.0):
            found, (state, _) = self.lstm(image.view(-1, 2, 4) * scale)
            return {"logits": self.out(found[:, -1]), "more": [state]}

    model = Nested()
    run = train(model, tmp_path / "run", forward=lambda x: model(image=x, scale=2.0), loss=lambda o, y: F.cross_entropy(o["logits"], y))
    assert tensors(run) == ["image", "mul", "lstm", "lstm[1]", "lstm[2]", "out"] or "lstm" in tensors(run)
    assert len(statistic(run, "lstm", "activation", 0)) == 5
    assert layers(run)["out"]["inputs"] == ["lstm"]


def test_passes_that_evaluate_are_not_recorded(tmp_path):
    model = Net()

    def forward(x):
        model.eval()
        model(1000 * x)
        model.train()
        with torch.no_grad():
            model(1000 * x)
        return model(x)

    run = train(model, tmp_path / "run", forward=forward)
    assert tensors(run) == ["x", "body.0", "body.1", "head"]
    assert np.abs(statistic(run, "x", "activation", 0, "max")).max() < 100


def test_mixed_precision(tmp_path):
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    with trainscope.record(model, optimizer, tmp_path / "run", every=1, scaler=scaler, strict=True) as run:
        for _ in range(2):
            x, y = batch()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                output = model(x)
            output.retain_grad()
            loss = F.cross_entropy(output.float(), y)
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            expected = output.grad.float().mean(0) / 1024
            scaler.step(optimizer)
            scaler.update()
            run.step(loss=loss)
    run = trainscope.open(tmp_path / "run")
    np.testing.assert_allclose(statistic(run, "head", "gradient", 1), expected, rtol=2e-2, atol=1e-5)


def test_accumulated_gradients_are_one_batch(tmp_path):
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with trainscope.record(model, optimizer, tmp_path / "run", every=1, strict=True) as run:
        parts = [batch() for _ in range(3)]
        for x, y in parts:
            (F.cross_entropy(model(x), y) / 3).backward()
        optimizer.step()
        run.step(loss=0.0)
    run = trainscope.open(tmp_path / "run")
    assert tensors(run) == ["x", "body.0", "body.1", "head"]
    whole = torch.cat([x for x, _ in parts])
    np.testing.assert_allclose(statistic(run, "x", "activation", 0), whole.mean(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(statistic(run, "x", "activation", 0, "max"), whole.amax(0))


def test_the_networks_of_a_gan(tmp_path):
    generator, discriminator = nn.Sequential(nn.Linear(4, 8), nn.Tanh()), nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 1))
    first = torch.optim.Adam(generator.parameters(), 1e-3)
    second = torch.optim.Adam(discriminator.parameters(), 1e-3)
    models = {"generator": generator, "discriminator": discriminator}
    with trainscope.record(models, [first, second], tmp_path / "run", every=2, strict=True) as run:
        for _ in range(3):
            real, fake = torch.randn(16, 8), generator(torch.randn(16, 4))
            ones = torch.ones(16, 1)
            d_loss = F.binary_cross_entropy_with_logits(discriminator(real), ones)
            d_loss = d_loss + F.binary_cross_entropy_with_logits(discriminator(fake.detach()), 1 - ones)
            second.zero_grad()
            d_loss.backward()
            second.step()
            g_loss = F.binary_cross_entropy_with_logits(discriminator(fake), ones)
            first.zero_grad()
            g_loss.backward()
            first.step()
            run.step(loss=g_loss, discriminator_loss=d_loss)
    run = trainscope.open(tmp_path / "run")
    recorded = tensors(run)
    assert {"generator.1", "discriminator.0", "discriminator.0@2", "discriminator.0@3"} <= set(recorded)
    graphs = run.graphs()
    assert [(graph["name"], graph.get("suffix", "")) for graph in graphs] == [
        ("generator", ""), ("discriminator", ""), ("discriminator", "@2"), ("discriminator", "@3"),
    ]  # fmt: skip
    assert {"generator.0.weight", "discriminator.2.bias"} <= set(tensors(run, "update"))
    assert (statistic(run, "discriminator.0.weight", "update", 2, "std") > 0).all()


def test_parameter_groups_and_schedules(tmp_path):
    model = Net()
    optimizer = torch.optim.SGD([{"params": model.body.parameters(), "lr": 0.0}, {"params": model.head.parameters()}], lr=0.1)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.1)
    with trainscope.record(model, optimizer, tmp_path / "run", every=1, strict=True) as run:
        for _ in range(3):
            x, y = batch()
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            run.step(loss=loss)
    run = trainscope.open(tmp_path / "run")
    assert (statistic(run, "body.0.weight", "update", 0, "std") == 0).all()
    sizes = [statistic(run, "head.weight", "update", step, "std").mean() for step in range(3)]
    assert sizes[0] > 2 * sizes[1] > 4 * sizes[2] > 0
    rates = run.scalars()
    assert rates["learning_rate/0"].tolist() == [0.0] * 3
    assert rates["learning_rate/1"].tolist() == pytest.approx([0.1, 0.01, 0.001])


def test_tied_and_frozen_weights(tmp_path):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.frozen = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 3)
            self.b.weight = self.a.weight
            self.frozen.requires_grad_(False)

        def forward(self, x):
            return self.frozen(self.b(torch.tanh(self.a(x))))

    model = Tied()
    run = train(model, tmp_path / "run")
    assert tensors(run, "weight") == ["a.weight", "a.bias", "b.bias", "frozen.weight", "frozen.bias"]
    assert set(run.state_dict()) == set(model.state_dict())
    model.load_state_dict(run.state_dict(0))
    assert layers(run)["frozen"]["parameters"] == []
    assert {one["name"] for one in layers(run)["frozen"]["state"]} == {"frozen.weight", "frozen.bias"}
    assert run.info["parameters"] == 8 * 8 + 8 + 8


def test_a_loss_module_gives_its_value(tmp_path):
    model, loss = Net(), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with trainscope.record(model, optimizer, tmp_path / "run", every=1, loss=loss, strict=True) as run:
        x, y = batch()
        value = loss(model(x), y)
        value.backward()
        optimizer.step()
        run.step()
    assert trainscope.open(tmp_path / "run").loss() == [(0, pytest.approx(value.item()))]
    assert not loss._forward_hooks


@pytest.mark.parametrize("error, status", [(ValueError("the data ran out"), "failed: ValueError: the data ran out"), (KeyboardInterrupt(), "stopped")])
def test_a_loop_that_is_interrupted_is_recorded_so_far(tmp_path, error, status):
    model = Net()
    with pytest.raises(type(error)), trainscope.record(model, None, tmp_path / "run", every=1, strict=True) as run:
        for step in range(5):
            if step == 3:
                raise error
            x, y = batch()
            F.cross_entropy(model(x), y).backward()
            run.step(loss=1.0)
    run = trainscope.open(tmp_path / "run")
    assert run.info["status"] == status and run.info["steps_done"] == 3
    assert sorted(set(run.trace_table()["step"].to_pylist())) == [0, 1, 2]


def test_close_leaves_no_hook(tmp_path):
    model = Net()
    train(model, tmp_path / "run", every=1)
    for module in model.modules():
        assert not module._forward_hooks and not module._forward_pre_hooks and not module._backward_hooks
    x, _ = batch()
    assert torch.overrides._get_current_function_mode() is None
    assert model(x).shape == (16, 3)


def test_other_ranks_record_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("trainscope.recorder._rank", lambda: 1)
    model = Net()
    with trainscope.record(model, None, tmp_path / "run") as run:
        run.step(loss=1.0)
    assert not (tmp_path / "run").exists() and not run.is_recording


def test_distributed_data_parallel(tmp_path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/rendezvous", rank=0, world_size=1)
    try:
        model = nn.parallel.DistributedDataParallel(Net())
        run = train(model, tmp_path / "run", forward=model)
    finally:
        torch.distributed.destroy_process_group()
    assert tensors(run) == ["x", "body.0", "body.1", "head"]
    assert "body.0.weight" in run.state_dict()


def test_values_that_are_not_finite_are_recorded_and_named(tmp_path):
    model = Net()
    with torch.no_grad():
        model.head.weight[1, 0] = torch.nan
    run = train(model, tmp_path / "run", every=1, steps=3)
    events = list(run.events())
    assert events[0]["kind"] == "nonfinite" and events[0]["step"] == 0 and len(events) == 1
    assert events[0]["subject"] == {"tensor": "head", "quantity": "activation", "units": [1]}
    assert np.isnan(run.loss()[0][1])


# What goes wrong in the recorder itself


def survives(path, model=None, *, match, spoil=None, **options):
    """The loop ends as it would have, with one warning."""
    model = model or Net()
    optimizer = torch.optim.SGD(list(model.parameters()) or [torch.zeros(1, requires_grad=True)], lr=0.1)
    done = 0
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with trainscope.record(model, optimizer, path, every=1, **options) as run:
            for step in range(4):
                if spoil and step == 2:
                    spoil(run)
                x, _ = batch()
                model(x)
                run.step(loss=1.0)
                done += 1
    own = [str(one.message) for one in seen if issubclass(one.category, trainscope.RecordingWarning)]
    assert done == 4 and len(own) == 1 and match in own[0], own
    return run


def test_a_folder_with_another_run_is_left_alone(tmp_path):
    train(Net(), tmp_path / "run")
    kept = (tmp_path / "run" / "run.json").read_bytes()
    run = survives(tmp_path / "run", match="is not an empty folder")
    assert run.path == tmp_path / "run-2" and (run.path / "run.json").exists()
    assert (tmp_path / "run" / "run.json").read_bytes() == kept
    with pytest.raises(trainscope.RecordingError, match="not an empty folder"):
        trainscope.record(Net(), None, tmp_path / "run", strict=True)


def test_a_full_disk_stops_the_recording_alone(tmp_path):
    def spoil(run):
        def refuse(*_):
            raise OSError(28, "No space left on device")

        run._run._write = refuse
        run._flushed = -1e9  # the next step writes

    run = survives(tmp_path / "run", match="No space left on device", spoil=spoil)
    assert not run.is_recording


def test_a_model_without_parameters_or_modules(tmp_path):
    class Nothing(nn.Module):
        def forward(self, x):
            return x

    run = trainscope.record(Nothing(), None, tmp_path / "empty", every=1)
    with pytest.warns(trainscope.RecordingWarning, match="no layer"):
        run.step(loss=1.0)
    assert not run.is_recording
    run.close()


def test_a_broken_hook_is_a_warning(tmp_path, monkeypatch):
    def broken(*_):
        raise RuntimeError("CUDA error: device lost")

    monkeypatch.setattr("trainscope.step_statistics.unit_statistics", broken)
    survives(tmp_path / "run", match="device lost")


def test_statistics_that_fail_beside_the_training_are_a_warning(tmp_path, monkeypatch):
    def spoil(run):
        monkeypatch.setattr("trainscope.step_statistics.unit_statistics", lambda *_: 1 / 0)

    survives(tmp_path / "run", match="division", spoil=spoil)


def test_steps_that_follow_each_other_faster_than_their_statistics(tmp_path, monkeypatch):
    """Every step keeps its own values, and is waited for where the memory for them is taken."""
    measure = trainscope.step_statistics.unit_statistics

    def slow(*arguments):
        time.sleep(0.01)
        return measure(*arguments)

    monkeypatch.setattr("trainscope.step_statistics.unit_statistics", slow)
    model, inputs = Net(), [batch()[0] for _ in range(8)]
    with trainscope.record(model, None, tmp_path / "run", every=1, strict=True) as run:
        for x in inputs:
            model(x)
            run.step(loss=1.0)
    run = trainscope.open(tmp_path / "run")
    for step, x in enumerate(inputs):
        np.testing.assert_allclose(statistic(run, "x", "activation", step), x.mean(0), rtol=1e-5, atol=1e-6)


def test_strict_raises(tmp_path, monkeypatch):
    monkeypatch.setattr("trainscope.step_statistics.unit_statistics", lambda *_: 1 / 0)
    with pytest.raises(trainscope.RecordingError, match="division"):
        train(Net(), tmp_path / "run")


def test_steps_after_the_end(tmp_path):
    run = trainscope.record(Net(), None, tmp_path / "run", strict=True)
    run.close()
    run.close()
    with pytest.raises(trainscope.RecordingError, match="after close"):
        run.step(loss=1.0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu(tmp_path):
    run = train(Net().cuda(), tmp_path / "run", forward=None)
    assert run.info["backend"] == "cuda"


def test_notebooks_show_it(tmp_path):
    run = train(Net(), tmp_path / "run")
    assert "<svg" in run._repr_html_() and "done" in run._repr_html_()
    recording = trainscope.record(Net(), None, tmp_path / "next", progress=True)
    recording.step(loss=1.0)
    assert "trainscope recording" in recording._repr_html_()
    recording.close()
    assert json.loads((tmp_path / "next" / "run.json").read_text())["status"] == "done"
