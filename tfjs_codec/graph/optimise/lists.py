"""Lists of tensors whose elements are known before the graph runs.

A list is followed as a value: the tensors that it holds. Its operations then move tensors only,
and become ``Unpack`` and ``Pack``. TensorLists are values; a TensorArray of TensorFlow 1 is a
place, and what it holds is followed by its *flow*, which orders its reads and writes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tfjs_codec.graph.build import Build
from tfjs_codec.ir.graph import Node, Ref

_MOST = 4096  # elements of a list that is followed


class Unknown(Exception):  # noqa: N818
    """What an operation yields is not known before the graph runs."""


@dataclass(frozen=True, slots=True)
class Items:
    """A list: its elements, None for one that was not set.

    Attributes:
        items: The elements.
        dtype: Their type.
        whole: The tensor whose slices they are, if they are all of them.
        grows: Setting an element after the last one appends it.
    """

    items: tuple[Ref | None, ...]
    dtype: str
    whole: Ref | None = None
    grows: bool = False

    def get(self, index: int) -> Ref:
        item = self.items[index] if 0 <= index < len(self.items) else None
        if item is None:
            raise Unknown
        return item

    def put(self, index: int, item: Ref) -> Items:
        items = list(self.items)
        if self.grows and index == len(items):
            items.append(item)
        elif 0 <= index < len(items):
            items[index] = item
        else:
            raise Unknown
        return replace(self, items=tuple(items[:_MOST]), whole=None)


Value = Ref | Items | None  # None: on a branch that is not taken
Values = Sequence["Ref | Items"]


def evaluate(build: Build, node: Node, inputs: Values) -> list[Value]:
    """Return the results of the list operation *node*.

    Raises:
        Unknown: They are not known.
    """
    return _RULES[node.op](build, node, inputs)


def follows(op: str) -> bool:
    """Tell whether *op* is an operation on lists that is followed."""
    return op in _RULES


def _list(value: Ref | Items) -> Items:
    if not isinstance(value, Items):
        raise Unknown
    return value


def _ref(value: Ref | Items) -> Ref:
    if isinstance(value, Items):
        raise Unknown
    return value


def _ints(build: Build, value: Ref | Items) -> list[int]:
    numbers = build.numbers(_ref(value))
    if numbers is None:
        numbers = build.content(_ref(value))
    if numbers is None or len(numbers) > _MOST:
        raise Unknown
    return [int(number) for number in numbers]


def _int(build: Build, value: Ref | Items) -> int:
    numbers = _ints(build, value)
    if len(numbers) != 1:
        raise Unknown
    return numbers[0]


def _reserve(build: Build, node: Node, inputs: Values) -> list[Value]:
    count = _int(build, inputs[1])
    if not 0 <= count <= _MOST:
        raise Unknown
    return [Items((None,) * count, str(node.attrs["element_dtype"]))]


def _empty(_: Build, node: Node, __: Values) -> list[Value]:
    return [Items((), str(node.attrs["element_dtype"]))]


def _slices(build: Build, x: Ref, dtype: str) -> Items:
    shape = build.shape(x)
    count = shape[0] if shape else None
    if count is None or not 0 < count <= _MOST:
        raise Unknown
    first = build.op("Unpack", x, T=dtype, num=count, axis=0)
    return Items(tuple(Ref(first.node, number) for number in range(count)), dtype, whole=x)


def _from_tensor(build: Build, node: Node, inputs: Values) -> list[Value]:
    return [_slices(build, _ref(inputs[0]), str(node.attrs["element_dtype"]))]


def _get(build: Build, _: Node, inputs: Values) -> list[Value]:
    return [_list(inputs[0]).get(_int(build, inputs[1]))]


def _set(build: Build, node: Node, inputs: Values) -> list[Value]:
    grows = bool(node.attrs.get("resize_if_index_out_of_bounds"))
    return [replace(_list(inputs[0]), grows=grows).put(_int(build, inputs[1]), _ref(inputs[2]))]


def _stack(build: Build, _: Node, inputs: Values) -> list[Value]:
    whole = _list(inputs[0])
    return [_pack(build, whole, range(len(whole.items)))]


def _pack(build: Build, whole: Items, places: Sequence[int]) -> Ref:
    if whole.whole is not None and list(places) == list(range(len(whole.items))):
        return whole.whole
    items = [whole.get(place) for place in places]
    if not items:
        raise Unknown
    return build.op("Pack", *items, T=whole.dtype, N=len(items), axis=0)


def _length(build: Build, _: Node, inputs: Values) -> list[Value]:
    return [build.scalar(len(_list(inputs[0]).items))]


def _push(_: Build, __: Node, inputs: Values) -> list[Value]:
    whole = replace(_list(inputs[0]), grows=True)
    return [whole.put(len(whole.items), _ref(inputs[1]))]


def _pop(_: Build, __: Node, inputs: Values) -> list[Value]:
    whole = _list(inputs[0])
    item = whole.get(len(whole.items) - 1)
    return [replace(whole, items=whole.items[:-1], whole=None), item]


def _gather(build: Build, _: Node, inputs: Values) -> list[Value]:
    return [_pack(build, _list(inputs[0]), _ints(build, inputs[1]))]


# --- Places ---------------------------------------------------------------------------------------


def _array(build: Build, node: Node, inputs: Values) -> list[Value]:
    count = _int(build, inputs[0])
    if not 0 <= count <= _MOST:
        raise Unknown
    grows = bool(node.attrs.get("dynamic_size"))
    made = Items((None,) * count, str(node.attrs["dtype"]), grows=grows)
    return [Ref(node.name), made]


def _array_write(build: Build, _: Node, inputs: Values) -> list[Value]:
    return [_list(inputs[3]).put(_int(build, inputs[1]), _ref(inputs[2]))]


def _array_read(build: Build, _: Node, inputs: Values) -> list[Value]:
    return [_list(inputs[2]).get(_int(build, inputs[1]))]


def _array_scatter(build: Build, node: Node, inputs: Values) -> list[Value]:
    whole, places = _list(inputs[3]), _ints(build, inputs[1])
    slices = _slices(build, _ref(inputs[2]), str(node.attrs["T"]))
    if places != list(range(len(slices.items))) or len(places) < len(whole.items):
        raise Unknown
    return [replace(slices, grows=whole.grows)]


def _array_gather(build: Build, _: Node, inputs: Values) -> list[Value]:
    return [_pack(build, _list(inputs[2]), _ints(build, inputs[1]))]


def _array_size(build: Build, _: Node, inputs: Values) -> list[Value]:
    return [build.scalar(len(_list(inputs[1]).items))]


_RULES: dict[str, Callable[[Build, Node, Values], list[Value]]] = {
    "EmptyTensorList": _empty,
    "TensorArrayGatherV3": _array_gather,
    "TensorArrayReadV3": _array_read,
    "TensorArrayScatterV3": _array_scatter,
    "TensorArraySizeV3": _array_size,
    "TensorArrayV3": _array,
    "TensorArrayWriteV3": _array_write,
    "TensorListFromTensor": _from_tensor,
    "TensorListGather": _gather,
    "TensorListGetItem": _get,
    "TensorListLength": _length,
    "TensorListPopBack": _pop,
    "TensorListPushBack": _push,
    "TensorListReserve": _reserve,
    "TensorListSetItem": _set,
    "TensorListStack": _stack,
}
