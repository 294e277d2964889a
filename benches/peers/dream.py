"""The loop of `trainscope dream` in PyTorch, on the same state: seconds, and how far each unit goes.

    python3 benches/peers/dream.py RUN [--chi 1] [--steps 300] [--gain 50] [--seed 0] [--threads N] [--out dreams.npy]

RUN is a run directory of a classifier or a two-stream network; all its classes are dreamt in one batch. Start, jitter and
regularizer follow the same formulas, with PyTorch's random numbers. Needs torch, safetensors and numpy.
"""
import argparse
import pathlib
import sys
import time

import numpy as np
import torch
from safetensors.torch import load_file

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "tests" / "fixtures"))
import scenario_model  # noqa: E402

USUAL_DIFFERENCE = 1 / 6.5


def streams(channels):
    """First channel, end, and components of a pixel of each stream; and the input at value 0."""
    return [(0, 3, 3), (3, channels, 2)] if channels > 3 else [(0, channels, channels)]


def network(run, shape, classes):
    scenario = scenario_model.read_scenario(run / "scenario.toml")
    module = scenario_model.build(scenario["model"], shape, classes)
    state = load_file(scenario_model.last_checkpoint(run) / "parameters.safetensors")
    module.load_state_dict(state, strict=False)
    return module.eval()


def project(values, parts, low, high):
    with torch.no_grad():
        for first, end, components in parts:
            stream = values[:, first:end].unflatten(1, (-1, components))
            norm = stream.norm(dim=2, keepdim=True).clamp(min=1)
            values[:, first:end] = (stream / norm).flatten(1, 2)
        values.copy_(torch.minimum(torch.maximum(values, low), high))


def energy(values, parts, chi):
    total = 0
    for first, end, components in parts:
        stream = values[:, first:end].unflatten(1, (-1, components))
        pixels = stream.shape[1] * stream.shape[3] * stream.shape[4]
        # The root has no derivative at 0.
        norm = (stream.square().sum(2) + 1e-20).sqrt()
        squares = stream.diff(dim=3).square().sum() + stream.diff(dim=4).square().sum()
        squares = squares + chi * stream.diff(dim=1).square().sum()
        total = total + (norm**3).sum() / pixels + squares / (USUAL_DIFFERENCE**2 * pixels)
    return total


def dream(module, targets, scale, centers, bounds, shape, options):
    generator = torch.Generator().manual_seed(options.seed)
    parts = streams(shape[0])
    values = 0.1 * torch.randn(1, *shape, generator=generator).repeat(len(targets), 1, 1, 1)
    low, high = (0 - centers) / bounds, (1 - centers) / bounds
    project(values, parts, low, high)
    values.requires_grad_(True)
    optimizer = torch.optim.Adam([values], lr=0.05)
    rows = torch.arange(len(targets))
    for _ in range(options.steps):
        down, right = torch.randint(-4, 5, (2,), generator=generator).tolist()
        moved = torch.roll(centers + bounds * values, (down, right), (2, 3))
        unit = module(moved)[rows, targets]
        loss = energy(values, parts, options.chi) - (options.gain * unit / scale).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        project(values, parts, low, high)
    with torch.no_grad():
        inputs = centers + bounds * values
        return inputs, module(inputs)[rows, targets]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=pathlib.Path)
    parser.add_argument("--classes", type=int, default=24)
    parser.add_argument("--shape", type=int, nargs=3, default=[23, 32, 32])
    parser.add_argument("--chi", type=float, default=1.0)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--gain", type=float, default=50.0)
    parser.add_argument("--scale", type=float, default=10.0, help="the largest logit on real inputs")
    parser.add_argument("--bounds", type=float, nargs="+", default=[0.5], help="of each stream")
    parser.add_argument("--center", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--out", type=pathlib.Path)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    shape = tuple(options.shape)
    module = network(options.run, shape, options.classes)
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    bounds = torch.ones(1, shape[0], 1, 1)
    for (first, end, _), bound in zip(streams(shape[0]), options.bounds * 2):
        bounds[:, first:end] = bound
    centers = torch.full((1, shape[0], 1, 1), options.center)
    targets = torch.arange(options.classes)
    started = time.perf_counter()
    inputs, units = dream(module, targets, options.scale, centers, bounds, shape, options)
    print(f"{time.perf_counter() - started:.2f} s, units {[round(x, 2) for x in units.tolist()]}")
    if options.out:
        np.save(options.out, inputs.numpy())


if __name__ == "__main__":
    main()
