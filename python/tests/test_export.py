"""Recorded runs that trainscope replays: how far it comes out from PyTorch, and what is refused."""

import tomllib

import numpy as np
import pytest
import torch
from conftest import Net, batch
from torch import nn

import trainscope
from trainscope import program


class Vae(nn.Module):
    """A VAE of pictures of 6 x 6, whose noise the run keeps."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(36, 24), nn.ReLU())
        self.fc_mu, self.fc_logvar = nn.Linear(24, 3), nn.Linear(24, 3)
        self.decoder = nn.Sequential(nn.Linear(3, 24), nn.Tanh(), nn.Linear(24, 36))

    def forward(self, x, noise):
        h = self.encoder(x.flatten(1))
        mu, logvar = self.fc_mu(h), self.fc_logvar(h)
        return self.decoder(mu + noise(torch.randn_like(mu)) * torch.exp(0.5 * logvar)), mu, logvar


class Convolutions(nn.Module):
    """A classifier with modules, functions, normalization and a change of shape."""

    def __init__(self):
        super().__init__()
        self.conv1, self.norm = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, 6, 3, stride=2)
        self.fc = nn.Linear(6, 3)

    def forward(self, x):
        x = nn.functional.max_pool2d(torch.relu(self.norm(self.conv1(x))), 2)
        x = torch.relu(self.conv2(x))
        return self.fc(x.view(len(x), -1))


def pictures(count, side=8):
    """Pictures of bytes in [0, 1], and the third that is brightest."""
    pixels = torch.randint(0, 256, (count, 1, side, side)).float()
    return pixels / 255, pixels.flatten(1).mean(1).sub(127).div(8).round().clamp(-1, 1).long() + 1


def classify(model, path, samples, optimizer, steps=12, loss=nn.functional.cross_entropy, every=4, schedule=None):
    """Trains a classifier and exports it; returns the recorder and the path."""
    schedule = schedule(optimizer) if schedule else None
    with trainscope.record(model, optimizer, path / "run", every=every, checkpoint_every=5, export=True, strict=True) as run:
        for x, y in (samples(16) for _ in range(steps)):
            value = loss(model(x), y)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            if schedule:
                schedule.step()
            run.step(loss=value, batch=(x, y))
    return run


def replayed(path, start, end, tolerance):
    """The deviation that the program states."""
    options = ("--from", str(start), "--to", str(end), "--tolerance", str(tolerance))
    found = program.ask("replay", path, *options)["deviation"]
    assert found["steps"] == end, found
    return found


def scenario(path):
    return tomllib.loads((path / "scenario.toml").read_text())


def test_a_classifier_of_vectors_is_replayed_and_credited(tmp_path, executable):
    model = Net()
    run = classify(model, tmp_path, batch, torch.optim.SGD(model.parameters(), 0.05, momentum=0.9))
    # Vectors of any numbers are rounded to 256 levels, which the export says.
    path = run.export(tmp_path / "export")
    assert scenario(path)["model"]["layers"] == [{"dense": {"units": 6}}, "relu", {"dense": {"units": 3}}]
    assert any("rounded to 256 levels" in note for note in trainscope.open(path).info["exported"]["notes"])
    assert replayed(path, 0, 12, 0.1)["largest"] < 0.05
    credit = program.ask("credit", path, "--layer", "layers.2", "--unit", "1", "--from", "0", "--to", "12", "--tolerance", "0.1")
    assert abs(credit["residual"]) < 0.05 * abs(credit["change"]) + 1e-3, credit
    weights = trainscope.open(path).state_dict(12)["layers.2.weight"]
    assert torch.equal(weights, model.head.weight.detach())


@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.Adam(p, 1e-2), lambda p: torch.optim.AdamW(p, 1e-2, weight_decay=0.1),
        lambda p: torch.optim.RMSprop(p, 1e-3, momentum=0.5), lambda p: torch.optim.SGD(p, 0.05, weight_decay=1e-2),
    ],
)  # fmt: skip
def test_convolutions_with_every_optimizer(tmp_path, executable, make):
    model = Convolutions()
    run = classify(model, tmp_path, pictures, make(model.parameters()))
    path = run.export(tmp_path / "export")
    layers = scenario(path)["model"]["layers"]
    assert [one if isinstance(one, str) else next(iter(one)) for one in layers] == [
        "conv2d", "batch_norm", "relu", "max_pool2d", "conv2d", "relu", "dense",
    ]  # fmt: skip
    assert trainscope.open(path).info["exported"]["notes"] == []
    assert replayed(path, 0, 12, 1e-2)["largest"] < 1e-3
    # From a checkpoint in the middle the optimizer's state goes on.
    assert program.ask("replay", path, "--from", "10", "--to", "12", "--tolerance", "1e-3")["deviation"]["largest"] < 1e-3


@pytest.mark.parametrize("kind", ["sum over the batch", "mean over all values", "mean over the batch, beta 0.25"])
def test_a_vae_is_replayed_with_its_noise(tmp_path, executable, kind):
    model = Vae()
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    with trainscope.record(model, optimizer, tmp_path / "run", every=3, export=True, strict=True) as run:
        for _ in range(20):
            x, _ = pictures(8, 6)
            y, mu, logvar = model(x, run.noise)
            divergence = -0.5 * (1 + logvar - mu**2 - logvar.exp()).sum()
            if kind == "mean over all values":
                loss = nn.functional.mse_loss(y, x.flatten(1)) + divergence / len(x) / 36
            else:
                reconstruction = nn.functional.binary_cross_entropy_with_logits(y, x.flatten(1), reduction="sum")
                loss = reconstruction + divergence if kind == "sum over the batch" else (reconstruction + 0.25 * divergence) / len(x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            run.step(loss=loss, batch=x)
    path = run.export(tmp_path / "export")
    model = scenario(path)["model"]
    assert model["beta"] == pytest.approx(0.25 if "0.25" in kind else 1.0, rel=1e-3)
    assert model["reconstruction"] == ("squared_error" if kind == "mean over all values" else "bce_with_logits")
    assert np.load(path / "noise.npy").shape == (20, 8, 3)
    assert replayed(path, 0, 20, 1e-2)["largest"] < 1e-3
    assert program.ask("credit", path, "--layer", "mu", "--unit", "0", "--from", "0", "--to", "10", "--tolerance", "1e-2")["predecessors"]
    assert program.run("report", path) is not None and program.ask("explain", path)["status"] == "done"
    # With noise of its own the replay is another run, and the tolerance refuses it.
    text = (path / "scenario.toml").read_text()
    (path / "scenario.toml").write_text("\n".join(line for line in text.splitlines() if not line.startswith("noise_file")))
    with pytest.raises(program.ProgramError, match="come out otherwise"):
        replayed(path, 0, 20, 1e-2)


def test_schedules_are_found(tmp_path, executable):
    for name, make, expected in (
        ("step", lambda one: torch.optim.lr_scheduler.StepLR(one, 5, 0.5), {"step": {"every": 5, "factor": 0.5}}),
        ("cosine", lambda one: torch.optim.lr_scheduler.CosineAnnealingLR(one, 12), {"cosine": {"steps": 12, "floor": 0.0}}),
        ("warmup", lambda one: torch.optim.lr_scheduler.LambdaLR(one, lambda at: min((at + 1) / 4, 1)), {"constant": {"warmup": 4}}),
    ):
        model = Convolutions()
        run = classify(model, tmp_path / name, pictures, torch.optim.SGD(model.parameters(), 0.05), schedule=make)
        path = run.export(tmp_path / name / "export")
        assert scenario(path)["train"]["schedule"] == expected
        assert replayed(path, 0, 12, 1e-2)["largest"] < 1e-3


def test_pixels_that_were_normalized_are_bytes_again(tmp_path, executable):
    model = Convolutions()
    run = classify(model, tmp_path, lambda count: ((pictures(count)[0] - 0.1307) / 0.3081, pictures(count)[1]), torch.optim.SGD(model.parameters(), 0.05))
    path = run.export(tmp_path / "export")
    assert trainscope.open(path).info["exported"]["notes"] == []
    assert scenario(path)["data"]["scale"] == pytest.approx(1 / 0.3081, rel=1e-5)
    assert replayed(path, 0, 12, 1e-2)["largest"] < 1e-3


class Residual(nn.Module):
    """A classifier of two residual blocks, one of which writes into its branch, with an activation that is used three times."""

    def __init__(self):
        super().__init__()
        self.stem, self.relu = nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(inplace=True)
        self.conv1, self.norm1 = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.conv2, self.norm2 = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.pool, self.fc1, self.fc2 = nn.AdaptiveAvgPool2d(1), nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x):
        x = self.relu(self.stem(x))
        branch = self.norm2(self.conv2(self.relu(self.norm1(self.conv1(x)))))
        branch += x
        x = self.pool(self.relu(branch)).flatten(1)
        return self.fc2(x + torch.tanh(self.fc1(x)))


def test_residual_connections_are_replayed_and_credited(tmp_path, executable):
    model = Residual()
    run = classify(model, tmp_path, pictures, torch.optim.SGD(model.parameters(), 0.05))
    path = run.export(tmp_path / "export")
    layers = scenario(path)["model"]["layers"]
    assert [len(layer["residual"]) for layer in layers if isinstance(layer, dict) and "residual" in layer] == [5, 2]
    assert replayed(path, 0, 12, 1e-2)["largest"] < 1e-3
    credit = program.ask("credit", path, "--layer", "layers.2.3", "--unit", "1", "--from", "0", "--to", "8", "--tolerance", "0.01")
    assert abs(credit["residual"]) < 0.05 * abs(credit["change"]) + 1e-3, credit


def test_frozen_layers_stay_as_they_are(tmp_path, executable):
    model = Convolutions()
    model.conv1.requires_grad_(False)
    run = classify(model, tmp_path, pictures, torch.optim.Adam((p for p in model.parameters() if p.requires_grad), 1e-2))
    path = run.export(tmp_path / "export")
    assert scenario(path)["train"]["frozen"] == ["layers.0"]
    assert replayed(path, 0, 12, 1e-2)["largest"] < 1e-3
    model = Convolutions()
    model.conv1.bias.requires_grad_(False)
    run = classify(model, tmp_path / "half", pictures, torch.optim.SGD(model.parameters(), 0.05), steps=3)
    with pytest.raises(trainscope.ExportError, match=r"'conv1.bias' is frozen and 'conv1.weight' is not"):
        run.export(tmp_path / "half" / "export")


class Two(nn.Module):
    """The sum of two layers."""

    def __init__(self, one, other):
        super().__init__()
        self.one, self.other = one, other

    def forward(self, x):
        return self.one(x) + self.other(x)


class Refused(nn.Module):
    """A classifier with a layer that is given."""

    def __init__(self, middle, forward=None):
        super().__init__()
        self.first, self.middle, self.last = nn.Linear(8, 8), middle, nn.Linear(8, 3)
        self.change = forward

    def forward(self, x):
        x = self.middle(torch.relu(self.first(x)))
        return self.last(self.change(x) if self.change else x)


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (lambda: Refused(nn.Linear(8, 8, bias=False)), r"'middle' \(Linear with bias=False\)"),
        (lambda: Refused(nn.Mish()), r"'middle' \(Mish\)"),
        (lambda: Refused(nn.Identity(), lambda x: x + x.flip(1)), r"the function flip\(\)"),
        (lambda: Refused(nn.Identity(), lambda x: x + x), r"'add' \(add\) reads 2 tensors"),
        (lambda: Refused(Two(nn.Linear(8, 8), nn.Linear(8, 8))), "none of them is computed from the other"),
        (lambda: Refused(nn.ModuleList([shared := nn.Linear(8, 8)])[0], lambda x: shared(x)), "'middle' is used twice"),

        (lambda: Refused(nn.Identity(), lambda x: x.view(-1, 4, 2).transpose(1, 2).flatten(1)), r"transpose\(\) moves the values"),
        (lambda: Refused(nn.Identity(), lambda x: x * 2), r"the function mul\(\)"),
    ],
)
def test_what_no_scenario_has_is_named(tmp_path, model, named):
    model = model()
    run = classify(model, tmp_path, batch, torch.optim.SGD(model.parameters(), 0.05), steps=3)
    with pytest.raises(trainscope.ExportError, match=named):
        run.export(tmp_path / "export")
    assert not (tmp_path / "export").exists()


def test_losses_optimizers_and_batches_that_no_scenario_has_are_named(tmp_path):
    def smoothed(output, labels):
        return nn.functional.cross_entropy(output, labels) + 1e-3 * output.square().sum()

    for number, (loss, make, named) in enumerate([
        (smoothed, lambda p: torch.optim.SGD(p, 0.1), "no fixed sum of a cross-entropy"),
        (nn.functional.cross_entropy, lambda p: torch.optim.Adagrad(p, 0.1), "the optimizer Adagrad"),
        (nn.functional.cross_entropy, lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True), "SGD with nesterov=True"),
    ]):  # fmt: skip
        model = Net()
        run = classify(model, tmp_path / str(number), batch, make(model.parameters()), steps=3, loss=loss)
        with pytest.raises(trainscope.ExportError, match=named):
            run.export(tmp_path / "export")
    model = Net()
    with trainscope.record(model, None, tmp_path / "plain", strict=True) as run:
        pass
    with pytest.raises(trainscope.ExportError, match="export=True"):
        run.export(tmp_path / "export")


def test_a_smaller_batch_ends_the_export(tmp_path, executable):
    sizes = iter([16, 16, 16, 16, 9, 16])
    model = Convolutions()
    run = classify(model, tmp_path, lambda _: pictures(next(sizes)), torch.optim.SGD(model.parameters(), 0.05), steps=6, every=1)
    path = run.export(tmp_path / "export")
    (note,) = trainscope.open(path).info["exported"]["notes"]
    assert note.startswith("it ends after 4 of 6 steps") and "drop_last" in note
    assert replayed(path, 0, 4, 1e-2)["largest"] < 1e-3
