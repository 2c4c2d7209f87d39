"""Loops of a known length, unrolled.

The executor of tfjs pays for every node that runs, most of all inside loops, where each variable
costs a Merge, a Switch and a NextIteration an iteration, and where nothing runs without promises.
A loop is unrolled by running it on names instead of tensors: what depends on constants only, such
as its counter and its condition, is computed, lists of tensors are followed
(:mod:`tfjs_codec.graph.optimise.lists`), and every other operation becomes a node. What is the same
in every iteration is made once. If the condition is not known, or the graph would become too large,
the loop stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from tfjs_codec.graph.build import Build
from tfjs_codec.graph.kernels import FOLDABLE, compute_constant
from tfjs_codec.graph.kernels.core import KernelError
from tfjs_codec.graph.optimise.lists import Unknown, Value, evaluate, follows
from tfjs_codec.graph.plan import Loop, make_plan
from tfjs_codec.ir.graph import UNROLLED_NODES, Graph, Node, Ref, prune, redirect
from tfjs_codec.ir.tensors import Array
from tfjs_codec.tfjs.graph_ops import op_def

_STEPS = 40_000  # operations that are looked at, also in loops that stay: a fraction of a second
_SMALL = 64  # elements of a tensor that is computed in every iteration
_PASS = frozenset({"Enter", "Exit", "Identity", "LoopCond", "NextIteration"})
_RANDOM = frozenset(
    {"Multinomial", "RandomStandardNormal", "RandomUniform", "RandomUniformInt", "TruncatedNormal"}
)

_Values = dict[Ref, Value]


def unroll(graph: Graph) -> Graph:
    """Return *graph* without its loops of known length, as far as it stays small."""
    if not any(node.op == "Enter" for node in graph.nodes.values()):
        return graph
    work = _Unrolling(graph)
    work.run()
    moved = {ref: value for ref, value in work.values.items() if isinstance(value, Ref)}
    moved = {ref: value for ref, value in moved.items() if ref != value}
    if not moved:
        return graph
    return prune(redirect(replace(graph, nodes=work.build.nodes), moved))


class _Unrolling:
    """The new results of a graph: other tensors, or lists; *values* has those that change."""

    def __init__(self, graph: Graph) -> None:
        self.build = Build(graph)
        self.values: _Values = {}
        self._graph = graph
        self._nodes = graph.nodes
        self._made: dict[tuple[str, tuple[Ref, ...]], Sequence[Value]] = {}
        self._constants: dict[tuple[str, tuple[int, ...], bytes], Ref] = {}
        self._room = min(UNROLLED_NODES, graph.limits.graph_nodes) - len(graph.nodes)
        self._steps = _STEPS

    def run(self) -> None:
        """Unroll the loops, in the order in which they run, and follow lists between them."""
        wanted = [tensor.ref for tensor in self._graph.outputs.values()]
        held: set[str] = set()  # what is computed on one side of a condition only
        for step in make_plan(self._nodes, wanted, path=self._graph.path).steps:
            if isinstance(step, Loop):
                taken = {ref.node for ref in (*step.captured, *step.enters.values())}
                if held.isdisjoint(taken):
                    self._try(step)
                else:
                    held.update(ref.node for ref in step.results)
                continue
            before = [ref.node in held for ref in step.inputs]
            if step.op == "Switch" or (before and (all if step.op == "Merge" else any)(before)):
                held.add(step.name)
            elif step.op == "Exit":
                value = self.values.get(step.inputs[0])
                if value is not None:
                    self.values[Ref(step.name)] = value
            elif follows(step.op):
                self._follow(step)

    def _try(self, loop: Loop) -> None:
        """Unroll *loop*, unless it cannot be."""
        room, before = self._room, len(self.build.nodes)
        try:
            results = self._loop(loop, self.values)
        except Unknown:
            self._room = room
            self._made, self._constants = {}, {}
            for name in list(self.build.nodes)[before:]:
                del self.build.nodes[name]
        else:
            self.values.update(results)

    def _follow(self, node: Node) -> None:
        """Follow the list that *node*, outside of loops, makes or uses."""
        inputs = [self.values.get(ref) or ref for ref in node.inputs]
        self.build.begin(node)
        try:
            results = evaluate(self.build, node, inputs)
        except Unknown:
            return
        self.values.update((Ref(node.name, at), value) for at, value in enumerate(results))

    def _loop(self, loop: Loop, outside: Mapping[Ref, Value]) -> _Values:
        """Return the results of *loop*.

        Raises:
            Unknown: How often it runs is not known, or it is too large.
        """
        fixed = {ref: outside.get(ref, ref) for ref in loop.captured}
        fixed |= {ref: outside.get(source, source) for ref, source in loop.enters.items()}
        if None in fixed.values():
            return dict.fromkeys(loop.results)
        state = {name: fixed.get(first, first) for name, (first, _) in loop.carried.items()}
        nests = any(isinstance(step, Loop) for step in loop.plan.steps)
        prefix = self._prefix(loop)
        while True:
            values = {**fixed, **{Ref(name): value for name, value in state.items()}}
            for step in loop.plan.steps:
                if isinstance(step, Loop):
                    values.update(self._loop(step, values))
                    continue
                results = self._run_node(step, values, prefix)
                values.update((Ref(step.name, at), value) for at, value in enumerate(results))
                if nests and step.op == "Switch" and None not in results:
                    raise Unknown  # the loop inside may run on one side of a condition only
            if not self._truth(values[loop.condition]):
                return {ref: values[ref] for ref in loop.results}
            state = {name: values[back] for name, (_, back) in loop.carried.items()}

    def _prefix(self, loop: Loop) -> str:
        """Return how the names of the operations of *loop* begin: with the end of its own."""
        enter = self._nodes[next(iter(loop.enters)).node]
        return "/".join(enter.attrs["frame_name"].decode("utf-8", "replace").split("/")[-2:])

    def _truth(self, value: Value) -> bool:
        array = self._array(value)
        if array is None or array.size != 1:
            raise Unknown
        return bool(array.reshape(-1)[0])

    def _run_node(self, node: Node, values: Mapping[Ref, Value], prefix: str) -> Sequence[Value]:
        """Return the results of *node*, None for those on a branch that is not taken."""
        self._steps -= 1
        if self._steps < 0:
            raise Unknown
        if any(ref not in values for ref in node.inputs):
            raise Unknown  # the number of the iteration's input, which nobody uses
        given = [values[ref] for ref in node.inputs]
        inputs = [value for value in given if value is not None]
        if node.op == "Merge" and len(inputs) == 1:
            return [inputs[0], self._constant(np.array(given.index(inputs[0]), np.int32))]
        if len(inputs) < len(given):
            return [None] * _count(node)
        if node.op in _PASS:
            return inputs
        if node.op == "Switch" and (known := self._array(inputs[1])) is not None:
            return [None, inputs[0]] if bool(known) else [inputs[0], None]
        name = f"{prefix}/{node.name.rpartition('/')[2]}"
        if follows(node.op):
            self.build.begin(replace(node, name=name))
            return evaluate(self.build, node, inputs)
        refs = tuple(value for value in inputs if isinstance(value, Ref))
        if len(refs) < len(inputs):
            raise Unknown
        key = node.name, refs
        if key not in self._made or node.op in _RANDOM:
            self._made[key] = self._compute(node, refs) or self._copy(node, refs, name)
        return self._made[key]

    def _copy(self, node: Node, inputs: tuple[Ref, ...], name: str) -> list[Value]:
        if inputs != node.inputs or node.op in _RANDOM:
            self._room -= 1
            if self._room < 0:
                raise Unknown
            name = self.build.copy(node, name, inputs).node
        else:
            name = node.name
        return [Ref(name, at) for at in range(_count(node))]

    def _compute(self, node: Node, inputs: Sequence[Ref]) -> list[Value] | None:
        """Return the results of *node* if its inputs are small and known."""
        if node.op not in FOLDABLE:
            return None
        arrays = [self._array(ref) for ref in inputs]
        known = [array for array in arrays if array is not None]
        if len(known) < len(arrays):
            return None
        try:
            results = compute_constant(node.op, node.attrs, known)
        except KernelError:
            return None
        if sum(result.size for result in results) > _SMALL:
            return None
        return [self._constant(np.asarray(result)) for result in results]

    def _array(self, value: Value) -> Array | None:
        """Return a small tensor whose numbers are known."""
        if not isinstance(value, Ref):
            return None
        node = self.build.nodes[value.node]
        if node.op == "Const":
            known = node.value.size <= _SMALL and node.attrs["dtype"] == node.value.dtype.name
            return node.value.numpy() if known else None
        content, shape = self.build.content(value), self.build.shape(value)
        if content is None or shape is None:
            return None
        return np.array(content, self.build.type_of(value)).reshape([size or 0 for size in shape])

    def _constant(self, array: Array) -> Ref:
        key = array.dtype.name, array.shape, array.tobytes()
        if key not in self._constants:
            self._constants[key] = self.build.const(array, array.dtype.name)
        return self._constants[key]


def _count(node: Node) -> int:
    """Return how many results *node* has."""
    definition = op_def(node.op)
    return definition.output_count(node.attrs) if definition else 1
