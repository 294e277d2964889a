"""What a recording or a run shows of itself: a line on a terminal, a small table with its loss in a notebook."""

from __future__ import annotations

import html
import math
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .recorder import Recorder

_SECONDS = 1.0
_last: dict[int, tuple[float, object]] = {}


def loss_chart(points: Sequence[tuple[int, float]], width: int = 360, height: int = 90) -> str:
    """A line through the finite values as SVG, with the first and the last value as its text."""
    finite = [(step, value) for step, value in points if math.isfinite(value)]
    if len(finite) < 2:
        return ""
    (first, _), (last, _) = finite[0], finite[-1]
    low, high = min(value for _, value in finite), max(value for _, value in finite)
    x = [4 + (width - 8) * (step - first) / max(last - first, 1) for step, _ in finite]
    y = [height - 4 - (height - 8) * (value - low) / ((high - low) or 1.0) for _, value in finite]
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    label = f"loss from {finite[0][1]:.5g} at step {first} to {finite[-1][1]:.5g} at step {last}"
    return (
        f'<svg width="{width}" height="{height}" role="img" aria-label="{label}"><title>{label}</title>'
        f'<polyline points="{line}" fill="none" stroke="#3b6fb6" stroke-width="1.5"/></svg>'
    )


def table_html(title: str, rows: Sequence[tuple[str, object]], chart: str) -> str:
    """A title, a table of two columns, a chart."""
    lines = "".join(
        f'<tr><th style="text-align:left">{html.escape(str(key))}</th><td style="text-align:left">{html.escape(str(value))}</td></tr>'
        for key, value in rows
    )
    return f"<div><strong>{html.escape(title)}</strong><table>{lines}</table>{chart}</div>"


def recorder_html(run: Recorder) -> str:
    """A recording in a notebook."""
    rows = [("steps", run.steps), ("recording", "yes" if run.is_recording else "no"), ("directory", run.path)]
    return table_html("trainscope recording", rows, loss_chart(run._losses))


def show_progress(run: Recorder) -> None:
    """Brings the line, or the cell's output, up to date; once a second at most."""
    now = time.monotonic()
    then, shown = _last.get(id(run), (0.0, None))
    if now - then < _SECONDS:
        return
    if "IPython" in sys.modules and sys.modules["IPython"].get_ipython() is not None:
        from IPython.display import HTML, display

        page = HTML(recorder_html(run))
        if shown is None:
            shown = display(page, display_id=True)
        else:
            shown.update(page)
    elif sys.stderr.isatty():
        sys.stderr.write(f"\rtrainscope: step {run.steps}, recorded to {run.path} ")
        sys.stderr.flush()
    _last[id(run)] = (now, shown)
