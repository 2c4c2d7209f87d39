"""What tfjs 4.22 takes as the values of a layer's config keys.

Tried in Node: every key of every class with 20 values of all JSON types. A value is refused here
if tfjs cannot load the layer with it, or loads it and cannot predict for any input. Keys that are
not listed (flags, rates, seeds, …) take any value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from tfjs_codec.errors import quote
from tfjs_codec.ir.json_types import Config, Json
from tfjs_codec.tfjs.classes import TFJS_CLASSES

_ACTIVATIONS = frozenset(
    ("elu", "selu", "relu", "relu6", "linear", "sigmoid", "hard_sigmoid", "hardSigmoid",
     "softplus", "softsign", "tanh", "softmax", "log_softmax", "logSoftmax", "gelu", "gelu_new",
     "mish", "swish")
)  # fmt: skip
# Initialisers, regularisers and constraints are looked up in one registry with the activations.
_OBJECTS = _ACTIVATIONS | {
    "Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Identity",
    "LeCunNormal", "LeCunUniform", "Ones", "Orthogonal", "RandomNormal", "RandomUniform",
    "TruncatedNormal", "VarianceScaling", "Zeros",
    "L1L2",
    "MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm",
}  # fmt: skip
_DTYPES = ("float32", "int32", "bool", "complex64", "string")


class _Kind(NamedTuple):
    """A kind of value: a noun for messages, and whether a value is of it."""

    noun: str
    holds: Callable[[Json], bool]


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Json) -> bool:
    return _is_number(value) and value % 1 == 0  # type: ignore[operator]


def _is_count(value: Json) -> bool:
    return _is_whole(value) and value > 0  # type: ignore[operator]


def _is_size(value: Json) -> bool:
    return value is None or (_is_whole(value) and value >= 0)  # type: ignore[operator]


def _list_of(one: Callable[[Json], bool]) -> Callable[[Json], bool]:
    return lambda value: isinstance(value, list) and all(map(one, value))


def _one_or_list(one: Callable[[Json], bool]) -> Callable[[Json], bool]:
    return lambda value: one(value) or bool(value and _list_of(one)(value))


def _is_pairs(value: Json) -> bool:
    """A number, two numbers, or two pairs of numbers: of rows and columns."""
    if not isinstance(value, list):
        return _is_number(value)
    return len(value) == 2 and all(_is_number(one) or _list_of(_is_number)(one) for one in value)


def _is_permutation(value: Json) -> bool:
    return _list_of(_is_whole)(value) and sorted(value) == list(range(1, len(value) + 1))  # type: ignore[arg-type, type-var]


def _is_object(value: Json) -> bool:
    """A name or an object of the registry; tfjs turns the snake case of names into camel case."""
    if isinstance(value, str):
        first, *rest = value.split("_")
        name = "".join((first, *(word[:1].upper() + word[1:] for word in rest)))
        return name == "l1l2" or {name, name[:1].upper() + name[1:], value} & _OBJECTS != set()
    if not isinstance(value, dict) or not isinstance(value.get("config"), dict):
        return False
    return value.get("class_name") in tuple(_OBJECTS)


def _is_activation(value: Json) -> bool:
    name = value.get("class_name") if isinstance(value, dict) else value
    return isinstance(name, str) and name in _ACTIVATIONS


def _has_length(class_name: str, key: str, value: Json) -> bool:
    """Tell whether a list for the windows of a convolution has a number for each spatial axis."""
    if key not in ("kernel_size", "strides", "dilation_rate") or not isinstance(value, list):
        return True
    row = TFJS_CLASSES[class_name.removesuffix("Cell")]
    return len(value) == row.ranks.start - (3 if row.takes_states else 2)


def _one_of(*names: str) -> Callable[[Json], bool]:
    return lambda value: isinstance(value, str) and value in names


_COUNT = _Kind("a positive integer", _is_count)
_STRIDES = _Kind("a number, or one for each spatial axis", _one_or_list(_is_number))
_POOL = _Kind("a positive integer or a list of them", _one_or_list(_one_or_list(_is_count)))
_WINDOW = _Kind(
    "a size, or one for each spatial axis",
    _one_or_list(lambda value: value is not None and _is_size(value)),
)
_PAIRS = _Kind("numbers or pairs of numbers, of two axes", _is_pairs)
_ACTIVATION = _Kind("an activation of tfjs", _is_activation)

_KINDS = {
    **dict.fromkeys(("units", "filters", "input_dim", "output_dim", "n"), _COUNT),
    "depth_multiplier": _Kind("a whole number", _is_size),
    **dict.fromkeys(("activation", "recurrent_activation"), _ACTIVATION),
    "data_format": _Kind(
        "channels_first or channels_last",
        _one_of("channels_first", "channels_last", "channelsFirst", "channelsLast"),
    ),
    "padding": _Kind("valid or same", _one_of("valid", "same")),
    "interpolation": _Kind("nearest or bilinear", _one_of("nearest", "bilinear")),
    "merge_mode": _Kind("sum, mul, concat or ave", _one_of("sum", "mul", "concat", "ave")),
    "kernel_size": _WINDOW,
    "pool_size": _POOL,
    **dict.fromkeys(("strides", "dilation_rate"), _STRIDES),
    "axes": _Kind(
        "an axis, or one of each input",
        lambda value: _is_whole(value) or (_list_of(_is_whole)(value) and len(value) == 2),  # type: ignore[arg-type]
    ),
    "cropping": _PAIRS,
    "target_shape": _Kind("a shape", _list_of(lambda size: size is None or _is_whole(size))),
    "batch_input_shape": _Kind("a shape", _list_of(_is_size)),
    "dims": _Kind("a permutation of the axes from 1", _is_permutation),
    "shared_axes": _Kind("axes", lambda value: _is_number(value) or isinstance(value, list)),
    "reset_after": _Kind("false", lambda value: not value and not isinstance(value, list | dict)),
}
_KINDS_OF = {
    ("ZeroPadding2D", "padding"): _PAIRS,
    **{(name, "strides"): _POOL for name in TFJS_CLASSES if "Pooling" in name},
    # Of a list, tfjs adds the rank to a negative axis as to a text.
    ("BatchNormalization", "axis"): _Kind(
        "an axis, or a list of one that counts from 0",
        lambda value: _is_whole(value) or (_list_of(_is_size)(value) and len(value) == 1),  # type: ignore[arg-type]
    ),
    ("LayerNormalization", "axis"): _Kind("an axis or a list of axes", _one_or_list(_is_whole)),
    # tfjs states the shape for the axis, and joins along the last one for all that are negative.
    ("Concatenate", "axis"): _Kind(
        "-1 or an axis that counts from 0",
        lambda value: _is_whole(value) and value >= -1,  # type: ignore[operator]
    ),
    ("ELU", "alpha"): _Kind("1", lambda value: value == 1 and value is not True),
}
# Classes that store a data_format without looking at it; all read channels last but Flatten.
_ANY_FORMAT = frozenset(
    ("Flatten", "ZeroPadding2D", "Cropping2D", "MaxPooling1D", "AveragePooling1D",
     "GlobalMaxPooling1D", "GlobalAveragePooling1D")
)  # fmt: skip


def check_values(class_name: str, config: Config) -> Iterator[str]:
    """Yield what is wrong with the values in the *config* of a layer of tfjs's *class_name*.

    Keys that are null have their defaults, or are required.
    """
    row = TFJS_CLASSES.get(class_name) or TFJS_CLASSES.get(class_name.removesuffix("Cell"))
    keys = (*row.keys, "batch_input_shape") if row else ("merge_mode",)
    for key, value in config.items():
        if value is None:
            continue
        if key == "data_format" and class_name in _ANY_FORMAT:
            continue
        kind = _KINDS_OF.get((class_name, key)) or _KINDS.get(key)
        if kind is not None and key in keys:
            if kind.holds(value) and _has_length(class_name, key, value):
                continue
            if kind is _ACTIVATION:
                yield f"tfjs has no {key} {quote(_name_of(value))}"
            else:
                yield f"{key} is {quote(value)}, not {kind.noun}"
        elif (what := key.rpartition("_")[2]) in ("initializer", "regularizer", "constraint"):
            unset = what == "initializer" and value in (0, False, "")
            if not unset and not _is_object(value):
                yield f"tfjs has no {what} {quote(_name_of(value))}"
    dtype = config.get("dtype")
    is_input = class_name == "InputLayer" or "batch_input_shape" in config
    if is_input and dtype and dtype not in _DTYPES:
        yield f"tfjs cannot feed the dtype {quote(dtype)}"


def _name_of(value: Json) -> Json:
    return value.get("class_name") if isinstance(value, dict) else value
