"""A VAE in PyTorch, recorded by two lines. With its default learning rate it fails; `--lr 1e-3` cures it."""

from __future__ import annotations

import argparse
import gzip
from pathlib import Path

import numpy as np
import torch
from torch import nn

import trainscope


class Vae(nn.Module):
    """784-400-20-400-784, as in PyTorch's own examples."""

    def __init__(self, latent: int = 20):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(784, 400), nn.ReLU())
        self.fc_mu, self.fc_logvar = nn.Linear(400, latent), nn.Linear(400, latent)
        self.decoder = nn.Sequential(nn.Linear(latent, 400), nn.ReLU(), nn.Linear(400, 784))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        h = self.encoder(x)
        mu, logvar = self.fc_mu(h), self.fc_logvar(h)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        return self.decoder(z), mu, logvar


def images(folder: Path | None) -> torch.Tensor:
    """MNIST's training images from their IDX file, or made-up rings where there is none; ``[count, 784]`` in [0, 1]."""
    if folder is not None:
        content = gzip.decompress((folder / "train-images-idx3-ubyte.gz").read_bytes())
        return torch.from_numpy(np.frombuffer(content, np.uint8, offset=16).reshape(-1, 784).copy()).float() / 255
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:28, :28]
    centers, radii = rng.uniform(9, 19, (4096, 2)), rng.uniform(3, 9, 4096)
    distance = np.hypot(rows - centers[:, 0, None, None], columns - centers[:, 1, None, None])
    rings = np.exp(-((distance - radii[:, None, None]) ** 2))
    return torch.from_numpy(rings.reshape(-1, 784)).float()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/pytorch-vae"))
    parser.add_argument("--lr", type=float, default=0.2)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--every", type=int, default=5)
    parser.add_argument("--mnist", type=Path, help="a folder with MNIST's IDX files")
    options = parser.parse_args()

    torch.manual_seed(7)
    data, model = images(options.mnist), Vae()
    optimizer = torch.optim.Adam(model.parameters(), options.lr)
    order = torch.randint(len(data), (options.steps, 128))
    with trainscope.record(model, optimizer, options.out, every=options.every, steps=options.steps) as run:
        for batch in order:
            x = data[batch]
            logits, mu, logvar = model(x)
            reconstruction = nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)
            kl_divergence = -0.5 * (1 + logvar - mu**2 - logvar.exp()).sum() / len(x)
            loss = reconstruction + kl_divergence
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            run.step(loss=loss, reconstruction=reconstruction, kl_divergence=kl_divergence)


if __name__ == "__main__":
    main()
