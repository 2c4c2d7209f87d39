"""Layers under new names, and models in the place of layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tfjs_codec.conversion.job import Job
from tfjs_codec.errors import UsageError, count, quote, suggest
from tfjs_codec.ir import references
from tfjs_codec.ir.loaded import KerasModel, TensorFlowGraph, TfjsLayers


def rename_layers(keras: KerasModel, new_names: Mapping[str, str]) -> KerasModel:
    """Return *keras* with layers renamed, at any depth.

    Raises:
        UsageError: There is no such layer, or one of the new name already.
    """
    if not new_names:
        return keras
    taken = dict.fromkeys(layer.name for model in keras.graph.graphs() for layer in model.layers)
    for old, new in new_names.items():
        if old not in taken:
            raise UsageError(
                f"there is no layer {quote(old)} to rename", path=keras.path,
                hint=suggest(old, taken),
            )  # fmt: skip
        if new in taken:
            raise UsageError(
                f"there is a layer {quote(new)} already", path=keras.path,
                hint=f"Choose another name for {quote(old)}.",
            )  # fmt: skip
        taken[new] = None
    graph = keras.graph.copy()
    for model in graph.graphs():
        references.rename(model, new_names)
    return replace(keras, graph=graph)


def replace_layers(keras: KerasModel, job: Job) -> KerasModel:
    """Return *keras* with the models that *job* names in the place of layers, at any depth.

    Raises:
        UsageError: There is no such layer, or a replacement has no layers.
    """
    models = {}
    for name, source in job.replacements.items():
        inner = job.open(source)
        if isinstance(inner, TensorFlowGraph):
            inner = inner.layers()
        elif isinstance(inner, TfjsLayers):
            inner = job.read_back(inner)
        if not isinstance(inner, KerasModel):
            raise UsageError(
                "a replacement needs an architecture, not only weights",
                path=inner.path,
                hint="Name a whole model, such as a .keras file.",
            )
        names = [layer.name for layer in keras.graph.walk()]
        if name not in names:
            raise UsageError(
                f"there is no layer {quote(name)} to replace", path=keras.path,
                hint=suggest(name, names),
            )  # fmt: skip
        _check_calls(keras, name, inner)
        models[name] = inner.graph
    return replace(keras, graph=references.replace_layers(keras.graph, models))


def _check_calls(keras: KerasModel, name: str, inner: KerasModel) -> None:
    """Check that *inner* has the inputs and outputs that layer *name* of *keras* has."""
    for graph in keras.graph.graphs():
        takes = {
            len(list(references.refs_in(call.args[:1])))
            for layer in graph.layers
            if layer.name == name
            for call in layer.calls
        }
        calls = [call for layer in graph.layers for call in layer.calls]
        used = [*graph.outputs, *(ref for call in calls for ref in references.refs_in(call))]
        gives = max((ref.tensor for ref in used if ref.layer == name), default=0)
        inputs, outputs = len(inner.graph.inputs), len(inner.graph.outputs)
        if takes - {inputs} or gives >= outputs:
            raise UsageError(
                f"the replacement of layer {quote(name)} has {count(inputs, 'input')} and "
                f"{count(outputs, 'output')}; the layer takes "
                f"{count(max(takes, default=0), 'tensor')} and at least "
                f"{count(gives + 1, 'output')} is needed",
                path=inner.path,
            )
