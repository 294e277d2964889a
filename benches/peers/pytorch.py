#!/usr/bin/env python3
"""PyTorch, eager, on the CPU or on CUDA: the contender that is not written in Rust. Prints one line of JSON.

    pip install torch numpy
    python pytorch.py vae --data vae.npy --device cpu
"""

import argparse
import json
import statistics
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

# As in protocol/src/measure.rs.
FEWEST = 2
WARM_UP = 0.25
CONV_VAES = {
    "conv-vae-28": {"channels": 1, "side": 28, "widths": [16, 32], "latent": 16},
    "conv-vae-32": {"channels": 3, "side": 32, "widths": [32, 64, 128], "latent": 64},
}
DCGAN_WIDTHS = [64, 128, 256, 512]


class DenseVae(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(784, 400), nn.ReLU())
        self.mu, self.logvar = nn.Linear(400, 20), nn.Linear(400, 20)
        self.decoder = nn.Sequential(nn.Linear(20, 400), nn.ReLU(), nn.Linear(400, 784))

    def forward(self, x):
        """Logits, mean and log-variance."""
        features = self.encoder(x)
        mu, logvar = self.mu(features), self.logvar(features)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        return self.decoder(z).flatten(1), mu, logvar


class ConvVae(DenseVae):
    def __init__(self, channels, side, widths, latent):
        nn.Module.__init__(self)
        inner = side >> len(widths)
        features = widths[-1] * inner**2
        channels = [channels, *widths]
        pairs = list(zip(channels, channels[1:]))
        encoder = [nn.Unflatten(1, (channels[0], side, side))]
        for a, b in pairs:
            encoder += [nn.Conv2d(a, b, 4, 2, 1), nn.ReLU()]
        decoder = [nn.Linear(latent, features), nn.Unflatten(1, (widths[-1], inner, inner))]
        for a, b in reversed(pairs):
            decoder += [nn.ReLU(), nn.ConvTranspose2d(b, a, 4, 2, 1)]
        self.encoder = nn.Sequential(*encoder, nn.Flatten())
        self.mu, self.logvar = nn.Linear(features, latent), nn.Linear(features, latent)
        self.decoder = nn.Sequential(*decoder)


def generator():
    channels = [100, *reversed(DCGAN_WIDTHS)]
    layers = [nn.Unflatten(1, (100, 1, 1))]
    for i, (a, b) in enumerate(zip(channels, channels[1:])):
        place = (1, 0) if i == 0 else (2, 1)
        layers += [nn.ConvTranspose2d(a, b, 4, *place), nn.BatchNorm2d(b), nn.ReLU(True)]
    return nn.Sequential(*layers, nn.ConvTranspose2d(DCGAN_WIDTHS[0], 3, 4, 2, 1), nn.Tanh())


def discriminator():
    layers = [nn.Conv2d(3, DCGAN_WIDTHS[0], 4, 2, 1), nn.LeakyReLU(0.2, True)]
    for a, b in zip(DCGAN_WIDTHS, DCGAN_WIDTHS[1:]):
        layers += [nn.Conv2d(a, b, 4, 2, 1), nn.BatchNorm2d(b), nn.LeakyReLU(0.2, True)]
    return nn.Sequential(*layers, nn.Conv2d(DCGAN_WIDTHS[-1], 1, 4), nn.Flatten(0))


class Batches:
    """The data set on the device, as values in [0, 1], and whose turn it is."""

    def __init__(self, path, batch, device):
        images = torch.from_numpy(np.load(path))
        count = len(images)
        self.images = images.flatten(1).to(device).float() / 255
        self.order = (torch.arange(count, device=device) * 1237) % count
        self.batch, self.step = batch, 0

    def next(self):
        start = self.step % (len(self.images) // self.batch) * self.batch
        self.step += 1
        return self.images[self.order[start : start + self.batch]]


def matmul(arguments):
    side = int(arguments.workload.removeprefix("matmul-"))
    v = torch.arange(1, side + 1, dtype=torch.float64).sin()
    reflection = torch.eye(side, dtype=torch.float64) - 2 * torch.outer(v, v) / v.dot(v)
    a = reflection.float().to(arguments.device)
    b = (0.37 * torch.arange(1, side * side + 1, dtype=torch.float64)).sin().float().view(side, side).to(arguments.device)

    def run(steps):
        nonlocal b
        for _ in range(steps):
            b = a @ b
        return b[0, 0].item()

    return run, 0


def vae(arguments):
    sizes = CONV_VAES.get(arguments.workload)
    model = (ConvVae(**sizes) if sizes else DenseVae()).to(arguments.device)
    batches = Batches(arguments.data, arguments.batch, arguments.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def run(steps):
        for _ in range(steps):
            x = batches.next()
            optimizer.zero_grad()
            logits, mu, logvar = model(x)
            loss = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
            loss = loss - 0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
            loss.backward()
            optimizer.step()
        return loss.item() / arguments.batch

    return run, learnt(model)


def dcgan(arguments):
    g, d = generator().to(arguments.device), discriminator().to(arguments.device)
    batches = Batches(arguments.data, arguments.batch, arguments.device)
    of_g, of_d = (torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999)) for net in (g, d))
    ones = torch.ones(arguments.batch, device=arguments.device)
    zeros = torch.zeros(arguments.batch, device=arguments.device)

    def run(steps):
        for _ in range(steps):
            d.zero_grad()
            real = batches.next().view(-1, 3, 64, 64)
            loss_of_real = F.binary_cross_entropy_with_logits(d(real), ones)
            loss_of_real.backward()
            fake = g(torch.randn(arguments.batch, 100, device=arguments.device))
            loss_of_fake = F.binary_cross_entropy_with_logits(d(fake.detach()), zeros)
            loss_of_fake.backward()
            of_d.step()
            g.zero_grad()
            F.binary_cross_entropy_with_logits(d(fake), ones).backward()
            of_g.step()
        return (loss_of_real + loss_of_fake).item()

    return run, learnt(g) + learnt(d)


def learnt(model):
    return sum(parameter.numel() for parameter in model.parameters())


def measure(run, arguments):
    run(1)
    now = time.time()
    report = {"first_step_seconds": now - (arguments.started or now)}
    start = time.perf_counter()
    report["result"] = run(arguments.block)
    while time.perf_counter() - start < WARM_UP * arguments.seconds:
        run(arguments.block)
    blocks = []
    start = time.perf_counter()
    while len(blocks) < FEWEST or time.perf_counter() - start < arguments.seconds:
        begin = time.perf_counter()
        run(arguments.block)
        blocks.append((time.perf_counter() - begin) / arguments.block)
    report["steps"] = len(blocks) * arguments.block
    report["step_seconds"] = statistics.median(blocks)
    report["best_step_seconds"] = min(blocks)
    return report


def peak_memory():
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
    except OSError:
        return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workload", help="matmul-SIDE, vae, conv-vae-28, conv-vae-32 or dcgan")
    parser.add_argument("--data", help="the images to learn, a .npy file of bytes [count, channels, height, width]")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--block", type=int, default=8, help="steps after which the last result is waited for")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--started", type=float, help="when the process was started, in seconds since 1970")
    arguments = parser.parse_args()
    # Float32 all through: no TF32 on tensor cores.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    # Shapes never change: cuDNN may try its algorithms.
    torch.backends.cudnn.benchmark = True
    kind = arguments.workload.split("-")[0]
    if kind not in ("matmul", "dcgan") and arguments.workload not in ("vae", *CONV_VAES):
        parser.error(f"'{arguments.workload}' is no workload")
    run, parameters = {"matmul": matmul, "dcgan": dcgan}.get(kind, vae)(arguments)
    report = {
        "contender": f"pytorch-{arguments.device}",
        "version": torch.__version__,
        "device": torch.cuda.get_device_name() if arguments.device == "cuda" else f"CPU, {torch.get_num_threads()} threads",
        "parameters": parameters,
        "workload": arguments.workload,
        "batch": arguments.batch,
        "block": arguments.block,
        **measure(run, arguments),
        "peak_memory_bytes": peak_memory(),
    }
    report["gflops"] = None
    if kind == "matmul":
        report["gflops"] = 2e-9 * int(arguments.workload.removeprefix("matmul-")) ** 3 / report["step_seconds"]
    print(json.dumps(report))


if __name__ == "__main__":
    main()
