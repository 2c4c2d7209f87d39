"""TensorFlow's operations in numpy: for constant folding, and for running a graph.

Each module is a family and ends in a table, by the name of an operation: a function of the node's
attributes and its input arrays that returns the output arrays. A kernel raises
:class:`~tfjs_codec.graph.kernels.core.KernelError` where TensorFlow would fail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfjs_codec.graph.kernels import (
    arithmetic,
    arrays,
    images,
    lists,
    networks,
    reductions,
    signals,
    strings,
)
from tfjs_codec.graph.kernels.core import GROWTH_BYTES, Kernel, KernelError
from tfjs_codec.ir.graph import Attrs
from tfjs_codec.ir.tensors import Array

# What is computed once where its inputs are constants: pure, and quick.
FOLDABLE: Mapping[str, Kernel] = {**arithmetic.KERNELS, **arrays.KERNELS, **reductions.KERNELS}

KERNELS: Mapping[str, Kernel] = {
    **FOLDABLE,
    **networks.KERNELS,
    **images.KERNELS,
    **signals.KERNELS,
    **strings.KERNELS,
    **lists.KERNELS,
}


# A constant larger than this, and than the values it is computed from, stays computed.
_GROWTH_BYTES = 10 << 20


def compute(op: str, attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Any]:
    """Return the outputs of *op* for *inputs*.

    Raises:
        KernelError: There is no kernel, or TensorFlow would fail.
    """
    kernel = KERNELS.get(op)
    if kernel is None:
        raise KernelError("numpy has no kernel for it")
    try:
        with np.errstate(all="ignore"):
            return kernel(attrs, inputs)
    except (ArithmeticError, IndexError, LookupError, MemoryError, TypeError, ValueError) as error:
        raise KernelError(str(error)) from error


def compute_constant(op: str, attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    """Return the outputs of *op* for constant *inputs*, as constants of a model.

    Raises:
        KernelError: As :func:`compute`, or the operation is none to fold, its result is undefined
            in TensorFlow, or it is larger than a constant should be.
    """
    if op not in FOLDABLE:
        raise KernelError("not folded")
    if op == "Cast" and not _has_whole_numbers(inputs[0], attrs["DstT"]):
        raise KernelError("out of range")
    token = GROWTH_BYTES.set(_GROWTH_BYTES)
    try:
        return compute(op, attrs, inputs)
    finally:
        GROWTH_BYTES.reset(token)


def _has_whole_numbers(x: Array, dtype: str) -> bool:
    """Whether *dtype* holds the values of *x* without their fractions, if it is an integer's."""
    if x.dtype.kind != "f" or not dtype.startswith(("int", "uint")):
        return True
    info = np.iinfo(dtype)
    values: Any = x
    return bool(((values > info.min - 1.0) & (values < info.max + 1.0)).all())
