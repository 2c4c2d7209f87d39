"""Operations in forms that tfjs would compute wrongly are refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tfjs_codec.errors import UnsupportedModelError
from tfjs_codec.graph.check import check
from tfjs_codec.graph.optimise.fold import fold
from tfjs_codec.graph.rewrites.layout import move_channels_last
from tfjs_codec.graph.rewrites.rewrite import rewrite
from tfjs_codec.ir.graph import Graph, Node, Ref, Shape, Tensor, const

FLOAT = {"T": "float32"}
CONV = {**FLOAT, "data_format": b"NHWC", "padding": b"SAME", "strides": (1, 1, 1, 1),
        "dilations": (1, 1, 1, 1), "explicit_paddings": ()}  # fmt: skip


def made(op, dims, second, attrs):
    """The graph of *op* on x, whose shape is *dims*, and on the array *second*."""
    nodes = [
        Node("x", "Placeholder", (), {"dtype": "float32", "shape": Shape(dims)}),
        const("c", second),
        Node("y", op, (Ref("x"), Ref("c")), attrs),
    ]
    given = {node.name: node for node in nodes}
    tensors = [{name: Tensor(Ref(name), "float32")} for name in "xy"]
    return check(rewrite(Graph(given, *tensors)))


@pytest.mark.parametrize(
    ("op", "dims", "second", "attrs"),
    [
        ("Conv2D", (1, 5, 5, 4), np.ones((3, 3, 3, 4), "f4"), CONV),
        ("Dilation2D", (1, 4, 4, 1), np.ones((2, 2, 1), "f4"), FLOAT),
        ("IRFFT", (2, 4), np.int32([7]), {}),
        ("Cumsum", None, np.int32(-1), {**FLOAT, "exclusive": False, "reverse": False}),
    ],
)  # fmt: skip
def test_refused(op, dims, second, attrs):
    with pytest.raises(UnsupportedModelError) as refusal:
        made(op, dims, second, attrs)
    assert [problem.class_name for problem in refusal.value.problems] == [op]


@pytest.mark.parametrize("sigma", [0, 0.5])
def test_suppression_with_decaying_scores(sigma):
    x = Node("x", "Placeholder", (), {"dtype": "float32", "shape": Shape((3, 4))})
    rest = [np.ones(3, "f4"), np.int32(2), np.float32(0.5), np.float32(0), np.float32(sigma)]
    given = [const(f"c{number}", np.asarray(value)) for number, value in enumerate(rest)]
    refs = tuple(Ref(node.name) for node in (x, *given))
    attrs = {**FLOAT, "pad_to_max_output_size": False}
    nodes = {node.name: node for node in (x, *given, Node("y", "NonMaxSuppressionV5", refs, attrs))}
    graph = Graph(nodes, {}, {"y": Tensor(Ref("y"), "int32")})
    if sigma:
        with pytest.raises(UnsupportedModelError, match="scores decay"):
            check(rewrite(graph))
    else:
        assert rewrite(graph).nodes["y"].op == "NonMaxSuppressionV5"


@pytest.mark.parametrize("dims", [None, (-1, 5, 3, 4), (1, 3, 4), (7, 5, 3, 4), (3, 4)])
def test_products_of_stacks_that_tfjs_can_repeat(dims):
    attrs = {**FLOAT, "adj_x": False, "adj_y": False}
    assert made("BatchMatMulV2", dims, np.ones((5, 4, 2), "f4"), attrs).nodes["y"].attrs == attrs


def product_of_tfjs(x, y):
    """How tfjs multiplies stacks: as flat lists, the shorter one from its beginning again."""
    flat = [each.reshape(-1, *each.shape[-2:]) for each in (x, y)]
    count = max(map(len, flat))
    products = [flat[0][k % len(flat[0])] @ flat[1][k % len(flat[1])] for k in range(count)]
    shape = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    return np.reshape(products, (*shape, *products[0].shape))


STACKS = [((2, 1), (5,)), ((2, 1), (1, 5)), ((4, 1, 3), (4, 2, 1)), ((3, 1), (6, 1, 5)),
          ((2, 5), (2, 1)), ((1, 5), (3, 1)), ((2, 3), (1, 3)), ((7, 2, 1, 3), (2, 4, 1)),
          ((), (2, 3)), ((4,), (4,))]  # fmt: skip


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("swap", [True, False])
@pytest.mark.parametrize(("left", "right"), STACKS)
def test_products_of_stacks_that_repeat_each_other(left, right, swap, known):
    left, right = (right, left) if swap else (left, right)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(*left, 3, 4)).astype("f4"), rng.normal(size=(*right, 4, 2)).astype("f4")
    dims = tuple(size if known or size == 1 else -1 for size in x.shape)
    nodes = [
        Node("x", "Placeholder", (), {"dtype": "float32", "shape": Shape(dims)}),
        const("y", y),
        Node("z", "BatchMatMulV2", (Ref("x"), Ref("y")), {**FLOAT, "adj_x": False, "adj_y": False}),
    ]
    graph = rewrite(Graph({n.name: n for n in nodes}, {}, {"z": Tensor(Ref("z"), "float32")}))
    ends = {str(k): Tensor(ref, "float32") for k, ref in enumerate(graph.nodes["z"].inputs)}
    nodes = {**graph.nodes, "x": const("x", x)}
    graph = fold(replace(graph, nodes=nodes, outputs=ends))
    given = [graph.nodes[end.ref.node].value.numpy() for end in graph.outputs.values()]
    np.testing.assert_allclose(product_of_tfjs(*given), np.matmul(x, y), rtol=1e-5, atol=1e-6)


def computed(op, dims, x, inputs, attrs):
    """What *op* becomes for an x of shape *dims*, computed for *x*; *inputs* are constants."""
    given = [const(f"c{number}", value) for number, value in enumerate(inputs)]
    refs = [Ref(name) for name in ("x", *(node.name for node in given))]
    start = Node("x", "Placeholder", (), {"dtype": "float32", "shape": Shape(dims)})
    nodes = {node.name: node for node in (start, *given, Node("y", op, tuple(refs), attrs))}
    graph = rewrite(move_channels_last(Graph(nodes, {}, {"y": Tensor(Ref("y"), "float32")})))
    graph = fold(replace(graph, nodes={**graph.nodes, "x": const("x", x)}))
    return graph.nodes[graph.outputs["y"].ref.node].value.numpy()


@pytest.mark.parametrize("dims", [None, (-1, 5), (2, -1), (2, 5)])
@pytest.mark.parametrize("shift", [0, 2, -2, 5, -5, 7, -7, 12])
def test_rolls_of_any_distance(dims, shift):
    x = np.arange(10, dtype="f4").reshape(2, 5)
    attrs = {**FLOAT, "Tshift": "int32", "Taxis": "int32"}
    for shifts, axes in [([shift], [1]), ([shift, 1], [0, 1])]:
        rolled = computed("Roll", dims, x, [np.int32(shifts), np.int32(axes)], attrs)
        np.testing.assert_array_equal(rolled, np.roll(x, shifts, axes))


@pytest.mark.parametrize("layout", [b"NHWC", b"NCHW", b"NDHWC", b"NCDHW"])
def test_batch_norms_in_training(layout):
    rank = len(layout)
    channels = layout.index(b"C")
    sizes = [3 if axis == channels else 2 for axis in range(rank)]
    x = np.random.default_rng(0).normal(size=sizes).astype("f4")
    shape = [3 if axis == channels else 1 for axis in range(rank)]
    gamma, beta, mean, _ = np.arange(1, 13, dtype="f4").reshape(4, 3)
    given = [gamma, beta, mean[:0], mean[:0]]
    attrs = {**FLOAT, "data_format": layout, "is_training": True, "epsilon": 0.5}
    others = tuple(axis for axis in range(rank) if axis != channels)
    mean, variance = x.mean(others), x.var(others)
    scale = gamma / np.sqrt(variance + 0.5)
    expected = (x - mean.reshape(shape)) * scale.reshape(shape) + beta.reshape(shape)
    got = computed("FusedBatchNormV3", x.shape, x, given, attrs)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


SMALL = ["int8", "uint8", "int16", "uint16"]


def in_32_bits(op, x, attrs, *others):
    """What tfjs, whose integers have 32 bits, computes of *op* after the rewrites."""
    given = [const(f"c{number}", value) for number, value in enumerate(others)]
    refs = (Ref("x"), *(Ref(node.name) for node in given))
    start = Node("x", "Placeholder", (), {"dtype": str(x.dtype), "shape": Shape(x.shape)})
    nodes = {node.name: node for node in (start, *given, Node("y", op, refs, attrs))}
    graph = rewrite(Graph(nodes, {}, {"y": Tensor(Ref("y"), "int32")}))
    wide = {"x": const("x", widened(x))}
    for node in graph.nodes.values():
        attrs = {key: "int32" if value in SMALL else value for key, value in node.attrs.items()}
        made = const(node.name, widened(node.value.numpy())) if node.op == "Const" else node
        wide.setdefault(node.name, made if node.op == "Const" else replace(node, attrs=attrs))
    graph = fold(replace(graph, nodes=wide))
    return graph.nodes[graph.outputs["y"].ref.node].value.numpy()


def widened(x):
    return x.astype("i4") if x.dtype.kind in "iu" else x


@pytest.mark.parametrize("kind", SMALL)
def test_small_integers_wrap_around_as_in_tensorflow(kind):
    limits = np.iinfo(kind)
    x = np.array([limits.min, limits.max, limits.max - 3, 7], kind)
    y = np.array([limits.max, 3, 9, limits.max], kind)
    assert in_32_bits("AddV2", x, {"T": kind}, y).tolist() == (x + y).tolist()
    assert in_32_bits("Sub", x, {"T": kind}, y).tolist() == (x - y).tolist()
    if limits.bits == 8:
        assert in_32_bits("Mul", x, {"T": kind}, y).tolist() == (x * y).tolist()
    wide = np.array([-70000, 70000, 300, -1, 129], "i4")
    attrs = {"SrcT": "int32", "DstT": kind, "Truncate": False}
    assert in_32_bits("Cast", wide, attrs).tolist() == wide.astype(kind).tolist()


@pytest.mark.parametrize("kind", SMALL)
def test_small_integers_that_leave_32_bits_are_refused(kind):
    for op in ("Pow", *(["Mul"] if "16" in kind else [])):
        with pytest.raises(UnsupportedModelError, match="wrap around"):
            made(op, (2,), np.ones(2, kind), {"T": kind})


@pytest.mark.parametrize("kind", SMALL)
def test_small_integers_that_cannot_wrap_around_stay(kind):
    for wide in ("float32", "int32", "int64"):  # pixels to numbers
        graph = made("Cast", (2,), np.ones(2, kind), {"SrcT": kind, "DstT": wide})
        assert not [node for node in graph.nodes.values() if node.op == "FloorMod"]
    graph = made("Maximum", (2,), np.ones(2, kind), {"T": kind})
    assert not [node for node in graph.nodes.values() if node.op == "FloorMod"]
