"""The TensorFlow graph between its sources (SavedModel, GraphDef) and the tfjs graph model.

A graph is immutable: a pass takes one and returns another, sharing what did not change
(``replace(graph, nodes=…)``). Nodes live in an ordered dict by name, in any order; a
:class:`Ref` names an output of a node by the flat number that GraphDefs use (``node:1``), also
inside functions.

Attributes are plain Python values, told apart by their type:

======================  ===========================================
``bool int float``      themselves
``bytes``               text (``data_format`` is ``b"NHWC"``)
``str``                 a data type, by the name of
                        :mod:`tfjs_codec.files.tf_dtypes` (``"float32"``)
:class:`Shape`          a shape, perhaps not complete
:class:`Func`           the name of a function
``LazyTensor``          a tensor: ``value`` of a Const
``tuple``               a list of these
======================  ===========================================

All attributes of an op are present: the reader fills in those that a file leaves out because they
have their default value. A Const's values are ``attrs["value"]``, read only when needed; strings
are arrays of dtype object that hold bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from tfjs_codec.errors import CorruptFileError, Problem, quote
from tfjs_codec.ir.tensors import Array, ArrayTensor, LazyTensor
from tfjs_codec.limits import DEFAULT_LIMITS, Limits

Attrs = Mapping[str, Any]

ARGUMENT = "_Arg"  # the op of an argument of a function
CALLS = frozenset(("PartitionedCall", "StatefulPartitionedCall"))
VARIABLES = frozenset(("Variable", "VariableV2", "VarHandleOp"))
# Of a StridedSlice.
MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
# Nodes of a graph up to which loops are unrolled: some 2 MB of model.json, which load in half a
# second. A step of an LSTM has some 12 nodes.
UNROLLED_NODES = 8192


class Ref(NamedTuple):
    """Output number *output* of the node called *node*."""

    node: str
    output: int = 0

    def __str__(self) -> str:
        return f"{self.node}:{self.output}" if self.output else self.node


@dataclass(frozen=True, slots=True)
class Shape:
    """A shape: the sizes, -1 for an unknown one; None if not even the rank is known."""

    dims: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Func:
    """A function of :attr:`Graph.functions`, as the value of an attribute."""

    name: str


@dataclass(frozen=True, slots=True)
class Node:
    """An operation.

    ``controls`` names nodes that must run before; tfjs knows no such thing. ``shapes`` is what the
    file says of the shapes of its results: nothing, if it was made by a pass.
    """

    name: str
    op: str
    inputs: tuple[Ref, ...] = ()
    attrs: Attrs = field(default_factory=dict)
    controls: tuple[str, ...] = ()
    shapes: tuple[Shape, ...] = ()

    @property
    def value(self) -> LazyTensor:
        """The values of a Const."""
        tensor: LazyTensor = self.attrs["value"]
        return tensor


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output of the model: which tensor of the graph it is, its dtype and shape."""

    ref: Ref
    dtype: str
    shape: Shape = Shape()


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the library.

    Its arguments are nodes with op ``_Arg`` in ``nodes``, listed in ``args`` in order; ``returns``
    are its results in order. ``controls`` names the nodes that always run when it is called.
    """

    name: str
    args: tuple[str, ...]
    returns: tuple[Ref, ...]
    nodes: Mapping[str, Node]
    controls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Graph:
    """A model: what runs from its inputs to its outputs, and what is needed for it.

    Attributes:
        nodes: The operations by name. Placeholders are the inputs.
        inputs: What goes in, by signature key, in argument order.
        outputs: What comes out, by signature key, in order.
        functions: The library; empty once all calls are inlined and control flow is lowered.
        initializer: What fills the hash tables: a graph of its own. A table is the node of op
            ``HashTableV2`` with the same name there and in ``nodes``.
        variables: Values of variables by the name of their ``VarHandleOp`` or ``VariableV2``.
        assets: Contents of asset files by name, read when called; an asset's name reaches the
            initializer as the value of a string Const.
        path: The source, for messages.
        version: TensorFlow's version that wrote the source, "" if unknown.
        warnings: What the reader of the report should know.
        casts: Numbers of any type go in, and are cast to that of the input, as Keras does it.
        problems: Why tfjs cannot execute it, as far as the passes before found out.
        limits: What the passes may still make.
    """

    nodes: Mapping[str, Node]
    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]
    functions: Mapping[str, Function] = field(default_factory=dict)
    initializer: Mapping[str, Node] = field(default_factory=dict)
    variables: Mapping[str, LazyTensor] = field(default_factory=dict)
    assets: Mapping[str, Callable[[], bytes]] = field(default_factory=dict)
    path: str = ""
    version: str = ""
    warnings: tuple[str, ...] = ()
    casts: bool = False
    problems: tuple[Problem, ...] = ()
    limits: Limits = field(default=DEFAULT_LIMITS, compare=False)


def const(name: str, array: Array, dtype: str | None = None) -> Node:
    """Return a Const of *array*; *dtype* defaults to the array's (bytes objects are strings)."""
    kind = dtype or ("string" if array.dtype == object else array.dtype.name)
    return Node(name, "Const", attrs={"dtype": kind, "value": ArrayTensor(name, array)})


def consumers(nodes: Mapping[str, Node]) -> dict[str, list[str]]:
    """Return by name of a node the names of the nodes that take an output of it, repeated if so."""
    found: dict[str, list[str]] = {name: [] for name in nodes}
    for node in nodes.values():
        for ref in node.inputs:
            found[ref.node].append(node.name)
    return found


class Uses:
    """Who takes the results of the nodes of a graph."""

    def __init__(self, graph: Graph) -> None:
        self._uses: dict[str, list[tuple[Node, Ref]]] = {}
        for node in graph.nodes.values():
            for ref in node.inputs:
                self._uses.setdefault(ref.node, []).append((node, ref))
        self._outputs = {tensor.ref.node for tensor in graph.outputs.values()}

    def only(self, name: str) -> Node | None:
        """Return the node that alone takes a result of *name*, once and its first one, if any."""
        uses = self._uses.get(name, ())
        if len(uses) != 1 or name in self._outputs:
            return None
        node, ref = uses[0]
        return node if ref == Ref(name) else None


def fill_table(name: str, table: Node, keys: Ref, values: Ref) -> Node:
    """Return the node *name*, which fills the hash table *table*."""
    kinds = {"Tin": table.attrs["key_dtype"], "Tout": table.attrs["value_dtype"]}
    return Node(name, "LookupTableImportV2", (Ref(table.name), keys, values), kinds)


class Names:
    """Gives out names that no node has yet."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)
        self._next: dict[str, int] = {}

    def fresh(self, wanted: str) -> str:
        """Return *wanted*, or *wanted* with the first number (``_1``…) that makes it new."""
        name = wanted
        while name in self._taken:
            number = self._next[wanted] = self._next.get(wanted, 0) + 1
            name = f"{wanted}_{number}"
        self._taken.add(name)
        return name


def fresh_names(graph: Graph) -> Names:
    """Return the names still free in *graph*."""
    return Names([*graph.nodes, *graph.initializer])


def reachable(nodes: Mapping[str, Node], roots: Iterable[str]) -> set[str]:
    """Return the names of *roots* and of all nodes that they need through data edges."""
    found = set(roots)
    stack = list(found)
    while stack:
        for ref in nodes[stack.pop()].inputs:
            if ref.node not in found:
                found.add(ref.node)
                stack.append(ref.node)
    return found


def sort_nodes(nodes: Mapping[str, Node], *, path: object = "") -> list[Node]:
    """Return *nodes* so that each comes after those it takes its inputs from.

    The back edges of loops, from NextIteration to Merge, do not count. The order depends only on
    the graph and the order of *nodes*. Takes linear time and no recursion.

    Raises:
        CorruptFileError: There is a cycle.
    """
    done: dict[str, Node] = {}
    open_: set[str] = set()
    for root, node in nodes.items():
        for ref in node.inputs:
            if ref.node not in done:
                break
        else:  # mostly they are sorted
            done[root] = node
            continue
        stack = [root]
        while stack:
            name = stack[-1]
            if name in done:
                stack.pop()
                continue
            waiting = [each for each in _before(nodes, nodes[name]) if each not in done]
            if not waiting:
                stack.pop()
                open_.discard(name)
                done[name] = nodes[name]
                continue
            if name in open_ and any(each in open_ for each in waiting):
                raise CorruptFileError(
                    "the graph has a cycle", path=path, where=f"node {quote(name)}"
                )
            open_.add(name)
            stack.extend(reversed(waiting))
    return list(done.values())


def _before(nodes: Mapping[str, Node], node: Node) -> Iterator[str]:
    for ref in node.inputs:
        if node.op != "Merge" or nodes[ref.node].op != "NextIteration":
            yield ref.node


def redirect(graph: Graph, moved: Mapping[Ref, Ref]) -> Graph:
    """Return *graph* with every use of a key of *moved*, also as an output, moved to its value.

    Chains are followed to their end.

    Raises:
        CorruptFileError: *moved* goes in a circle.
    """
    if not moved:
        return graph

    final: dict[Ref, Ref] = {}
    for first in moved:
        ref, passed = first, []
        while ref in moved and ref not in final:
            passed.append(ref)
            ref = moved[ref]
            if len(passed) > len(moved):
                raise CorruptFileError(
                    "the graph has a cycle", path=graph.path, where=f"node {quote(ref.node)}"
                )
        final.update(dict.fromkeys(passed, final.get(ref, ref)))
    nodes = {
        name: node
        if not any(ref in final for ref in node.inputs)
        else replace(node, inputs=tuple(final.get(ref, ref) for ref in node.inputs))
        for name, node in graph.nodes.items()
    }
    outputs = {
        key: replace(tensor, ref=final.get(tensor.ref, tensor.ref))
        for key, tensor in graph.outputs.items()
    }
    return replace(graph, nodes=nodes, outputs=outputs)


def prune(graph: Graph) -> Graph:
    """Return *graph* without the nodes that no output needs; inputs stay, used or not."""
    roots = [tensor.ref.node for tensor in (*graph.outputs.values(), *graph.inputs.values())]
    needed = reachable(graph.nodes, roots)
    return replace(
        graph, nodes={name: node for name, node in graph.nodes.items() if name in needed}
    )
