"""What recording costs: seconds of a training step with and without it, measured side by side in one process.

Each of many rounds trains some steps in every mode, in turns; the ratio of a round is free of what the machine does meanwhile,
and the median of the rounds' ratios is printed: of the time that passes, which is what a training waits, and of the time of all
cores together, those that compute statistics beside it included.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
from torch import nn

import trainscope


def vae() -> nn.Module:
    """The MLP VAE of 784-400-20-400-784, as in the first figures of the project."""

    class Vae(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.Sequential(nn.Linear(784, 400), nn.ReLU())
            self.fc_mu, self.fc_logvar = nn.Linear(400, 20), nn.Linear(400, 20)
            self.decoder = nn.Sequential(nn.Linear(20, 400), nn.ReLU(), nn.Linear(400, 784))

        def forward(self, x):
            h = self.encoder(x.flatten(1))
            mu, logvar = self.fc_mu(h), self.fc_logvar(h)
            return self.decoder(mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)), mu, logvar

    return Vae()


def cnn() -> nn.Module:
    """A classifier of two convolutions."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * 49, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


def loss_of(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    out = model(x)
    if isinstance(out, tuple):
        image, mu, logvar = out
        fit = nn.functional.binary_cross_entropy_with_logits(image, x.flatten(1), reduction="sum") / len(x)
        return fit - 0.5 * (1 + logvar - mu**2 - logvar.exp()).sum() / len(x)
    return nn.functional.cross_entropy(out, y)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--every", type=int, default=20)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    steps = 2 * options.every
    for name, make in (("vae", vae), ("cnn", cnn)):
        torch.manual_seed(0)
        x = torch.rand(options.batch, 1, 28, 28, device=options.device)
        y = torch.randint(10, (options.batch,), device=options.device)
        with tempfile.TemporaryDirectory() as folder:
            modes = {}
            for mode in ("off", "on"):
                model = make().to(options.device)
                optimizer = torch.optim.Adam(model.parameters(), 1e-3)
                run = None
                if mode == "on":
                    path = Path(folder) / mode
                    run = trainscope.record(model, optimizer, path, every=options.every, checkpoint_every=None, strict=True)
                modes[mode] = (model, optimizer, run)

            def seconds(mode: str) -> tuple[float, float]:
                model, optimizer, run = modes[mode]
                begin = time.perf_counter(), time.process_time()
                for _ in range(steps):
                    loss = loss_of(model, x, y)
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    if run is not None:
                        run.step(loss=loss)
                if options.device == "cuda":
                    torch.cuda.synchronize()
                return time.perf_counter() - begin[0], time.process_time() - begin[1]

            for mode in modes:
                seconds(mode)
            rounds = [{mode: seconds(mode) for mode in modes} for _ in range(options.rounds)]
            passed, spent = (100 * (statistics.median(one["on"][clock] / one["off"][clock] for one in rounds) - 1) for clock in (0, 1))
            step = statistics.median(one["off"][0] for one in rounds) / steps
            print(f"{name}: {step * 1e3:.2f} ms a step, recording every {options.every} costs {passed:+.1f} %, of all cores {spent:+.1f} %")
            modes["on"][2].close()


if __name__ == "__main__":
    main()
