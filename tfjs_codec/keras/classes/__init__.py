"""Keras's layer classes: ONE row per class with all that is known of it.

A class without a row is unknown, whatever its name. Keys, defaults, variables and call parameters
were compared with what Keras 1.2 to 3.15 write.
"""

from __future__ import annotations

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.keras.classes import core, normalization, preprocessing, recurrent, spatial
from tfjs_codec.keras.classes.row import (
    COMMON_KEYS,
    REQUIRED,
    Family,
    Gates,
    KerasClass,
    Mask,
    Variable,
)

__all__ = [
    "ALIASES", "CLASSES", "COMMON_KEYS", "REQUIRED", "Gates", "KerasClass", "Mask", "Variable",
    "canonical", "is_a", "is_namesake", "is_pointwise", "names_of",
]  # fmt: skip

CLASSES: dict[str, KerasClass] = {
    **core.ROWS, **spatial.ROWS, **normalization.ROWS, **recurrent.ROWS, **preprocessing.ROWS,
}  # fmt: skip
ALIASES = {alias: row.name for row in CLASSES.values() for alias in row.aliases}


def canonical(name: str) -> str:
    """Return the name that Keras's class *name* has in :data:`CLASSES`; others stay."""
    return ALIASES.get(name, name)


def is_a(name: str, family: Family) -> bool:
    """Tell whether *name* is a class of *family*."""
    return name in CLASSES and CLASSES[name].family == family


def names_of(family: Family) -> tuple[str, ...]:
    """Return the names of all classes of *family*."""
    return tuple(row.name for row in CLASSES.values() if row.family == family)


def is_namesake(name: str) -> bool:
    """Tell whether *name*, ``module>Name``, is a foreign class with the name of one of Keras."""
    return ">" in name and name not in CLASSES and canonical(name.rpartition(">")[2]) in CLASSES


def is_pointwise(layer: KerasLayer) -> bool:
    """Tell whether *layer* works on each value, or on the last axis, by itself."""
    row = None if layer.is_op else CLASSES.get(layer.class_name)
    return row is not None and row.pointwise
