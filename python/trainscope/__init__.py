"""trainscope for Python: records PyTorch training runs, and reads runs.

``record`` needs torch; ``open``, ``sweep`` and the readers do not.
"""

from __future__ import annotations

from ._version import VERSION as __version__

_HOME = {
    "record": "recorder",
    "Recorder": "recorder",
    "RecordingError": "recorder",
    "RecordingWarning": "recorder",
    "ExportError": "exporting",
    "open": "reader",
    "Run": "reader",
    "ProgramError": "program",
    "to_tensorboard": "tensorboard",
    "from_tensorboard": "tensorboard",
    "from_csv": "tensorboard",
    "Sweep": "sweeping",
}


def sweep(*arguments, **options):
    """Trains every combination of some settings and seeds: see :func:`trainscope.sweeping.sweep`."""
    from .sweeping import sweep

    return sweep(*arguments, **options)


def __getattr__(name: str):
    # torch and pandas take seconds to import: only who uses them waits for them.
    import importlib

    if name not in _HOME:
        raise AttributeError(f"module 'trainscope' has no attribute '{name}'")
    return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*_HOME, "sweep", "__version__"])
