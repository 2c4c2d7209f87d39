"""``keras.ops``, bound to a graph; ``functions.pyi`` lists the functions for type checkers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from tfjs_codec.errors import suggest
from tfjs_codec.operations.builder import Builder
from tfjs_codec.operations.catalogue import REGISTRY
from tfjs_codec.tracing.registry import Rule


@dataclass(frozen=True, slots=True)
class Functions:
    """The functions of ``keras.ops`` by their names, as :attr:`GraphScope.ops`.

    They take values, numbers and arrays, and the options that Keras's functions have, and return a
    :class:`GraphValue`, or a list of them (``split``, ``unstack``).
    """

    _builder: Builder

    def __getattr__(self, name: str) -> Rule:
        entry = REGISTRY.ops.get(name)
        if entry is None:
            hint = suggest(name, REGISTRY.ops)
            raise AttributeError(f"there is no operation {name!r}. {hint}".rstrip())
        return partial(entry.function, self._builder)
