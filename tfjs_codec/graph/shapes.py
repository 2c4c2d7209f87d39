"""Shapes, as far as they are known before the graph runs, and what follows from them.

Keras computes shapes while a model runs (``Shape``, ``StridedSlice``, ``Pack``, ``Prod``, … into
``Reshape``), although often only the batch size is unknown. A shape here is a tuple with None for
an unknown size, or None if not even the rank is known. Small tensors of whole numbers are followed
through arithmetic too: their *contents* are int64 arrays with :data:`UNKNOWN` in them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from tfjs_codec.graph.kernels import compute_constant
from tfjs_codec.graph.kernels.core import KernelError
from tfjs_codec.graph.optimise.affine import channel_shape
from tfjs_codec.ir.graph import (
    MASKS,
    Graph,
    Node,
    Ref,
    Shape,
    const,
    fresh_names,
    prune,
    sort_nodes,
)
from tfjs_codec.ir.shapes import Dims, broadcast
from tfjs_codec.tfjs.graph_ops import op_def

Content = NDArray[np.int64]

UNKNOWN = -(1 << 40)  # no size, and small enough that sums of it do not overflow
_MOST = 64  # elements of a tensor whose contents are followed


def fold_shapes(graph: Graph) -> Graph:
    """Return *graph* with sizes that are known as constants.

    A ``Reshape`` to a shape with one unknown size gets a constant with -1 in its place.
    """
    if not any(_may_be_followed(graph, node) for node in graph.nodes.values()):
        return graph
    known = Known()
    names = fresh_names(graph)
    nodes = dict(graph.nodes)
    for node in sort_nodes(graph.nodes, path=graph.path):
        known.learn(node)
        if node.op == "Const":
            continue
        content = known.contents.get(Ref(node.name))
        if content is not None and (content != UNKNOWN).all():
            dtype = known.dtype(node)
            if dtype in ("int32", "int64"):
                nodes[node.name] = const(node.name, content.astype(dtype))
        if node.op == "Reshape" and graph.nodes[node.inputs[1].node].op != "Const":
            sizes = known.contents.get(node.inputs[1])
            if sizes is not None and (sizes < 0).sum() <= 1:
                target = np.maximum(sizes, -1).astype(np.int32)
                shape = const(names.fresh(f"{node.name}/shape"), target)
                nodes[shape.name] = shape
                nodes[node.name] = replace(node, inputs=(node.inputs[0], Ref(shape.name)))
    return prune(replace(graph, nodes=nodes))


def _may_be_followed(graph: Graph, node: Node) -> bool:
    """Tell whether *node* may be the first, but for constants, whose content is known."""
    return node.op == "Shape" or (
        node.op in _FOLLOWED and all(graph.nodes[ref.node].op == "Const" for ref in node.inputs)
    )


class Known:
    """What is known of the first results of the nodes seen so far: of all in *graph*, if given."""

    def __init__(self, graph: Graph | None = None) -> None:
        self.shapes: dict[Ref, Dims] = {}
        self.contents: dict[Ref, Content] = {}
        for node in sort_nodes(graph.nodes, path=graph.path) if graph else ():
            self.learn(node)

    @staticmethod
    def dtype(node: Node, output: int = 0) -> str:
        """Return the dtype of a result of *node*, "" if the table does not tell."""
        definition = op_def(node.op)
        dtypes = definition.output_dtypes(node.attrs) if definition else ()
        return dtypes[output] if output < len(dtypes) else ""

    def learn(self, node: Node) -> None:
        """Note the shape and content of *node*, whose inputs were learnt before."""
        ref = Ref(node.name)
        content = self._content(node)
        shape = self._shape(node) if content is None else content.shape
        if content is not None and content.size <= _MOST:
            self.contents[ref] = content
        if shape is not None:
            self.shapes[ref] = shape
            if node.op in _RESULTS:
                for number in range(1, node.attrs.get(_RESULTS[node.op], 2)):
                    self.shapes[Ref(node.name, number)] = shape
        for number, said in enumerate(node.shapes):
            self._say(Ref(node.name, number), said)

    def _shape(self, node: Node) -> Dims | None:
        rule = _SHAPES.get(node.op)
        try:
            return rule(self, node) if rule else None
        except (ArithmeticError, LookupError, TypeError, ValueError):
            return None  # the graph makes no sense: not found out here

    def _say(self, ref: Ref, said: Shape) -> None:
        """Add what the file says of the shape of *ref*."""
        told, shape = said.dims, self.shapes.get(ref)
        if told is None:
            return
        if shape is None:
            self.shapes[ref] = tuple(None if size < 0 else size for size in told)
        elif None in shape and len(shape) == len(told):
            pairs = zip(shape, told, strict=True)
            self.shapes[ref] = tuple(
                [new if old is None and new >= 0 else old for old, new in pairs]
            )

    def of(self, node: Node, position: int = 0) -> Dims:
        """Return the shape of an input; raises LookupError if its rank is unknown."""
        return self.shapes[node.inputs[position]]

    def ints(self, node: Node, position: int) -> list[int]:
        """Return the content of an input if all of it is known, else raise LookupError."""
        content = self.contents[node.inputs[position]]
        if (content == UNKNOWN).any():
            raise LookupError
        return [int(item) for item in content.reshape(-1)]

    def _content(self, node: Node) -> Content | None:
        if node.op == "Const":
            tensor = node.value
            if tensor.dtype.kind not in "iu" or tensor.size > _MOST:
                return None
            return tensor.numpy().astype(np.int64)
        if node.op == "Shape":
            dims = self.shapes.get(node.inputs[0])
            return (
                None
                if dims is None
                else np.array([UNKNOWN if size is None else size for size in dims], np.int64)
            )
        if node.op not in _FOLLOWED or not self.contents.keys() >= set(node.inputs):
            return None
        inputs = [self.contents[ref] for ref in node.inputs]
        try:
            return _compute(node, inputs)
        except KernelError:
            return None


def _compute(node: Node, inputs: Sequence[Content]) -> Content | None:
    """Return the content of *node*; what an unknown size goes into is unknown."""
    if node.op == "Cast":
        return inputs[0] if Known.dtype(node).startswith("int") else None
    if node.op == "Prod" and (inputs[0] == UNKNOWN).any():
        return np.array(UNKNOWN) if inputs[0].ndim == 1 and not node.attrs["keep_dims"] else None
    result = np.asarray(compute_constant(node.op, node.attrs, inputs)[0], np.int64)
    if node.op in _ARITHMETIC:
        unknown = [(each == UNKNOWN) & np.ones(result.shape, bool) for each in inputs]
        return np.where(np.logical_or(*unknown), UNKNOWN, result)
    return result


_MOVING = frozenset(
    ("ConcatV2", "ExpandDims", "GatherV2", "Pack", "Reshape", "Slice", "Squeeze",
     "StridedSlice")
)  # fmt: skip
_ARITHMETIC = frozenset(("Add", "AddV2", "Maximum", "Minimum", "Mul", "Sub"))
_FOLLOWED = _MOVING | _ARITHMETIC | {"Cast", "Prod"}

# --- Shapes of results -------------------------------------------------------------------------

_Rule = Callable[[Known, Node], "Dims | None"]


def _same(known: Known, node: Node) -> Dims:
    return known.of(node)


def _placeholder(_: Known, node: Node) -> Dims | None:
    dims = node.attrs["shape"].dims
    return None if dims is None else tuple(None if size < 0 else size for size in dims)


def _broadcast(known: Known, node: Node) -> Dims:
    return broadcast(*[known.shapes[ref] for ref in node.inputs])


def _product(known: Known, node: Node) -> Dims:
    left, right = known.of(node), known.of(node, 1)
    first, second = ("transpose_a", "transpose_b") if node.op == "MatMul" else ("adj_x", "adj_y")
    rows = left[-1] if node.attrs[first] else left[-2]
    columns = right[-2] if node.attrs[second] else right[-1]
    return (*broadcast(left[:-2], right[:-2]), rows, columns)


def _convolution(known: Known, node: Node) -> Dims:
    x, weights = known.of(node), known.of(node, 1)
    if not node.attrs["data_format"].endswith(b"C"):
        return (None,) * len(x)
    channels = channel_shape(node, tuple(size or 0 for size in weights))
    if channels is None or None in weights:
        raise LookupError
    windows = [size or 0 for size in weights[: len(x) - 2]]
    dilations = node.attrs["dilations"][1:-1]
    windows = [(size - 1) * by + 1 for size, by in zip(windows, dilations, strict=True)]
    return (x[0], *_slid(x, node, windows), prod(channels))


def _pooling(known: Known, node: Node) -> Dims:
    x = known.of(node)
    if not node.attrs["data_format"].endswith(b"C"):
        return (None,) * len(x)
    return (x[0], *_slid(x, node, node.attrs["ksize"][1:-1]), x[-1])


def _merge(known: Known, node: Node) -> Dims:
    """What both branches have in common; a loop may change its shape."""
    one, other = (known.shapes[ref] for ref in node.inputs)
    return tuple(a if a == b else None for a, b in zip(one, other, strict=True))


def _transposed_convolution(known: Known, node: Node) -> Dims:
    sizes = known.contents.get(node.inputs[0])
    if sizes is None:
        return (None,) * len(known.of(node, 1))
    return tuple(None if size < 0 else int(size) for size in sizes)


def _slid(x: Dims, node: Node, windows: Sequence[int]) -> list[int | None]:
    """Return the sizes of *x*'s spatial dimensions after *windows* slid over them."""
    padding = node.attrs["padding"]
    if padding not in (b"SAME", b"VALID"):
        return [None] * len(windows)
    steps = node.attrs["strides"][1:-1]
    return [
        None if size is None else -(-(size if padding == b"SAME" else size - window + 1) // step)
        for size, window, step in zip(x[1:-1], windows, steps, strict=True)
    ]


def _reshape(known: Known, node: Node) -> Dims:
    sizes = [int(size) for size in known.contents[node.inputs[1]]]
    target: list[int | None] = [None if size < 0 else size for size in sizes]
    x = known.shapes.get(node.inputs[0])
    if sizes.count(-1) == 1 and UNKNOWN not in sizes and x is not None and None not in x:
        rest = prod(size for size in sizes if size >= 0)
        target[sizes.index(-1)] = prod(size or 0 for size in x) // rest if rest else None
    return tuple(target)


def _transpose(known: Known, node: Node) -> Dims:
    x = known.of(node)
    return tuple(x[axis] for axis in known.ints(node, 1))


def _expand_dims(known: Known, node: Node) -> Dims:
    x, (axis,) = list(known.of(node)), known.ints(node, 1)
    x.insert(axis if axis >= 0 else axis + len(x) + 1, 1)
    return tuple(x)


def _squeeze(known: Known, node: Node) -> Dims:
    x, axes = known.of(node), node.attrs["squeeze_dims"]
    if not axes:
        raise LookupError
    gone = {axis % len(x) for axis in axes}
    return tuple(size for axis, size in enumerate(x) if axis not in gone)


def _reduce(known: Known, node: Node) -> Dims:
    x = known.of(node)
    over = {axis % len(x) for axis in known.ints(node, 1)}
    if node.attrs["keep_dims"]:
        return tuple(1 if axis in over else size for axis, size in enumerate(x))
    return tuple(size for axis, size in enumerate(x) if axis not in over)


def _pad(known: Known, node: Node) -> Dims:
    x, widths = known.of(node), known.ints(node, 1)
    around = zip(x, widths[::2], widths[1::2], strict=True)
    return tuple(None if size is None else size + a + b for size, a, b in around)


def _concatenate(known: Known, node: Node) -> Dims:
    count = len(node.inputs) - 1
    (axis,) = known.ints(node, count)
    shapes = [known.of(node, position) for position in range(count)]
    first = list(shapes[0])
    along = [shape[axis] for shape in shapes]
    first[axis] = None if None in along else sum(size or 0 for size in along)
    return tuple(first)


def _gather(known: Known, node: Node) -> Dims:
    x, indices, (axis,) = known.of(node), known.of(node, 1), known.ints(node, 2)
    if node.attrs["batch_dims"]:
        raise LookupError
    axis %= len(x)
    return (*x[:axis], *indices, *x[axis + 1 :])


def _pack(known: Known, node: Node) -> Dims:
    shape, axis = list(known.of(node)), int(node.attrs["axis"])
    shape.insert(axis if axis >= 0 else axis + len(shape) + 1, len(node.inputs))
    return tuple(shape)


def _unpack(known: Known, node: Node) -> Dims:
    shape, axis = known.of(node), int(node.attrs["axis"])
    axis %= len(shape)
    return (*shape[:axis], *shape[axis + 1 :])


def _split(known: Known, node: Node) -> Dims:
    (axis,), shape, count = known.ints(node, 0), list(known.of(node, 1)), node.attrs["num_split"]
    size = shape[axis]
    shape[axis] = None if size is None else size // count
    return tuple(shape)


def _tile(known: Known, node: Node) -> Dims:
    pairs = zip(known.of(node), known.contents[node.inputs[1]], strict=True)
    return tuple(
        None if size is None or times == UNKNOWN else size * int(times) for size, times in pairs
    )


def _slice(known: Known, node: Node) -> Dims:
    x, sizes = known.of(node), known.contents[node.inputs[2]]
    starts = known.contents.get(node.inputs[1], np.full(len(x), UNKNOWN))
    rows = zip(x, starts, sizes, strict=True)
    return tuple(
        int(count) if count >= 0
        else size - int(start) if count == -1 and size is not None and start != UNKNOWN
        else None
        for size, start, count in rows
    )  # fmt: skip


def _slid_over(known: Known, node: Node) -> Dims:
    """The shape of a StridedSlice; its sizes only where the bounds are constant."""
    x, masks = list(known.of(node)), {name: int(node.attrs[name]) for name in MASKS}
    count = known.of(node, 3)[0]
    if count is None:
        raise LookupError
    bounds = [known.contents.get(ref, np.full(count, UNKNOWN)) for ref in node.inputs[1:]]
    has = {name: [mask >> at & 1 for at in range(count)] for name, mask in masks.items()}
    made: list[int | None] = []
    for at, (begin, end, step) in enumerate(zip(*bounds, strict=True)):
        if has["ellipsis_mask"][at]:
            later = sum(not new for new in has["new_axis_mask"][at + 1 :])
            made += x[: len(x) - later]
            x = x[len(x) - later :]
        elif has["new_axis_mask"][at]:
            made.append(1)
        elif has["shrink_axis_mask"][at]:
            x.pop(0)
        else:
            size = x.pop(0)
            first = None if has["begin_mask"][at] else int(begin)
            last = None if has["end_mask"][at] else int(end)
            known_ends = UNKNOWN not in (first, last, step) and size is not None
            made.append(
                len(range(size or 0)[slice(first, last, int(step))]) if known_ends else None
            )
    return (*made, *x)


def _einsum(known: Known, node: Node) -> Dims:
    """The rank of an Einsum with all axes named."""
    left, arrow, output = node.attrs["equation"].decode().replace(" ", "").partition("->")
    if not arrow or "." in left:
        raise LookupError
    sizes: dict[str, int | None] = {}
    for position, labels in enumerate(left.split(",")):
        sizes.update(zip(labels, known.of(node, position), strict=True))
    return tuple(sizes[label] for label in output)


def _range(known: Known, node: Node) -> Dims:
    try:
        (start,), (end,), (step,) = (known.ints(node, place) for place in range(3))
    except LookupError:
        return (None,)
    return (len(range(start, end, step)),)


def _element(known: Known, node: Node) -> Dims:
    """What a list says of the shape of its elements; of a stack of them the number is unknown."""
    sizes = known.contents[node.inputs[-1]]
    if not sizes.ndim:
        raise LookupError
    dims = tuple(None if size < 0 else int(size) for size in sizes)
    return (None, *dims) if node.op == "TensorListStack" else dims


def _one_hot(known: Known, node: Node) -> Dims:
    shape, (depth,), axis = list(known.of(node)), known.ints(node, 1), int(node.attrs["axis"])
    shape.insert(axis if axis >= 0 else axis + len(shape) + 1, depth)
    return tuple(shape)


def _fill(known: Known, node: Node) -> Dims:
    place = {"BroadcastTo": 1, "ScatterNd": 2}.get(node.op, 0)
    return tuple(
        None if size == UNKNOWN else int(size) for size in known.contents[node.inputs[place]]
    )


def _gather_nd(known: Known, node: Node) -> Dims:
    x, indices = known.of(node), known.of(node, 1)
    if indices[-1] is None:
        raise LookupError
    return (*indices[:-1], *x[indices[-1] :])


def _argument(known: Known, node: Node) -> Dims:
    x, (axis,) = known.of(node), known.ints(node, 1)
    axis %= len(x)
    return (*x[:axis], *x[axis + 1 :])


# Operations with several results alike: the attribute that counts them, or "" for two.
_RESULTS = {"Split": "num_split", "Switch": "", "Unpack": "num"}
_SHAPES: dict[str, _Rule] = {
    "Const": lambda _, node: tuple(node.value.shape),
    "Placeholder": _placeholder,
    **dict.fromkeys(
        ("Abs", "AddN", "BiasAdd", "Cast", "Ceil", "ClipByValue", "Complex", "ComplexAbs", "Conj",
         "Cos", "Cumprod", "Cumsum", "Elu", "Enter", "Erf", "Exp", "Expm1", "FFT", "Floor",
         "FusedBatchNormV3", "IFFT", "Identity", "Imag", "IsFinite", "IsInf", "IsNan", "LeakyRelu",
         "Log", "Log1p", "LogSoftmax", "LogicalNot", "Neg", "OnesLike", "Prelu", "Real",
         "Reciprocal", "Relu", "Relu6", "ReverseV2", "Round", "Rsqrt", "Selu", "Sigmoid", "Sign",
         "Sin", "Softmax", "Softplus", "Sqrt", "Square", "Switch", "Tanh", "TensorScatterUpdate",
         "ZerosLike"),
        _same,
    ),
    **dict.fromkeys(
        ("Add", "AddV2", "Atan2", "Equal", "FloorDiv", "FloorMod", "Greater", "GreaterEqual",
         "Less", "LessEqual", "LogicalAnd", "LogicalOr", "Maximum", "Minimum", "Mul", "NotEqual",
         "Pow", "RealDiv", "SelectV2", "SquaredDifference", "Sub"),
        _broadcast,
    ),
    **dict.fromkeys(("ArgMax", "ArgMin"), _argument),
    **dict.fromkeys(("BroadcastTo", "Fill", "ScatterNd"), _fill),
    **dict.fromkeys(("BatchMatMul", "BatchMatMulV2", "MatMul"), _product),
    **dict.fromkeys(("Conv2D", "Conv3D", "DepthwiseConv2dNative"), _convolution),
    **dict.fromkeys(("AvgPool", "AvgPool3D", "MaxPool"), _pooling),
    **dict.fromkeys(("All", "Any", "Max", "Mean", "Min", "Prod", "Sum"), _reduce),
    "Merge": _merge,
    **dict.fromkeys(("Conv2DBackpropInput", "Conv3DBackpropInputV2"), _transposed_convolution),
    "ConcatV2": _concatenate,
    "Einsum": _einsum,
    "ExpandDims": _expand_dims,
    "GatherNd": _gather_nd,
    "GatherV2": _gather,
    "OneHot": _one_hot,
    "Pack": _pack,
    **dict.fromkeys(("MirrorPad", "Pad", "PadV2"), _pad),
    "Range": _range,
    "Reshape": _reshape,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "StridedSlice": _slid_over,
    "TensorListGetItem": _element,
    "TensorListStack": _element,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unpack": _unpack,
}  # fmt: skip
