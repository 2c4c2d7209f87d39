"""Variables become constants.

A variable of TensorFlow 2, or a resource variable of 1, is a handle that ReadVariableOp reads; a
reference variable of TensorFlow 1 is its value. The Const takes the name of the first read, as in
the official converter's output, so globs over weight names keep their meaning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from tfjs_codec.errors import CorruptFileError, Problem, quote
from tfjs_codec.ir.graph import (
    VARIABLES,
    Graph,
    Node,
    Ref,
    Shape,
    const,
    fresh_names,
    prune,
    reachable,
    redirect,
)
from tfjs_codec.ir.tensors import LazyTensor

_FUNCTION_USERS = frozenset(("If", "StatelessIf", "While", "StatelessWhile", "Case"))
_MUTATING = frozenset(
    (
        *("Assign", "AssignAdd", "AssignSub", "AssignVariableOp", "AssignAddVariableOp"),
        *("AssignSubVariableOp", "ResourceScatterUpdate", "ResourceScatterAdd", "ScatterUpdate"),
        *("ResourceScatterNdUpdate", "ResourceStridedSliceAssign", "ScatterAdd", "ScatterNdUpdate"),
    )
)
_READS = frozenset(("ReadVariableOp", "ResourceGather", "ResourceGatherNd"))
_PASS = frozenset(("Identity", "Switch", "Enter", "RefEnter", "RefIdentity"))
_WAY_OUT = "Return the state as an output and pass it in as an input instead."


def bind_variables(graph: Graph) -> Graph:
    """Return *graph* with its variables as Consts, and without control edges.

    Variables that are written before they are read, or used by an operation other than a read, are
    added to its problems.

    Raises:
        CorruptFileError: A variable has no values.
    """
    used = reachable(graph.nodes, [tensor.ref.node for tensor in graph.outputs.values()])
    return _Binding(graph, used, _find_mutations(graph, used)).bind()


def _find_mutations(graph: Graph, used: set[str]) -> list[Problem]:
    """Return where outputs depend on values that the model writes into variables itself."""
    nodes = graph.nodes
    origin_of = _Origins(nodes)
    writes: dict[str, list[Node]] = {}
    for node in nodes.values():
        if node.inputs and (node.op in _MUTATING or node.op in _FUNCTION_USERS):
            for ref in node.inputs if node.op in _FUNCTION_USERS else node.inputs[:1]:
                origin = origin_of(ref)
                if nodes[origin].op in VARIABLES:
                    writes.setdefault(origin, []).append(node)
    if not writes:
        return []
    reads: dict[str, list[str]] = {}
    for name, node in nodes.items():
        if name not in used or node.op in _MUTATING:
            continue
        for ref in node.inputs:
            variable = origin_of(ref)
            # A reference variable is read by whoever takes it.
            if node.op in _READS or nodes[variable].op in ("Variable", "VariableV2"):
                reads.setdefault(variable, []).append(name)
    followers = _followers(nodes)
    turns = [name for name, node in nodes.items() if node.op in ("NextIteration", "Enter")]
    looping = _after(followers, turns)  # the next turn reads what is written there
    late: set[str] = set()
    for variable in writes.keys() & reads.keys():
        written = [node.name for node in writes[variable]]
        again = any(name in looping for name in written)
        late.update(reads[variable] if again else _after(followers, written) & {*reads[variable]})
    problems = [
        Problem(
            name, nodes[name].op,
            f"variable {quote(variable)} is written before it is read", _WAY_OUT, kind="node",
        )
        for variable, names in reads.items()
        for name in names
        if name in late
    ]  # fmt: skip
    outputs = [name for name in used if nodes[name].op in _MUTATING]
    problems += [
        Problem(name, nodes[name].op, "the value it writes is an output", _WAY_OUT, kind="node")
        for name in sorted(outputs)
    ]
    return problems


class _Origins:
    """Finds the nodes that references come from through Identities and the like."""

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self._nodes = nodes
        self._known: dict[str, str] = {}

    def __call__(self, ref: Ref) -> str:
        """Return the node that *ref* comes from."""
        name = ref.node
        passed: dict[str, None] = {}
        while name not in self._known and name not in passed:
            node = self._nodes[name]
            if node.op not in _PASS or not node.inputs:
                break
            passed[name] = None
            name = node.inputs[0].node
        name = self._known.get(name, name)
        self._known.update(dict.fromkeys(passed, name))
        return name


def _followers(nodes: Mapping[str, Node]) -> dict[str, list[str]]:
    """Return by name the nodes that run after each node, through data and control edges."""
    found: dict[str, list[str]] = {name: [] for name in nodes}
    for node in nodes.values():
        for before in (*(ref.node for ref in node.inputs), *node.controls):
            if before in found:
                found[before].append(node.name)
    return found


def _after(followers: Mapping[str, list[str]], names: Iterable[str]) -> set[str]:
    """Return all nodes that run after one of *names*."""
    seen: set[str] = set()
    stack = list(names)
    while stack:
        for name in followers[stack.pop()]:
            if name not in seen:
                seen.add(name)
                stack.append(name)
    return seen


class _Binding:
    def __init__(self, graph: Graph, used: set[str], problems: list[Problem]) -> None:
        self._graph = graph
        self._used = used
        self._origin = _Origins(graph.nodes)
        self._names = fresh_names(graph)
        self._nodes: dict[str, Node] = {}
        self._consts: dict[str, str] = {}  # by variable
        self._moved: dict[Ref, Ref] = {}
        self._problems = problems
        self._refused = {problem.layer for problem in problems}

    def bind(self) -> Graph:
        for name in self._graph.nodes:
            if name in self._used:
                node = self._graph.nodes[name]
                self._nodes[name] = replace(node, controls=()) if node.controls else node
        if not VARIABLES.isdisjoint(node.op for node in self._nodes.values()):
            for node in list(self._nodes.values()):
                self._bind(node)
        inputs = {
            tensor.ref.node: self._graph.nodes[tensor.ref.node]
            for tensor in self._graph.inputs.values()
        }
        nodes = {**{n: replace(each, controls=()) for n, each in inputs.items()}, **self._nodes}
        initializer = {n: replace(each, controls=()) for n, each in self._graph.initializer.items()}
        problems = (*self._graph.problems, *self._problems)
        graph = replace(
            self._graph, nodes=nodes, initializer=initializer, variables={}, problems=problems
        )
        return prune(redirect(graph, self._moved))

    def _bind(self, node: Node) -> None:
        if node.op in ("Variable", "VariableV2"):
            self._nodes[node.name] = self._const(node.name, node.name)
            return
        handles = [self._origin(ref) for ref in node.inputs]
        variables = [name for name in handles if self._graph.nodes[name].op == "VarHandleOp"]
        if not variables or node.op in ("Identity", "Switch", "Enter", "Merge"):
            return
        known = len(variables) == 1 and handles[0] == variables[0]
        rule = _RULES.get(node.op) if known else None
        if rule is None:
            if node.name not in self._refused:
                reason = f"its use of variable {quote(variables[0])} cannot be expressed"
                self._problems.append(Problem(node.name, node.op, reason, _WAY_OUT, kind="node"))
            # Something without inputs, so that later passes find no variable.
            attrs = {"dtype": "float32", "shape": Shape()}
            self._nodes[node.name] = Node(node.name, "Placeholder", attrs=attrs)
            return
        rule(self, node, variables[0])

    def _read(self, node: Node, variable: str) -> None:
        first = self._consts.get(variable)
        if first is None:
            self._consts[variable] = node.name
            self._nodes[node.name] = self._const(node.name, variable)
        else:
            self._moved[Ref(node.name)] = Ref(first)
            del self._nodes[node.name]

    def _gather(self, node: Node, variable: str) -> None:
        values = self._values(node, variable)
        count = node.attrs.get("batch_dims", 0)
        axis = const(self._names.fresh(f"{node.name}/axis"), np.array(count, np.int32))
        self._nodes[axis.name] = axis
        attrs = {
            "Tparams": self._nodes[values.node].attrs["dtype"],
            "Tindices": node.attrs.get("Tindices", "int32"), "Taxis": "int32", "batch_dims": count,
        }  # fmt: skip
        inputs = (values, node.inputs[1], Ref(axis.name))
        self._nodes[node.name] = Node(node.name, "GatherV2", inputs, attrs)

    def _gather_nd(self, node: Node, variable: str) -> None:
        values = self._values(node, variable)
        attrs = {
            "Tparams": self._nodes[values.node].attrs["dtype"],
            "Tindices": node.attrs.get("Tindices", "int32"),
        }
        self._nodes[node.name] = Node(node.name, "GatherNd", (values, node.inputs[1]), attrs)

    def _shape(self, node: Node, variable: str) -> None:
        kind = node.attrs.get("out_type", "int32")
        self._nodes[node.name] = const(
            node.name, np.array(self._tensor(variable).shape, np.dtype(kind))
        )

    def _fold_is_initialised(self, node: Node, variable: str) -> None:
        self._nodes[node.name] = const(node.name, np.array(variable in self._graph.variables))

    def _values(self, node: Node, variable: str) -> Ref:
        """Return the Const of *variable*, made beside *node* if there is none yet."""
        if variable not in self._consts:
            name = self._names.fresh(f"{node.name}/params")
            self._consts[variable] = name
            self._nodes[name] = self._const(name, variable)
        return Ref(self._consts[variable])

    def _const(self, name: str, variable: str) -> Node:
        tensor = self._tensor(variable)
        dtype = getattr(tensor, "tf_dtype", tensor.dtype.name)
        return Node(name, "Const", attrs={"dtype": dtype, "value": tensor})

    def _tensor(self, variable: str) -> LazyTensor:
        if variable not in self._graph.variables:
            raise CorruptFileError(
                "it has no values in the checkpoint", path=self._graph.path,
                where=f"variable {quote(variable)}",
            )  # fmt: skip
        return self._graph.variables[variable]


_RULES = {
    "ReadVariableOp": _Binding._read,
    "ResourceGather": _Binding._gather,
    "ResourceGatherNd": _Binding._gather_nd,
    "VariableShape": _Binding._shape,
    "VarIsInitializedOp": _Binding._fold_is_initialised,
}
