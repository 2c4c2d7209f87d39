"""The graph of one signature of a SavedModel.

TensorFlow 2 describes a signature by a function of the library; its last arguments are captured
from the tree of Python objects: variables, constants, tables, names of asset files. They become
nodes named like the arguments: VarHandleOp, Const, HashTableV2. In a SavedModel of TensorFlow 1
a signature names tensors of the main graph, see :mod:`tfjs_codec.readers.variables_v1`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from tfjs_codec.errors import CorruptFileError, UnsupportedModelError, UsageError, quote, suggest
from tfjs_codec.files.bundle_tensors import BundleTensor
from tfjs_codec.files.paths import safe_child, traversal_reason
from tfjs_codec.files.saved_model import Attributes, SavedModelDir, checkpoint_keys, signatures
from tfjs_codec.files.source import open_source
from tfjs_codec.files.tensor_proto import proto_tensor
from tfjs_codec.files.tf_dtypes import dtype_name
from tfjs_codec.ir.graph import (
    CALLS,
    Function,
    Graph,
    Names,
    Node,
    Ref,
    Shape,
    Tensor,
    const,
    fill_table,
    reachable,
)
from tfjs_codec.ir.json_types import JsonObject
from tfjs_codec.ir.tensors import LazyTensor
from tfjs_codec.pb import messages
from tfjs_codec.readers.graph_def import GraphReader, shape_of
from tfjs_codec.readers.variables_v1 import load_variables, table_initializers

DEFAULT_SIGNATURE = "serving_default"
_TABLES = frozenset(("HashTable", "HashTableV2", "MutableHashTable", "MutableHashTableV2"))


def read_graph(model: SavedModelDir, signature_name: str | None = None, *, verify: bool) -> Graph:
    """Return the graph of signature *signature_name* of *model*.

    Without a name it is ``serving_default``, or the only one.

    Raises:
        UsageError: There is no such signature, or several to choose from.
        UnsupportedModelError: It captures something that has no value in the file.
        InputError: The file is damaged or unsafe.
    """
    name = choose_signature(model, signature_name)
    meta = model.meta_graph
    reader = GraphReader(model.path, meta.meta_info_def.stripped_op_list.op, model.limits)
    nodes = reader.nodes(meta.graph_def)
    base = Graph(
        nodes,
        {},
        {},
        functions=reader.functions(meta.graph_def.library),
        assets=_assets(model),
        path=str(model.path),
        version=meta.meta_info_def.tensorflow_version,
    )
    concrete = _concrete_function(model, name)
    if concrete is None:
        return _main_graph(model, base, name, verify)
    graph = _Captures(model, base, verify).graph(meta.signature_def[name], *concrete)
    metadata = model.json(0)
    if isinstance(metadata, dict) and "class_name" in metadata:
        graph = replace(
            graph,
            inputs=_in_keras_order(metadata, graph.inputs, "input_layers"),
            outputs=_in_keras_order(metadata, graph.outputs, "output_layers"),
            casts=True,
        )
    return replace(graph, warnings=warn_of_order(graph.inputs, graph.outputs))


def _in_keras_order(
    metadata: JsonObject, tensors: Mapping[str, Tensor], role: str
) -> Mapping[str, Tensor]:
    """Return *tensors* in the order in which the Keras model that was saved lists them.

    Keras makes dicts of its inputs and outputs, by the names of their layers, and TensorFlow
    sorts dicts.
    """
    config = metadata.get("config")
    listed = config.get(role) if isinstance(config, dict) else None
    if isinstance(listed, dict):
        listed = [listed[key] for key in sorted(listed)]
    if not isinstance(listed, list):
        return tensors
    fresh = Names(()).fresh  # of several outputs of a layer, all but the first have a number
    names = [fresh(str(each[0])) for each in listed if isinstance(each, list) and each]
    if sorted(names) != sorted(tensors):
        return tensors
    return {name: tensors[name] for name in names}


def choose_signature(model: SavedModelDir, wanted: str | None) -> str:
    """Return the name of the signature to convert; raises as :func:`read_graph` does."""
    names = [signature.name for signature in signatures(model)]
    if wanted is None and DEFAULT_SIGNATURE in names:
        return DEFAULT_SIGNATURE
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted in names:
        return wanted
    listed = ", ".join(map(quote, names)) or "none"
    if wanted is not None:
        raise UsageError(
            f"there is no signature {quote(wanted)}", path=model.path, hint=suggest(wanted, names)
        )
    if not names:
        raise UnsupportedModelError(
            "the SavedModel has no signature, so it does not say what to compute",
            path=model.path,
            hint="Save it with tf.saved_model.save(model, path, signatures=…).",
        )
    raise UsageError(
        "several signatures to choose from", path=model.path,
        hint=f"Name one with --signature-name: {listed}.",
    )  # fmt: skip


def _assets(model: SavedModelDir) -> dict[str, Callable[[], bytes]]:
    """Return how to read each asset; the names were checked when the model was opened."""

    def reader(name: str) -> Callable[[], bytes]:
        inner = traversal_reason(name) is None
        folder = model.path / "assets" if inner else model.path
        file = safe_child(folder, name, path=model.file, limits=model.limits)
        return lambda: open_source(file).read("json_bytes", model.limits)

    return {asset.filename: reader(asset.filename) for asset in model.meta_graph.asset_file_def}


def _concrete_function(model: SavedModelDir, name: str) -> tuple[str, list[str], list[int]] | None:
    """Return the function behind signature *name*: its name, its keywords, what it captures."""
    graph = model.meta_graph.object_graph_def
    number = model.follow(0, "signatures", name) if len(graph.nodes) else None
    if number is None or not graph.nodes[number].HasField("bare_concrete_function"):
        return None
    bare = graph.nodes[number].bare_concrete_function
    function = bare.concrete_function_name
    if function not in graph.concrete_functions:
        text = f"there is no function {quote(function)}"
        raise CorruptFileError(text, path=model.file, where=f"signature {quote(name)}")
    captured = list(graph.concrete_functions[function].bound_inputs)
    if any(not 0 <= node < len(graph.nodes) for node in captured):
        text = "it captures an object that does not exist"
        raise CorruptFileError(text, path=model.file, where=f"function {quote(function)}")
    return function, list(bare.argument_keywords), captured


def _places(function: Function) -> dict[str, int]:
    """Return the positions of arguments in the one call that *function* makes.

    A signature sorts its arguments; the function that it calls has them as they were written.
    """
    calls = [node for node in function.nodes.values() if node.op in CALLS]
    if len(calls) != 1:
        return {}
    return {ref.node: place for place, ref in reversed(list(enumerate(calls[0].inputs)))}


def _place(result: int, key: str) -> tuple[int, int]:
    """Return where output *key*, which is *result* of its function, comes among the outputs.

    Those of a list are sorted by the names that they get: ``output_10`` before ``output_2``.
    """
    number = key.removeprefix("output_")
    return (int(number) if number.isdecimal() and number.isascii() else result, result)


def _main_graph(model: SavedModelDir, base: Graph, name: str, verify: bool) -> Graph:
    """Return the graph of a signature that names tensors of the main graph (TensorFlow 1)."""
    signature = model.meta_graph.signature_def[name]
    places = {node: place for place, node in enumerate(base.nodes)}  # a signature has no order

    def tensors(infos: Mapping[str, messages.TensorInfo]) -> dict[str, Tensor]:
        found = {}
        for key in sorted(infos):
            info = infos[key]
            where = f"signature {quote(name)}, {quote(key)}"
            if info.WhichOneof("encoding") != "name":
                raise UnsupportedModelError(
                    "a sparse or composite tensor, which tfjs lacks", path=model.path, where=where
                )
            node, _, number = info.name.partition(":")
            if node not in base.nodes or not (number or "0").isdecimal():
                text = f"there is no tensor {quote(info.name)}"
                raise CorruptFileError(text, path=model.file, where=where)
            ref = Ref(node, int(number or 0))
            found[key] = Tensor(ref, dtype_name(info.dtype), shape_of(info.tensor_shape))
        return found

    inputs, outputs = tensors(signature.inputs), tensors(signature.outputs)
    inputs = dict(sorted(inputs.items(), key=lambda item: places[item[1].ref.node]))
    unordered = warn_of_order(inputs, outputs)
    graph = feed(replace(base, outputs=outputs, warnings=unordered), inputs)
    fillers = table_initializers(model.meta_graph, base.nodes)
    needed = reachable(base.nodes, fillers)
    initializer = {name: node for name, node in base.nodes.items() if name in needed}
    for asset in model.meta_graph.asset_file_def:
        # The Const holds the path that the file had when the graph was made.
        name = asset.tensor_info.name.partition(":")[0]
        if name in initializer:
            initializer[name] = const(name, np.array(asset.filename.encode(), object))
    graph = replace(graph, initializer=initializer)
    return load_variables(graph, model, model.tensors(verify=verify))


def warn_of_order(inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Return a warning if several tensors go in or come out.

    tfjs takes and returns arrays in the order of the keys in ``model.json``, which is that of
    *inputs* and *outputs*. The official converter orders the keys by a hash.
    """
    several = [
        f"{role} {', '.join(map(quote, tensors))}"
        for role, tensors in (("inputs", inputs), ("outputs", outputs))
        if len(tensors) > 1
    ]
    if not several:
        return ()
    text = (
        f"arrays of {' and '.join(several)} are in this order, which the file does not fix and the "
        "official converter may change: use their names in tfjs, not arrays"
    )
    return (text,)


def feed(graph: Graph, inputs: Mapping[str, Tensor]) -> Graph:
    """Return *graph* with *inputs*, each of them a Placeholder, whatever it was computed from."""
    nodes = dict(graph.nodes)
    for key, tensor in inputs.items():
        node = nodes[tensor.ref.node]
        if tensor.ref.output:
            raise UnsupportedModelError(
                f"input {quote(key)} is the second result of a node", path=graph.path
            )
        if node.op not in ("Placeholder", "PlaceholderWithDefault"):
            attrs = {"dtype": tensor.dtype, "shape": tensor.shape}
            nodes[node.name] = Node(node.name, "Placeholder", attrs=attrs)
    return replace(graph, nodes=nodes, inputs=inputs)


@dataclass(slots=True)
class _Captures:
    """Binds what a function captures; collects the nodes and values for it."""

    model: SavedModelDir
    base: Graph
    verify: bool
    nodes: dict[str, Node] = field(default_factory=dict)
    initializer: dict[str, Node] = field(default_factory=dict)
    variables: dict[str, LazyTensor] = field(default_factory=dict)
    tensors: Mapping[str, BundleTensor] = field(default_factory=dict)
    keys: dict[int, Attributes] = field(default_factory=dict)

    def graph(
        self, signature: messages.SignatureDef, name: str, keywords: list[str], captured: list[int]
    ) -> Graph:
        """Return the function *name* as a graph."""
        function = self._function(name)
        self.tensors = self.model.tensors(verify=self.verify)
        self.keys = checkpoint_keys(self.model, self.tensors)
        free = len(function.args) - len(captured)
        if free < 0:
            raise self._corrupt("it captures more values than it has arguments", name)
        inputs = self._inputs(signature, function, keywords, free)
        for arg, number in zip(function.args[free:], captured, strict=True):
            self._capture(arg, number)
        for node in function.nodes.values():
            self.nodes.setdefault(node.name, node)
        outputs = self._outputs(signature, function)
        return replace(
            self.base, nodes=self.nodes, inputs=inputs, outputs=outputs,
            initializer=self.initializer, variables=self.variables,
        )  # fmt: skip

    def _function(self, name: str) -> Function:
        if name not in self.base.functions:
            raise self._corrupt("the library lacks it", name)
        return self.base.functions[name]

    def _inputs(
        self, signature: messages.SignatureDef, function: Function, keywords: list[str], free: int
    ) -> dict[str, Tensor]:
        if len(keywords) != free:
            keywords = list(function.args[:free])
        inputs = {}
        for key, arg in zip(keywords, function.args, strict=False):
            info = signature.inputs.get(key)  # reading a missing key would make it
            dtype = dtype_name(info.dtype) if info else function.nodes[arg].attrs["T"]
            shape = shape_of(info.tensor_shape) if info else Shape()
            attrs = {"dtype": dtype, "shape": shape}
            self.nodes[arg] = Node(arg, "Placeholder", attrs=attrs)
            if key in signature.defaults:
                self._default(function, arg, signature.defaults[key], key)
            inputs[key] = Tensor(Ref(arg), dtype, shape)
        places = _places(function)
        return dict(sorted(inputs.items(), key=lambda item: places.get(item[1].ref.node, free)))

    def _default(self, function: Function, arg: str, value: messages.TensorProto, key: str) -> None:
        """Make *arg*, input *key* of *function*, a node that is *value* unless it is fed."""
        where, dtype = f"the default of input {quote(key)}", self.nodes[arg].attrs["dtype"]
        if dtype_name(value.dtype) != dtype:
            raise CorruptFileError("it has another type", path=self.model.path, where=where)
        tensor = proto_tensor(value, path=self.model.path, where=where, limits=self.model.limits)
        name = Names([*self.nodes, *function.nodes]).fresh(f"{arg}/default")
        self.nodes[name] = Node(name, "Const", attrs={"dtype": dtype, "value": tensor})
        inputs = (Ref(name),)
        self.nodes[arg] = replace(self.nodes[arg], op="PlaceholderWithDefault", inputs=inputs)

    def _outputs(self, signature: messages.SignatureDef, function: Function) -> dict[str, Tensor]:
        numbered = {}
        for key, info in signature.outputs.items():
            number = info.name.rpartition(":")[2]
            if not number.isdecimal() or int(number) >= len(function.returns):
                raise self._corrupt(f"it has no result {quote(info.name)}", function.name)
            numbered[int(number), key] = info
        return {
            key: Tensor(function.returns[n], dtype_name(info.dtype), shape_of(info.tensor_shape))
            for (n, key), info in sorted(numbered.items(), key=lambda item: _place(*item[0]))
        }

    def _capture(self, arg: str, number: int) -> None:
        """Put a node called *arg* for object *number* into the graph."""
        item = self.model.nodes[number]
        kind = item.WhichOneof("kind")
        if kind == "variable":
            name = item.variable.name or arg
            self.nodes[arg] = Node(
                arg, "VarHandleOp", attrs={"dtype": dtype_name(item.variable.dtype)}
            )
            self.variables[arg] = self._variable(number, name)
        elif kind == "resource":
            self._table(arg, number)
        elif kind in ("constant", "asset"):
            self.nodes[arg] = self._constant(arg, number)
        else:
            raise UnsupportedModelError(
                f"the model uses an object whose value is not in the file ({kind})",
                path=self.model.path, where=f"object {number}",
                hint="Pass it to the function as an argument, or keep it in a tf.Variable.",
            )  # fmt: skip

    def _variable(self, number: int, name: str) -> LazyTensor:
        for attribute in self.keys.get(number, ()):
            if attribute.name == "VARIABLE_VALUE" and attribute.checkpoint_key in self.tensors:
                return self.tensors[attribute.checkpoint_key]
        raise CorruptFileError(
            "the checkpoint has no values of it", path=self.model.path,
            where=f"variable {quote(name)}",
        )  # fmt: skip

    def _constant(self, arg: str, number: int) -> Node:
        item = self.model.nodes[number]
        if item.WhichOneof("kind") == "asset":
            files = self.model.meta_graph.asset_file_def
            index = item.asset.asset_file_def_index
            if not 0 <= index < len(files):
                raise self._corrupt(f"there is no asset {index}", arg)
            return const(arg, np.array(files[index].filename.encode(), object))
        node = self.base.nodes.get(item.constant.operation)
        if node is None or node.op != "Const":
            raise self._corrupt(f"there is no constant {quote(item.constant.operation)}", arg)
        return replace(node, name=arg, controls=())

    def _table(self, arg: str, number: int) -> None:
        """Add the hash table *number*, and to the initializer the nodes that fill it."""
        made = next(
            (node for node in self._body(number, "_create_resource") if node.op in _TABLES), None
        )
        if made is None:
            raise UnsupportedModelError(
                "the model uses a resource that is not a hash table", path=self.model.path,
                where=f"object {number}",
            )  # fmt: skip
        kinds = {key: made.attrs[key] for key in ("key_dtype", "value_dtype") if key in made.attrs}
        table = Node(arg, "HashTableV2", attrs=kinds)
        self.nodes[arg] = self.initializer[arg] = table
        for attribute in self.keys.get(number, ()):
            keys = self.tensors.get(f"{attribute.checkpoint_key}-keys")
            values = self.tensors.get(f"{attribute.checkpoint_key}-values")
            if keys is not None and values is not None:
                self._import(table, keys, values)
                return
        self._initialize(table, number)

    def _import(self, table: Node, keys: LazyTensor, values: LazyTensor) -> None:
        """Fill *table* with what the checkpoint holds of it."""
        given = []
        for role, tensor in (("keys", keys), ("values", values)):
            name = f"{table.name}/{role}"
            attrs = {"dtype": table.attrs[f"{role.removesuffix('s')}_dtype"], "value": tensor}
            self.initializer[name] = Node(name, "Const", attrs=attrs)
            given.append(Ref(name))
        name = f"{table.name}/import"
        self.initializer[name] = fill_table(name, table, *given)

    def _initialize(self, table: Node, number: int) -> None:
        """Fill *table* by the body of its ``_initialize`` function."""
        found = self._concrete(number, "_initialize")
        if found is None:
            return
        function, captured = found
        if len(captured) != len(function.args):
            raise self._corrupt("it has captured arguments without values", function.name)
        bound = {}
        for arg, inner in zip(function.args, captured, strict=True):
            if inner == number:
                bound[arg] = table.name
                continue
            bound[arg] = f"{table.name}/{arg}"
            if self.model.nodes[inner].WhichOneof("kind") not in ("constant", "asset"):
                raise self._corrupt("a table is not initialised from constants", function.name)
            self.initializer[bound[arg]] = self._constant(bound[arg], inner)
        renamed = {name: bound.get(name, f"{table.name}/{name}") for name in function.nodes}
        for node in function.nodes.values():
            if node.name not in bound:
                inputs = tuple(Ref(renamed[ref.node], ref.output) for ref in node.inputs)
                name = renamed[node.name]
                self.initializer[name] = Node(name, node.op, inputs, node.attrs)

    def _body(self, number: int, role: str) -> list[Node]:
        found = self._concrete(number, role)
        return list(found[0].nodes.values()) if found else []

    def _concrete(self, number: int, role: str) -> tuple[Function, list[int]] | None:
        """Return the function that is child *role* of object *number*, and its captures."""
        child = self.model.follow(number, role)
        if child is None or not self.model.nodes[child].function.concrete_functions:
            return None
        name = self.model.nodes[child].function.concrete_functions[0]
        concrete = self.model.meta_graph.object_graph_def.concrete_functions
        captured = list(concrete[name].bound_inputs) if name in concrete else []
        if any(not 0 <= each < len(self.model.nodes) for each in captured):
            raise self._corrupt("it captures an object that does not exist", name)
        return self._function(name), captured

    def _corrupt(self, what: str, name: str) -> CorruptFileError:
        return CorruptFileError(what, path=self.model.path, where=f"function {quote(name)}")
