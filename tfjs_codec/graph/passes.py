"""The passes that turn a TensorFlow graph into one that tfjs executes, in their order.

A pass is a pure function ``pass(graph) -> graph`` of one concern. Every pass but the first three
may rely on this: no function is called, ``functions`` is empty, control flow is Switch, Merge,
Enter, Exit, NextIteration and LoopCond, variables are Consts, ``controls`` are empty, every
``Ref`` names a node that exists, attributes are complete. Each keeps ``inputs`` and the keys,
order, dtypes and shapes of ``outputs``; to replace a node it adds new ones and moves the uses with
:func:`tfjs_codec.ir.graph.redirect`, then :func:`tfjs_codec.ir.graph.prune` removes what nobody
needs. What a pass cannot express it adds to ``problems``, and leaves it as it is; the last
one, :func:`check`, raises them all.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from tfjs_codec.errors import NONSENSE, CorruptFileError, TfjsCodecError, UnsupportedModelError
from tfjs_codec.graph.check import check
from tfjs_codec.graph.emptiness import guard_reductions, warn_of_emptiness
from tfjs_codec.graph.importing.control_v1 import gate_merges
from tfjs_codec.graph.importing.expand import expand
from tfjs_codec.graph.importing.loops import carry
from tfjs_codec.graph.importing.tables import fill_tables, shape_lookups
from tfjs_codec.graph.importing.variables import bind_variables
from tfjs_codec.graph.interpreter import has_kernel
from tfjs_codec.graph.optimise.affine import fold_affine
from tfjs_codec.graph.optimise.fold import fold
from tfjs_codec.graph.optimise.fuse import find_prelus, fuse
from tfjs_codec.graph.optimise.narrow import narrow
from tfjs_codec.graph.optimise.simplify import cast_inputs, copy_updates, forward, separate_outputs
from tfjs_codec.graph.optimise.slices import merge_slices
from tfjs_codec.graph.optimise.steps import batch_steps
from tfjs_codec.graph.optimise.unroll import unroll
from tfjs_codec.graph.rewrites.layout import join_transposes, move_channels_last
from tfjs_codec.graph.rewrites.rewrite import rewrite
from tfjs_codec.graph.shapes import fold_shapes
from tfjs_codec.ir.graph import Graph
from tfjs_codec.limits import DEFAULT_LIMITS, Limits

_log = logging.getLogger(__name__)

Pass = Callable[[Graph], Graph]

_ROUNDS = 4  # of loops whose length shows when those before them are gone


def unroll_loops(graph: Graph) -> Graph:
    """Return *graph* without its loops of known length."""
    for _ in range(_ROUNDS):
        before, graph = graph, unroll(graph)
        if graph is before:
            break
        graph = fold(fold_shapes(graph))
    return graph


# From TensorFlow's graph to one without functions, variables and assets.
_IMPORTING: tuple[Pass, ...] = (gate_merges, bind_variables, fill_tables, forward)

PASSES: tuple[Pass, ...] = (
    *_IMPORTING,
    shape_lookups,
    fold,
    guard_reductions,
    move_channels_last,
    rewrite,
    fold_shapes,
    fold,
    unroll_loops,
    merge_slices,
    batch_steps,
    join_transposes,
    find_prelus,
    fold_affine,
    fuse,
    copy_updates,
    carry,
    narrow,
    cast_inputs,
    separate_outputs,
    warn_of_emptiness,
    check,
)


def run(graph: Graph, limits: Limits = DEFAULT_LIMITS) -> Graph:
    """Return *graph*, as it was read, as tfjs can execute it.

    Raises:
        UnsupportedModelError: tfjs cannot; ``problems`` lists every reason that any pass finds.
        CorruptFileError, LimitExceededError: The graph makes no sense, or grows without end.
    """
    return _apply(PASSES, graph, limits)


def settle(graph: Graph, limits: Limits = DEFAULT_LIMITS) -> Graph:
    """Return *graph*, as it was read, without functions, variables and assets.

    Its operations stay TensorFlow's.

    Raises:
        UnsupportedModelError: Some variables or tables have no values in the file.
        CorruptFileError, LimitExceededError: The graph makes no sense, or grows without end.
    """
    graph = _apply(_IMPORTING, graph, limits)
    if graph.problems:
        raise UnsupportedModelError(
            "the graph lacks the values of some of its constants or variables", path=graph.path,
            problems=graph.problems,
        )  # fmt: skip
    return graph


def simplify(graph: Graph, limits: Limits = DEFAULT_LIMITS) -> Graph:
    """Return *graph*, as it was read, as :mod:`tfjs_codec.graph.interpreter` can run it.

    Its operations stay what they are if numpy has kernels for all of them; else it becomes what
    tfjs executes.

    Raises:
        UnsupportedModelError: There is no kernel, and tfjs cannot execute the graph.
        CorruptFileError, LimitExceededError: The graph makes no sense, or grows without end.
    """
    simple = _apply(_IMPORTING, graph, limits)
    nodes = (*simple.nodes.values(), *simple.initializer.values())
    known = all(has_kernel(node.op) and "bfloat16" not in node.attrs.values() for node in nodes)
    if known and not simple.problems:
        return simple
    return run(graph, limits)


def _apply(passes: Iterable[Pass], graph: Graph, limits: Limits) -> Graph:
    graph = expand(replace(graph, limits=limits), limits)
    try:
        with np.errstate(all="ignore"):  # constants may have any values
            for one in passes:
                before, graph = graph, one(graph)
                if graph is not before:
                    sizes = len(before.nodes), len(graph.nodes)
                    _log.debug("%s: %d nodes became %d", one.__name__, *sizes)
    except TfjsCodecError:
        raise
    except NONSENSE as error:
        text = f"the graph makes no sense ({type(error).__name__}: {error})"
        raise CorruptFileError(text, path=graph.path) from error
    return graph
