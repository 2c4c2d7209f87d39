"""``tensorflowjs.converters``."""

from __future__ import annotations

from tfjs_codec.compat.tensorflowjs.converters.converter import convert
from tfjs_codec.compat.tensorflowjs.converters.jax_conversion import convert_jax
from tfjs_codec.compat.tensorflowjs.converters.keras_h5_conversion import save_keras_model
from tfjs_codec.compat.tensorflowjs.converters.keras_tfjs_loader import (
    deserialize_keras_model,
    load_keras_model,
)
from tfjs_codec.compat.tensorflowjs.converters.tf_saved_model_conversion_v2 import (
    convert_tf_saved_model,
)

__all__ = [
    "convert",
    "convert_jax",
    "convert_tf_saved_model",
    "deserialize_keras_model",
    "load_keras_model",
    "save_keras_model",
]
