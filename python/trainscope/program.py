"""Finds the trainscope program and asks it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path


class ProgramError(RuntimeError):
    """The program refused, with its own sentence."""


def find() -> str:
    """The path of the program: ``TRAINSCOPE`` where that is set, else beside this Python, else on the ``PATH``."""
    given = os.environ.get("TRAINSCOPE")
    beside = Path(sys.executable).with_name("trainscope.exe" if os.name == "nt" else "trainscope")
    found = given or (str(beside) if beside.exists() else shutil.which("trainscope"))
    if not found or not (os.access(found, os.X_OK) or shutil.which(found)):
        where = f"TRAINSCOPE names {given}" if given else "it is neither beside this Python nor on the PATH"
        raise ProgramError(
            f"the program trainscope was not found ({where}): install it with 'cargo install trainscope', or set TRAINSCOPE to its path"
        )
    return found


def ask(command: str, *arguments: str | os.PathLike[str], timeout: float | None = None) -> dict:
    """Runs ``trainscope COMMAND ARGUMENTS --json`` and returns the object that it prints."""
    done = _run(command, *arguments, "--json", timeout=timeout)
    try:
        return json.loads(done)
    except ValueError as error:
        raise ProgramError(f"trainscope {command} printed no JSON: {done[:200]!r}") from error


def run(command: str, *arguments: str | os.PathLike[str], timeout: float | None = None) -> str:
    """Runs ``trainscope COMMAND ARGUMENTS`` and returns what it prints."""
    return _run(command, *arguments, timeout=timeout)


def _run(command: str, *arguments: str | os.PathLike[str], timeout: float | None) -> str:
    line = [find(), command, *map(str, arguments)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise ProgramError(lines[-1].removeprefix("trainscope: ") if lines else f"exit code {done.returncode}")
    return done.stdout
