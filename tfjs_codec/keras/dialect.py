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
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

from tfjs_codec.errors import quote
from tfjs_codec.files.place import Place
from tfjs_codec.ir.keras import Config
from tfjs_codec.keras.checks import CHECKS, Check
from tfjs_codec.keras.classes import ALIASES, CLASSES, COMMON_KEYS, REQUIRED, canonical

ACTIVATIONS = frozenset((
    "celu", "elu", "exponential", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu",
    "hard_swish", "hard_tanh", "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish",
    "relu", "relu6", "selu", "sigmoid", "silu", "soft_shrink", "softmax", "softplus",
    "softsign", "sparse_plus", "sparse_sigmoid", "sparsemax", "squareplus", "swish", "tanh",
    "tanh_shrink",
))  # fmt: skip
# Those over the last axis, whatever it is.
ALONG_AXIS = frozenset(("glu", "log_softmax", "softmax", "sparsemax"))
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


def plain(value: Any) -> Any:
    """Return *value* with tuples, shapes and scalar arrays as plain JSON has them.

    Keras 2 writes ``{"class_name": "__tuple__", "items": […]}`` and ``TensorShape`` likewise,
    Keras 2.0 numbers as ``{"type": "ndarray", "value": n}``, Keras 2.12 as ``__numpy__``.
    """
    if isinstance(value, list):
        return [plain(item) if isinstance(item, _NESTED) else item for item in value]
    if isinstance(value, dict):
        kind = value.get("class_name")
        if kind in ("__tuple__", "TensorShape") and "items" in value:
            return plain(value["items"])
        if value.get("type") == "ndarray" and "value" in value:
            return plain(value["value"])
        if kind in ("__numpy__", "__tensor__"):
            return plain((value.get("config") or {}).get("value"))
        return {
            key: plain(item) if isinstance(item, _NESTED) else item for key, item in value.items()
        }
    return value


_NESTED = (list, dict)


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
        home = str(entry.get("module") or "keras").split(".")[0]
        return known if known in ACTIVATIONS and home in _KERAS_ROOTS else entry
    if not isinstance(kind, str):
        raise place.at("class_name").expect("the name of a class", kind)
    if not isinstance(config, dict):
        return entry
    kind = canonical(kind)
    if kind not in CLASSES:
        return entry
    if _is_foreign(entry, whole=True):
        return {**entry, "class_name": f"custom>{kind}"}
    inner = layer_config(kind, config, generation, place.at("config"))
    return {"class_name": kind, "config": inner}


_KERAS_ROOTS = frozenset(("keras", "tf_keras", "tensorflow", "keras_core", "builtins"))


def canonical_class(entry: Config, place: Place, *, whole: bool = True) -> tuple[str, str, str]:
    """Return (canonical class, Python class, registered name) of a layer's entry.

    *whole* configs have all keys that the class of Keras writes.

    A custom class keeps its registered name (``pkg>Name``) as its class. One that only shares its
    name with a class of Keras is ``module>Name``, or ``custom>Name`` where no module is known.
    """
    place = place.at("class_name")
    name = place.text(entry.get("class_name"))
    registered = entry.get("registered_name") or ""
    module = entry.get("module") or ""
    if not isinstance(registered, str) or not isinstance(module, str):
        raise place.error("registered_name and module must be strings")
    python_name = name.rpartition(">")[2]
    if ">" in name and name not in ALIASES:
        return name, python_name, name
    if ">" in registered and not _is_keras_package(registered):
        return registered, python_name, registered
    if canonical(name) in CLASSES and _is_foreign(entry, whole):
        return f"{module or 'custom'}>{name}", python_name, registered or name
    return canonical(name), python_name, registered


def _is_foreign(entry: Config, whole: bool) -> bool:
    """Tell whether a class that bears the name of one of Keras is another one.

    Keras writes the module of a class, but none for those of ``__main__``; its own have no
    registered name then. HDF5 files say neither: there the options must be such as Keras writes.
    """
    if entry.get("module"):
        return entry["module"].split(".")[0] not in _KERAS_ROOTS
    if "module" in entry:
        return bool(entry.get("registered_name"))
    config, name = entry.get("config"), canonical(entry["class_name"])
    if not whole or not isinstance(config, dict) or name in ("InputLayer", "Functional"):
        return False
    row, keys = CLASSES[name], {_OLD_KEYS.get((name, key), key) for key in config}
    own = (
        row.keys - COMMON_KEYS - {"data_format", "keepdims", "alpha"}
    )  # some Kerases leave them out
    return bool(own and not own & keys) or not keys <= row.keys


_OLD_KEYS = {("LeakyReLU", "alpha"): "negative_slope"}


def _is_keras_package(registered: str) -> bool:
    """Keras 3 registers a few of its own classes, as ``Keras>Functional``."""
    return registered.split(">", maxsplit=1)[0] in ("Keras", "keras")


def layer_config(class_name: str, config: Config, generation: int, place: Place) -> Config:
    """Return the config of a layer of canonical class *class_name* in the common spelling.

    Raises:
        CorruptFileError: a key holds the wrong type or an impossible value.
    """
    config = place.mapping(plain(config))  # a copy
    config["dtype"] = dtype_name(config.get("dtype"), place.at("dtype"))
    row = CLASSES.get(class_name)
    if class_name in _RENAMES:
        _RENAMES[class_name](config, place)
    if row is None:
        return config
    older = row.older_defaults if generation < 3 else {}
    options = _options_of(class_name)
    config = {**options.defaults, **older, **config}
    for key in _ACTIVATION_KEYS:
        if key in config:
            config[key] = activation(config[key], generation, place.at(key))
    for key, value in config.items():
        check = options.checks.get(key)
        if check is not None:
            config[key] = check(place.at(key), value)
    if "data_format" in config:
        config["data_format"] = _data_format(config["data_format"], place)
    _spread(class_name, config, place)
    for key in options.required:
        if key not in config:
            raise place.error(f"the option {quote(key)} of {class_name} is missing")
    return config


class _Options(NamedTuple):
    """The keys of a class: what a missing one means, how to check it, which must be there."""

    defaults: Config
    checks: Mapping[str, Check]
    required: tuple[str, ...]


@cache
def _options_of(class_name: str) -> _Options:
    row = CLASSES[class_name]
    checks = {**CHECKS, **row.checks}
    return _Options(
        row.defaults,
        {key: check for key, check in checks.items() if key not in row.inert},
        tuple(key for key, value in row.config.items() if value is REQUIRED),
    )


def _data_format(value: Any, place: Place) -> str:
    if value in (None, "default"):
        return "channels_last"
    if value not in ("channels_last", "channels_first"):
        raise place.at("data_format").expect("channels_last or channels_first", value)
    return str(value)


def _spread(class_name: str, config: Config, place: Place) -> None:
    """Write sizes of convolutions, poolings and upsamplings as one number per spatial axis."""
    rank = _spatial_rank(class_name)
    if not rank:
        return
    if "pool_size" in config and config["strides"] is None:
        config["strides"] = config["pool_size"]
    for key in _SPATIAL_KEYS:
        value = config.get(key)
        if value is None:
            continue
        sizes = value if isinstance(value, list) else [value] * rank
        if len(sizes) != rank:
            raise place.at(key).expect(f"{rank} sizes", value)
        config[key] = sizes


@cache
def _spatial_rank(class_name: str) -> int:
    match = _SPATIAL.search(class_name)
    return int(match[2]) if match else 0


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
