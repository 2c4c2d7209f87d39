"""Which weights are quantised, from their names.

An entry of the option ``quantize`` is True, for the kernels, or a list of globs. The glob ``*``
means all weights, a glob after ``!`` leaves out what it matches; a list of only such leaves them
out of the kernels. The rest, which no other entry names, take the dtype of the one that is True,
has ``*`` or only leaves out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tfjs_codec.errors import UsageError, quote

ALL = "*"
_NOT = "!"

QuantizeMap = Mapping[str, bool | Sequence[str]]


class Choice(NamedTuple):
    """Which weights are quantised.

    Attributes:
        dtypes: By name, for those that are.
        rest: The names that have their dtype although no glob matches them; what the dtype cannot
            hold stays whole.
        others: The names left out because they are no kernels.
        unmatched: Globs that match no name.
        sums: By name, of those whose rounding errors are to cancel out, over which axes.
        moves: By name, of those that are rounded for samples, by how many steps values move.
    """

    dtypes: dict[str, str]
    rest: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()
    unmatched: tuple[str, ...] = ()
    sums: Mapping[str, Sequence[tuple[int, ...]]] = MappingProxyType({})
    moves: Mapping[str, NDArray[np.int8]] = MappingProxyType({})


class _Entry(NamedTuple):
    """The dtype of the weights that ``globs`` match; with ``takes_rest`` of those that none does.

    ``left_out`` are globs, too.
    """

    dtype: str
    globs: tuple[str, ...]
    left_out: tuple[str, ...]
    takes_rest: bool
    only_kernels: bool


def needs_kernels(wanted: QuantizeMap) -> bool:
    """Tell whether *wanted* says something of kernels, which :func:`choose_dtypes` must know."""
    return any(entry.only_kernels for entry in _read(wanted))


def choose_dtypes(names: Sequence[str], wanted: QuantizeMap, kernels: Collection[str]) -> Choice:
    """Return which of *names*, of which *kernels* are kernels or embeddings, *wanted* quantises.

    Raises:
        UsageError: A weight has two dtypes, or two entries take the rest.
    """
    entries = list(_read(wanted))
    rests = [entry for entry in entries if entry.takes_rest]
    if len(rests) > 1:
        dtypes = " and ".join(entry.dtype for entry in rests)
        raise UsageError(
            f"quantize: {dtypes} both take all remaining weights",
            hint="Name the weights of one by globs, such as 'head/*'.",
        )
    chosen: dict[str, str] = {}
    for entry in entries:
        for name in _matching(names, entry.globs):
            if _matches(name, entry.left_out):
                continue
            if chosen.setdefault(name, entry.dtype) != entry.dtype:
                raise UsageError(
                    f"quantize: weight {quote(name)} is to be both {chosen[name]} and {entry.dtype}"
                )
    rest, others = set[str](), set[str]()
    for entry in rests:
        for name in names:
            if name not in chosen and not _matches(name, entry.left_out):
                (others if entry.only_kernels and name not in kernels else rest).add(name)
        chosen |= dict.fromkeys(sorted(rest), entry.dtype)
    globs = [(glob, mark) for e in entries for glob, mark in _marked(e)]
    unmatched = tuple(mark + glob for glob, mark in globs if not any(_matching(names, [glob])))
    return Choice(chosen, frozenset(rest), frozenset(others), unmatched)


def escape(glob: str) -> str:
    """Return *glob*, of the official converter, which knows no ``!``, as a glob of ours."""
    return f"[\0!]{glob[1:]}" if glob.startswith(_NOT) else glob


def _read(wanted: QuantizeMap) -> Iterator[_Entry]:
    for dtype, given in wanted.items():
        listed = () if isinstance(given, bool) else given
        left_out = tuple(glob.removeprefix(_NOT) for glob in listed if glob.startswith(_NOT))
        globs = tuple(glob for glob in listed if not glob.startswith(_NOT))
        only_kernels = given is True or (bool(left_out) and not globs)
        named = tuple(glob for glob in globs if glob != ALL)
        yield _Entry(dtype, named, left_out, only_kernels or ALL in globs, only_kernels)


def _marked(entry: _Entry) -> Iterator[tuple[str, str]]:
    yield from ((glob, "") for glob in entry.globs)
    yield from ((glob, _NOT) for glob in entry.left_out)


def _matches(name: str, globs: Iterable[str]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)


def _matching(names: Iterable[str], globs: Iterable[str]) -> Iterator[str]:
    return (name for name in names if _matches(name, globs))
