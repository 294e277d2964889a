"""The example of docs/pytorch.md does what the page says."""

import subprocess
import sys
from pathlib import Path

import pytest

import trainscope

EXAMPLE = Path(__file__).parents[1] / "examples" / "vae.py"


def example(path, *options):
    subprocess.run([sys.executable, EXAMPLE, "--out", path, *options], check=True, timeout=300)
    return trainscope.open(path)


@pytest.mark.usefixtures("executable")
def test_the_failing_vae_and_its_cure(tmp_path):
    failed = example(tmp_path / "failed", "--steps", "120", "--lr", "0.2")
    explained = failed.explain()
    assert explained.verdict == "failed" and "learning rate" in explained.headline, explained
    page = failed.report().read_text()
    assert "units of x" not in page, "pixels that are always black are no dead units"
    cured = example(tmp_path / "cured", "--steps", "300", "--lr", "1e-3")
    assert cured.explain().verdict == "healthy"
