"""``tensorflowjs.quantization``: the official arithmetic on arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tfjs_codec.errors import UsageError, quote
from tfjs_codec.outputs import QUANTIZE_DTYPES
from tfjs_codec.writers.quantize import affine_range
from tfjs_codec.writers.quantize_choice import ALL, choose_dtypes, escape

QUANTIZATION_DTYPE_FLOAT16 = "float16"
QUANTIZATION_DTYPE_UINT8 = "uint8"
QUANTIZATION_DTYPE_UINT16 = "uint16"
QUANTIZATION_BYTES_TO_DTYPES = {1: "uint8", 2: "uint16"}
QUANTIZATION_OPTION_TO_DTYPES: dict[str, type[np.generic]] = {
    "uint8": np.uint8,
    "uint16": np.uint16,
    "float16": np.float16,
}

QuantizationMap = Mapping[Any, bool | str | Sequence[str]]


def read_map(given: QuantizationMap | None) -> dict[str, bool | tuple[str, ...]]:
    """Return *given*, by dtypes or their names, as our options have it.

    ``True`` means every weight that no glob of another dtype matches.

    Raises:
        UsageError: A key is no dtype that weights are quantised to.
    """
    found = dict[str, bool | tuple[str, ...]]()
    for dtype, globs in (given or {}).items():
        name = _dtype_name(dtype)
        if isinstance(globs, bool):
            found[name] = (ALL,) if globs else False
        else:
            listed = (globs,) if isinstance(globs, str) else tuple(globs)
            found[name] = tuple(map(escape, listed))
    return found


def _dtype_name(dtype: DTypeLike) -> str:
    try:
        name = str(np.dtype(dtype))
    except TypeError:
        name = ""
    if name in QUANTIZE_DTYPES:
        return name
    raise UsageError(
        f"{quote(dtype)} is not a quantisation dtype", hint=f"Use {', '.join(QUANTIZE_DTYPES)}."
    )


def map_layers_to_quantization_dtype(
    names: Sequence[str], quantization_dtype_map: QuantizationMap | None
) -> dict[str, type[np.generic]]:
    """Return the numpy dtype of each of *names* that the map gives one.

    Raises:
        UsageError: A name has two dtypes, or two dtypes are ``True``.
    """
    chosen = choose_dtypes(names, read_map(quantization_dtype_map), ()).dtypes
    return {name: QUANTIZATION_OPTION_TO_DTYPES[dtype] for name, dtype in chosen.items()}


def quantize_weights(
    data: NDArray[Any], quantization_dtype: DTypeLike
) -> tuple[NDArray[Any], dict[str, float]]:
    """Return *data* in fewer bits, and the ``min`` and ``scale`` that restore it.

    Args:
        data: float32 or int32, of any shape.
        quantization_dtype: uint8, uint16 or float16, which has neither ``min`` nor ``scale``.

    Raises:
        UsageError: Another dtype.
    """
    name = _dtype_name(quantization_dtype)
    dtype = np.dtype(name)
    if name == "float16":
        if data.dtype != np.float32:
            raise UsageError(f"only float32 is quantised to float16, not {data.dtype}")
        return data.astype(np.float16), {}
    low, high = float(data.min()), float(data.max())
    scale, low, high = affine_range(low, high, dtype)
    levels = np.round((np.clip(data.astype(np.float64), low, high) - low) / scale)
    return levels.astype(dtype), {"min": low, "scale": scale}


def dequantize_weights(
    data: NDArray[Any], metadata: Mapping[str, float], original_dtype: DTypeLike = np.float32
) -> NDArray[Any]:
    """Return the values of *data*, which :func:`quantize_weights` returned with *metadata*.

    Raises:
        UsageError: *data* is not quantised, or *metadata* lacks ``min`` or ``scale``.
    """
    name, original = _dtype_name(data.dtype), np.dtype(original_dtype)
    if name == "float16":
        if original != np.float32:
            raise UsageError(f"float16 stands for float32, not {original}")
        return data.astype(original)
    if not {"min", "scale"} <= metadata.keys():
        raise UsageError(f"quantised to {name}, but min or scale is missing")
    values = data * metadata["scale"] + metadata["min"]
    restored: NDArray[Any] = (np.round(values) if original == np.int32 else values).astype(original)
    return restored
