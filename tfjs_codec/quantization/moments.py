"""Rounds kernels for samples of inputs, so that errors change the outputs for these little.

The mean square of what errors e of a kernel's weights add to an output is ``eᵀ M e``; M, the second
moments of the inputs, are measured while the model predicts for the samples. From the nearest steps
one weight after the other takes the step on its other side, the one that lowers the sum most.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from tfjs_codec.graph.interpreter import Program
from tfjs_codec.ir.graph import Graph, Node, Tensor
from tfjs_codec.ir.tensors import Array, LazyTensor, as_float32
from tfjs_codec.quantization.samples import run_rows
from tfjs_codec.writers.balance import STEP
from tfjs_codec.writers.quantize import Quantizer

_CONVOLUTIONS = frozenset(("Conv2D", "_FusedConv2D"))
_DEPTHWISE = frozenset(("DepthwiseConv2dNative", "FusedDepthwiseConv2dNative"))
_PRODUCTS = frozenset(("MatMul", "_FusedMatMul"))
_MOST_INPUTS = 1024  # of an output: moments are the square of it
_MOST_ROWS = 1 << 13  # of inputs that are looked at, for 64 samples
_DAMPING = 0.01  # of the moments' mean: samples are not all inputs

Floats = NDArray[np.float64]


def round_kernels(
    graph: Graph, kernels: Mapping[str, LazyTensor], samples: Mapping[str, Array]
) -> dict[str, NDArray[np.int8]]:
    """Return by how many steps, -1 to 1, the values of *kernels* move after rounding to uint8.

    Args:
        graph: The model before rounding; its constants are the same tensors as *kernels*.
        kernels: What is rounded, by name. Those that *graph* has no product with, or one with too
            many inputs, are left out.
        samples: Inputs, see :mod:`tfjs_codec.quantization.samples`.

    Raises:
        UsageError: *samples* are not the inputs of the graph.
        UnsupportedModelError: numpy cannot run it.
    """
    names = {id(tensor): name for name, tensor in kernels.items()}
    products = {
        f"{number}": (node, names[id(kernel)])
        for number, node in enumerate(graph.nodes.values())
        if (kernel := _find_kernel(graph, node)) is not None and id(kernel) in names
    }
    outputs = {key: Tensor(node.inputs[0], "float32") for key, (node, _) in products.items()}
    moments: dict[str, Floats] = {}
    if outputs:
        for _, found in run_rows(Program(replace(graph, outputs=outputs)), samples):
            for key, (node, name) in products.items():
                more = measure(node, found[key], kernels[name].shape)
                moments[name] = moments.get(name, 0) + more
    return {name: _round(kernels[name], each) for name, each in moments.items()}


def _find_kernel(graph: Graph, node: Node) -> LazyTensor | None:
    """Return the constant that *node* multiplies with, if its moments are measured."""
    if node.op not in _CONVOLUTIONS | _DEPTHWISE | _PRODUCTS:
        return None
    kernel = graph.nodes[node.inputs[1].node]
    attrs = node.attrs
    if kernel.op != "Const" or attrs.get("transpose_a") or attrs.get("transpose_b"):
        return None
    plain = attrs.get("data_format", b"NHWC") == b"NHWC" and attrs.get("padding") != b"EXPLICIT"
    tensor = kernel.value
    few = prod(tensor.shape[: 2 if node.op in _DEPTHWISE else -1]) <= _MOST_INPUTS
    return tensor if plain and few and attrs.get("T", "float32") == "float32" else None


def measure(node: Node, inputs: Array, shape: tuple[int, ...]) -> Floats:
    """Return the second moments of *inputs*: of each group, of what an output adds up."""
    if node.op in _PRODUCTS:
        rows = inputs.reshape(-1, inputs.shape[-1])
        some = rows[:: 1 + len(rows) // _MOST_ROWS].astype(np.float64)
        products: Floats = some.T @ some
        return products[np.newaxis]
    windows = _find_windows(node, inputs, shape)
    if node.op in _DEPTHWISE:
        groups = windows.transpose(1, 0, 2, 3).reshape(shape[2], len(windows), -1)
    else:
        groups = windows.transpose(0, 2, 3, 1).reshape(1, len(windows), -1)
    return np.asarray(groups.transpose(0, 2, 1) @ groups)


def _find_windows(node: Node, inputs: Array, shape: tuple[int, ...]) -> Floats:
    """Return some windows of *inputs*: ``[window, channel, row, column]``."""
    widths = list[tuple[int, int]]()
    sizes = list[int]()
    steps, spaces = node.attrs["strides"], node.attrs.get("dilations", (1, 1, 1, 1))
    for axis in (1, 2):
        size = (shape[axis - 1] - 1) * spaces[axis] + 1
        added = 0
        if node.attrs["padding"] == b"SAME":
            count = -(-inputs.shape[axis] // steps[axis])
            added = max((count - 1) * steps[axis] + size - inputs.shape[axis], 0)
        widths.append((added // 2, added - added // 2))
        sizes.append(size)
    padded = np.pad(inputs, ((0, 0), *widths, (0, 0)))
    view = np.lib.stride_tricks.sliding_window_view(padded, sizes, (1, 2))
    view = view[:, :: steps[1], :: steps[2], :, :: spaces[1], :: spaces[2]]
    count = prod(view.shape[:3])
    chosen = np.arange(0, count, 1 + count // _MOST_ROWS)
    found: Floats = view[np.unravel_index(chosen, view.shape[:3])].astype(np.float64)
    return found


def _round(kernel: LazyTensor, moments: Floats) -> NDArray[np.int8]:
    """Return how the values of *kernel* move, in its shape; outputs are its last axes."""
    groups, inputs, _ = moments.shape  # of a depthwise kernel groups are the channels, else 1
    nearest = Quantizer(kernel.name, as_float32(kernel), "uint8").measure_errors() / STEP
    turned = nearest.reshape(inputs, groups, -1).transpose(1, 0, 2)
    damping = _DAMPING * np.einsum("gii->g", moments) / inputs
    moves = _descend(turned, moments + damping[:, None, None] * np.eye(inputs))
    found: NDArray[np.int8] = moves.transpose(1, 0, 2).reshape(kernel.shape).astype(np.int8)
    return found


def _descend(errors: Floats, moments: Floats) -> Floats:
    """Return moves by a step that lower the error of outputs: ``[group, input, output]``."""
    moved = errors.copy()
    slopes = moments @ moved
    steepness = np.einsum("gii->gi", moments)[:, :, np.newaxis]
    group, output = np.indices((errors.shape[0], errors.shape[2]))
    for _ in range(errors.shape[1]):
        steps = np.where(moved > 0, -1.0, 1.0)
        gains = np.where(moved == 0, np.inf, 2 * steps * slopes + steepness)
        best = gains.argmin(axis=1)
        useful = gains[group, best, output] < 0
        if not useful.any():
            break
        g, o, i = group[useful], output[useful], best[useful]
        step = steps[g, i, o]
        moved[g, i, o] += step
        slopes[g, :, o] += step[:, np.newaxis] * moments[g, :, i]
    moves: Floats = np.round(moved - errors)
    return moves
