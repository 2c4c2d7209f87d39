"""TensorFlow's data types: how many bytes on disk, and which numpy array they become.

Enum numbers and layouts are those of ``types.proto`` and of ``TensorProto.tensor_content``:
row-major, little-endian; bool is one byte, bfloat16 the upper half of a float32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tfjs_codec.ir.tensors import Array


@dataclass(frozen=True, slots=True)
class TfDtype:
    """A data type: ``stored`` is what the bytes are, ``numpy`` what they are turned into."""

    name: str
    stored: np.dtype[np.generic]
    numpy: np.dtype[np.generic]
    convert: Callable[[Array], Array] | None = None

    def decode(self, data: memoryview, *, big_endian: bool = False) -> Array:
        """Return the values in *data* (a whole number of them), flat, in native byte order."""
        stored = self.stored.newbyteorder(">" if big_endian else "<")
        values = np.frombuffer(data, stored)
        if self.convert is not None:
            return self.convert(values.astype(self.stored, copy=False))
        return values.astype(self.numpy, copy=False)


STRING = 7
REF = 100  # added to the type of a TensorFlow 1 variable
_OTHER = {
    20: "resource",
    21: "variant",
    26: "float8_e4m3fnuz",
    27: "float8_e4m3b11fnuz",
    28: "float8_e5m2fnuz",
    29: "int4",
    30: "uint4",
    31: "int2",
    32: "uint2",
}


def _bfloat16(values: Array) -> Array:
    return (values.astype(np.uint32) << 16).view(np.float32)


def _float8_e5m2(values: Array) -> Array:
    return (values.astype(np.uint16) << 8).view(np.float16).astype(np.float32)


def _float8_e4m3fn(values: Array) -> Array:
    return np.take(_E4M3FN, values.astype(np.intp))


def _e4m3fn_table() -> NDArray[np.float32]:
    """Sign, 4 bits exponent (bias 7), 3 bits mantissa; no infinities, all ones are NaN."""
    code = np.arange(128)
    exponent, mantissa = code >> 3, code & 7
    normal = np.ldexp(1 + mantissa / 8, exponent - 7)
    values = np.where(exponent == 0, np.ldexp(mantissa / 8, -6), normal)
    values[127] = np.nan
    return np.concatenate([values, -values]).astype(np.float32)


_E4M3FN = _e4m3fn_table()


def _plain(name: str, numpy: str) -> TfDtype:
    return TfDtype(name, np.dtype(numpy), np.dtype(numpy))


def _as_float32(name: str, stored: str, convert: Callable[[Array], Array]) -> TfDtype:
    return TfDtype(name, np.dtype(stored), np.dtype(np.float32), convert)


TF_DTYPES: dict[int, TfDtype] = {
    1: _plain("float32", "f4"),
    2: _plain("float64", "f8"),
    3: _plain("int32", "i4"),
    4: _plain("uint8", "u1"),
    5: _plain("int16", "i2"),
    6: _plain("int8", "i1"),
    STRING: TfDtype("string", np.dtype(object), np.dtype(object)),
    8: _plain("complex64", "c8"),
    9: _plain("int64", "i8"),
    10: TfDtype("bool", np.dtype(np.uint8), np.dtype(np.bool_)),
    11: _plain("qint8", "i1"),
    12: _plain("quint8", "u1"),
    13: _plain("qint32", "i4"),
    14: _as_float32("bfloat16", "u2", _bfloat16),
    15: _plain("qint16", "i2"),
    16: _plain("quint16", "u2"),
    17: _plain("uint16", "u2"),
    18: _plain("complex128", "c16"),
    19: _plain("float16", "f2"),
    22: _plain("uint32", "u4"),
    23: _plain("uint64", "u8"),
    24: _as_float32("float8_e5m2", "u1", _float8_e5m2),
    25: _as_float32("float8_e4m3fn", "u1", _float8_e4m3fn),
}


def dtype_name(number: int) -> str:
    """Return the name of enum value *number*, such as ``float32`` or ``float32_ref``."""
    if REF < number < 2 * REF:
        return f"{dtype_name(number - REF)}_ref"
    known = TF_DTYPES.get(number)
    return known.name if known else _OTHER.get(number, f"type {number}")


def enum_name(name: str) -> str:
    """Return the name in ``types.proto`` of the dtype that :func:`dtype_name` calls *name*."""
    return _ENUM_NAMES.get(name, f"DT_{name.upper()}")


def dtype_of_enum(name: str) -> str:
    """Return the dtype that ``types.proto`` calls *name*."""
    return _DTYPES_OF_ENUMS.get(name, name.removeprefix("DT_").lower())


_ENUM_NAMES = {"float32": "DT_FLOAT", "float64": "DT_DOUBLE", "float16": "DT_HALF"}
_DTYPES_OF_ENUMS = {enum: name for name, enum in _ENUM_NAMES.items()}

_NUMBERS = {kind.name: number for number, kind in TF_DTYPES.items()} | {
    name: number for number, name in _OTHER.items()
}


def dtype_number(name: str) -> int:
    """Return the enum value of the dtype that :func:`dtype_name` calls *name*."""
    return _NUMBERS[name]


def dtype_of_numpy(dtype: np.dtype[np.generic]) -> str:
    """Return the name of the type of tensors of *dtype*; objects are bytes, strings that is."""
    return "string" if dtype.kind in "OSU" else dtype.name
