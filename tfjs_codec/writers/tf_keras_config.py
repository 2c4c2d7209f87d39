"""A Keras model's config for tf_keras alone, with every layer as it is.

Unlike :mod:`tfjs_codec.writers.keras_config`, whose configs Keras 3 and tfjs share, it holds
classes and keys that tfjs lacks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tfjs_codec.ir.json_types import Config, Json
from tfjs_codec.ir.keras import Call, KerasLayer, Ref
from tfjs_codec.ir.loaded import KerasModel
from tfjs_codec.ir.references import refs_in
from tfjs_codec.keras.classes import CLASSES
from tfjs_codec.keras.variables import own_variables
from tfjs_codec.writers.keras_config import KEYS, Writer, common_keys

# The keys that tf_keras 2.19 does not take, by class: only their defaults can be expressed.
_LACKING: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("LocallyConnected1D", "LocallyConnected2D"), ("dilation_rate", "groups")),
    "Conv3DTranspose": ("dilation_rate",),  # which it takes and ignores
    "ZeroPadding1D": ("data_format",),
    "Resizing": ("data_format", "pad_to_aspect_ratio", "fill_mode", "fill_value", "antialias"),
    **dict.fromkeys(("CenterCrop", "RandomCrop"), ("data_format",)),
    "BatchNormalization": ("mode",),
    "LayerNormalization": ("rms_scaling",),
    "StackedRNNCells": ("reverse_state_order",),
    **dict.fromkeys(("Attention", "AdditiveAttention"), ("causal",)),
}
_SCOPE = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*")  # tensorflow/python/framework/ops.py
_HANDLED = frozenset(("dtype",))  # by the writer
_ACTIVATIONS = frozenset((
    "linear", "relu", "elu", "exponential", "gelu", "hard_sigmoid", "mish", "selu", "sigmoid",
    "silu", "swish", "softmax", "softplus", "softsign", "tanh", None,
))  # fmt: skip
_TRAINING = ("_initializer", "_regularizer", "_constraint")
_INITIALIZERS = frozenset((
    "Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Identity",
    "LecunNormal", "LecunUniform", "Ones", "Orthogonal", "RandomNormal", "RandomUniform",
    "TruncatedNormal", "VarianceScaling", "Zeros",
))  # fmt: skip
_FAMILIES = frozenset((
    "core", "activation", "merge", "convolution", "pooling", "reshaping", "normalization",
    "recurrent", "cell", "wrapper", "attention",
))  # fmt: skip
# Not made of their config alone, or named otherwise in Keras 2.
_OTHERS = frozenset((
    "Normalization", "SpectralNormalization", "Lambda", "GroupedQueryAttention", "LayerScale",
    "MultiHeadAttention", "CustomScaleLayer", "StochasticDepth", "Addons>InstanceNormalization",
    "ConvLSTM1DCell", "ConvLSTM2DCell", "ConvLSTM3DCell", "UpSampling1D",
))  # fmt: skip
_FLOATS = (None, "float32")
_ENTRY = ("class_name", "config")


def has_layers(model: KerasModel) -> bool:
    """Tell whether Keras 2 has all layers of *model*, and makes each of its config alone."""
    return all(map(_is_of_keras_2, model.graph.walk()))


def _is_of_keras_2(layer: KerasLayer) -> bool:
    if not all(map(_is_plain, layer.calls)) or not _SCOPE.fullmatch(layer.name):
        return False
    if layer.graph is not None:
        return True
    row = CLASSES.get(layer.class_name)
    if layer.is_op or row is None or row.family not in _FAMILIES or row.name in _OTHERS:
        return False
    if not row.generations[0] <= 2 <= row.generations[1]:
        return False
    if layer.config.get("dtype") not in _FLOATS and layer.class_name != "InputLayer":
        return False
    if {variable.role for variable in own_variables(layer, 2) or ()} != set(layer.weights):
        return False
    forward, backward = (layer.children.get(f"{d}_layer") for d in ("forward", "backward"))
    if forward and backward and _direction(forward) != _direction(backward):
        return False
    defaults, lacking, keys = _defaults(layer), _LACKING.get(layer.class_name, ()), _keys(layer)
    return all(
        (key not in lacking or value == defaults.get(key))
        and (key not in keys or _is_known(key, value))
        for key, value in layer.config.items()
    )


def _direction(layer: KerasLayer) -> tuple[str, Config]:
    config = {key: layer.config[key] for key in _keys(layer) if not key.endswith(_TRAINING)}
    config.pop("go_backwards", None)
    return layer.class_name, config


def _is_plain(call: Call) -> bool:
    """Tell whether a call has no arguments but the first."""
    return len(call.args) == 1 and all(
        value is None or value is False for value in call.kwargs.values()
    )


def _is_known(key: str, value: object) -> bool:
    """Tell whether Keras 2 has *value*: no function of Keras 3 or of the user's."""
    if key.endswith("activation"):
        return value in _ACTIVATIONS if isinstance(value, str | None) else False
    if key.endswith("_initializer"):  # what is unknown is left out: the variables have values
        return True
    return not isinstance(value, dict) or ">" not in str(value.get("class_name"))


def _defaults(layer: KerasLayer) -> Config:
    row = CLASSES[layer.class_name]
    return {**row.config, **row.older_defaults}


def _keys(layer: KerasLayer) -> list[str]:
    """Return the keys of *layer* to be written."""
    row = CLASSES[layer.class_name]
    known = {*row.config, *KEYS.get(layer.class_name, common_keys(row))}
    known -= {*_LACKING.get(layer.class_name, ()), *_HANDLED}
    return [
        key
        for key, value in layer.config.items()
        if key in known or (key in row.inert and key.endswith(_TRAINING) and value is not None)
    ]


class TfKerasWriter(Writer):
    """Writes entries of models and layers for tf_keras."""

    def __init__(self) -> None:
        super().__init__(2)

    def keys(self, layer: KerasLayer) -> Sequence[str]:
        """Return the keys of *layer* that are written."""
        return _keys(layer)

    def layer(self, layer: KerasLayer, *, in_chain: bool = False) -> Config:
        """Return the entry of *layer* and the layers inside, without its calls."""
        entry = super().layer(layer, in_chain=in_chain)
        config = entry["config"]
        for key, value in config.items() if layer.graph is None else ():
            if key.endswith(_TRAINING) and isinstance(value, dict):
                config[key] = {name: value[name] for name in _ENTRY if name in value}
                if key.endswith("_initializer") and value.get("class_name") not in _INITIALIZERS:
                    config[key] = None
        return entry

    def _nodes(self, layer: KerasLayer, by_name: dict[str, KerasLayer]) -> list[Json]:
        calls = [refs_in(call.args[0]) for call in layer.calls]
        return [[[*self._end(ref, by_name), {}] for ref in refs] for refs in calls]

    def _end(self, ref: Ref, by_name: dict[str, KerasLayer]) -> list[Json]:
        number = ref.call + (by_name[ref.layer].graph is not None)
        return [ref.layer, number, ref.tensor]
