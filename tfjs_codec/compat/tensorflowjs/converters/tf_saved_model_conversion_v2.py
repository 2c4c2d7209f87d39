"""``tensorflowjs.converters.tf_saved_model_conversion_v2``: TensorFlow to graph models.

``skip_op_check``, ``strip_debug_ops``, ``control_flow_v2`` and ``experiments`` have no effect:
operations that tfjs lacks are always refused, debug operations dropped, and control flow converted
to operations that all backends have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tfjs_codec import api
from tfjs_codec.compat.tensorflowjs.converters.keras_h5_conversion import make_options
from tfjs_codec.compat.tensorflowjs.quantization import QuantizationMap
from tfjs_codec.compat.tensorflowjs.write_weights import SHARD_SIZE_BYTES
from tfjs_codec.errors import UsageError
from tfjs_codec.ir.json_types import Json

if TYPE_CHECKING:
    from tfjs_codec.readers.live_keras import LiveModel


def convert_tf_saved_model(
    saved_model_dir: str,
    output_dir: str,
    signature_def: str = "serving_default",
    saved_model_tags: str = "serve",
    quantization_dtype_map: QuantizationMap | None = None,
    skip_op_check: bool = False,
    strip_debug_ops: bool = False,
    use_structured_outputs_names: bool = False,
    weight_shard_size_bytes: int = SHARD_SIZE_BYTES,
    control_flow_v2: bool = False,
    experiments: bool = False,
    metadata: Mapping[str, Json] | None = None,
    frozen_graph_dir: str | None = None,
) -> None:
    """Write a signature of a SavedModel as a graph model.

    Args:
        saved_model_dir: The SavedModel.
        output_dir: The directory, which is created.
        signature_def: The signature.
        saved_model_tags: The tags of its MetaGraph, comma-separated.
        quantization_dtype_map: See ``save_keras_model``.
        skip_op_check: No effect.
        strip_debug_ops: No effect.
        use_structured_outputs_names: ``predict`` returns a map by output keys.
        weight_shard_size_bytes: Size of the weight files.
        control_flow_v2: No effect.
        experiments: No effect.
        metadata: Stored as ``userDefinedMetadata``.
        frozen_graph_dir: Refused: no frozen graph is made on the way.

    Raises:
        UsageError: There is no such signature.
        UnsupportedModelError: tfjs cannot express the graph.
    """
    if frozen_graph_dir is not None:
        raise UsageError("no frozen graph is made on the way", hint="Leave out frozen_graph_dir.")
    options = make_options("graph", quantization_dtype_map, weight_shard_size_bytes, metadata)
    options = replace(
        options,
        signature_name=signature_def,
        tags=saved_model_tags.split(","),
        structured_outputs=use_structured_outputs_names,
    )
    api.convert(saved_model_dir, output_dir, options=options)


def convert_tf_frozen_model(
    frozen_model_path: str,
    output_node_names: str | Sequence[str],
    output_dir: str,
    quantization_dtype_map: QuantizationMap | None = None,
    skip_op_check: bool = False,
    strip_debug_ops: bool = False,
    weight_shard_size_bytes: int = SHARD_SIZE_BYTES,
    experiments: bool = False,
    metadata: Mapping[str, Json] | None = None,
) -> None:
    """Write a frozen graph as a graph model; *output_node_names* are comma-separated.

    Raises:
        UsageError: There is no such node.
        UnsupportedModelError: tfjs cannot express the graph.
    """
    names = output_node_names
    options = make_options("graph", quantization_dtype_map, weight_shard_size_bytes, metadata)
    options = replace(
        options, output_node_names=names.split(",") if isinstance(names, str) else names
    )
    api.convert(frozen_model_path, output_dir, options=options)


def convert_keras_model_to_graph_model(
    keras_model: LiveModel,
    output_dir: str,
    saved_model_tags: str = "serve",
    quantization_dtype_map: QuantizationMap | None = None,
    skip_op_check: bool = False,
    strip_debug_ops: bool = False,
    use_structured_outputs_names: bool = False,
    weight_shard_size_bytes: int = SHARD_SIZE_BYTES,
    control_flow_v2: bool = False,
    experiments: bool = False,
    metadata: Mapping[str, Json] | None = None,
) -> None:
    """Write a live Keras model as a graph model.

    Raises:
        UsageError: It is no Keras model.
        UnsupportedModelError: tfjs cannot express the model.
    """
    options = make_options("graph", quantization_dtype_map, weight_shard_size_bytes, metadata)
    options = replace(options, structured_outputs=use_structured_outputs_names)
    api.save_keras_model(keras_model, output_dir, options=options)
