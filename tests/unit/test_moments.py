"""Kernels are rounded so that what they make of samples of inputs changes little."""

from __future__ import annotations

import numpy as np
import pytest

from tfjs_codec.graph.interpreter import Program
from tfjs_codec.ir.graph import Graph, Node, Ref, Shape, Tensor
from tfjs_codec.ir.tensors import ArrayTensor
from tfjs_codec.quantization.moments import measure, round_kernels
from tfjs_codec.writers.quantize import Quantizer

IMAGE, ROW = (-1, 7, 6, 3), (-1, 12)
CASES = [
    ("Conv2D", IMAGE, (3, 2, 3, 4), {}),
    ("Conv2D", IMAGE, (3, 2, 3, 4), {"padding": b"VALID"}),
    ("Conv2D", IMAGE, (3, 3, 3, 2), {"strides": (1, 2, 2, 1)}),
    ("Conv2D", IMAGE, (3, 2, 3, 2), {"dilations": (1, 2, 2, 1)}),
    ("DepthwiseConv2dNative", IMAGE, (3, 3, 3, 1), {}),
    ("DepthwiseConv2dNative", IMAGE, (3, 2, 3, 2), {"strides": (1, 2, 2, 1)}),
    ("MatMul", ROW, (12, 5), {}),
]


def build(op, given, kernel, **attrs):
    """Return a graph of one product, and its kernel."""
    plain = {"T": "float32", "transpose_a": False, "transpose_b": False, "data_format": b"NHWC",
             "padding": b"SAME", "strides": (1, 1, 1, 1), "dilations": (1, 1, 1, 1)}  # fmt: skip
    tensor = ArrayTensor("kernel", kernel)
    nodes = [
        Node("x", "Placeholder", (), {"dtype": "float32", "shape": Shape(given)}),
        Node("kernel", "Const", (), {"value": tensor, "dtype": "float32"}),
        Node("y", op, (Ref("x"), Ref("kernel")), plain | attrs),
    ]
    inputs = {"x": Tensor(Ref("x"), "float32", Shape(given))}
    outputs = {"y": Tensor(Ref("y"), "float32")}
    return Graph({node.name: node for node in nodes}, inputs, outputs), tensor


@pytest.mark.parametrize(("op", "given", "shape", "attrs"), CASES)
def test_outputs_change_less(op, given, shape, attrs):
    random = np.random.default_rng(3)
    kernel = random.normal(size=shape).astype(np.float32)
    x = random.uniform(0, 1, (130, *given[1:])).astype(np.float32)
    x[:, ::2] += 1  # correlated, and not alike in all places
    graph, tensor = build(op, given, kernel, **attrs)
    moves = round_kernels(graph, {"kernel": tensor}, {"x": x})["kernel"]
    assert (moves.shape, moves.dtype) == (shape, np.int8)
    assert moves.any()
    quantizers = [
        Quantizer("kernel", tensor, "uint8"),
        Quantizer("kernel", tensor, "uint8", moves=moves),
    ]
    step = quantizers[0].entry["scale"]
    assert np.abs(quantizers[1].restore() - kernel).max() <= step * 1.0001

    def lose(quantizer):
        changed = build(op, given, quantizer.restore() - kernel, **attrs)[0]
        return np.mean(np.square(Program(changed).run({"x": x})["y"].astype(np.float64)))

    nearest, ours = map(lose, quantizers)
    assert ours < 0.85 * nearest


@pytest.mark.parametrize(("op", "given", "shape", "attrs"), CASES)
def test_moments_tell_the_outputs(op, given, shape, attrs):
    random = np.random.default_rng(0)
    kernel = random.normal(size=shape).astype(np.float32)
    x = random.uniform(0, 1, (60, *given[1:])).astype(np.float32)
    graph, _ = build(op, given, kernel, **attrs)
    found = measure(graph.nodes["y"], x, shape)
    values = kernel.reshape(found.shape[1], len(found), -1).astype(np.float64)
    outputs = Program(graph).run({"x": x})["y"].astype(np.float64)
    total = np.einsum("igo,gij,jgo->", values, found, values)
    assert total == pytest.approx(np.square(outputs).sum(), rel=1e-6)


@pytest.mark.parametrize("attrs", [{"transpose_b": True}, {"transpose_a": True}, {"T": "float16"}])
def test_what_is_not_measured_is_left_out(attrs):
    graph, tensor = build("MatMul", (-1, 4), np.eye(4, dtype=np.float32), **attrs)
    assert round_kernels(graph, {"kernel": tensor}, {"x": np.zeros((2, 4), np.float32)}) == {}
