"""Layer configs of Keras 2 and Keras 3 in one spelling, that of Keras 3.

What the generations write differently for the same thing is settled here: class aliases, dtype
policies, function dicts, tuples, renamed and missing keys (Keras 1.2 to 3.15).
What is *named* the same but *means* something else (``hard_sigmoid``) is left alone; the model's
generation tells. Initialisers, regularisers and constraints stay as they are.

Everything lowering computes with is checked here for its type and range, so that a damaged
config is an error that names its place, not a traceback later.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tfjs_codec.files.place import Place
from tfjs_codec.ir.keras import Config

# Other names under which Keras itself has written or accepted a class.
ALIASES = {
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
    "LayerNormalizationV2": "LayerNormalization",
    "UnifiedLSTM": "LSTM",
    "LSTMV1": "LSTM",
    "LSTMV2": "LSTM",
    "UnifiedGRU": "GRU",
    "GRUV1": "GRU",
    "GRUV2": "GRU",
    "LSTMCellV1": "LSTMCell",
    "LSTMCellV2": "LSTMCell",
    "GRUCellV1": "GRUCell",
    "GRUCellV2": "GRUCell",
    "CuDNNLSTM": "LSTM",
    "CuDNNGRU": "GRU",
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "Convolution3D": "Conv3D",
    "Convolution1DTranspose": "Conv1DTranspose",
    "Convolution2DTranspose": "Conv2DTranspose",
    "Convolution3DTranspose": "Conv3DTranspose",
    "Deconvolution2D": "Conv2DTranspose",
    "Deconvolution3D": "Conv3DTranspose",
    "Deconv2D": "Conv2DTranspose",
    "Deconv3D": "Conv3DTranspose",
    "DepthwiseConvolution2D": "DepthwiseConv2D",
    "SeparableConvolution1D": "SeparableConv1D",
    "SeparableConvolution2D": "SeparableConv2D",
    "AtrousConvolution1D": "Conv1D",
    "AtrousConvolution2D": "Conv2D",
    "AtrousConv1D": "Conv1D",
    "AtrousConv2D": "Conv2D",
    "GroupedQueryAttention": "GroupQueryAttention",
    **{
        f"{short}{n}D": f"{full}{n}D"
        for n in (1, 2, 3)
        for short, full in (
            ("AvgPool", "AveragePooling"),
            ("MaxPool", "MaxPooling"),
            ("GlobalAvgPool", "GlobalAveragePooling"),
            ("GlobalMaxPool", "GlobalMaxPooling"),
        )
    },
}

_LINEAR: Config = {"activation": "linear", "use_bias": True}
_CHANNELS: Config = {"data_format": "channels_last"}
_CONV: Config = {
    "strides": 1,
    "padding": "valid",
    "dilation_rate": 1,
    "groups": 1,
    **_LINEAR,
    **_CHANNELS,
}
_CONV_TRANSPOSE: Config = {**_CONV, "output_padding": None}
_POOL: Config = {"pool_size": 2, "strides": None, "padding": "valid", **_CHANNELS}
_GLOBAL_POOL: Config = {"keepdims": False, **_CHANNELS}
_RNN: Config = {
    "return_sequences": False,
    "return_state": False,
    "go_backwards": False,
    "stateful": False,
    "unroll": False,
    "time_major": False,
    "zero_output_for_mask": False,
}
_CELL: Config = {"activation": "tanh", "use_bias": True}
_GATED: Config = {**_CELL, "recurrent_activation": "sigmoid"}
_CONV_LSTM: Config = {**_CONV, **_RNN, **_GATED}

# Keys that some generation does not write, with the value it means.
DEFAULTS: dict[str, Config] = {
    "InputLayer": {"dtype": "float32", "sparse": False, "ragged": False},
    "Dense": _LINEAR,
    "EinsumDense": {"activation": "linear", "bias_axes": None},
    "Activation": {"activation": "linear"},
    "Embedding": {"mask_zero": False},
    "ReversibleEmbedding": {"mask_zero": False, "tie_weights": True},
    **{f"Conv{n}D": _CONV for n in (1, 2, 3)},
    **{f"Conv{n}DTranspose": _CONV_TRANSPOSE for n in (1, 2, 3)},
    **{f"DepthwiseConv{n}D": {**_CONV, "depth_multiplier": 1} for n in (1, 2)},
    **{f"SeparableConv{n}D": {**_CONV, "depth_multiplier": 1} for n in (1, 2)},
    **{f"{kind}Pooling{n}D": _POOL for n in (1, 2, 3) for kind in ("Max", "Average")},
    **{f"Global{k}Pooling{n}D": _GLOBAL_POOL for n in (1, 2, 3) for k in ("Max", "Average")},
    **{f"Adaptive{k}Pooling{n}D": _CHANNELS for n in (1, 2, 3) for k in ("Max", "Average")},
    "Flatten": _CHANNELS,
    "UpSampling1D": {"size": 2},
    "UpSampling2D": {"size": 2, "interpolation": "nearest", **_CHANNELS},
    "UpSampling3D": {"size": 2, **_CHANNELS},
    "ZeroPadding1D": {"padding": 1, **_CHANNELS},
    **{f"ZeroPadding{n}D": {"padding": 1, **_CHANNELS} for n in (2, 3)},
    "Cropping1D": {"cropping": 1},
    **{f"Cropping{n}D": {"cropping": 0, **_CHANNELS} for n in (2, 3)},
    **{f"SpatialDropout{n}D": _CHANNELS for n in (2, 3)},
    "BatchNormalization": {
        "axis": -1, "epsilon": 0.001, "center": True, "scale": True, "renorm": False,
    },
    "LayerNormalization": {
        "axis": -1, "epsilon": 0.001, "center": True, "scale": True, "rms_scaling": False,
    },
    "GroupNormalization": {
        "groups": 32, "axis": -1, "epsilon": 0.001, "center": True, "scale": True,
    },
    "RMSNormalization": {"axis": -1, "epsilon": 1e-6},
    "UnitNormalization": {"axis": -1},
    "SpectralNormalization": {"power_iterations": 1},
    "Normalization": {"axis": -1, "mean": None, "variance": None, "invert": False},
    "ReLU": {"max_value": None, "negative_slope": 0.0, "threshold": 0.0},
    "LeakyReLU": {"negative_slope": 0.3},
    "PReLU": {"shared_axes": None},
    "ELU": {"alpha": 1.0},
    "ThresholdedReLU": {"theta": 1.0},
    "Softmax": {"axis": -1},
    "Masking": {"mask_value": 0.0},
    "Concatenate": {"axis": -1},
    "Dot": {"axes": -1, "normalize": False},
    "SimpleRNN": {**_RNN, **_CELL},
    "LSTM": {**_RNN, **_GATED},
    "GRU": {**_RNN, **_GATED, "reset_after": False},
    "RNN": _RNN,
    "SimpleRNNCell": _CELL,
    "LSTMCell": _GATED,
    "GRUCell": {**_GATED, "reset_after": False},
    **{f"ConvLSTM{n}D": _CONV_LSTM for n in (1, 2, 3)},
    **{f"ConvLSTM{n}DCell": {**_CONV, **_GATED} for n in (1, 2, 3)},
    "StackedRNNCells": {"reverse_state_order": False},
    "Bidirectional": {"merge_mode": "concat"},
    "TimeDistributed": {},
    "Rescaling": {"scale": 1.0, "offset": 0.0},
    "Resizing": {
        "interpolation": "bilinear", "crop_to_aspect_ratio": False,
        "pad_to_aspect_ratio": False, "antialias": False, **_CHANNELS,
    },
    "CenterCrop": _CHANNELS,
    "CategoryEncoding": {"output_mode": "multi_hot", "sparse": False},
    "Attention": {"use_scale": False, "score_mode": "dot"},
    "AdditiveAttention": {"use_scale": True},
    "MultiHeadAttention": {"use_bias": True, "value_dim": None, "output_shape": None},
    "GroupQueryAttention": {"use_bias": True},
    "Add": {}, "Subtract": {}, "Multiply": {}, "Average": {}, "Maximum": {}, "Minimum": {},
    "Reshape": {}, "Permute": {}, "RepeatVector": {}, "Identity": {}, "Lambda": {},
    "Dropout": {}, "GaussianNoise": {}, "GaussianDropout": {}, "AlphaDropout": {},
    "SpatialDropout1D": {}, "ActivityRegularization": {}, "Discretization": {}, "Hashing": {},
    "HashedCrossing": {}, "IntegerLookup": {}, "StringLookup": {}, "TextVectorization": {},
}  # fmt: skip
# Before TensorFlow 2.0 and Keras 2.3 the gates' default was hard_sigmoid; those that leave the
# key out are Keras 1 (converted elsewhere) and, for ConvLSTM, all of Keras 2.
_HARD_GATES_IN_2 = frozenset(f"ConvLSTM{n}D{cell}" for n in (1, 2, 3) for cell in ("", "Cell"))

ACTIVATIONS = frozenset(
    [
        "celu",
        "elu",
        "exponential",
        "gelu",
        "glu",
        "hard_shrink",
        "hard_sigmoid",
        "hard_silu",
        "hard_swish",
        "hard_tanh",
        "leaky_relu",
        "linear",
        "log_sigmoid",
        "log_softmax",
        "mish",
        "relu",
        "relu6",
        "selu",
        "sigmoid",
        "silu",
        "soft_shrink",
        "softmax",
        "softplus",
        "softsign",
        "sparse_plus",
        "sparse_sigmoid",
        "sparsemax",
        "squareplus",
        "swish",
        "tanh",
        "tanh_shrink",
        "threshold",
    ]
)
# TensorFlow's names of functions that Keras has under another one.
_ACTIVATION_ALIASES = {
    "log_softmax_v2": "log_softmax",
    "softmax_v2": "softmax",
    "softmax_v1": "softmax",
    "identity": "linear",
    "swish_v1": "swish",
}
_ACTIVATION_KEYS = ("activation", "recurrent_activation")

_SPATIAL = re.compile(r"(Conv|Pooling|UpSampling).*?([123])D")
_SPATIAL_KEYS = ("kernel_size", "strides", "dilation_rate", "pool_size", "size")


def _optional(check: Callable[[Place, Any], Any]) -> Callable[[Place, Any], Any]:
    return lambda place, value: None if value is None else check(place, value)


def _size(place: Place, value: object) -> int:
    return place.whole(value, 1)


def _sizes(place: Place, value: object) -> int | list[int]:
    if not isinstance(value, list):
        return place.whole(value, 1)
    return [place.at(i).whole(item, 1) for i, item in enumerate(value)]


def _axes(place: Place, value: object) -> int | list[int]:
    if isinstance(value, list):
        return [place.at(i).whole(item, -64) for i, item in enumerate(value)]
    return place.whole(value, -64)


def _flag(place: Place, value: object) -> bool:
    if value not in (True, False, None):
        raise place.expect("true or false", value)
    return bool(value)


def _target_shape(place: Place, value: object) -> list[int]:
    return [place.at(i).whole(item, -1) for i, item in enumerate(place.items(value))]


def _padding(place: Place, value: object) -> Any:
    """An amount, or a list (of lists) of amounts: ZeroPadding and Cropping."""
    if isinstance(value, list):
        return [_padding(place.at(i), item) for i, item in enumerate(value)]
    return place.whole(value)


def _numbers(place: Place, value: object) -> Any:
    if isinstance(value, list):
        return [_numbers(place.at(i), item) for i, item in enumerate(value)]
    return place.number(value)


# What a key must hold, whatever the class.
_CHECKS: dict[str, Callable[[Place, Any], Any]] = {
    **dict.fromkeys(
        ("units", "filters", "output_dim", "input_dim", "n", "depth_multiplier", "num_heads",
         "key_dim", "head_dim", "num_query_heads", "num_key_value_heads"), _size),
    **dict.fromkeys(("kernel_size", "dilation_rate", "size"), _sizes),
    **dict.fromkeys(("strides", "pool_size", "value_dim"), _optional(_sizes)),
    **dict.fromkeys(("axis", "axes", "shared_axes"), _optional(_axes)),
    **dict.fromkeys(
        ("use_bias", "return_sequences", "return_state", "go_backwards", "stateful", "unroll",
         "time_major", "zero_output_for_mask", "center", "scale", "renorm", "rms_scaling",
         "mask_zero", "keepdims", "normalize", "reset_after", "trainable", "use_scale",
         "invert", "sparse", "ragged"), _flag),
    **dict.fromkeys(
        ("rate", "stddev", "negative_slope", "theta", "threshold"), Place.number),
    **dict.fromkeys(("epsilon", "max_value", "alpha"), _optional(Place.number)),
    "groups": lambda place, value: place.whole(value, -1),
    "target_shape": _target_shape,
    "dims": lambda place, value: _sizes(place, place.items(value)),
    "padding": lambda place, value: value if isinstance(value, str) else _padding(place, value),
    "cropping": _padding,
    "batch_shape": Place.shape,
}  # fmt: skip
# The same key means something else there: Rescaling's scale is a number or numbers.
_OTHER_CHECKS: dict[tuple[str, str], Callable[[Place, Any], Any]] = {
    ("Rescaling", "scale"): _numbers,
    ("Rescaling", "offset"): _numbers,
    ("PReLU", "alpha"): lambda place, value: value,
    ("Embedding", "sparse"): lambda place, value: value,
}


def is_known(class_name: str) -> bool:
    """Tell whether *class_name* (canonical) is a Keras layer whose config is normalised here."""
    return class_name in DEFAULTS


def plain(value: Any) -> Any:
    """Return *value* with tuples, shapes and scalar arrays as plain JSON has them.

    Keras 2 writes ``{"class_name": "__tuple__", "items": […]}`` and ``TensorShape`` likewise,
    Keras 2.0 numbers as ``{"type": "ndarray", "value": n}``, Keras 2.12 as ``__numpy__``.
    """
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        if value.get("class_name") in ("__tuple__", "TensorShape") and "items" in value:
            return plain(value["items"])
        if value.get("type") == "ndarray" and "value" in value:
            return plain(value["value"])
        if value.get("class_name") in ("__numpy__", "__tensor__"):
            return plain((value.get("config") or {}).get("value"))
        return {key: plain(item) for key, item in value.items()}
    return value


def dtype_name(value: Any, place: Place) -> str:
    """Return the name of a dtype or dtype policy: ``float32`` or ``mixed_float16``.

    A quantised policy is named as Keras spells it, ``int8_from_float32``.
    """
    if value is None:
        return "float32"
    if isinstance(value, str):
        return value or "float32"
    config = place.mapping(value).get("config", {})
    place = place.at("config")
    config = place.mapping(config)
    if "source_name" in config and "mode" in config:
        return f"{config['mode']}_from_{config['source_name'] or 'float32'}"
    if "default_policy" in config:
        return dtype_name(config["default_policy"], place.at("default_policy"))
    name = config.get("name") or "float32"
    return "float32" if name in ("_infer", "infer") else place.at("name").text(name)


def activation(value: Any, generation: int, place: Place) -> Any:
    """Return an activation: a Keras function's name, another string, or a dict of a layer."""
    if value is None:
        return "linear"
    if isinstance(value, str):
        name = value.removeprefix("keras.activations.")
        return _ACTIVATION_ALIASES.get(name, name)
    entry = place.mapping(value)
    kind: Any = entry.get("class_name")
    config: Any = entry.get("config")
    if kind == "function" and isinstance(config, str):
        known = _ACTIVATION_ALIASES.get(config, config)
        home = entry.get("module") or "keras"
        return known if known in ACTIVATIONS and home.split(".")[0] in _KERAS_ROOTS else entry
    if not isinstance(kind, str) or not isinstance(config, dict):
        return entry
    kind = ALIASES.get(kind, kind)
    if not is_known(kind):
        return entry
    inner = layer_config(kind, config, generation, place.at("config"))
    return {"class_name": kind, "config": inner}


_KERAS_ROOTS = frozenset(("keras", "tf_keras", "tensorflow", "keras_core", "builtins"))


def canonical_class(entry: Config, place: Place) -> tuple[str, str, str]:
    """Return (canonical class, Python class, registered name) of a layer's entry.

    A custom class keeps its registered name (``pkg>Name``) as its class, and so does one that
    only shares its name with a class of Keras.
    """
    place = place.at("class_name")
    name = place.text(entry.get("class_name"))
    registered = entry.get("registered_name") or ""
    module = entry.get("module") or ""
    if not isinstance(registered, str) or not isinstance(module, str):
        raise place.error("registered_name and module must be strings")
    python_name = name.rpartition(">")[2]
    if ">" in name:
        return name, python_name, name
    if ">" in registered and not _is_keras_package(registered):
        return registered, python_name, registered
    if module and module.split(".")[0] not in _KERAS_ROOTS and ALIASES.get(name, name) in DEFAULTS:
        return f"{module}>{name}", python_name, registered
    return ALIASES.get(name, name), python_name, registered


def _is_keras_package(registered: str) -> bool:
    """Keras 3 registers a few of its own classes, as ``Keras>Functional``."""
    return registered.split(">", maxsplit=1)[0] in ("Keras", "keras")


def layer_config(class_name: str, config: Config, generation: int, place: Place) -> Config:
    """Return the config of a layer of canonical class *class_name* in the common spelling.

    Raises:
        CorruptFileError: a key holds the wrong type or an impossible value.
    """
    config = dict(plain(config))
    config["dtype"] = dtype_name(config.get("dtype"), place.at("dtype"))
    known = is_known(class_name)
    if class_name in _RENAMES:
        _RENAMES[class_name](config, place)
    if known:
        if generation < 3 and class_name in _HARD_GATES_IN_2:
            config.setdefault("recurrent_activation", "hard_sigmoid")
        for key, default in DEFAULTS[class_name].items():
            config.setdefault(key, default)
    for key in _ACTIVATION_KEYS:
        if key in config and known:
            config[key] = activation(config[key], generation, place.at(key))
    if not known:
        return config
    for key, value in config.items():
        check = _OTHER_CHECKS.get((class_name, key)) or _CHECKS.get(key)
        if check is not None:
            config[key] = check(place.at(key), value)
    if "data_format" in config:
        config["data_format"] = _data_format(config["data_format"], place)
    _spread(class_name, config, place)
    return config


def _data_format(value: Any, place: Place) -> str:
    if value in (None, "default"):
        return "channels_last"
    if value not in ("channels_last", "channels_first"):
        raise place.at("data_format").expect("channels_last or channels_first", value)
    return str(value)


def _spread(class_name: str, config: Config, place: Place) -> None:
    """Write sizes of convolutions, poolings and upsamplings as one number per spatial axis."""
    match = _SPATIAL.search(class_name)
    if match is None:
        return
    if "pool_size" in config and config["strides"] is None:
        config["strides"] = config["pool_size"]
    rank = int(match[2])
    for key in _SPATIAL_KEYS:
        value = config.get(key)
        if value is None:
            continue
        sizes = value if isinstance(value, list) else [value] * rank
        if len(sizes) != rank:
            raise place.at(key).expect(f"{rank} sizes", value)
        config[key] = sizes


def _rename_input(config: Config, place: Place) -> None:
    """Keras 2 ``batch_input_shape``; by hand also ``shape`` or ``input_shape`` without batch."""
    shape = config.pop("batch_input_shape", None)
    if config.get("batch_shape") is None:
        config["batch_shape"] = shape
    for key in ("shape", "input_shape"):
        inner = config.pop(key, None)
        if config["batch_shape"] is None and inner is not None:
            config["batch_shape"] = [config.get("batch_size"), *place.at(key).items(inner)]
    if config["batch_shape"] is None:
        raise place.error("the input layer has no batch_shape")


def _rename_leaky(config: Config, place: Place) -> None:
    if "alpha" in config:
        config.setdefault("negative_slope", config["alpha"])
        del config["alpha"]


def _rename_batch_norm(config: Config, place: Place) -> None:
    axis = config.get("axis")
    if isinstance(axis, list) and len(axis) == 1:
        config["axis"] = axis[0]


def _rename_elu(config: Config, place: Place) -> None:
    if config.get("alpha") is None:
        config["alpha"] = 1.0


def _rename_relu(config: Config, place: Place) -> None:
    for key in ("negative_slope", "threshold"):
        if config.get(key) is None:
            config[key] = 0.0


_RENAMES: dict[str, Callable[[Config, Place], None]] = {
    "InputLayer": _rename_input,
    "LeakyReLU": _rename_leaky,
    "BatchNormalization": _rename_batch_norm,
    "ELU": _rename_elu,
    "ReLU": _rename_relu,
}
