"""Statistics of units are those of numpy in double precision."""

import numpy as np
import pytest
import torch

from trainscope import step_statistics
from trainscope.statistics import Scratch, merged, unit_statistics
from trainscope.step_statistics import Form, Stage, StepStatistics


def reference(values: np.ndarray, axis: int) -> np.ndarray:
    rows = np.moveaxis(values.astype(np.float64), axis, 0).reshape(values.shape[axis], -1)
    out = []
    for row in rows:
        good = row[np.isfinite(row)]
        first = [good.mean(), good.std(), good.min(), good.max()] if len(good) else [np.nan] * 4
        out.append([*first, (good == 0).sum() / max(len(good), 1), len(row) - len(good)])
    return np.array(out)


@pytest.mark.parametrize("shape, axis", [((16, 5), 1), ((4, 3, 6, 7), 1), ((2, 9, 5), 2), ((7,), 0), ((6, 2, 3), 0), ((), 0)])
@pytest.mark.parametrize("spoil", [False, True])
def test_statistics_equal_their_reference(shape, axis, spoil):
    values = torch.relu(torch.randn(shape)) * 3
    if spoil and values.dim() > 1:
        flat = values.view(-1)
        flat[0], flat[1], flat[-1] = torch.nan, torch.inf, -torch.inf
        values.select(axis, 1).fill_(torch.nan)
    found, count = unit_statistics(values, axis)
    expected = reference(np.atleast_1d(values.numpy()), axis)
    np.testing.assert_allclose(found.numpy(), expected, rtol=2e-6, atol=2e-6)
    assert count == values.numel() // len(found)


def test_whole_batches_are_merged_from_their_parts():
    values = torch.randn(24, 5)
    values[3, 2] = torch.inf
    values[:9, 4] = torch.nan
    a, a_count = unit_statistics(values[:9], 1)
    b, b_count = unit_statistics(values[9:], 1)
    whole, _ = unit_statistics(values, 1)
    torch.testing.assert_close(merged(a, a_count, b, b_count), whole, rtol=1e-5, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize("staged", [0, 40, 1 << 19])
def test_a_step_gives_what_each_of_its_tensors_gives(staged, monkeypatch):
    """Whether a tensor is small enough for the stage, has another form than it had, or comes in parts."""
    monkeypatch.setattr(step_statistics, "_STAGED", staged)
    values = {
        ("a", "activation"): (torch.relu(torch.randn(8, 4)), 1), ("b", "activation"): (torch.randn(8, 3), 1),
        ("c", "activation"): (torch.randn(8, 3, 5, 5), 1), ("c", "gradient"): (torch.randn(8, 3, 5, 5).half(), 1),
        ("loss", "activation"): (torch.tensor(2.5), 0), ("words", "activation"): (torch.randn(4, 7, 3), 2),
    }  # fmt: skip
    values["b", "activation"][0][2, 1] = torch.inf
    parameters = {"weight": (torch.randn(6, 9), 0), "transposed": (torch.randn(5, 2, 3, 3), 1), "bias": (torch.randn(6), 0)}
    forms = {key: Form.of(*value) for key, value in values.items()}
    forms.update({(name, kind): Form.of(*value) for name, value in parameters.items() for kind in ("weight", "update")})
    stage = Stage(forms)
    for batch in (8, 8, 5):
        step = StepStatistics(stage, Scratch(), merges=True)
        for name, (value, axis) in parameters.items():
            step.take_weight(name, value, axis)
        taken = {key: (value[:batch] if value.dim() and len(value) == 8 else value, axis) for key, (value, axis) in values.items()}
        for key, (value, axis) in taken.items():
            passing = value.clone()
            step.take(key, passing, axis)
            passing.zero_()
        step.take(("a", "activation"), taken["a", "activation"][0] * 2, 1)
        after = {name: (value + torch.randn_like(value), axis) for name, (value, axis) in parameters.items()}
        for name, (value, axis) in after.items():
            step.take_update(name, value, axis)
        found = step.found()
        expected = {key: unit_statistics(value, axis) for key, (value, axis) in taken.items()}
        parts = [unit_statistics(value, 1) for value in (taken["a", "activation"][0], taken["a", "activation"][0] * 2)]
        expected["a", "activation"] = (merged(*parts[0], *parts[1]), 0)
        for name, (value, axis) in parameters.items():
            expected[name, "weight"] = unit_statistics(value, axis)
            expected[name, "update"] = unit_statistics(after[name][0] - value, axis)
        assert found.keys() == expected.keys()
        for key, (own, _) in expected.items():
            torch.testing.assert_close(found[key], own, rtol=1e-5, atol=2e-6, equal_nan=True, msg=lambda text, key=key: f"{key}: {text}")


def test_without_parts_a_tensor_that_comes_again_replaces_itself():
    form = Form.of(torch.randn(4, 2), 1)
    step = StepStatistics(Stage({("a", "activation"): form}), Scratch(), merges=False)
    step.take(("a", "activation"), torch.ones(4, 2), 1)
    step.take(("a", "activation"), torch.full((4, 2), 3.0), 1)
    assert step.found()["a", "activation"][:, 0].tolist() == [3.0, 3.0]


def test_half_precision_and_integers_are_taken_as_they_are():
    found, _ = unit_statistics(torch.tensor([[1.0, 65504.0], [3.0, 65504.0]], dtype=torch.float16), 1)
    assert found[:, 0].tolist() == [2.0, 65504.0]
    assert unit_statistics(torch.empty(0, 3), 1)[0].isnan().sum() == 12
