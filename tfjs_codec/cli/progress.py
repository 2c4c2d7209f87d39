"""A line on the terminal that says how far long work is: a bar, speed and time left."""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import Literal

QUIET_S = 0.5  # shorter work shows no progress
_EVERY_S = 0.1
_BAR = 20  # characters
_NARROW = 80  # columns of a terminal that does not tell
_open = False  # whether the last line on the terminal is ours, and not ended


class ProgressLine:
    """Shows what is done, of bytes or of things called *unit*."""

    def __init__(self, verb: str, unit: str = "bytes") -> None:
        self._verb, self._unit = verb, unit
        self._start = self._last = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        global _open  # noqa: PLW0603  there is one terminal
        now = time.monotonic()
        spent = now - self._start
        if spent < QUIET_S or (done < total and now - self._last < _EVERY_S):
            return
        self._last = now
        width = _columns() - 1
        text = self._describe(done, total, max(spent, 1e-9))[:width]
        _open = True
        print(f"\r{text.ljust(width)}", end="", file=sys.stderr, flush=True)
        if done >= total:
            end_line()

    def _describe(self, done: int, total: int, spent: float) -> str:
        share = min(1.0, done / total) if total else 1.0
        bar = ("#" * round(share * _BAR)).ljust(_BAR)
        speed = done / spent
        if self._unit == "bytes":
            amount, rate = f"{_size(done)} of {_size(total)}", f"{_size(speed)}/s"
        else:
            amount, rate = f"{done:,} of {total:,} {self._unit}", f"{speed:.1f}/s"
        left = spent * (total - done) / max(done, 1)
        rest = f"{_duration(left)} left" if done < total else f"in {_duration(spent)}"
        return f"{self._verb} [{bar}] {amount}, {rate}, {rest}"


def show_progress(
    verb: str, arguments: argparse.Namespace, unit: Literal["bytes", "models"] = "bytes"
) -> ProgressLine | None:
    """Return what shows progress, if somebody looks."""
    return ProgressLine(verb, unit) if sys.stderr.isatty() and not arguments.quiet else None


def end_line() -> None:
    """Let what follows begin a line of its own, also after work that did not come to its end."""
    global _open  # noqa: PLW0603  there is one terminal
    if _open:
        _open = False
        print(file=sys.stderr, flush=True)


def _size(nbytes: float) -> str:
    unit = "MiB" if nbytes < 1 << 30 else "GiB"
    return f"{nbytes / (1 << 20 if unit == 'MiB' else 1 << 30):.1f} {unit}"


def _duration(seconds: float) -> str:
    """Return *seconds* as ``12 s``, ``3:04`` or ``1:02:03``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or _NARROW
    except (OSError, ValueError):
        return _NARROW
