"""``tensorflowjs.converters.converter``: the command line as a function, and what it calls."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tfjs_codec import api
from tfjs_codec.cli import compat
from tfjs_codec.compat.tensorflowjs.converters.keras_h5_conversion import make_options
from tfjs_codec.compat.tensorflowjs.quantization import QuantizationMap
from tfjs_codec.compat.tensorflowjs.write_weights import SHARD_SIZE_BYTES
from tfjs_codec.ir.json_types import Json


def convert(arguments: Sequence[str]) -> None:
    """Convert as ``tensorflowjs_converter`` with these arguments does.

    Raises:
        SystemExit: They ask for help.
        UsageError: They make no sense.
        TfjsCodecError: As :func:`tfjs_codec.convert` raises it.
    """
    compat.run(arguments)


def main(argv: Sequence[str]) -> None:
    """As :func:`convert`, with all arguments in one string, ``argv[0]``."""
    convert(argv[0].split(" "))


def pip_main() -> None:
    """Run the command line with the arguments of this process."""
    sys.exit(compat.main(sys.argv[1:]))


def dispatch_keras_h5_to_tfjs_layers_model_conversion(
    h5_path: str,
    output_dir: str | None = None,
    quantization_dtype_map: QuantizationMap | None = None,
    split_weights_by_layer: bool = False,
    weight_shard_size_bytes: int = SHARD_SIZE_BYTES,
    metadata: Mapping[str, Json] | None = None,
) -> tuple[Json, list[list[dict[str, object]]]]:
    """Convert a Keras HDF5 file into *output_dir*, if there is one.

    Returns:
        ``modelTopology`` (None of a weights-only file) and the groups of ``{"name", "data"}``.

    Raises:
        InputError: The file is damaged, or tfjs cannot express the model.
    """
    options = make_options("layers", quantization_dtype_map, weight_shard_size_bytes, metadata)
    options = replace(options, split_weights_by_layer=split_weights_by_layer)
    if output_dir is not None:
        api.convert(h5_path, output_dir, options=options)
    plain = api.to_files(h5_path, options=replace(options, quantize={}))
    with api.load(plain) as model:
        group: list[dict[str, object]] = [{"name": name, "data": array}
                                         for name, array in model.weights.items()]  # fmt: skip
        return model.topology, [group]


dispatch_keras_keras_to_tfjs_layers_model_conversion = (
    dispatch_keras_h5_to_tfjs_layers_model_conversion
)


def dispatch_keras_saved_model_to_tensorflowjs_conversion(
    keras_saved_model_path: str,
    output_dir: str,
    quantization_dtype_map: QuantizationMap | None = None,
    split_weights_by_layer: bool = False,
    weight_shard_size_bytes: int = SHARD_SIZE_BYTES,
    metadata: Mapping[str, Json] | None = None,
) -> None:
    """Convert a Keras SavedModel to a Layers model."""
    options = make_options("layers", quantization_dtype_map, weight_shard_size_bytes, metadata)
    options = replace(options, split_weights_by_layer=split_weights_by_layer)
    api.convert(keras_saved_model_path, output_dir, options=options)


def dispatch_keras_h5_to_tfjs_graph_model_conversion(
    h5_path: str,
    output_dir: str,
    quantization_dtype_map: QuantizationMap | None = None,
    skip_op_check: bool = False,
    strip_debug_ops: bool = False,
    use_structured_outputs_names: bool = False,
    weight_shard_size_bytes: int = SHARD_SIZE_BYTES,
    control_flow_v2: bool = False,
    experiments: bool = False,
    metadata: Mapping[str, Json] | None = None,
) -> None:
    """Convert a Keras HDF5 file to a graph model."""
    options = make_options("graph", quantization_dtype_map, weight_shard_size_bytes, metadata)
    options = replace(options, structured_outputs=use_structured_outputs_names)
    api.convert(h5_path, output_dir, options=options)


def dispatch_tensorflowjs_to_keras_h5_conversion(config_json_path: str, h5_path: str) -> None:
    """Convert a tfjs Layers model to a Keras HDF5 file."""
    api.convert(config_json_path, h5_path, options=make_options("h5"))


def dispatch_tensorflowjs_to_keras_keras_conversion(config_json_path: str, v3_path: str) -> None:
    """Convert a tfjs Layers model to a ``.keras`` file."""
    api.convert(config_json_path, v3_path, options=make_options("keras"))


def dispatch_tensorflowjs_to_tensorflowjs_conversion(
    config_json_path: str,
    output_dir_path: str,
    quantization_dtype_map: QuantizationMap | None = None,
    weight_shard_size_bytes: int = SHARD_SIZE_BYTES,
) -> None:
    """Write a tfjs Layers model anew, in other shards or dtypes."""
    options = make_options("layers", quantization_dtype_map, weight_shard_size_bytes)
    api.convert(config_json_path, output_dir_path, options=options)


def dispatch_tfjs_layers_model_to_tfjs_graph_conversion(
    config_json_path: str,
    output_dir_path: str,
    quantization_dtype_map: QuantizationMap | None = None,
    skip_op_check: bool = False,
    strip_debug_ops: bool = False,
    weight_shard_size_bytes: int = SHARD_SIZE_BYTES,
    control_flow_v2: bool = False,
    experiments: bool = False,
    metadata: Mapping[str, Json] | None = None,
) -> None:
    """Convert a tfjs Layers model to a graph model."""
    options = make_options("graph", quantization_dtype_map, weight_shard_size_bytes, metadata)
    api.convert(config_json_path, output_dir_path, options=options)
