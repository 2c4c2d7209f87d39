"""TensorProto: the values of constants.

``tensor_content`` holds all values, little-endian, or a typed list does. A list that is shorter
than the tensor repeats its last value; an empty one stands for zeros. Halfs and bfloat16 lie in
``half_val`` as their 16 bits, complex numbers as pairs of numbers, strings always in a list.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np

from tfjs_codec.errors import CorruptFileError, UnsupportedModelError
from tfjs_codec.files.tf_dtypes import STRING, TF_DTYPES, TfDtype, dtype_name, dtype_number
from tfjs_codec.ir.tensors import Array, LazyTensor
from tfjs_codec.limits import DEFAULT_LIMITS, Limits
from tfjs_codec.pb import messages

# By enum value: the list that holds the values if tensor_content does not.
_LISTS = {
    1: "float_val",
    2: "double_val",
    **dict.fromkeys((3, 4, 5, 6, 11, 12, 13, 15, 16, 17), "int_val"),
    STRING: "string_val",
    8: "scomplex_val",
    9: "int64_val",
    10: "bool_val",
    14: "half_val",
    18: "dcomplex_val",
    19: "half_val",
    22: "uint32_val",
    23: "uint64_val",
    24: "float8_val",
    25: "float8_val",
}


def proto_tensor(
    message: messages.TensorProto, *, path: object, where: str, limits: Limits = DEFAULT_LIMITS
) -> LazyTensor:
    """Return the values of TensorProto *message*; nothing is copied before they are read.

    Raises:
        CorruptFileError: The shape is not complete, or disagrees with the number of values.
        UnsupportedModelError: No values that numpy could hold.
        LimitExceededError: ``rank``, ``tensor_bytes``, ``strings`` or ``expansion_ratio``.
    """
    kind = TF_DTYPES.get(message.dtype)
    if kind is None:
        text = f"a constant of type {dtype_name(message.dtype)} cannot be read"
        raise UnsupportedModelError(text, path=path, where=where)
    shape = tuple(dim.size for dim in message.tensor_shape.dim)
    limits.check("rank", len(shape), "its rank", path=path, where=where)
    if message.tensor_shape.unknown_rank or any(size < 0 for size in shape):
        raise CorruptFileError("its shape is not complete", path=path, where=where)
    nbytes = prod(shape) * kind.numpy.itemsize
    limits.check("tensor_bytes", nbytes, "the constant's size in bytes", path=path, where=where)
    stored = len(message.tensor_content)
    listed = len(getattr(message, _LISTS[message.dtype]))
    width = 2 if kind.stored.kind == "c" else 1
    if stored and (stored != prod(shape) * kind.stored.itemsize or message.dtype == STRING):
        text = f"{stored} bytes cannot be {list(shape)} of {kind.name}"
        raise CorruptFileError(text, path=path, where=where)
    if listed % width or listed // width > prod(shape):
        text = f"{listed} values cannot be {list(shape)} of {kind.name}"
        raise CorruptFileError(text, path=path, where=where)
    if message.dtype == STRING:
        limits.spend("strings", prod(shape), "the number of strings", path=path, where=where)
    limits.check_expansion(
        nbytes, stored or 8 * listed, "expansion", "the constant", path=path, where=where
    )
    return _ProtoTensor(f"constant at {where}", shape, kind, message)


def fill_tensor(message: messages.TensorProto, tensor: LazyTensor, dtype: str) -> None:
    """Make the TensorProto *message* hold the values of *tensor* as *dtype*."""
    message.dtype = dtype_number(dtype)
    message.tensor_shape.SetInParent()
    for size in tensor.shape:
        message.tensor_shape.dim.add(size=size)
    values = tensor.numpy()
    if message.dtype == STRING:
        message.string_val.extend(values.reshape(-1).tolist())
        return
    stored = TF_DTYPES[message.dtype].stored
    if values.dtype != stored and values.dtype.kind != "b":
        values = values.astype(stored)
    message.tensor_content = values.astype(values.dtype.newbyteorder("<")).tobytes()


def is_blank(tensor: LazyTensor) -> bool:
    """Tell whether *tensor* is of a message that holds no values at all; they read as zeros."""
    return isinstance(tensor, _ProtoTensor) and tensor.size > 0 and tensor.is_blank


class _ProtoTensor(LazyTensor):
    def __init__(
        self, name: str, shape: tuple[int, ...], kind: TfDtype, message: messages.TensorProto
    ) -> None:
        self.name = name
        self.shape = shape
        self.dtype = kind.numpy
        self._kind = kind
        self._message = message

    @property
    def is_blank(self) -> bool:
        return not self._message.tensor_content and not self._list_values().size

    def numpy(self) -> Array:
        data = self._message.tensor_content
        if data:
            return self._kind.decode(memoryview(data)).reshape(self.shape)
        given = self._list_values()
        values = np.empty(self.size, self.dtype)
        values[: given.size] = given
        values[given.size :] = given[-1] if given.size else self._zero()
        return values.reshape(self.shape)

    def chunks(self, max_bytes: int) -> Iterator[Array]:
        if self.dtype == object or self._message.tensor_content:
            yield from super().chunks(max_bytes)
            return
        given = self._list_values()
        step = max(1, max_bytes // self.dtype.itemsize)
        for start in range(0, self.size, step):
            chunk = np.empty(min(step, self.size - start), self.dtype)
            known = given[start : start + chunk.size]
            chunk[: known.size] = known
            chunk[known.size :] = given[-1] if given.size else self._zero()
            yield chunk

    def _zero(self) -> object:
        return b"" if self.dtype == object else 0

    def _list_values(self) -> Array:
        """Return the values that are listed, flat."""
        listed = getattr(self._message, _LISTS[self._message.dtype])
        if self.dtype == object:
            values = np.empty(len(listed), object)
            values[:] = list(listed)
            return values
        if self._message.dtype in (24, 25):
            return self._kind.decode(memoryview(listed))
        if self._kind.stored.kind == "c":
            flat = np.array(listed, np.float32 if self.dtype.itemsize == 8 else np.float64)
            return flat.view(self.dtype)
        if self._message.dtype in (14, 19):  # 16 bits in a 32-bit field
            bits = np.array(listed, np.int64).astype(np.uint16)
            return self._kind.decode(memoryview(bits.tobytes()))
        if self.dtype.kind == "b":
            return np.array(listed, np.bool_)
        if self.dtype.kind in "iu":  # wider in the message than in the tensor
            wide = np.uint64 if self._kind.name == "uint64" else np.int64
            return np.array(listed, wide).astype(self.dtype)
        return np.array(listed, self.dtype)
