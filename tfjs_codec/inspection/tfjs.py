"""Describes a ``model.json`` from its text: no weight file is opened, numpy not imported."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import prod
from typing import Any

from tfjs_codec.errors import InputError, count, quote
from tfjs_codec.files import strict_json
from tfjs_codec.files.detection import unknown_format
from tfjs_codec.files.place import Place
from tfjs_codec.files.source import Folder, Source
from tfjs_codec.inspection.inspection import Inspection, LayerInfo, TensorInfo, show_shape
from tfjs_codec.ir.layers import LayersGraph, TfjsLayer, scopes
from tfjs_codec.limits import Limits
from tfjs_codec.options import ConvertOptions
from tfjs_codec.tfjs.graph_topology import read_ends
from tfjs_codec.tfjs.inference import Shapes, infer
from tfjs_codec.tfjs.topology import read_topology

_ITEM_BYTES = {"float32": 4, "int32": 4, "bool": 1, "complex64": 8, "uint8": 1, "uint16": 2,
               "float16": 2}  # fmt: skip
_LISTED = 5
_FACTS = ("format", "generatedBy", "convertedBy")
_FROZEN = ("moving_mean", "moving_variance")  # no other variables of tfjs are untrained


def describe(source: Source, options: ConvertOptions) -> Inspection:
    """Return what the ``model.json`` or bare manifest *source* says.

    Raises:
        CorruptFileError: It contradicts itself.
        UnknownFormatError: It is other JSON.
    """
    limits = options.limits
    content = strict_json.read(source, limits)
    place = Place(source.path)
    if isinstance(content, list) and content and isinstance(content[0], dict):
        content = {"weightsManifest": content}
    if not isinstance(content, dict) or not {"modelTopology", "weightsManifest"} & content.keys():
        raise unknown_format(source)
    tensors, at = [], place.at("weightsManifest")
    paths = list[Any]()
    for i, group in enumerate(at.items(content.get("weightsManifest") or [])):
        listed, files = at.at(i).at("weights"), at.at(i).mapping(group)
        for j, entry in enumerate(listed.items(files.get("weights"))):
            tensors.append(_tensor(listed.at(j).mapping(entry), listed.at(j)))
        paths += at.at(i).at("paths").items(files.get("paths"))
    topology = content.get("modelTopology")
    kind, layers, warnings = "tfjs-weights", tuple[LayerInfo, ...](), list[str]()
    if topology is not None:
        place = place.at("modelTopology")
        topology = place.mapping(topology)
        kind = "tfjs-graph" if "node" in topology or "library" in topology else "tfjs-layers"
    facts = [(key, str(content[key])) for key in _FACTS if content.get(key)]
    if topology is not None and kind == "tfjs-graph":
        facts += _graph_facts(content, topology)
    elif topology is not None:
        graph = read_topology(topology, place)
        layers = _Layers(graph, tensors).graph(graph)
        warnings += _list_unplaced(graph, tensors)
    if (folder := source.folder) is not None:
        warnings += _files(paths, folder, tensors, limits)
    metadata = content.get("userDefinedMetadata")
    if isinstance(metadata, dict):
        facts += [(f"metadata {quote(key)}", quote(value)) for key, value in metadata.items()]
    if content.get("trainingConfig"):
        facts.append(("compiled", "yes"))
    return Inspection(
        source.path, kind, tuple(facts), layers, tuple(tensors), warnings=tuple(warnings)
    )


def _tensor(entry: dict[str, Any], place: Place) -> TensorInfo:
    name = place.at("name").text(entry.get("name"))
    at = place.at("shape")
    shape = tuple(at.at(i).whole(size) for i, size in enumerate(at.items(entry.get("shape"))))
    dtype = place.at("dtype").text(entry.get("dtype"))
    stored = None
    if entry.get("quantization") is not None:
        at = place.at("quantization")
        stored = at.at("dtype").text(at.mapping(entry["quantization"]).get("dtype"))
    item = _ITEM_BYTES.get(stored or dtype)
    if item is None and (stored or dtype) != "string":
        raise place.at("dtype").error(f"unknown dtype {quote(stored or dtype)}")
    return TensorInfo(name, shape, dtype, None if item is None else item * prod(shape), stored)


def _files(
    paths: list[Any], folder: Folder, tensors: list[TensorInfo], limits: Limits
) -> Iterator[str]:
    """Say what is wrong with the weight files, none of which is opened."""
    limits.check("shards", len(paths), "the number of weight files")
    sizes = [_file_size(name, folder, limits) for name in paths]
    wrong = [size for size in sizes if isinstance(size, str)]
    found = sum(size for size in sizes if isinstance(size, int))
    wanted = sum(tensor.nbytes or 0 for tensor in tensors)
    if not wrong and found != wanted and all(tensor.nbytes is not None for tensor in tensors):
        wrong = [f"the files have {found:,} bytes, the tensors {wanted:,}"]
    yield from (f"weights cannot be read: {what}" for what in wrong)


def _file_size(name: object, folder: Folder, limits: Limits) -> int | str:
    """Return the size in bytes of the weight file *name*, or what is wrong with it."""
    if not isinstance(name, str):
        return f"{quote(name)} is not a file name"
    try:
        return folder.find(name.removeprefix("./"), limits=limits).size
    except InputError as error:
        return error.what


def _graph_facts(content: dict[str, Any], topology: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Say how many operations a graph model has, and what it takes and returns."""
    nodes = topology.get("node")
    operations: dict[str, int] = {}
    for node in nodes if isinstance(nodes, list) else ():
        kind = str(node.get("op")) if isinstance(node, dict) else "?"
        operations[kind] = operations.get(kind, 0) + 1
    yield "operations", str(sum(operations.values()))
    for kind, number in sorted(operations.items(), key=lambda item: (-item[1], item[0])):
        yield f"  {quote(kind)}", str(number)
    for end in ("inputs", "outputs"):
        for key, dtype, sizes in read_ends(content, end):
            yield end[:-1], f"{key}: {dtype or '?'} {show_shape(sizes)}"


def _list_unplaced(graph: LayersGraph, tensors: list[TensorInfo]) -> Iterator[str]:
    """Say which weights belong to no layer."""
    owners = {scope for layer in graph.layers for scope, _ in scopes(layer)}
    names = [t.name for t in tensors if t.name.rpartition("/")[0] not in owners]
    if names:
        more = ", …" if len(names) > _LISTED else ""
        listed = ", ".join(map(quote, names[:_LISTED]))
        yield f"{count(len(names), 'weight')} without a layer of that name: {listed}{more}"


class _Layers:
    """Describes layers, with the weights of the manifest and the shapes that tfjs will infer."""

    def __init__(self, graph: LayersGraph, tensors: list[TensorInfo]) -> None:
        self._shapes: Shapes = infer(graph)
        self._tensors: dict[str, list[TensorInfo]] = {}
        for tensor in tensors:
            self._tensors.setdefault(tensor.name.rpartition("/")[0], []).append(tensor)

    def graph(self, graph: LayersGraph) -> tuple[LayerInfo, ...]:
        layers = tuple(self.layer(layer, layer.name) for layer in graph.layers)
        if not graph.sequential:
            return layers
        before = ((), *((layer.name,) for layer in layers))
        return tuple(replace(one, inputs=names) for one, names in zip(layers, before, strict=False))

    def layer(self, layer: TfjsLayer, scope: str) -> LayerInfo:
        inner: list[LayerInfo] = []
        if layer.graph is not None:
            inner += self.graph(layer.graph)
        named = dict(reversed([(id(owner), name) for name, owner in scopes(layer)]))
        inner += [self.layer(one, named.get(id(one), "")) for one in layer.owned]
        own = self._tensors.get(scope, []) if layer.graph is None else []
        return LayerInfo(
            layer.name,
            layer.class_name,
            tuple(self._shapes.outputs.get(id(layer), ())),
            sum(t.size for t in own) + sum(one.parameters for one in inner),
            sum(t.size for t in own if t.name.rpartition("/")[2] in _FROZEN)
            + sum(one.frozen for one in inner),
            tuple(dict.fromkeys(ref.layer for call in layer.calls for ref in call)),
            tuple(inner),
            tensors=tuple(t.name for t in own),
        )
