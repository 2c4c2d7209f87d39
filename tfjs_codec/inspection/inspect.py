"""``inspect``: says what a file is and holds, without reading any values."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, cast

from tfjs_codec.errors import UnsupportedModelError
from tfjs_codec.files.detection import sniff
from tfjs_codec.files.source import AnySource, open_source
from tfjs_codec.inspection.inspection import Inspection
from tfjs_codec.options import ConvertOptions
from tfjs_codec.readers import is_in_memory, open_index

if TYPE_CHECKING:
    from tfjs_codec.readers.live_keras import LiveModel


def inspect(source: AnySource | LiveModel, options: ConvertOptions) -> Inspection:
    """Return what *source* holds; see :func:`tfjs_codec.inspect`."""
    if is_in_memory(source):
        return _describe(source, options)
    opened = open_source(cast("AnySource", source))
    kind = sniff(opened)
    with ExitStack() as stack:
        if (index := open_index(opened, options, stack)) is not None:
            from tfjs_codec.inspection.tfjs import describe  # its text alone: no weights, no numpy

            return describe(index, options)
    try:
        return _describe(opened, options)
    except UnsupportedModelError as error:
        return Inspection(opened.path, kind, problems=error.reasons())


def _describe(source: AnySource | LiveModel, options: ConvertOptions) -> Inspection:
    from tfjs_codec.inspection import graph, keras
    from tfjs_codec.ir.loaded import KerasModel, TensorFlowGraph, Weights
    from tfjs_codec.readers import open_model

    with open_model(source, options) as model:
        match model:
            case KerasModel():
                return keras.describe_model(model, options)
            case Weights():
                return keras.describe_weights(model)
            case TensorFlowGraph():
                return graph.describe(model, options)
            case _:
                raise AssertionError(f"{model.format} is described by its text")
