"""Constant folding: operations whose inputs are all constants become constants.

The values are computed as TensorFlow would (:mod:`tfjs_codec.graph.kernels`), so that tfjs
starts with what does not depend on the model's inputs, and so that later passes see through the
arithmetic that Keras 3 does on the weights of a BatchNormalization.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tfjs_codec.graph.kernels import FOLDABLE, compute_constant
from tfjs_codec.graph.kernels.core import KernelError
from tfjs_codec.ir.graph import (
    Graph,
    Names,
    Node,
    Ref,
    const,
    fresh_names,
    prune,
    redirect,
    sort_nodes,
)
from tfjs_codec.ir.tensors import Array, FormulaTensor, LazyTensor

# Bytes read and written may be this, and so many times what the constants have: real models stay
# below twice their weights, but a small file can ask for any number of operations on a large one.
_WORK_BYTES, _WORK_RATIO = 256 << 20, 8

# What is made is held in memory: some bytes for shapes, and twice what the constants have.
_MADE_BYTES, _MADE_RATIO = 16 << 20, 2

_FORMULA_BYTES = 1 << 20  # a formula below this is computed, to be folded

# Operands that change nothing: Keras's swish is x · sigmoid(1 · x).
_NEUTRAL = {"Add": 0, "AddV2": 0, "Mul": 1, "RealDiv": 1, "Sub": 0}
_COMMUTATIVE = frozenset({"Add", "AddV2", "Mul"})

# These look at shapes only; their inputs need not be read.
_SHAPE_OPS = frozenset({"Rank", "Shape", "ShapeN", "Size"})


def fold(graph: Graph) -> Graph:
    """Return *graph* with all that can be computed now as Consts, of the dtypes it had."""
    names = fresh_names(graph)
    nodes = dict(graph.nodes)
    constants = {
        name: node for name, node in nodes.items() if node.op == "Const" and not _is_large(node)
    }
    before, nbytes = len(constants), sum(node.value.nbytes for node in constants.values())
    budget, room = _WORK_BYTES + _WORK_RATIO * nbytes, _MADE_BYTES + _MADE_RATIO * nbytes
    moved: dict[Ref, Ref] = {}
    for node in sort_nodes(graph.nodes, path=graph.path):
        if node.op not in FOLDABLE or not node.inputs:
            continue
        sources = [moved.get(ref, ref).node for ref in node.inputs]
        if not all(name in constants for name in sources):
            if node.op in _NEUTRAL and (same := _neutral(node, constants)) is not None:
                moved[Ref(node.name)] = moved.get(same, same)
            continue
        inputs = [constants[name] for name in sources]
        budget -= sum(each.value.nbytes for each in inputs)
        if budget < 0 or room < 0:
            break
        made = _results(node, inputs, names)
        size = sum(each.value.nbytes for each in made)
        budget, room = budget - size, room - size
        for index, each in enumerate(made):
            nodes[each.name] = constants[each.name] = each
            if each.name != node.name:
                moved[Ref(node.name, index)] = Ref(each.name)
    if not moved and len(constants) == before:
        return graph
    return prune(redirect(replace(graph, nodes=nodes), moved))


def _is_large(node: Node) -> bool:
    """Whether a constant is a formula, so that all of its values take no memory."""
    return isinstance(node.value, FormulaTensor) and node.value.nbytes > _FORMULA_BYTES


def _neutral(node: Node, constants: Mapping[str, Node]) -> Ref | None:
    """Return what *node* passes on if its other operand is a scalar that changes nothing."""
    first, second = node.inputs
    candidates = (
        [(second, first), (first, second)] if node.op in _COMMUTATIVE else [(second, first)]
    )
    for scalar, other in candidates:
        found = constants.get(scalar.node)
        if found is None or found.value.shape != ():
            continue
        if found.value.numpy().item() == _NEUTRAL[node.op]:
            return other
    return None


def _results(node: Node, inputs: list[Node], names: Names) -> list[Node]:
    """Return the outputs of *node* as Consts, the first of its name if it is the only one."""
    if any(_is_emulated(each) for each in inputs):
        return []
    tensors = [each.value for each in inputs]
    shape_only = node.op in _SHAPE_OPS
    arrays = [_stand_in(each) if shape_only else each.numpy() for each in tensors]
    try:
        outputs = compute_constant(node.op, node.attrs, arrays)
    except KernelError:
        return []
    if len(outputs) == 1:
        return [const(node.name, np.asarray(outputs[0]))]
    return [const(names.fresh(f"{node.name}/{i}"), each) for i, each in enumerate(outputs)]


def _is_emulated(node: Node) -> bool:
    """Whether the array is of another type because numpy lacks the Const's (bfloat16)."""
    return node.attrs["dtype"] not in ("string", node.value.dtype.name)


def _stand_in(tensor: LazyTensor) -> Array:
    return np.broadcast_to(np.zeros((), tensor.dtype), tensor.shape)


def constant(nodes: Mapping[str, Node], ref: Ref) -> Array | None:
    """Return the values of *ref* if it is a Const."""
    node = nodes[ref.node]
    return node.value.numpy() if node.op == "Const" else None
