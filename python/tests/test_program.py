"""The program reads recorded runs, and says of them what is true."""

import json

import pytest
import torch
from conftest import Net, batch, tensors, train
from torch import nn

import trainscope
from trainscope import program

pytestmark = pytest.mark.usefixtures("executable")


class Vae(nn.Module):
    """A VAE of vectors of 32 numbers."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(32, 48), nn.ReLU())
        self.fc_mu, self.fc_logvar = nn.Linear(48, 4), nn.Linear(48, 4)
        self.decoder = nn.Sequential(nn.Linear(4, 48), nn.ReLU(), nn.Linear(48, 32))

    def forward(self, x):
        h = self.encoder(x)
        mu, logvar = self.fc_mu(h), self.fc_logvar(h)
        return self.decoder(mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)), mu, logvar


def train_vae(path, steps, lr, optimizer=torch.optim.Adam):
    """A VAE on binary vectors with four causes."""
    torch.manual_seed(0)
    model, causes = Vae(), torch.randn(4, 32)
    optimizer = optimizer(model.parameters(), lr)
    with trainscope.record(model, optimizer, path, every=2, strict=True) as run:
        for _ in range(steps):
            x = (torch.randn(64, 4) @ causes > 0).float()
            y, mu, logvar = model(x)
            reconstruction = nn.functional.binary_cross_entropy_with_logits(y, x, reduction="sum") / len(x)
            divergence = -0.5 * (1 + logvar - mu**2 - logvar.exp()).sum() / len(x)
            loss = reconstruction + divergence
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            run.step(loss=loss, reconstruction=reconstruction, kl_divergence=divergence)
    return trainscope.open(path)


@pytest.fixture(scope="module")
def healthy(tmp_path_factory, executable):
    return train_vae(tmp_path_factory.mktemp("runs") / "healthy", 400, 2e-3)


@pytest.fixture(scope="module")
def failed(tmp_path_factory, executable):
    return train_vae(tmp_path_factory.mktemp("runs") / "failed", 200, 3.0, torch.optim.SGD)


def test_the_roles_of_a_vae_are_found_in_what_it_computes(healthy):
    (graph,) = healthy.graphs()
    roles = {layer["name"]: layer.get("role") for layer in graph["layers"]}
    assert roles["fc_mu"] == "latent_mean" and roles["fc_logvar"] == "latent_log_variance" and roles["add"] == "latent"
    kinds = {layer["name"]: (layer["kind"], layer["inputs"]) for layer in graph["layers"]}
    assert kinds["binary_cross_entropy"] == ("binary_cross_entropy", ["decoder.2"])
    assert kinds["gaussian_kl"][0] == "gaussian_kl" and set(kinds["gaussian_kl"][1]) == {"fc_mu", "fc_logvar"}
    assert {loss["name"] for loss in graph["losses"]} == {"reconstruction", "kl_divergence"}


def test_a_healthy_run_is_called_healthy(healthy):
    found = healthy.explain()
    assert found.verdict == "healthy", found
    assert not [one for one in found.findings if one.severity in ("fatal", "serious")]
    assert "healthy" in found._repr_html_()


def test_a_failed_run_is_called_failed(failed):
    found = failed.explain()
    assert found.verdict == "failed" and found.findings[0].severity == "fatal", found
    assert found.findings[0].evidence[0].text


def test_the_cause_of_a_recorded_failure_is_named_with_its_figure(tmp_path):
    run = train_vae(tmp_path / "run", 60, 0.5)
    found = run.explain()
    cause = found.findings[0]
    assert (cause.cause, cause.title) == ("learning_rate_too_high", "the learning rate of 0.5 is too high"), found
    assert cause.confidence >= 0.6 and cause.fixes[0].set == [] and "from 0.5 to" in cause.fixes[0].text
    training = run.info["training"]
    assert training["batch"] == 64 and training["optimizers"][0]["optimizer"]["adam"]["lr"] == 0.5
    assert "fc_mu.weight" in training["optimizers"][0]["parameters"]


def test_the_rate_of_a_recorded_run_is_what_its_scheduler_multiplies(tmp_path):
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), 0.2, momentum=0.9)
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.01 * step)
    with trainscope.record(model, optimizer, tmp_path / "run", strict=True) as run:
        model(batch()[0]).sum().backward()
        run.step(loss=0.0)
    (group,) = trainscope.open(tmp_path / "run").info["training"]["optimizers"]
    assert group["optimizer"]["sgd"] == {"lr": 0.2, "momentum": 0.9, "weight_decay": 0.0}


def test_snapshots_of_a_recorded_run_are_refused_and_series_are_clustered(healthy):
    with pytest.raises(program.ProgramError, match="--series"):
        healthy.cluster("encoder.1")
    assert healthy.cluster("encoder.1", series=True).clusters


def test_lines_are_sampled_with_their_names(healthy):
    found = healthy.sample(keep=5, tensor="encoder.1")
    assert found.kept == 5 and all(line.tensor == "encoder.1" for line in found.kept_lines)
    assert found._repr_png_()[:4] == b"\x89PNG"


def test_reports_comparisons_and_budgets(healthy, failed):
    assert "encoder.1" in healthy.report().read_text()
    compared = program.ask("compare", healthy.path, failed.path)
    assert compared["first_difference"] is not None
    assert json.loads(program.run("budget", healthy.path, "--json"))["recommendation"]


def test_what_a_recorded_run_cannot_do_is_said(healthy):
    for command in (
        ["replay", healthy.path, "--from", "0", "--to", "2"],
        ["credit", healthy.path, "--layer", "fc_mu", "--unit", "0", "--from", "0", "--to", "2"],
    ):
        with pytest.raises(program.ProgramError, match="no scenario"):
            program.ask(*command)


def test_a_gan_is_read(tmp_path):
    generator, discriminator = nn.Sequential(nn.Linear(4, 8)), nn.Sequential(nn.Linear(8, 1))
    optimizers = [torch.optim.SGD(one.parameters(), 0.01) for one in (generator, discriminator)]
    with trainscope.record({"generator": generator, "discriminator": discriminator}, optimizers, tmp_path / "run", every=1, strict=True) as run:
        for _ in range(4):
            score = discriminator(torch.randn(8, 8)).mean() - discriminator(generator(torch.randn(8, 4))).mean()
            score.backward()
            for optimizer in optimizers:
                optimizer.step()
            run.step(loss=score)
    run = trainscope.open(tmp_path / "run")
    assert "discriminator.0@2" in tensors(run)
    assert run.explain().status and run.sample(keep=3).kept == 3 and run.report().exists()


def test_bytes_that_were_damaged_are_named(tmp_path):
    run = train(Net(), tmp_path / "run")
    (part,) = (run.path / "trace").glob("*.parquet")
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    assert "damaged" in program.run("report", run.path) or "damaged" in (run.path / "report" / "index.html").read_text()


def test_the_program_is_missed_in_a_sentence(monkeypatch):
    monkeypatch.setenv("TRAINSCOPE", "/nowhere/trainscope")
    with pytest.raises(program.ProgramError, match="TRAINSCOPE names /nowhere/trainscope"):
        program.find()


def test_checkpoints_have_the_digest_that_the_program_computes(healthy):
    x, _ = batch()
    assert program.run("budget", healthy.path)
    assert healthy.state_dict(0).keys() == Vae().state_dict().keys()
