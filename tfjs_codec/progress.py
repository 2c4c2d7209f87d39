"""How long work tells how far it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Progress: TypeAlias = Callable[[int, int], None]  # of what is done and what there is to do


class Meter:
    """Adds up the bytes that are done, and tells *progress* of them and of *total*."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def add(self, nbytes: int) -> None:
        """Count *nbytes* more."""
        self._done += nbytes
        if self._progress is not None:
            self._progress(self._done, self._total)
