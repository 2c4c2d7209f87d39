"""Constants in the dtypes that tfjs has: float32, int32, bool, complex64 and string.

Floats become float32, integers int32. An int64 that does not fit is refused, except the far ends
of slices, where any number beyond the tensor means the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace

import numpy as np

from tfjs_codec.errors import Problem
from tfjs_codec.ir.graph import Graph, Node, consumers
from tfjs_codec.ir.tensors import Array, LazyTensor, as_float32

_INT32 = np.iinfo(np.int32)
_FLOATS = frozenset(("float16", "bfloat16", "float64"))
_INTS = frozenset(("int8", "int16", "uint8", "uint16", "uint32", "uint64", "int64"))
_READ_AS: dict[str, str] = {  # dtypes in attributes that tfjs takes for "any"
    "bfloat16": "float32",
    **dict.fromkeys(("int16", "uint16", "uint32", "uint64"), "int32"),
}
_CLAMPED = frozenset(("StridedSlice", "Slice", "Range", "ClipByValue"))
_CHECKED_BYTES = 1 << 20


def narrow(graph: Graph) -> Graph:
    """Return *graph* with all constants and types as tfjs reads them.

    Integers that do not fit into 32 bits and quantised constants are added to its problems.
    """
    problems: list[Problem] = []
    outputs = {tensor.ref.node for tensor in graph.outputs.values()}
    nodes = _narrow(graph.nodes, outputs, problems)
    initializer = _narrow(graph.initializer, (), problems)
    problems = [*graph.problems, *problems]
    return replace(graph, nodes=nodes, initializer=initializer, problems=tuple(problems))


def _narrow(
    nodes: Mapping[str, Node], outputs: Collection[str], problems: list[Problem]
) -> dict[str, Node]:
    users = consumers(nodes)
    found = {}
    for name, node in nodes.items():
        attrs = {
            key: _read_as(value) if isinstance(value, (str, tuple)) else value
            for key, value in node.attrs.items()
        }
        if node.op == "Const":
            seen = name in outputs or not users[name]
            clamp = not seen and all(nodes[user].op in _CLAMPED for user in users[name])
            attrs["value"] = _tensor(node, problems, clamp=clamp)
        found[name] = replace(node, attrs=attrs) if attrs != node.attrs else node
    return found


def _read_as(value: str | tuple[object, ...]) -> object:
    if isinstance(value, str):
        return _READ_AS.get(value, value)
    return tuple([_READ_AS.get(each, each) if isinstance(each, str) else each for each in value])


def _tensor(node: Node, problems: list[Problem], *, clamp: bool) -> LazyTensor:
    tensor, dtype = node.value, str(node.attrs["dtype"])
    kind = tensor.dtype
    if dtype.startswith(("q", "float8")):
        problems.append(Problem(node.name, node.op, f"its type is {dtype}", kind="node"))
    if kind.kind == "f":
        return as_float32(tensor)
    if kind.kind == "c":
        return _Cast(tensor, np.dtype(np.complex64), lambda chunk: chunk.astype(np.complex64))
    if kind.kind not in "iu" or kind == np.int32:
        return tensor
    if kind.itemsize >= 4 and not clamp and not _fits(tensor):
        reason = f"a value of its {dtype} does not fit into int32, the only integers of tfjs"
        problems.append(Problem(node.name, node.op, reason, kind="node"))
    return _Cast(tensor, np.dtype(np.int32), _to_int32)


def _fits(tensor: LazyTensor) -> bool:
    return all(
        _INT32.min <= chunk.min(initial=0).item() and chunk.max(initial=0).item() <= _INT32.max
        for chunk in tensor.chunks(_CHECKED_BYTES)
    )


def _to_int32(chunk: Array) -> Array:
    return np.clip(chunk, _INT32.min, _INT32.max).astype(np.int32)


class _Cast(LazyTensor):
    """Another tensor in a narrower type, piece by piece."""

    def __init__(
        self, source: LazyTensor, dtype: np.dtype[np.generic], cast: Callable[[Array], Array]
    ) -> None:
        self.name = source.name
        self.shape = source.shape
        self.dtype = dtype
        self._source = source
        self._cast = cast

    def numpy(self) -> Array:
        return self._cast(self._source.numpy())

    def chunks(self, max_bytes: int) -> Iterator[Array]:
        return map(self._cast, self._source.chunks(max_bytes))
