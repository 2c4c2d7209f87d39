"""How processor time grows with the size of what is asked for."""

from __future__ import annotations

from collections.abc import Callable
from time import process_time


def growth(run: Callable[[int], object], small: int, large: int) -> float:
    """Return how many times longer *run* takes for *large* than for *small*: the best of two.

    Linear time gives ``large / small``, quadratic time its square.
    """
    return _seconds(run, large) / _seconds(run, small)


def _seconds(run: Callable[[int], object], size: int) -> float:
    taken = []
    for _ in range(2):
        start = process_time()
        run(size)
        taken.append(process_time() - start)
    return min(taken)
