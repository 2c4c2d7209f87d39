"""``tensorflowjs.converters.keras_h5_conversion``: live Keras models to tfjs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tfjs_codec import api
from tfjs_codec.compat.tensorflowjs.quantization import QuantizationMap, read_map
from tfjs_codec.compat.tensorflowjs.write_weights import SHARD_SIZE_BYTES
from tfjs_codec.errors import UsageError
from tfjs_codec.ir.json_types import Json
from tfjs_codec.options import ConvertOptions
from tfjs_codec.outputs import Target

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from tfjs_codec.readers.live_keras import LiveModel


def make_options(
    to: Target,
    quantization_dtype_map: QuantizationMap | None = None,
    weight_shard_size_bytes: int = SHARD_SIZE_BYTES,
    metadata: Mapping[str, Json] | None = None,
) -> ConvertOptions:
    """Return our options for the arguments that most official functions have."""
    return ConvertOptions(
        to=to,
        quantize=read_map(quantization_dtype_map),
        shard_size_bytes=weight_shard_size_bytes,
        metadata=metadata,
        force=True,
    )


def save_keras_model(
    model: LiveModel,
    artifacts_dir: str,
    quantization_dtype_map: QuantizationMap | None = None,
    weight_shard_size_bytes: int = SHARD_SIZE_BYTES,
    metadata: Mapping[str, Json] | None = None,
    *,
    quantization_dtype: DTypeLike | None = None,
) -> None:
    """Write the live Keras *model* as a tfjs Layers model into *artifacts_dir*.

    Args:
        model: Of Keras 3 on any backend, tf_keras or tf.keras.
        artifacts_dir: The directory, which is created.
        quantization_dtype_map: ``uint8``, ``uint16`` or ``float16``, as a name or a numpy dtype,
            to globs over weight names, or True for all weights.
        weight_shard_size_bytes: Size of the weight files.
        metadata: Stored as ``userDefinedMetadata``.
        quantization_dtype: What tensorflowjs 1 had instead of the map: a dtype for all weights.

    Raises:
        UsageError: *artifacts_dir* is a file, or *model* no Keras model.
        UnsupportedModelError: tfjs cannot express the model.
    """
    if Path(artifacts_dir).is_file():
        raise UsageError("exists and is a file", path=artifacts_dir, hint="Name a directory.")
    if quantization_dtype is not None:
        quantization_dtype_map = {quantization_dtype: True}
    options = make_options("layers", quantization_dtype_map, weight_shard_size_bytes, metadata)
    api.save_keras_model(model, artifacts_dir, options=options)
