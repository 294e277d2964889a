"""What the tests share: a small model, a training loop, and the program where it is to be had."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from torch import nn

import trainscope
from trainscope import program


@pytest.fixture(autouse=True)
def _repeatable():
    torch.manual_seed(0)
    torch.set_num_threads(1)


class Net(nn.Module):
    """A classifier of 8 features and 3 classes."""

    def __init__(self, **relu):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 6), nn.ReLU(**relu))
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        return self.head(self.body(x))


def batch(size=16):
    """Samples and their classes."""
    x = torch.randn(size, 8)
    return x, (x[:, 0] > 0).long() + (x[:, 1] > 0).long()


def train(model, path, steps=6, *, every=2, forward=None, loss=None, **options):
    """Trains for some steps, recorded; returns what was recorded."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    options.setdefault("strict", True)
    with trainscope.record(model, optimizer, path, every=every, **options) as run:
        for _ in range(steps):
            x, y = batch()
            output = (model if forward is None else forward)(x)
            value = loss(output, y) if loss is not None else nn.functional.cross_entropy(output, y)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            run.step(loss=value)
    return trainscope.open(run.path)


def tensors(run, kind="activation"):
    """The names of the recorded tensors of a kind, in order."""
    table = run.trace_table(kind=kind)
    return list(dict.fromkeys(table["tensor"].to_pylist()))


def layers(run):
    """The layers of the first graph by name."""
    return {layer["name"]: layer for layer in json.loads((Path(run.path) / "graph.json").read_text())["layers"]}


@pytest.fixture(scope="session")
def executable():
    """The program; a test that needs it is skipped where it was not built."""
    built = Path(__file__).parents[2] / "target"
    for profile in ("release", "debug"):
        if "TRAINSCOPE" not in os.environ and (built / profile / "trainscope").exists():
            os.environ["TRAINSCOPE"] = str(built / profile / "trainscope")
    try:
        return program.find()
    except program.ProgramError as error:
        pytest.skip(str(error))
