"""Writes a SavedModel: ``saved_model.pb``, ``variables/`` and, of Keras models, its metadata.

The one MetaGraph, tagged ``serve``, is there twice over, for two kinds of loaders:

* ``object_graph_def`` is the tree of objects that ``tf.saved_model.load``, the TFLite converter and
  Keras's ``TFSMLayer`` make again: variables, tables, the function ``serve`` and the signatures.
  They run functions of the library, whose last arguments are the objects that they use
  (``bound_inputs``). ``serve`` takes the inputs in the order of the model; a signature takes them
  by name, sorted, and calls it.
* ``graph_def`` itself calls the signature and restores the variables, for TensorFlow Serving and
  the loader of TensorFlow 1. ``signature_def`` and ``saver_def`` name its tensors.

The checkpoint in ``variables/`` has the values under the keys ``variables/N/…``, and the same
objects under the same numbers in ``_CHECKPOINTABLE_OBJECT_GRAPH``. What tf_keras makes its layers
of is added by :mod:`tfjs_codec.writers.keras_objects`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tfjs_codec.files.bundle_write import Shard, plan_bundle, write_bundle
from tfjs_codec.files.stage import Stage
from tfjs_codec.files.tensor_bundle import OBJECT_GRAPH_KEY
from tfjs_codec.files.tensor_proto import fill_tensor
from tfjs_codec.files.tf_dtypes import dtype_number
from tfjs_codec.ir.graph import (
    ARGUMENT,
    Func,
    Graph,
    Names,
    Node,
    Ref,
    Shape,
    Tensor,
    const,
    sort_nodes,
)
from tfjs_codec.ir.tensors import ArrayTensor, LazyTensor
from tfjs_codec.pb import messages
from tfjs_codec.progress import Progress
from tfjs_codec.writers.graph_def import fill_node, fill_shape, function_def, legal_names
from tfjs_codec.writers.object_graph import Objects, Spec

INDEX = "saved_model.pb"
METADATA = "keras_metadata.pb"
_PREFIX = "variables/variables"
_SHARD_BYTES = 2 << 30
_SERVE, _SIGNATURE = "serve", "serving_default"
_METHOD = "tensorflow/serving/predict"
_PRODUCER, _MIN_CONSUMER = 1882, 12  # GraphDef versions of TensorFlow 2.19
_VERSION = "2.19.0"  # of TensorFlow, whose format this is
_CALL = {"config": b"", "config_proto": b"", "executor_type": b""}
_NOTHING = "__saved_model_init_op"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be written: the messages, the values of variables by checkpoint key, the files."""

    message: messages.SavedModel
    tensors: Mapping[str, LazyTensor]
    shards: tuple[Shard, ...]
    metadata: messages.SavedMetadata | None = None

    @property
    def weights(self) -> int:
        """Number of variables."""
        return len(self.tensors) - 1

    @property
    def files(self) -> tuple[tuple[str, int], ...]:
        """Names and sizes in bytes of the files with the values of the variables."""
        return tuple((shard.name, shard.nbytes) for shard in self.shards)


def saved_model_files(directory: Path) -> frozenset[str] | None:
    """Return what is the SavedModel's in *directory*, or None if there is none."""
    if not (directory / INDEX).is_file():
        return None
    names = {INDEX, METADATA, "fingerprint.pb", "variables", "assets", "assets.extra"}
    return frozenset(name for name in names if (directory / name).exists())


def plan(
    graph: Graph,
    objects: Objects,
    captured: Mapping[str, int],
    *,
    named: tuple[bool, bool] = (False, True),
    metadata: messages.SavedMetadata | None = None,
    shard_size_bytes: int | None = None,
) -> Plan:
    """Plan the SavedModel of *graph*.

    Args:
        graph: Of TensorFlow's operations. Variables are VarHandleOps, tables HashTableV2s.
        objects: The tree of objects with all variables.
        captured: The numbers of the variables' objects by the names of their VarHandleOps.
        named: Whether ``serve`` takes, and returns, a dict.
        metadata: The ``keras_metadata.pb``.
        shard_size_bytes: Size of the files of values, but of larger variables.
    """
    handles = {name: node for name, node in graph.nodes.items() if node.op in _HANDLES}
    numbers = dict(captured)
    for name, node in handles.items():
        if node.op != _VARIABLE:
            numbers[name] = objects.resource()
            objects.link(0, f"_table_{name}", numbers[name])
    writer = _Writer(graph, objects, {name: numbers[name] for name in handles}, named)
    message = writer.message()
    text = objects.stored.SerializeToString(deterministic=True)
    tensors = {
        **objects.tensors,
        OBJECT_GRAPH_KEY: ArrayTensor(OBJECT_GRAPH_KEY, np.array(text, object)),
    }
    shards = plan_bundle(_PREFIX, tensors, shard_size_bytes or _SHARD_BYTES)
    return Plan(message, tensors, shards, metadata)


def write(planned: Plan, stage: Stage, progress: Progress | None = None) -> list[tuple[str, int]]:
    """Write what is *planned* into *stage*; return the names and sizes in bytes of the files.

    Raises:
        OutputError: Writing failed.
        InputError: What reading a tensor raises.
    """
    files = write_bundle(stage, _PREFIX, planned.tensors, planned.shards, progress)
    messages = {METADATA: planned.metadata, INDEX: planned.message}
    for name, message in messages.items():
        if message is not None:
            data = message.SerializeToString(deterministic=True)
            stage.write(name, data)
            files.append((name, len(data)))
    return files


_VARIABLE = "VarHandleOp"
_HANDLES = frozenset((_VARIABLE, "HashTableV2"))


@dataclass(frozen=True, slots=True)
class _Writer:
    """Makes the message; ``handles`` are the numbers of captured objects by their nodes."""

    graph: Graph
    objects: Objects
    handles: Mapping[str, int]
    named: tuple[bool, bool]

    def message(self) -> messages.SavedModel:
        """Return the SavedModel message, and add the functions to the objects."""
        message = messages.SavedModel(saved_model_schema_version=1)
        meta = message.meta_graphs.add()
        info = meta.meta_info_def
        info.tags.append("serve")
        info.tensorflow_version, info.stripped_default_attrs = _VERSION, True
        meta.graph_def.versions.producer = _PRODUCER
        meta.graph_def.versions.min_consumer = _MIN_CONSUMER
        library = meta.graph_def.library.function
        library.append(self._serve())
        library.append(self._signature())
        library.extend(self._tables())
        _MainGraph(self, meta).fill()
        meta.object_graph_def.CopyFrom(self.objects.saved)
        return message

    # -------------------------------------------------------------------------- the functions

    @property
    def inputs(self) -> dict[str, Tensor]:
        """The arguments of ``serve`` in order: a dict is sorted by its keys."""
        inputs = self.graph.inputs
        return dict(sorted(inputs.items())) if self.named[0] else dict(inputs)

    @property
    def outputs(self) -> dict[str, Tensor]:
        """The results of ``serve`` in order."""
        outputs = self.graph.outputs
        return dict(sorted(outputs.items())) if self.named[1] else dict(outputs)

    def _serve(self) -> messages.FunctionDef:
        """Return the function that computes the model."""
        nodes = dict(self.graph.nodes)
        arguments = [tensor.ref.node for tensor in self.inputs.values()]
        for name, tensor in zip(arguments, self.inputs.values(), strict=True):
            nodes[name] = Node(name, ARGUMENT, attrs={"T": tensor.dtype})
        for name in self.handles:
            nodes[name] = Node(name, ARGUMENT, attrs={"T": "resource"})
        first = [nodes[name] for name in (*arguments, *self.handles)]
        taken = {node.name for node in first}
        names = Names(nodes)
        body = [node for node in sort_nodes(nodes) if node.name not in taken]
        returns = {}
        for key, tensor in zip(_results(len(self.outputs)), self.outputs.values(), strict=True):
            copy = Node(names.fresh("Identity"), "Identity", (tensor.ref,), {"T": tensor.dtype})
            body.append(copy)
            returns[key] = (Ref(copy.name), tensor.dtype)
        name = f"__inference_{_SERVE}_0"
        specs: object = _specs(self.inputs, named=self.named[0])
        results = _specs(self.outputs, named=self.named[1])
        self.objects.concrete(name, self.handles.values(), ((specs,), {}), results)
        self.objects.link(0, _SERVE, self.objects.function(name, "args_0", specs))
        return function_def(name, [*first, *body], returns, path=self.graph.path)

    def _signature(self) -> messages.FunctionDef:
        """Return the function that takes the inputs by name and calls ``serve``."""
        inputs, outputs = dict(sorted(self.inputs.items())), dict(sorted(self.outputs.items()))
        names = Names(self.handles)
        given = {key: names.fresh(key) for key in inputs}
        first = [Node(given[key], ARGUMENT, attrs={"T": t.dtype}) for key, t in inputs.items()]
        first += [Node(name, ARGUMENT, attrs={"T": "resource"}) for name in self.handles]
        call = self.call(f"__inference_{_SERVE}_0", [given[key] for key in self.inputs])
        call = replace(call, name=names.fresh(call.name))
        body, returns = [call], {}
        places = {key: number for number, key in enumerate(self.outputs)}
        for result, (key, tensor) in zip(_results(len(outputs)), outputs.items(), strict=True):
            ref = Ref(call.name, places[key])
            copy = Node(names.fresh("Identity"), "Identity", (ref,), {"T": tensor.dtype})
            body.append(copy)
            returns[result] = (Ref(copy.name), tensor.dtype)
        name = f"__inference_signature_wrapper_{_SERVE}_1"
        specs = {key: Spec(key, tensor) for key, tensor in inputs.items()}
        results = {key: Spec(key, tensor) for key, tensor in outputs.items()}
        self.objects.concrete(name, self.handles.values(), ((), specs), results)
        number = self.objects.signature(name, list(inputs))
        signatures = self.objects.signatures(0)
        self.objects.link(signatures, _SIGNATURE, number)
        return function_def(name, [*first, *body], returns, path=self.graph.path)

    def call(self, function: str, arguments: Sequence[str], *, sort: bool = False) -> Node:
        """Return a call of *function* on the nodes *arguments* and the handles."""
        order = sorted if sort else list
        taken = [self.graph.inputs[key].dtype for key in order(self.inputs)]
        given = [self.graph.outputs[key].dtype for key in order(self.outputs)]
        attrs = {
            **_CALL, "f": Func(function), "Tout": tuple(given),
            "Tin": (*taken, *("resource" for _ in self.handles)),
        }  # fmt: skip
        refs = tuple(Ref(name) for name in (*arguments, *self.handles))
        return Node("StatefulPartitionedCall", "StatefulPartitionedCall", refs, attrs)

    def _tables(self) -> list[messages.FunctionDef]:
        """Return the functions that make, fill and give up each table."""
        made: list[messages.FunctionDef] = []
        for table, number in self.handles.items():
            node = self.graph.nodes[table]
            if node.op == _VARIABLE:
                continue
            fill = next(
                one
                for one in self.graph.initializer.values()
                if one.op == "LookupTableImportV2" and one.inputs[0].node == table
            )
            given = [self.graph.initializer[ref.node] for ref in fill.inputs[1:]]
            done = const("done", np.array(1, np.int32))
            handle = Node(table, ARGUMENT, attrs={"T": "resource"})
            filled = replace(done, controls=(fill.name,))
            shared = {**node.attrs, "shared_name": table.encode()}
            for role, nodes, result, kind in (
                ("_create_resource", [replace(node, attrs=shared)], table, "resource"),
                ("_initialize", [handle, *given, fill, filled], "done", "int32"),
                ("_destroy_resource", [done], "done", "int32"),
            ):
                name = f"__inference_{role}_{len(made) + 2}"
                bound = [number] if nodes[0].op == ARGUMENT else []
                spec = Spec("tensor_0", Tensor(Ref(""), kind, Shape(())))
                self.objects.concrete(name, bound, ((), {}), spec)
                self.objects.link(number, role, self.objects.function(name, "", None))
                made.append(function_def(name, nodes, {"identity": (Ref(result), kind)}))
        return made


def _results(count: int) -> list[str]:
    return [f"identity_{number}" if number else "identity" for number in range(count)]


def _specs(tensors: Mapping[str, Tensor], *, named: bool) -> object:
    """Return *tensors* as the Python value that a function takes or returns."""
    specs = {key: Spec(key, tensor) for key, tensor in tensors.items()}
    if named:
        return specs
    listed = list(specs.values())
    return listed[0] if len(listed) == 1 else listed


class _MainGraph:
    """Fills the graph that TensorFlow 1 and TensorFlow Serving run, and says what is what."""

    def __init__(self, writer: _Writer, meta: messages.MetaGraphDef) -> None:
        self._writer = writer
        self._meta = meta
        self._nodes: list[Node] = []
        self._names = Names(())

    def fill(self) -> None:
        graph, handles = self._writer.graph, self._writer.handles
        self._names = Names([*handles, *graph.initializer])
        for name in handles:
            node = graph.nodes[name]
            shared = {"shared_name": name.encode(), "container": b""}
            self._nodes.append(replace(node, attrs={**node.attrs, **shared}))
        tables = [self._nodes[i].name for i, name in enumerate(handles)]
        self._nodes += [node for name, node in graph.initializer.items() if name not in tables]
        fills = [one.name for one in graph.initializer.values() if one.op == "LookupTableImportV2"]
        nothing = self._add("NoOp", controls=tuple(fills))
        self._call(self._meta.signature_def[_SIGNATURE])
        self._saver()
        names = legal_names(self._nodes)
        for node in self._nodes:
            inputs = [self._text(names, ref) for ref in node.inputs]
            inputs += [f"^{names[name]}" for name in node.controls]
            fill_node(self._meta.graph_def.node.add(), node, inputs, names[node.name])
        self._meta.collection_def["saved_model_main_op"].node_list.value.append(names[nothing.node])
        signature = self._meta.signature_def[_SIGNATURE]
        for info in (*signature.inputs.values(), *signature.outputs.values()):
            name, _, number = info.name.rpartition(":")
            info.name = f"{names[name]}:{number}"
        init = self._meta.signature_def[_NOTHING].outputs[_NOTHING]
        init.name = names[nothing.node]
        init.tensor_shape.unknown_rank = True

    @staticmethod
    def _text(names: Mapping[str, str], ref: Ref) -> str:
        return str(Ref(names[ref.node], ref.output))

    def _add(
        self, op: str, *inputs: Ref, name: str = "", controls: tuple[str, ...] = (), **attrs: object
    ) -> Ref:
        name = self._names.fresh(name or op)
        self._nodes.append(Node(name, op, inputs, attrs, controls))
        return Ref(name)

    def _call(self, signature: messages.SignatureDef) -> None:
        """Call the signature on placeholders, and describe it."""
        writer, given = self._writer, {}
        for key, tensor in sorted(writer.inputs.items()):
            op, inputs = "Placeholder", list[Ref]()
            default = _default(writer.graph, tensor)
            if default is not None:
                fill_tensor(signature.defaults[key], default, tensor.dtype)
                op = "PlaceholderWithDefault"
                inputs.append(self._add("Const", dtype=tensor.dtype, value=default))
            placeholder = self._add(
                op, *inputs, name=f"{_SIGNATURE}_{key}", dtype=tensor.dtype, shape=tensor.shape
            )
            given[key] = placeholder.node
            _describe(signature.inputs[key], placeholder, tensor)
        name = f"__inference_signature_wrapper_{_SERVE}_1"
        call = writer.call(name, list(given.values()), sort=True)
        call = replace(call, name=self._names.fresh(call.name))
        self._nodes.append(call)
        for number, (key, tensor) in enumerate(sorted(writer.outputs.items())):
            _describe(signature.outputs[key], Ref(call.name, number), tensor)
        signature.method_name = _METHOD

    def _saver(self) -> None:
        """Add the nodes that save and restore the variables."""
        objects, graph = self._writer.objects, self._writer.graph
        variables = {
            name: (objects.keys[number], str(graph.nodes[name].attrs["dtype"]))
            for name, number in self._writer.handles.items()
            if graph.nodes[name].op == _VARIABLE
        }
        file = self._add("Placeholder", name="saver_filename", dtype="string", shape=Shape(()))
        restored: list[str] = []
        saved = self._nodes[-1].name
        if variables:
            keys = np.array([key.encode() for key, _ in variables.values()], object)
            slices = np.array([b""] * len(variables), object)
            refs = []
            for name, array in (("saver/keys", keys), ("saver/slices", slices)):
                node = const(self._names.fresh(name), array)
                self._nodes.append(node)
                refs.append(Ref(node.name))
            dtypes = tuple(dtype for _, dtype in variables.values())
            values = self._add("RestoreV2", file, *refs, dtypes=dtypes)
            reads = []
            for number, (name, (_, dtype)) in enumerate(variables.items()):
                value = Ref(values.node, number)
                assign = self._add("AssignVariableOp", Ref(name), value, dtype=dtype)
                restored.append(assign.node)
                reads.append(self._add("ReadVariableOp", Ref(name), dtype=dtype))
            save = self._add("SaveV2", file, *refs, *reads, dtypes=dtypes)
            saved = self._add(
                "Identity", file, name="saver/path", controls=(save.node,), T="string"
            ).node
        restore = self._add("NoOp", name="saver/restore", controls=tuple(restored))
        saver = self._meta.saver_def
        saver.filename_tensor_name = f"{file.node}:0"
        saver.save_tensor_name, saver.restore_op_name = f"{saved}:0", restore.node
        saver.version = 2


def _default(graph: Graph, tensor: Tensor) -> LazyTensor | None:
    """Return what the input *tensor* of *graph* is if it is not given; None if it must be."""
    node = graph.nodes[tensor.ref.node]
    if node.op != "PlaceholderWithDefault":
        return None
    source = graph.nodes[node.inputs[0].node]
    return source.value if source.op == "Const" else None


def _describe(info: messages.TensorInfo, ref: Ref, tensor: Tensor) -> None:
    info.name, info.dtype = f"{ref.node}:{ref.output}", dtype_number(tensor.dtype)
    fill_shape(info.tensor_shape, tensor.shape)
