"""The pass that applies the rewrite rules."""

from __future__ import annotations

from dataclasses import replace

from tfjs_codec.errors import NONSENSE, CorruptFileError, TfjsCodecError, quote
from tfjs_codec.graph.build import Build
from tfjs_codec.graph.rewrites import (  # noqa: F401 (their rules are registered)
    arithmetic,
    bits,
    casts,
    complex_numbers,
    control,
    convolution,
    einsum,
    gradients,
    image,
    indexing,
    losses,
    matrices,
    movement,
    normalisation,
    pooling,
    reduction,
    resampling,
    sequence,
    solving,
    special,
    spectral,
    strings,
)
from tfjs_codec.graph.rewrites.registry import Rule, rewrites
from tfjs_codec.graph.shapes import Known
from tfjs_codec.ir.graph import Graph, Node, Ref, prune, redirect, sort_nodes
from tfjs_codec.tracing.refusal import Refusal


def rewrite(graph: Graph) -> Graph:
    """Return *graph* with the operations that have rules expressed by others.

    What a rule makes is rewritten, too, by the other rules. Forms of operations that tfjs would
    compute wrongly are added to its problems.
    """
    work = _Rewriting(Build(graph, Known()))
    refused = {problem.layer for problem in graph.problems}
    for node in sort_nodes(graph.nodes, path=graph.path):
        if node.name in refused:
            work.build.learn(node)
        else:
            work.rewrite(node)
    build = work.build
    graph = replace(
        graph, nodes=build.nodes, initializer={**graph.initializer, **build.initializer},
        problems=(*graph.problems, *build.problems),
    )  # fmt: skip
    return prune(redirect(graph, work.moved))


class _Rewriting:
    """The nodes as far as they are rewritten; *moved* says what became of results."""

    def __init__(self, build: Build) -> None:
        self.build = build
        self.moved: dict[Ref, Ref] = {}

    def rewrite(self, node: Node) -> None:
        """Rewrite *node* and the nodes made for it; no rule sees the nodes that it made itself."""
        pending: list[tuple[str, frozenset[Rule]]] = [(node.name, frozenset())]
        while pending:
            name, used = pending.pop()
            rule = self._apply(node, name, used)
            if rule is not None:
                pending += [(made, used | {rule}) for made in reversed(self.build.made)]

    def _apply(self, origin: Node, name: str, used: frozenset[Rule]) -> Rule | None:
        """Return the rule that rewrites the node *name*, which was made for *origin*."""
        build = self.build
        node = self._settle(name)
        for each in rewrites().get(node.op, ()):
            if each.rule in used:
                continue
            build.begin(node, origin)
            try:
                results = each.rule(build, node)
            except Refusal as refusal:
                build.refuse(refusal.reason, refusal.hint)
                continue
            except TfjsCodecError:
                raise
            except NONSENSE as error:
                raise CorruptFileError(
                    f"its attributes or inputs are not valid ({type(error).__name__}: {error})",
                    path=build.path,
                    where=f"node {quote(origin.name)} ({origin.op})",
                ) from error
            if results is not None:
                made = {Ref(name, number): ref for number, ref in enumerate(results)}
                self.moved.update((old, new) for old, new in made.items() if old != new)
                return each.rule
        return None

    def _settle(self, name: str) -> Node:
        """Return the node *name* with the inputs that take the place of its own."""
        node = self.build.nodes[name]
        if not self.moved.keys().isdisjoint(node.inputs):
            inputs = tuple(map(self._final, node.inputs))
            node = self.build.nodes[name] = replace(node, inputs=inputs)
        self.build.learn(node)
        return node

    def _final(self, ref: Ref) -> Ref:
        while ref in self.moved:
            ref = self.moved[ref]
        return ref
