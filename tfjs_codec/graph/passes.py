"""The passes that turn a TensorFlow graph into one that tfjs executes, in their order.

A pass is a pure function ``pass(graph) -> graph`` of one concern. Every pass but the first three
may rely on this: no function is called, ``functions`` is empty, control flow is Switch, Merge,
Enter, Exit, NextIteration and LoopCond, variables are Consts, ``controls`` are empty, every
``Ref`` names a node that exists, attributes are complete. Each keeps ``inputs`` and the keys,
order, dtypes and shapes of ``outputs``; to replace a node it adds new ones and moves the uses with
:func:`tfjs_codec.ir.graph.redirected`, then :func:`tfjs_codec.ir.graph.pruned` removes what
nobody needs.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from tfjs_codec.graph.check import checked
from tfjs_codec.graph.importing.control_v1 import merges_gated
from tfjs_codec.graph.importing.expand import expanded
from tfjs_codec.graph.importing.loops import carried
from tfjs_codec.graph.importing.sources import read
from tfjs_codec.graph.importing.tables import lookups_shaped, tables_filled
from tfjs_codec.graph.importing.variables import bound
from tfjs_codec.graph.optimise.affine import affine_folded
from tfjs_codec.graph.optimise.fold import folded
from tfjs_codec.graph.optimise.fuse import fused, prelus_found
from tfjs_codec.graph.optimise.narrow import narrowed
from tfjs_codec.graph.optimise.simplify import forwarded, inputs_cast, outputs_apart, updates_apart
from tfjs_codec.graph.rewrites.layout import channels_last, transposes_joined
from tfjs_codec.graph.rewrites.rewrite import rewritten
from tfjs_codec.graph.shapes import shapes_folded
from tfjs_codec.ir.graph import Graph
from tfjs_codec.limits import DEFAULT_LIMITS, Limits
from tfjs_codec.options import ConvertOptions

Pass = Callable[[Graph], Graph]

PASSES: tuple[Pass, ...] = (
    merges_gated,
    bound,
    tables_filled,
    forwarded,
    lookups_shaped,
    folded,
    channels_last,
    rewritten,
    shapes_folded,
    folded,
    transposes_joined,
    prelus_found,
    affine_folded,
    fused,
    updates_apart,
    carried,
    narrowed,
    inputs_cast,
    outputs_apart,
    checked,
)


def convert(source: Any, options: ConvertOptions, stack: ExitStack) -> tuple[str, Graph]:
    """Return what *source* is called and its graph as tfjs can execute it.

    Values can be read until *stack* ends. Raises what
    :func:`tfjs_codec.graph.importing.sources.read` and :func:`run` raise.
    """
    kind, graph = read(source, options, stack)
    return kind, run(graph, options.limits)


def run(graph: Graph, limits: Limits = DEFAULT_LIMITS) -> Graph:
    """Return *graph*, as it was read, as tfjs can execute it.

    Raises:
        UnsupportedModelError: tfjs cannot; ``problems`` lists every reason of the first pass that
            finds any.
        CorruptFileError, LimitExceededError: The graph makes no sense, or grows without end.
    """
    graph = expanded(graph, limits)
    for one in PASSES:
        graph = one(graph)
    return graph
