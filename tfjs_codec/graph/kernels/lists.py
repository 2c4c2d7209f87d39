"""Lists of tensors (TensorList, and TensorArray of TensorFlow 1) and hash tables.

A TensorList is a value: changing it makes another one. A TensorArray is a place, whose order of
reads and writes is that of its ``flow``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tfjs_codec.graph.kernels.core import Kernel, KernelError, ints
from tfjs_codec.ir.graph import Attrs
from tfjs_codec.ir.tensors import Array


@dataclass(frozen=True, slots=True)
class TensorList:
    """Tensors, None for one that was not set, of a dtype and a shape (-1 where not known)."""

    items: tuple[Array | None, ...]
    dtype: str
    shape: tuple[int, ...] | None = None

    def get(self, index: int, shape: Sequence[int] | None = None) -> Array:
        """Return an item; zeros of *shape*, or of the shape of another item, if it was not set."""
        if not 0 <= index < len(self.items):
            raise KernelError(f"item {index} of {len(self.items)}")
        item = self.items[index]
        return item if item is not None else np.zeros(self.item_shape(shape), self.dtype)

    def item_shape(self, shape: Sequence[int] | None = None) -> tuple[int, ...]:
        for known in (shape, self.shape):
            if known is not None and all(size >= 0 for size in known):
                return tuple(known)
        for item in self.items:
            if item is not None:
                return item.shape
        raise KernelError("the shape of the items is not known")

    def put(self, index: int, item: Array) -> TensorList:
        if index < 0:
            raise KernelError(f"item {index}")
        items = list(self.items)
        items += [None] * (index + 1 - len(items))
        items[index] = item
        return replace(self, items=tuple(items))

    def stack(self, shape: Sequence[int] | None = None) -> Array:
        if not self.items:
            return np.zeros((0, *self.item_shape(shape)), self.dtype)
        return np.stack([self.get(index, shape) for index in range(len(self.items))])


def _shape(array: Array) -> tuple[int, ...] | None:
    """Return a shape; a scalar (-1) says that not even the rank is known."""
    return tuple(ints(array)) if array.ndim else None


def _reserve(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Any]:
    items = (None,) * int(inputs[1].item())
    return [TensorList(items, attrs["element_dtype"], _shape(inputs[0]))]


def _empty(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Any]:
    return [TensorList((), attrs["element_dtype"], _shape(inputs[0]))]


def _from_tensor(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Any]:
    return [TensorList(tuple(inputs[0]), attrs["element_dtype"], _shape(inputs[1]))]


def _stack(_: Attrs, inputs: Sequence[Any]) -> Sequence[Any]:
    return [inputs[0].stack(_shape(inputs[1]))]


def _get(_: Attrs, inputs: Sequence[Any]) -> Sequence[Any]:
    return [inputs[0].get(int(inputs[1].item()), _shape(inputs[2]))]


def _set(_: Attrs, inputs: Sequence[Any]) -> Sequence[Any]:
    return [inputs[0].put(int(inputs[1].item()), inputs[2])]


def _length(_: Attrs, inputs: Sequence[Any]) -> Sequence[Any]:
    return [np.array(len(inputs[0].items), np.int32)]


def _push(_: Attrs, inputs: Sequence[Any]) -> Sequence[Any]:
    return [inputs[0].put(len(inputs[0].items), inputs[1])]


def _pop(_: Attrs, inputs: Sequence[Any]) -> Sequence[Any]:
    (whole, shape) = inputs
    item = whole.get(len(whole.items) - 1, _shape(shape))
    return [replace(whole, items=whole.items[:-1]), item]


def _resize(_: Attrs, inputs: Sequence[Any]) -> Sequence[Any]:
    whole, size = inputs[0], int(inputs[1].item())
    items = (*whole.items[:size], *(None,) * (size - len(whole.items)))
    return [replace(whole, items=items)]


def _gather(_: Attrs, inputs: Sequence[Any]) -> Sequence[Any]:
    whole, indices, shape = inputs
    items = tuple(whole.get(index, _shape(shape)) for index in ints(indices))
    return [replace(whole, items=items).stack(_shape(shape))]


def _scatter(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Any]:
    tensor, indices, shape, *size = inputs
    count = max(int(size[0].item()) if size else 0, 0)
    made = TensorList((None,) * count, attrs["element_dtype"], _shape(shape))
    for index, item in zip(ints(indices), tensor, strict=True):
        made = made.put(index, item)
    return [made]


def _concat(_: Attrs, inputs: Sequence[Any]) -> Sequence[Any]:
    items = [inputs[0].get(index) for index in range(len(inputs[0].items))]
    return [np.concatenate(items), np.array([len(item) for item in items], np.int64)]


def _split(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Any]:
    tensor, shape, lengths = inputs
    pieces = np.split(tensor, np.cumsum(ints(lengths))[:-1])
    return [TensorList(tuple(pieces), attrs["element_dtype"], _shape(shape))]


# --- Places -----------------------------------------------------------------------------------


@dataclass(slots=True)
class TensorArray:
    """A TensorArray: a list that changes."""

    content: TensorList


@dataclass(slots=True)
class Table:
    """A hash table: values by key, filled once."""

    values: dict[Any, Any] = field(default_factory=dict)


_FLOW = np.float32(0)


def _array(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Any]:
    shape = attrs["element_shape"].dims
    content = TensorList((None,) * int(inputs[0].item()), attrs["dtype"], shape)
    return [TensorArray(content), np.asarray(_FLOW)]


def _array_write(_: Attrs, inputs: Sequence[Any]) -> Sequence[Any]:
    array, index, value, flow = inputs
    array.content = array.content.put(int(index.item()), value)
    return [flow]


def _array_read(_: Attrs, inputs: Sequence[Any]) -> Sequence[Any]:
    return [inputs[0].content.get(int(inputs[1].item()))]


def _array_scatter(_: Attrs, inputs: Sequence[Any]) -> Sequence[Any]:
    array, indices, values, flow = inputs
    for index, value in zip(ints(indices), values, strict=True):
        array.content = array.content.put(index, value)
    return [flow]


def _array_gather(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Any]:
    array, indices, _ = inputs
    shape = attrs["element_shape"].dims
    items = tuple(array.content.get(index, shape) for index in ints(indices))
    return [replace(array.content, items=items).stack(shape)]


def _array_split(_: Attrs, inputs: Sequence[Any]) -> Sequence[Any]:
    array, tensor, lengths, flow = inputs
    pieces = np.split(tensor, np.cumsum(ints(lengths))[:-1])
    array.content = replace(array.content, items=tuple(pieces))
    return [flow]


def _fill(_: Attrs, inputs: Sequence[Any]) -> Sequence[Any]:
    """Return the table, which tfjs passes through, so that lookups wait for its content."""
    table, keys, values = inputs
    table.values = dict(zip(keys.reshape(-1).tolist(), values.reshape(-1), strict=True))
    return [table]


def _find(_: Attrs, inputs: Sequence[Any]) -> Sequence[Any]:
    table, keys, default = inputs
    result = np.full(keys.shape, default, default.dtype)
    for place, key in np.ndenumerate(keys):
        known = table.values.get(key.item() if isinstance(key, np.generic) else key)
        if known is not None:
            result[place] = known
    return [result]


KERNELS: dict[str, Kernel] = {
    "EmptyTensorList": _empty,
    "InitializeTable": _fill,
    "InitializeTableV2": _fill,
    "LookupTableFind": _find,
    "LookupTableFindV2": _find,
    "LookupTableImport": _fill,
    "LookupTableImportV2": _fill,
    "LookupTableSize": lambda _, inputs: [np.array(len(inputs[0].values), np.int64)],
    "LookupTableSizeV2": lambda _, inputs: [np.array(len(inputs[0].values), np.int64)],
    "TensorArrayConcatV3": lambda attrs, inputs: _concat(attrs, [inputs[0].content]),
    "TensorArrayGatherV3": _array_gather,
    "TensorArrayReadV3": _array_read,
    "TensorArrayScatterV3": _array_scatter,
    "TensorArraySizeV3": lambda attrs, inputs: _length(attrs, [inputs[0].content]),
    "TensorArraySplitV3": _array_split,
    "TensorArrayV3": _array,
    "TensorArrayWriteV3": _array_write,
    "TensorListConcat": _concat,
    "TensorListConcatV2": _concat,
    "TensorListFromTensor": _from_tensor,
    "TensorListGather": _gather,
    "TensorListGetItem": _get,
    "TensorListLength": _length,
    "TensorListPopBack": _pop,
    "TensorListPushBack": _push,
    "TensorListReserve": _reserve,
    "TensorListResize": _resize,
    "TensorListScatter": _scatter,
    "TensorListScatterV2": _scatter,
    "TensorListSetItem": _set,
    "TensorListSplit": _split,
    "TensorListStack": _stack,
}
