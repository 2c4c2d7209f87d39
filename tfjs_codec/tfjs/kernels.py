"""Kernels of tfjs 4.22: which functions and graph operations run which, and who has them.

The table is ``kernels.json``, which ``proto/kernels.mjs`` made of the npm packages:

* ``backends``: the kernels that a backend registers, each with its module in ``dist/kernels`` and
  the name that this exports;
* ``functions``: a function of tfjs-core by its name in ``tf`` (``image.resizeBilinear``) as the
  module in ``tfjs-core/dist/ops`` that exports it and the kernels that it may run;
* ``operations``: the functions that tfjs-converter may call for a node of an operation.

What only gradients run is not counted.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from typing import NamedTuple

from tfjs_codec import resources

# Whatever runs: copies of tensors, and their conversion to another dtype.
ALWAYS = frozenset(("Cast", "Identity"))


class Function(NamedTuple):
    """A function of tfjs-core: the module below ``dist/ops``, the kernels it may run."""

    module: str
    kernels: frozenset[str]


class Export(NamedTuple):
    """A kernel of a backend: the module below ``dist/kernels``, and what it exports."""

    module: str
    name: str


class _Table(NamedTuple):
    backends: Mapping[str, Mapping[str, tuple[str, str]]]
    functions: Mapping[str, Function]
    operations: Mapping[str, Collection[str]]


@cache
def _table() -> _Table:
    content = json.loads(resources.read(__package__, "kernels.json"))
    functions = {
        name: Function(module, frozenset(kernels))
        for name, (module, *kernels) in content["functions"].items()
    }
    return _Table(content["backends"], functions, content["operations"])


def functions() -> Mapping[str, Function]:
    """Return all functions by their names in ``tf``."""
    return _table().functions


def functions_of(operation: str) -> Collection[str]:
    """Return the names of the functions that a node of *operation* may call."""
    return _table().operations.get(operation, ())


def kernels_of(names: Iterable[str]) -> set[str]:
    """Return the kernels that the functions called *names* may run."""
    return {kernel for name in names for kernel in functions()[name].kernels}


def find_kernel(kernel: str, backend: str) -> Export | None:
    """Return what exports *kernel* of *backend*; None if *backend* has no such."""
    found = _table().backends[backend].get(kernel)
    return None if found is None else Export(*found)
