"""Hash tables, in the form that tfjs executes.

tfjs finds a table by the name of its ``HashTableV2`` node, which is in the graph and in the
initializer; there a ``LookupTableImportV2`` fills it from two Consts when the model is loaded.
Every other way to fill one becomes that, also a vocabulary file, which tfjs cannot read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tfjs_codec.errors import CorruptFileError, Problem, quote
from tfjs_codec.graph.optimise.fold import fold
from tfjs_codec.ir.graph import Graph, Names, Node, Ref, Tensor, const, fill_table, fresh_names
from tfjs_codec.ir.tensors import Array

_TABLES = frozenset({"HashTable", "HashTableV2", "MutableHashTable", "MutableHashTableV2"})
_FROM_TENSORS = frozenset(
    {"InitializeTable", "InitializeTableV2", "LookupTableImport", "LookupTableImportV2"}
)
_FROM_FILE = frozenset({"InitializeTableFromTextFile", "InitializeTableFromTextFileV2"})
_FINDS = frozenset({"LookupTableFind", "LookupTableFindV2"})

# Where a key or value is in a line of a vocabulary file; other numbers are columns.
_WHOLE_LINE, _LINE_NUMBER = -2, -1


def fill_tables(graph: Graph) -> Graph:
    """Return *graph* with an initializer that fills the tables it uses, from Consts.

    Tables that are filled by something other than constants and files are added to its problems.

    Raises:
        CorruptFileError: A vocabulary file is missing or incomplete.
        LimitExceededError: ``strings``.
    """
    tables = {name: _table(node) for name, node in graph.nodes.items() if node.op in _TABLES}
    constants = _constants(graph)
    names = fresh_names(graph)
    initializer: dict[str, Node] = {}
    problems = list(graph.problems)
    for node in graph.initializer.values():
        if node.op not in _FROM_TENSORS | _FROM_FILE or node.inputs[0].node not in tables:
            continue
        table = tables[node.inputs[0].node]
        given = [constants[str(ref)] for ref in node.inputs[1:] if str(ref) in constants]
        if len(given) + 1 < len(node.inputs):
            reason = "a hash table is initialised by a computation"
            problems.append(Problem(node.name, node.op, reason, kind="node"))
            continue
        keys, values = _read(graph, table, node, given[0]) if node.op in _FROM_FILE else given
        for each in _import(names, table, keys, values):
            initializer[each.name] = each
    nodes = {**graph.nodes, **tables}
    return replace(graph, nodes=nodes, initializer=initializer, problems=tuple(problems))


def _table(node: Node) -> Node:
    kinds = {key: node.attrs[key] for key in ("key_dtype", "value_dtype")}
    return Node(node.name, "HashTableV2", attrs=kinds)


def _constants(graph: Graph) -> Mapping[str, Node]:
    """Return the Consts of the initializer, after constant folding."""
    results = [
        ref
        for node in graph.initializer.values()
        if node.op in _FROM_TENSORS | _FROM_FILE
        for ref in node.inputs[1:]
    ]
    outputs = {str(ref): Tensor(ref, "") for ref in results}
    computed = fold(Graph(graph.initializer, {}, outputs, path=graph.path))
    found = {key: computed.nodes[tensor.ref.node] for key, tensor in computed.outputs.items()}
    return {key: node for key, node in found.items() if node.op == "Const"}


def _import(names: Names, table: Node, keys: Node, values: Node) -> Iterator[Node]:
    yield table
    keys, values = (
        replace(each, name=names.fresh(f"{table.name}/{role}"))
        for role, each in (("keys", keys), ("values", values))
    )
    yield from (keys, values)
    name = names.fresh(f"{table.name}/import")
    yield fill_table(name, table, Ref(keys.name), Ref(values.name))


# --- Vocabulary files --------------------------------------------------------------------------


def _read(graph: Graph, table: Node, node: Node, asset_name: Node) -> tuple[Node, Node]:
    """Return the keys and values that *node* reads from a file of one record per line."""
    names = asset_name.value.numpy().reshape(-1)
    if len(names) != 1 or not isinstance(names[0], bytes):
        text = "the name of a vocabulary file is not one string"
        raise CorruptFileError(text, path=graph.path, where=_where(node))
    asset = names[0].decode("utf-8", "replace")
    if asset not in graph.assets:
        raise CorruptFileError(
            f"the vocabulary file {quote(asset)} is missing", path=graph.path, where=_where(node)
        )
    data = graph.assets[asset]()
    what = "the number of strings"
    graph.limits.spend("strings", data.count(b"\n"), what, path=graph.path, where=quote(asset))
    lines = data.replace(b"\r", b"").split(b"\n")
    if not lines[-1]:
        lines.pop()
    size = int(node.attrs["vocab_size"])
    if size > len(lines):
        raise CorruptFileError(
            f"{quote(asset)} has {len(lines):,} lines, the graph says {size:,}", path=graph.path
        )
    lines = lines[: size if size >= 0 else None]
    try:
        keys, values = (
            const(role, _column(lines, node.attrs, f"{role}_index", table.attrs[f"{role}_dtype"]))
            for role in ("key", "value")
        )
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        text = f"{quote(asset)} is not the table that the graph says: {error}"
        raise CorruptFileError(text, path=graph.path, where=_where(node)) from error
    return keys, values


def _column(lines: list[bytes], attrs: Mapping[str, Any], key: str, dtype: str) -> Array:
    place = int(attrs[key])
    if place == _LINE_NUMBER:
        return np.arange(len(lines), dtype=dtype) + int(attrs["offset"])
    cells = lines if place == _WHOLE_LINE else [_cell(line, attrs, place) for line in lines]
    array = np.empty(len(cells), object)
    array[:] = cells
    return array if dtype == "string" else array.astype("S").astype(dtype)


def _cell(line: bytes, attrs: Mapping[str, Any], place: int) -> bytes:
    return line.split(attrs["delimiter"])[place]


# --- Lookups -----------------------------------------------------------------------------------


def shape_lookups(graph: Graph) -> Graph:
    """Return *graph* with lookups of one dimension: tfjs returns a vector whatever it is asked."""
    names = fresh_names(graph)
    nodes = dict(graph.nodes)
    for node in graph.nodes.values():
        if node.op not in _FINDS:
            continue
        table, keys, default = node.inputs
        shape = graph.nodes[keys.node].attrs.get("shape")
        if shape is not None and shape.dims is not None and len(shape.dims) == 1:
            continue
        flat = const(names.fresh(f"{node.name}/flat"), np.array([-1], np.int32))
        kind, out = node.attrs["Tin"], node.attrs["Tout"]
        vector = _node(names, f"{node.name}/keys", "Reshape", keys, Ref(flat.name), T=kind)
        sizes = _node(names, f"{node.name}/shape", "Shape", keys, T=kind, out_type="int32")
        found = replace(
            node,
            name=names.fresh(f"{node.name}/values"),
            inputs=(table, Ref(vector.name), default),
        )
        for each in (flat, vector, sizes, found):
            nodes[each.name] = each
        attrs = {"T": out, "Tshape": "int32"}
        nodes[node.name] = Node(node.name, "Reshape", (Ref(found.name), Ref(sizes.name)), attrs)
    return replace(graph, nodes=nodes)


def _node(names: Names, name: str, op: str, *inputs: Ref, **attrs: str) -> Node:
    attrs = {**attrs, "Tshape": "int32"} if op == "Reshape" else attrs
    return Node(names.fresh(name), op, inputs, attrs)


def _where(node: Node) -> str:
    return f"node {quote(node.name)}"
