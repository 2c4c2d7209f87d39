"""The Layers model that a Keras model becomes with all that was asked for: names, replacements."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tfjs_codec.errors import UsageError, quote
from tfjs_codec.options import ConvertOptions

if TYPE_CHECKING:
    from tfjs_codec.ir.keras import KerasModel
    from tfjs_codec.ir.layers import TfjsModel
    from tfjs_codec.layers.engine.log import LoweringLog


def lowered(
    keras: KerasModel,
    options: ConvertOptions,
    replacements: Mapping[str, Any],
    read: Callable[[Any], KerasModel],
) -> tuple[TfjsModel, LoweringLog]:
    """Express *keras* in layers that tfjs has.

    Args:
        keras: What a reader returned.
        options: How to convert it; ``rename`` too.
        replacements: Sources of the models to put in the place of layers, by layer name.
        read: Opens one of them.

    Raises:
        UsageError: There is no such layer, or a replacement has no architecture.
        UnsupportedModelError, CorruptFileError: See :func:`tfjs_codec.layers.lower.lower`.
    """
    from tfjs_codec.layers.lower import lower

    keras = rename_layers(keras, options.rename)
    graphs = {}
    for name, source in replacements.items():
        inner = read(source)
        if inner.graph is None:
            raise UsageError(
                "a replacement needs an architecture, not only weights", path=inner.path
            )
        if keras.graph is None or name not in {layer.name for layer in keras.graph.walk()}:
            raise UsageError(f"there is no layer '{name}' to replace", path=keras.path)
        graphs[name] = inner.graph
    model, log = lower(
        keras,
        allow_approximate=options.allow_approximate,
        keep_training_config=options.training_config,
        replacements=graphs,
    )
    if options.metadata:
        model.metadata = dict(options.metadata)
    return model, log


def rename_layers(keras: KerasModel, new_names: Mapping[str, str]) -> KerasModel:
    """Return *keras* with layers renamed, at any depth."""
    from tfjs_codec.ir.references import rename

    if not new_names:
        return keras
    graph = None if keras.graph is None else keras.graph.copy()
    models = [] if graph is None else list(graph.graphs())
    taken = {layer.name for model in models for layer in model.layers}
    for old, new in new_names.items():
        if old not in taken:
            raise UsageError(f"there is no layer {quote(old)} to rename", path=keras.path)
        if new in taken:
            raise UsageError(f"there is a layer {quote(new)} already", path=keras.path)
        taken.add(new)
    for model in models:
        rename(model, new_names)
    return replace(keras, graph=graph)
