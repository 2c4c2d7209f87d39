"""What operations and rules handle: symbolic values, their dtypes and shapes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

from tfjs_codec.ir.graph import Ref
from tfjs_codec.ir.shapes import Dims
from tfjs_codec.ir.tensors import Array


@dataclass(frozen=True, slots=True, eq=False)
class GraphValue:
    """A tensor of the graph.

    Attributes:
        ref: The output of a node.
        shape: Its sizes, the batch among them; None for one known only at run time.
        dtype: Its dtype in Keras; that of the graph is ``graph_dtype(dtype)``.
        mask: What Keras knows as its mask: a bool tensor ``(batch, steps)``.
        constant: Its content, if that is a small constant.
        sizes: Of a scalar or vector of whole numbers: its elements, None for those known only at
            run time, as far as they are sizes of tensors or computed from such.
        poisoned: It depends on a call that was refused.
    """

    ref: Ref
    shape: Dims
    dtype: str = "float32"
    mask: GraphValue | None = None
    constant: Array | None = None
    sizes: Dims | None = None
    poisoned: bool = False

    @property
    def rank(self) -> int:
        """Number of axes, the batch among them."""
        return len(self.shape)


Value = GraphValue  # what the rules of this package call it
Operand: TypeAlias = object  # a Value, a number, an array, or a nested list of these


# ------------------------------------------------------------------------------------- dtypes


def graph_dtype(dtype: str) -> str:
    """Return the dtype in which the graph computes *dtype*: 32 bits, but for the small integers.

    A later pass refuses arithmetic that wraps around in 8 or 16 bits, so their names are kept.
    """
    return _GRAPH_DTYPES.get(dtype, dtype)


_GRAPH_DTYPES = {
    **dict.fromkeys(("float16", "bfloat16", "float64"), "float32"),
    **dict.fromkeys(("int64", "uint32", "uint64"), "int32"),
}


def is_float(dtype: str) -> bool:
    """Tell whether *dtype* is one of real numbers."""
    return dtype.startswith(("float", "bfloat"))


def is_int(dtype: str) -> bool:
    """Tell whether *dtype* is one of whole numbers; bool is not."""
    return dtype.startswith(("int", "uint"))


# What each dtype promotes to: JAX's lattice, which Keras 3 uses on every backend. ``int`` and
# ``float`` are Python's numbers, whose dtype is weak.
_ABOVE: dict[str, tuple[str, ...]] = {
    "bool": ("int",), "int": ("uint8", "int8"),
    "uint8": ("int16", "uint16"), "uint16": ("int32", "uint32"), "uint32": ("int64", "uint64"),
    "uint64": ("float",), "int8": ("int16",), "int16": ("int32",), "int32": ("int64",),
    "int64": ("float",), "float": ("bfloat16", "float16"), "bfloat16": ("float32",),
    "float16": ("float32",), "float32": ("float64",), "float64": ("complex64",),
    "complex64": ("complex128",), "complex128": (),
}  # fmt: skip
_ORDER = tuple(_ABOVE)


def _reach(dtype: str) -> set[str]:
    found, waiting = {dtype}, [dtype]
    while waiting:
        for above in _ABOVE[waiting.pop()]:
            if above not in found:
                found.add(above)
                waiting.append(above)
    return found


@cache
def result_dtype(*dtypes: str) -> str:
    """Return the dtype that Keras gives to arithmetic on *dtypes*."""
    if "string" in dtypes:
        return "string"
    unknown = next((dtype for dtype in dtypes if dtype not in _ABOVE), None)
    if unknown is not None:
        raise ValueError(f"there is no dtype {unknown[:40]!r}")
    common = set.intersection(*(_reach(dtype) for dtype in dtypes))
    lowest = min(common, key=lambda dtype: (len(common - _reach(dtype)), _ORDER.index(dtype)))
    return {"int": "int32", "float": "float32"}.get(lowest, lowest)


def float_dtype(dtype: str) -> str:
    """Return the dtype of real functions of *dtype*."""
    return dtype if is_float(dtype) or dtype.startswith("complex") else "float32"
