"""The pass that applies the rewrite rules."""

from __future__ import annotations

from dataclasses import replace

from tfjs_codec.graph.build import Build
from tfjs_codec.graph.rewrites import (  # noqa: F401 (their rules are registered)
    arithmetic,
    casts,
    control,
    convolution,
    einsum,
    image,
    indexing,
    matrices,
    normalisation,
    pooling,
    reduction,
    sequence,
    spectral,
)
from tfjs_codec.graph.rewrites.registry import rewrites
from tfjs_codec.ir.graph import Graph, Ref, prune, redirect


def rewrite(graph: Graph) -> Graph:
    """Return *graph* with the operations that have rules expressed by others.

    Forms of operations that tfjs would compute wrongly are added to its problems.
    """
    build = Build(graph)
    rules = rewrites()
    refused = {problem.layer for problem in graph.problems}
    moved: dict[Ref, Ref] = {}
    for node in graph.nodes.values():
        if node.op not in rules or node.name in refused:
            continue
        build.begin(node)
        for each in rules[node.op]:
            results = each.rule(build, node)
            if results is not None:
                made = {Ref(node.name, number): ref for number, ref in enumerate(results)}
                moved.update((old, new) for old, new in made.items() if old != new)
                break
    graph = replace(graph, nodes=build.nodes, problems=(*graph.problems, *build.problems))
    return prune(redirect(graph, moved))
