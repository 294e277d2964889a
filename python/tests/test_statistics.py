"""Statistics of units are those of numpy in double precision."""

import numpy as np
import pytest
import torch

from trainscope.statistics import merged, unit_statistics


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


def test_half_precision_and_integers_are_taken_as_they_are():
    found, _ = unit_statistics(torch.tensor([[1.0, 65504.0], [3.0, 65504.0]], dtype=torch.float16), 1)
    assert found[:, 0].tolist() == [2.0, 65504.0]
    assert unit_statistics(torch.empty(0, 3), 1)[0].isnan().sum() == 12
