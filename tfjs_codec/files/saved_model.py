"""The SavedModel directory: ``saved_model.pb``, ``keras_metadata.pb`` and ``variables/``.

``saved_model.pb`` (or ``saved_model.pbtxt``, the same message as text) holds MetaGraphs told apart
by their tags. In one made by TensorFlow 2, ``object_graph_def`` is the tree of Python objects:
node 0 is the root, a node's children have local names, variables are nodes. Keras keeps its JSON
per node in ``keras_metadata.pb`` (2.5 and later) or in the node itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from tfjs_codec import pb
from tfjs_codec.errors import (
    CorruptFileError,
    UnknownFormatError,
    UnsupportedModelError,
    UsageError,
    quote,
)
from tfjs_codec.files import strict_json
from tfjs_codec.files.bundle_tensors import BundleTensor
from tfjs_codec.files.paths import safe_child, traversal_reason
from tfjs_codec.files.source import open_source
from tfjs_codec.files.tensor_bundle import OBJECT_GRAPH_KEY, open_bundle
from tfjs_codec.files.tf_dtypes import dtype_name
from tfjs_codec.files.varint import read_varint
from tfjs_codec.limits import DEFAULT_LIMITS, Limits
from tfjs_codec.pb import messages

_BINARY, _TEXT, _CHUNKED = "saved_model.pb", "saved_model.pbtxt", "saved_model.cpb"
_METADATA = "keras_metadata.pb"
_PREFIX = "variables/variables"
_ASSETS_V1 = "saved_model_assets"
_MAX_MESSAGE_BYTES = (2 << 30) - 1
DEFAULT_TAGS = ("serve",)
Attributes: TypeAlias = "Sequence[messages.TrackableObjectGraph.TrackableObject.SerializedTensor]"


@dataclass(frozen=True, slots=True)
class KerasNode:
    """Keras's description of node *number*: ``identifier`` such as ``_tf_keras_layer``, JSON."""

    number: int
    identifier: str
    metadata: str


@dataclass(frozen=True, slots=True)
class SavedModelDir:
    """One MetaGraph of a SavedModel.

    ``all_tags`` are the tags of every MetaGraph in the file. ``keras`` maps node numbers to
    descriptions; it is empty if there are none.
    """

    path: Path
    file: Path
    meta_graph: messages.MetaGraphDef
    all_tags: tuple[tuple[str, ...], ...]
    keras: dict[int, KerasNode]
    limits: Limits = DEFAULT_LIMITS

    @property
    def nodes(self) -> messages.Messages[messages.SavedObject]:
        """The object graph's nodes; none in a file of TensorFlow 1."""
        return self.meta_graph.object_graph_def.nodes

    def follow(self, number: int, *names: str) -> int | None:
        """Return the node at the path of the local *names* below node *number*."""
        for name in names:
            children = self.nodes[number].children
            found = next((child.node_id for child in children if child.local_name == name), None)
            if found is None:
                return None
            number = found
        return number

    def tensors(self, *, verify: bool = True) -> dict[str, BundleTensor]:
        """Open the variables by checkpoint key; see :func:`open_variables`."""
        return open_variables(self.path, verify=verify, limits=self.limits)

    def json(self, number: int) -> Any:
        """Return the parsed Keras metadata of node *number*, None if there is none."""
        node = self.keras.get(number)
        if node is None or not node.metadata:
            return None
        where = f"Keras metadata of node {number}"
        return strict_json.load_config(
            node.metadata, path=self.path, where=where, limits=self.limits
        )


def open_saved_model(
    path: Path, *, tags: Sequence[str] | None = None, limits: Limits = DEFAULT_LIMITS
) -> SavedModelDir:
    """Read the messages of the SavedModel in directory *path*; no variable is read.

    *tags* choose the MetaGraph by all its tags. Without them it is the only one, or the one
    tagged just ``serve``.

    Raises:
        CorruptFileError: a message cannot be parsed, or contradicts itself.
        UnsupportedModelError: no MetaGraph, or several to choose from; the error lists the tags.
        UsageError: no MetaGraph has *tags*.
        UnsafeFileError: a file, or an asset's name, reaches out of the directory.
    """
    file, message = _read_message(path, limits)
    if not message.meta_graphs:
        raise CorruptFileError("the file holds no MetaGraph (empty or truncated?)", path=file)
    graph, all_tags = _choose(message.meta_graphs, tags, file)
    _add_assets_v1(graph, file)
    for asset in graph.asset_file_def:
        _check_asset(asset.filename, path, file, limits)
    nodes = graph.object_graph_def.nodes
    for number, node in enumerate(nodes):
        for child in node.children:
            if not 0 <= child.node_id < len(nodes):
                text = f"its child {quote(child.local_name)} is node {child.node_id}"
                raise CorruptFileError(
                    f"{text}, of {len(nodes)}", path=file, where=f"object graph, node {number}"
                )
    return SavedModelDir(path, file, graph, all_tags, _keras_nodes(path, nodes, limits), limits)


def open_variables(
    path: Path, *, verify: bool = True, limits: Limits = DEFAULT_LIMITS
) -> dict[str, BundleTensor]:
    """Open the variables of SavedModel directory *path* by checkpoint key.

    There are none if the directory has no checkpoint.

    Raises:
        CorruptFileError, UnsafeFileError, LimitExceededError: see
            :func:`tfjs_codec.files.tensor_bundle.open_bundle`.
    """
    index = safe_child(path, f"{_PREFIX}.index", path=path, limits=limits)
    if not index.exists():
        if any((path / "variables").glob("variables.data-*")):
            text = "the index of the variables is missing"
            raise CorruptFileError(text, path=path, where="variables/variables.index")
        return {}
    return open_bundle(path / _PREFIX, verify=verify, limits=limits)


def _read_message(path: Path, limits: Limits) -> tuple[Path, messages.SavedModel]:
    """Return the file that holds the SavedModel message, and the message."""
    binary = safe_child(path, _BINARY, path=path, limits=limits)
    if binary.exists():
        source = open_source(binary)
        if source.size > _MAX_MESSAGE_BYTES:
            what = f"{source.size:,} bytes, more than the 2 GiB that a protobuf message can have"
            raise CorruptFileError(what, path=binary)
        limits.check("pb_bytes", source.size, "the file's size in bytes", path=binary)
        limits.earn(source.size)
        with source.open() as file:
            _check_fields(file, source.size, binary)
        return binary, pb.parse(messages.SavedModel, source.read("pb_bytes", limits), path=binary)
    text = safe_child(path, _TEXT, path=path, limits=limits)
    if text.exists():
        data = open_source(text).read("pbtxt_bytes", limits)
        try:
            decoded = data.decode()
        except UnicodeDecodeError as error:
            raise CorruptFileError("not valid UTF-8", path=text) from error
        return text, pb.parse_text(messages.SavedModel, decoded, path=text)
    if (path / _CHUNKED).exists():
        raise UnsupportedModelError(
            "SavedModels in chunks (saved_model.cpb) cannot be read", path=path
        )
    raise UnknownFormatError(f"the directory has no {_BINARY}", path=path)


def _check_fields(file: BinaryIO, size: int, path: Path) -> None:
    """Check that the outermost fields end where the file ends, before reading all of it."""
    position = 0
    while position < size:
        file.seek(position)
        length = _field_bytes(file.read(20))
        if length is None or position + length > size:
            text = f"not a SavedModel message, or truncated (no field at byte {position})"
            raise CorruptFileError(text, path=path)
        position += length


def _field_bytes(head: bytes) -> int | None:
    """Return the length of the field that starts with *head*; None if there cannot be one."""
    try:
        tag, used = read_varint(head, 0, 32)
        value, used = read_varint(head, used)
    except ValueError:
        return None
    if tag >> 3 == 0 or tag & 7 not in (0, 2):
        return None
    return used + (value if tag & 7 == 2 else 0)


def _choose(
    graphs: Sequence[messages.MetaGraphDef], tags: Sequence[str] | None, file: Path
) -> tuple[messages.MetaGraphDef, tuple[tuple[str, ...], ...]]:
    """Return the MetaGraph with exactly *tags*, and the tags of all."""
    all_tags = tuple(tuple(graph.meta_info_def.tags) for graph in graphs)
    listed = "; ".join(tag_text(each) for each in all_tags[:20])
    wanted = set(DEFAULT_TAGS if tags is None else tags)
    found = [graph for graph, each in zip(graphs, all_tags, strict=True) if set(each) == wanted]
    if tags is None and len(graphs) == 1:
        found = list(graphs)
    if len(found) > 1:
        text = f"{len(found)} MetaGraphs have the tags {tag_text(tuple(sorted(wanted)))}"
        raise UnsupportedModelError(text, path=file)
    if found:
        return found[0], all_tags
    if tags is None:
        raise UnsupportedModelError(
            f"several MetaGraphs to choose from, with the tags: {listed}",
            path=file,
            hint="Choose one with --tags.",
        )
    raise UsageError(
        f"no MetaGraph has the tags {tag_text(tuple(tags))}",
        path=file,
        hint=f"There are: {listed}.",
    )


def tag_text(tags: tuple[str, ...]) -> str:
    """Return the tags of a MetaGraph for a message."""
    return ",".join(quote(tag) for tag in tags) or "none"


def _add_assets_v1(graph: messages.MetaGraphDef, file: Path) -> None:
    """Put the assets where TensorFlow 2 has them; TensorFlow 1 lists them in a collection."""
    if graph.asset_file_def or _ASSETS_V1 not in graph.collection_def:
        return
    where = f"collection {_ASSETS_V1}"
    for item in graph.collection_def[_ASSETS_V1].any_list.value:
        graph.asset_file_def.append(
            pb.parse(messages.AssetFileDef, item.value, path=file, where=where)
        )


def _check_asset(name: str, path: Path, file: Path, limits: Limits) -> None:
    """Asset names must stay inside ``assets/``; they are not opened."""
    where = "asset_file_def"
    if traversal_reason(name) is None:
        safe_child(path / "assets", name, path=file, where=where, limits=limits)
    else:
        safe_child(path, name, path=file, where=where, limits=limits)


def _keras_nodes(
    path: Path, nodes: Sequence[messages.SavedObject], limits: Limits
) -> dict[int, KerasNode]:
    """Return the Keras descriptions, from the file of TensorFlow 2.5 or from the nodes."""
    file = safe_child(path, _METADATA, path=path, limits=limits)
    if file.exists():
        message = pb.parse(
            messages.SavedMetadata, open_source(file).read("pb_bytes", limits), path=file
        )
        found = {
            node.node_id: KerasNode(node.node_id, node.identifier, node.metadata)
            for node in message.nodes
        }
        if any(not 0 <= number < len(nodes) for number in found):
            raise CorruptFileError("describes nodes that the object graph lacks", path=file)
        return found
    return {
        number: KerasNode(number, node.user_object.identifier, node.user_object.metadata)
        for number, node in enumerate(nodes)
        if node.user_object.identifier.startswith("_tf_keras") and node.user_object.metadata
    }


def checkpoint_keys(
    model: SavedModelDir, tensors: dict[str, BundleTensor]
) -> dict[int, Attributes]:
    """Return the checkpoint's attributes (name, checkpoint_key) of every node that has some.

    Nodes of the SavedModel's object graph and of the checkpoint's are paired by walking both from
    their roots along children of the same name.
    """
    if OBJECT_GRAPH_KEY not in tensors:
        return {}
    where = f"variable {quote(OBJECT_GRAPH_KEY)}"
    stored = tensors[OBJECT_GRAPH_KEY]
    if stored.tf_dtype != "string" or stored.shape != ():
        raise CorruptFileError("is not a string", path=model.path, where=where)
    data = stored.numpy().item()
    objects = pb.parse(messages.TrackableObjectGraph, data, path=model.path, where=where).nodes
    if not objects:
        return {}
    paired = {0: 0}
    stack = [0]
    while stack:
        number = stack.pop()
        there = {child.local_name: child.node_id for child in objects[paired[number]].children}
        for child in model.nodes[number].children:
            other = there.get(child.local_name)
            if other is None or child.node_id in paired:
                continue
            if not 0 <= other < len(objects):
                raise CorruptFileError(f"refers to node {other}", path=model.path, where=where)
            paired[child.node_id] = other
            stack.append(child.node_id)
    return {
        number: list(objects[other].attributes)
        for number, other in paired.items()
        if objects[other].attributes
    }


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """An input or output of a signature; unknown sizes are None, as is an unknown shape."""

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None

    def __str__(self) -> str:
        sizes = (
            "?"
            if self.shape is None
            else ",".join("?" if s is None else str(s) for s in self.shape)
        )
        return f"{quote(self.name)} {self.dtype}[{sizes}]"


@dataclass(frozen=True, slots=True)
class Signature:
    """A function that the model offers; ``inputs`` and ``outputs`` are sorted by name."""

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def __str__(self) -> str:
        return f"{_list(self.inputs)} -> {_list(self.outputs)}"


def _list(specs: Sequence[TensorSpec]) -> str:
    return ", ".join(map(str, specs[:10])) + (", …" if len(specs) > 10 else "")


def signatures(model: SavedModelDir) -> list[Signature]:
    """Return the signatures, sorted by name; not TensorFlow's own one that only initialises."""
    return [
        Signature(name, _specs(signature.inputs), _specs(signature.outputs))
        for name, signature in sorted(model.meta_graph.signature_def.items())
        if name != "__saved_model_init_op"
    ]


def _specs(infos: Mapping[str, messages.TensorInfo]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(name, dtype_name(info.dtype), _spec_shape(info.tensor_shape))
        for name, info in sorted(infos.items())
    )


def _spec_shape(shape: messages.TensorShapeProto) -> tuple[int | None, ...] | None:
    if shape.unknown_rank:
        return None
    return tuple(None if dim.size < 0 else dim.size for dim in shape.dim)
