"""Inlines the functions of a graph.

Calls are replaced by the bodies of their functions, whose nodes are named after the call and
themselves (``call/node``). What a call or a branch results in is moved by aliases, so every
node is made once; there is no recursion, and the number of nodes and the depth of calls are
limited.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from tfjs_codec.errors import CorruptFileError, quote
from tfjs_codec.ir.graph import ARGUMENT, CALLS, Func, Function, Graph, Names, Node, Ref
from tfjs_codec.limits import Limits

_PASS = frozenset(("Identity", "StopGradient", "PreventGradient"))
_MAX_DEPTH = 200  # calls within calls; Keras models nest some ten

Chain = tuple[str, "Chain"] | None


class Expansion:
    """The nodes of a graph while its calls are replaced.

    ``nodes`` may use results of nodes that are gone; :meth:`resolve` says what they became.
    """

    def __init__(self, graph: Graph, limits: Limits) -> None:
        self.nodes: dict[str, Node] = dict(graph.nodes)
        self.names = Names(graph.nodes)
        self.moved: dict[Ref, Ref] = {}
        self._functions = graph.functions
        self._path = graph.path
        self._limits = limits
        self._chains: dict[str, Chain] = {}
        self._calls = [name for name, node in graph.nodes.items() if self._called_function(node)]

    def inline(self) -> None:
        """Replace all calls, also those in the bodies that come with them."""
        while self._calls:
            name = self._calls.pop()
            node = self.nodes[name]
            function = self._called_function(node)
            if function is None:
                continue
            results, controls = self.splice(name, function, node.inputs, node)
            self.replace_results(name, results, controls)

    def splice(
        self, prefix: str, function: Function, arguments: Sequence[Ref], caller: Node
    ) -> tuple[list[Ref], tuple[str, ...]]:
        """Add the body of *function* below *prefix*, called by node *caller* with *arguments*.

        Returns its results, and the names of the nodes that run whenever it is called.
        """
        if len(arguments) != len(function.args):
            raise self.corrupt(
                f"it calls {quote(function.name)} with {len(arguments)} arguments instead of "
                f"{len(function.args)}", caller.name,
            )  # fmt: skip
        chain = self._chain(function, caller)
        self._limits.check(
            "graph_nodes", len(self.nodes) + len(function.nodes),
            "the number of nodes with all functions inlined", path=self._path,
        )  # fmt: skip
        references = sum(len(node.inputs) for node in function.nodes.values())
        what = "the number of inputs and results with all functions inlined"
        self._limits.spend("references", references, what, path=self._path)
        while any(f"{prefix}/{name}" in self.nodes for name in function.nodes):
            prefix = self.names.fresh(f"{prefix}_body")
        for arg, given in zip(function.args, arguments, strict=True):
            self.moved[Ref(f"{prefix}/{arg}")] = given
        for node in function.nodes.values():
            if node.op == ARGUMENT:
                continue
            name = f"{prefix}/{node.name}"
            inputs = tuple(Ref(f"{prefix}/{ref.node}", ref.output) for ref in node.inputs)
            controls = tuple(f"{prefix}/{each}" for each in node.controls) + caller.controls
            self.add(Node(name, node.op, inputs, node.attrs, controls, node.shapes))
            self._chains[name] = chain
        results = [Ref(f"{prefix}/{ref.node}", ref.output) for ref in function.returns]
        return results, tuple(f"{prefix}/{each}" for each in function.controls)

    def add(self, node: Node) -> Ref:
        """Add *node*; return its first output."""
        self.nodes[node.name] = node
        if self._called_function(node):
            self._calls.append(node.name)
        return Ref(node.name)

    def make(self, wanted: str, op: str, inputs: Iterable[Ref], **attrs: object) -> Ref:
        """Add a node of *op* called *wanted* or similar; return its first output."""
        name = self.names.fresh(wanted)
        while name in self.nodes:
            name = self.names.fresh(wanted)
        return self.add(Node(name, op, tuple(inputs), attrs))

    def replace_results(self, name: str, results: Sequence[Ref], controls: tuple[str, ...]) -> None:
        """Move the results of node *name*; nodes that waited for it now wait for *controls*."""
        self.moved.update((Ref(name, number), ref) for number, ref in enumerate(results))
        node = self.nodes[name]
        waits = (*controls, *node.controls, *(ref.node for ref in results))
        self.nodes[name] = Node(name, "NoOp", controls=waits)

    def function(self, value: object, user: Node) -> Function:
        """Return the function that attribute *value* of node *user* names."""
        if not isinstance(value, Func) or value.name not in self._functions:
            name = value.name if isinstance(value, Func) else "?"
            raise self.corrupt(f"there is no function {quote(name)}", user.name)
        return self._functions[value.name]

    def resolve(self, ref: Ref) -> Ref:
        """Return what *ref* is now."""
        seen = []
        while ref in self.moved:
            seen.append(ref)
            if len(seen) > len(self.moved):
                raise self.corrupt("the graph has a cycle", ref.node)
            ref = self.moved[ref]
        for each in seen[:-1]:
            self.moved[each] = ref
        return ref

    def source(self, ref: Ref) -> Ref:
        """Return where *ref* comes from through Identities."""
        ref = self.resolve(ref)
        for _ in range(len(self.nodes)):
            node = self.nodes.get(ref.node)
            if node is None or node.op not in _PASS or not node.inputs:
                return ref
            ref = self.resolve(node.inputs[0])
        raise self.corrupt("the graph has a cycle", ref.node)

    def settle(self) -> dict[str, Node]:
        """Return the nodes with all references resolved."""
        found = {}
        for name, node in self.nodes.items():
            inputs = tuple(map(self.resolve, node.inputs)) if self.moved else node.inputs
            for ref in inputs:
                if ref.node not in self.nodes or self.nodes[ref.node].op == "NoOp":
                    raise self.corrupt(f"its input {quote(str(ref))} is missing", name)
            found[name] = node if inputs == node.inputs else replace(node, inputs=inputs)
        return found

    def _called_function(self, node: Node) -> Function | None:
        if node.op in CALLS:
            return self.function(node.attrs.get("f"), node)
        return self._functions.get(node.op)

    def _chain(self, function: Function, caller: Node) -> Chain:
        chain = outer = self._chains.get(caller.name)
        depth = 0
        while outer is not None:
            if outer[0] == function.name:
                raise self.corrupt(f"function {quote(function.name)} calls itself", caller.name)
            outer = outer[1]
            depth += 1
        if depth >= _MAX_DEPTH:
            raise self.corrupt(f"functions call each other more than {_MAX_DEPTH} deep", "")
        return function.name, chain

    def corrupt(self, what: str, name: str) -> CorruptFileError:
        """Return the error that names node *name*."""
        where = f"node {quote(name)}" if name else ""
        return CorruptFileError(what, path=self._path, where=where)
