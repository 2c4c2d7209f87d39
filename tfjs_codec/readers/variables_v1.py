"""Variables and tables of graphs of TensorFlow 1, where nodes are all that there is.

Which values a variable has is said by the graph itself: RestoreV2 reads named tensors, perhaps a
slice of one, and Assign or AssignVariableOp gives them to the variable. Where that is missing, the
collection ``variables`` tells the name, and else the variable is called like its node.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from tfjs_codec import pb
from tfjs_codec.errors import CorruptFileError, quote
from tfjs_codec.files.saved_model import SavedModelDir
from tfjs_codec.ir.graph import VARIABLES, Graph, Node
from tfjs_codec.ir.tensors import Array, LazyTensor
from tfjs_codec.pb import messages

_ASSIGN = frozenset(("Assign", "AssignVariableOp"))
_PASS = frozenset(("Identity", "Cast"))
_FILL_COLLECTIONS = ("table_initializer", "saved_model_main_op", "legacy_init_op")
_FILL = frozenset(
    (
        *("LookupTableImport", "LookupTableImportV2", "InitializeTable", "InitializeTableV2"),
        *("InitializeTableFromTextFile", "InitializeTableFromTextFileV2"),
    )
)


def table_initializers(meta: messages.MetaGraphDef, nodes: Mapping[str, Node]) -> list[str]:
    """Return the names of the nodes that fill tables when the model is loaded."""
    stack = [
        name.partition(":")[0]
        for collection in _FILL_COLLECTIONS
        if collection in meta.collection_def
        for name in meta.collection_def[collection].node_list.value
    ]
    found: dict[str, None] = {}
    seen: set[str] = set()
    while stack:
        name = stack.pop()
        if name in seen or name not in nodes:
            continue
        seen.add(name)
        if nodes[name].op in _FILL:
            found[name] = None
        stack.extend(nodes[name].controls)
    return sorted(found)


def load_variables(graph: Graph, model: SavedModelDir, tensors: Mapping[str, LazyTensor]) -> Graph:
    """Return *graph* with the values of the variables among its nodes, out of *tensors*."""
    names = [name for name, node in graph.nodes.items() if node.op in VARIABLES]
    restored = _restored_slices(graph.nodes)
    listed = _listed_slices(model)
    found: dict[str, LazyTensor] = {}
    for name in names:
        key, part = restored.get(name) or listed.get(name) or (name, "")
        if key in tensors:
            where = f"variable {quote(name)}"
            found[name] = _slice(tensors[key], part, f"{model.path}", where)
    return replace(graph, variables=found)


def _restored_slices(nodes: Mapping[str, Node]) -> dict[str, tuple[str, str]]:
    """Return tensor name and slice of each variable that a RestoreV2 is assigned to."""
    names: dict[str, list[tuple[str, str]]] = {}
    found = {}
    for node in nodes.values():
        if node.op not in _ASSIGN or len(node.inputs) < 2:
            continue
        variable, source = node.inputs[:2]
        for _ in range(len(nodes)):
            inputs = nodes[source.node].inputs
            if nodes[source.node].op not in _PASS or not inputs:
                break
            source = inputs[0]
        restore = nodes[source.node]
        if restore.op != "RestoreV2" or len(restore.inputs) != 3:
            continue
        if restore.name not in names:
            names[restore.name] = list(_restore_names(restore, nodes))
        if source.output < len(names[restore.name]):
            found[variable.node] = names[restore.name][source.output]
    return found


def _restore_names(restore: Node, nodes: Mapping[str, Node]) -> Iterator[tuple[str, str]]:
    lists = []
    for ref in restore.inputs[1:]:
        if nodes[ref.node].op != "Const" or nodes[ref.node].value.dtype != object:
            return
        lists.append(nodes[ref.node].value.numpy().reshape(-1))
    for pair in zip(*lists, strict=False):
        name, part = (text.decode("utf-8", "backslashreplace") for text in pair)
        yield name, part


def _listed_slices(model: SavedModelDir) -> dict[str, tuple[str, str]]:
    """Return tensor name and slice of the variables in the collection of that name."""
    collections = model.meta_graph.collection_def
    found = {}
    for collection in ("variables", "trainable_variables"):
        items = collections[collection].bytes_list.value if collection in collections else ()
        for item in items:
            definition = pb.parse(messages.VariableDef, item, path=model.file, where=collection)
            name = definition.variable_name.partition(":")[0]
            info = definition.save_slice_info_def
            if not info.full_name:
                found[name] = name, ""
                continue
            full = " ".join(map(str, info.full_shape))
            spans = zip(info.var_offset, info.var_shape, strict=False)
            found[name] = info.full_name, f"{full} " + ":".join(f"{a},{n}" for a, n in spans)
    return found


def _slice(tensor: LazyTensor, part: str, path: str, where: str) -> LazyTensor:
    """Return the slice *part* of *tensor*: ``4 6 0,4:-`` is rows 0 to 3 of a tensor of 4 by 6."""
    if not part:
        return tensor
    *_, spec = part.split()
    index = []
    for size, text in zip(tensor.shape, spec.split(":"), strict=False):
        start, comma, length = text.partition(",")
        if text == "-":
            index.append(slice(0, size))
        elif (
            comma and start.isdecimal() and length.isdecimal() and int(start) + int(length) <= size
        ):
            index.append(slice(int(start), int(start) + int(length)))
    if len(index) != len(tensor.shape) or len(spec.split(":")) != len(tensor.shape):
        text = f"its slice {quote(part)} does not fit a tensor of shape {list(tensor.shape)}"
        raise CorruptFileError(text, path=path, where=where)
    return _Slice(tensor, tuple(index))


class _Slice(LazyTensor):
    """A part of another tensor, which is read whole for it."""

    def __init__(self, source: LazyTensor, index: tuple[slice, ...]) -> None:
        self.name = source.name
        self.shape = tuple(each.stop - each.start for each in index)
        self.dtype = source.dtype
        self._source = source
        self._index = index

    def numpy(self) -> Array:
        return np.ascontiguousarray(self._source.numpy()[self._index])
