"""Numpy arrays by name: weights without an architecture."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tfjs_codec.errors import UsageError, quote
from tfjs_codec.ir.layers import Weight
from tfjs_codec.ir.loaded import Weights
from tfjs_codec.ir.tensors import ArrayTensor

_PATH = "<arrays>"
_KINDS = {
    "f": (np.float16, np.float32, np.float64),
    "b": (np.bool_,),
    "c": (np.complex64,),
}


def read(arrays: Mapping[str, NDArray[np.generic]]) -> Weights:
    """Return *arrays* as the weights of a manifest.

    Strings become bytes objects, whole numbers int32.

    Raises:
        UsageError: A name is no string, or tfjs has no dtype for an array.
    """
    weights = [Weight(_name(name), ArrayTensor(name, _fit(name, a))) for name, a in arrays.items()]
    return Weights(path=_PATH, format="arrays", weights=tuple(weights))


def _name(name: object) -> str:
    if isinstance(name, str):
        return name
    raise UsageError(f"the name of an array must be a string, not {quote(name)}", path=_PATH)


def _fit(name: str, value: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return *value* in a dtype that tfjs has, or that is written as one it has."""
    array: NDArray[np.generic] = np.asarray(value)
    kind = array.dtype.kind
    if kind in "US" or (kind == "O" and all(isinstance(x, str | bytes) for x in array.flat)):
        texts = [x.encode() if isinstance(x, str) else bytes(x) for x in array.flat]
        encoded: NDArray[np.generic] = np.empty(len(texts), object)
        encoded[:] = texts
        return encoded.reshape(array.shape)
    if kind in "iu":
        held = np.iinfo(np.int32)
        if not array.size or (held.min <= array.min().item() and array.max().item() <= held.max):
            return array.astype(np.int32)
        raise UsageError(
            f"{quote(name)} has numbers that int32 cannot hold", path=_PATH,
            hint="Convert it to float32, if that is exact enough.",
        )  # fmt: skip
    if array.dtype.type in _KINDS.get(kind, ()):
        return array
    raise UsageError(
        f"{quote(name)} is of dtype {array.dtype}, which tfjs lacks", path=_PATH,
        hint="Use float32, int32, bool, complex64 or strings.",
    )  # fmt: skip
