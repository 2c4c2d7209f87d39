"""The layer classes of tfjs 4.22: what they read, their output shapes and their variables.

Only what is used is listed. Facts: dumped from the class registry of the
tfjs 4.22.0 bundles and tried in Node. ``None`` in a shape is a dimension known only at run time;
index 0 is the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple

Shape = tuple[int | None, ...]
Config = dict[str, Any]
ShapeRule = Callable[[Config, Sequence[Shape]], list[Shape]]
WeightRule = Callable[[Config, Sequence[Shape]], dict[str, Shape]]


class ShapeError(ValueError):
    """A layer cannot be applied to these shapes; the text is one clause for a message."""


class TfjsClass(NamedTuple):
    """A layer class.

    ``keys`` are the config keys it reads (besides initialisers, which follow from the weights);
    ``shape`` and ``weights`` compute the output shapes and the variables' shapes in tfjs's own
    order; ``ranks`` are the input ranks (with batch) it accepts; ``passes_mask`` tells whether
    the executor hands the mask of the first input on (``supportsMasking``); ``takes_states``,
    whether inputs after the first are initial states, of ranks of their own.
    """

    keys: tuple[str, ...]
    shape: ShapeRule
    weights: WeightRule
    ranks: range
    passes_mask: bool = False
    takes_states: bool = False


# Keys without which tfjs cannot make a layer of a class that reads them.
_REQUIRED = frozenset(
    ("units", "filters", "kernel_size", "input_dim", "output_dim", "target_shape", "dims", "n",
     "rate", "stddev", "axes", "batch_input_shape")
)  # fmt: skip
_REQUIRED_TOO = {"Activation": ("activation",), "Rescaling": ("scale",)}


def missing_keys(class_name: str, config: Config) -> list[str]:
    """Return the keys that a *config* of tfjs's *class_name* lacks, and that have no default."""
    keys = (key for key in TFJS_CLASSES[class_name].keys if key in _REQUIRED)
    return [key for key in (*keys, *_REQUIRED_TOO.get(class_name, ())) if config.get(key) is None]


# ------------------------------------------------------------------------------ shape arithmetic


def conv_length(
    size: int | None, kernel: int, stride: int, padding: str, dilation: int
) -> int | None:
    """Return the output length of a convolution or pooling along one axis."""
    if size is None:
        return None
    reach = (kernel - 1) * dilation + 1
    length = -(-size // stride) if padding == "same" else (size - reach) // stride + 1
    if length <= 0 or (padding != "same" and size < reach):
        raise ShapeError(f"a window of {reach} does not fit an axis of {size}")
    return length


def deconv_length(size: int | None, kernel: int, stride: int, padding: str) -> int | None:
    """Return tfjs's output length of a transposed convolution along one axis."""
    if size is None:
        return None
    return size * stride if padding == "same" else size * stride + max(kernel - stride, 0)


def known(shape: Shape, what: str = "shape") -> tuple[int, ...]:
    """Return *shape* without its batch axis, all of which must be known."""
    if any(size is None for size in shape[1:]):
        raise ShapeError(f"the {what} {list(shape)} must be known when converting")
    return tuple(size for size in shape[1:] if size is not None)


def last(shape: Shape) -> int:
    """Return the size of the last axis, which must be known."""
    size = shape[-1]
    if size is None or len(shape) < 2:
        raise ShapeError(f"the last axis of {list(shape)} must be known when converting")
    return size


def broadcast(shapes: Sequence[Shape]) -> Shape:
    """Return the shape of an element-wise merge; ranks differ by ones after the batch axis."""
    rank = max(len(shape) for shape in shapes)
    full = [(s[0], *(1,) * (rank - len(s)), *s[1:]) for s in shapes]
    out: list[int | None] = []
    for sizes in zip(*full, strict=True):
        concrete = {size for size in sizes if size not in (1, None)}
        if len(concrete) > 1:
            raise ShapeError(f"shapes {[list(s) for s in shapes]} do not broadcast")
        out.append(next(iter(concrete)) if concrete else None if None in sizes else 1)
    return tuple(out)


def _axes(config: Config, shape: Shape) -> tuple[range, int]:
    """Return the spatial axes and the channel axis of a convolution-like input."""
    if config.get("data_format") == "channels_first":
        return range(2, len(shape)), 1
    return range(1, len(shape) - 1), len(shape) - 1


def _channels(config: Config, shape: Shape) -> int:
    size = shape[_axes(config, shape)[1]]
    if size is None:
        raise ShapeError(f"the channel axis of {list(shape)} must be known when converting")
    return size


def _replace(shape: Shape, changes: dict[int, int | None]) -> Shape:
    return tuple(changes.get(axis, size) for axis, size in enumerate(shape))


# ----------------------------------------------------------------------------------- shape rules


def _same(config: Config, shapes: Sequence[Shape]) -> list[Shape]:
    return [shapes[0]]


def _units(config: Config, shapes: Sequence[Shape]) -> list[Shape]:
    last(shapes[0])
    return [(*shapes[0][:-1], config["units"])]


def _conv(config: Config, shapes: Sequence[Shape]) -> list[Shape]:
    shape = shapes[0]
    spatial, channel = _axes(config, shape)
    dilation = config.get("dilation_rate") or [1] * len(spatial)
    sizes: dict[int, int | None] = {
        axis: conv_length(
            shape[axis],
            config["kernel_size"][i],
            config["strides"][i],
            config["padding"],
            dilation[i],
        )
        for i, axis in enumerate(spatial)
    }
    filters = config.get("filters")
    if filters is None:  # depthwise
        filters = _channels(config, shape) * config["depth_multiplier"]
    return [_replace(shape, {**sizes, channel: filters})]


def _deconv(config: Config, shapes: Sequence[Shape]) -> list[Shape]:
    shape = shapes[0]
    spatial, channel = _axes(config, shape)
    sizes: dict[int, int | None] = {
        axis: deconv_length(
            shape[axis], config["kernel_size"][i], config["strides"][i], config["padding"]
        )
        for i, axis in enumerate(spatial)
    }
    return [_replace(shape, {**sizes, channel: config["filters"]})]


def _pool(config: Config, shapes: Sequence[Shape]) -> list[Shape]:
    shape = shapes[0]
    spatial, _ = _axes(config, shape)
    sizes: dict[int, int | None] = {
        axis: conv_length(
            shape[axis], config["pool_size"][i], config["strides"][i], config["padding"], 1
        )
        for i, axis in enumerate(spatial)
    }
    return [_replace(shape, sizes)]


def _global_pool(config: Config, shapes: Sequence[Shape]) -> list[Shape]:
    shape = shapes[0]
    return [(shape[0], shape[_axes(config, shape)[1]])]


def _flatten(config: Config, shapes: Sequence[Shape]) -> list[Shape]:
    return [(shapes[0][0], prod(known(shapes[0], "input shape of Flatten")))]


def _reshape(config: Config, shapes: Sequence[Shape]) -> list[Shape]:
    shape, target = shapes[0], config["target_shape"]
    if not {-1, None} & set(target):
        if None not in shape[1:] and prod(known(shape)) != prod(target):
            raise ShapeError(f"cannot reshape {list(shape)} to {list(target)}")
        return [(shape[0], *target)]
    # tfjs leaves -1 unresolved as long as the batch size is open
    return [(shape[0], *(None if size == -1 else size for size in target))]


def _permute(config: Config, shapes: Sequence[Shape]) -> list[Shape]:
    shape = shapes[0]
    if sorted(config["dims"]) != list(range(1, len(shape))):
        raise ShapeError(f"dims {config['dims']} do not permute {list(shape)}")
    return [(shape[0], *(shape[axis] for axis in config["dims"]))]


def _repeat(config: Config, shapes: Sequence[Shape]) -> list[Shape]:
    return [(shapes[0][0], config["n"], shapes[0][1])]


def _embedding(config: Config, shapes: Sequence[Shape]) -> list[Shape]:
    return [(*shapes[0], config["output_dim"])]


def _merge(config: Config, shapes: Sequence[Shape]) -> list[Shape]:
    if len(shapes) < 2:
        raise ShapeError("a merge layer needs at least 2 inputs")
    return [broadcast(shapes)]


def _concatenate(config: Config, shapes: Sequence[Shape]) -> list[Shape]:
    axis = config["axis"]
    first = shapes[0]
    if len(shapes) < 2 or not 0 < axis < len(first):
        raise ShapeError(f"cannot concatenate {[list(s) for s in shapes]} on axis {axis}")
    out = list(first)
    for shape in shapes[1:]:
        if len(shape) != len(first):
            raise ShapeError(f"cannot concatenate {[list(s) for s in shapes]}")
        for i, (a, b) in enumerate(zip(first, shape, strict=True)):
            if i != axis and None not in (a, b) and a != b:
                raise ShapeError(f"cannot concatenate {[list(s) for s in shapes]} on axis {axis}")
            if out[i] is None and i != axis:
                out[i] = b
    sizes = [shape[axis] for shape in shapes]
    out[axis] = None if None in sizes else sum(size for size in sizes if size is not None)
    return [tuple(out)]


def _dot(config: Config, shapes: Sequence[Shape]) -> list[Shape]:
    a, b = shapes
    axes = config["axes"]
    first, second = (axes, axes) if isinstance(axes, int) else axes
    first, second = first % len(a), second % len(b)
    if first == 0 or second == 0:
        raise ShapeError("the batch axis cannot be contracted")
    if None not in (a[first], b[second]) and a[first] != b[second]:
        raise ShapeError(f"{list(a)} and {list(b)} do not match on axes {[first, second]}")
    out = [size for i, size in enumerate(a) if i != first]
    out += [size for i, size in enumerate(b) if i not in (0, second)]
    return [tuple(out) if len(out) > 1 else (*out, 1)]


def _rnn_outputs(config: Config, shape: Shape, out: Shape, states: list[Shape]) -> list[Shape]:
    sequence = (shape[0], shape[1], *out) if config.get("return_sequences") else (shape[0], *out)
    return [sequence, *states] if config.get("return_state") else [sequence]


def _rnn(states: int) -> ShapeRule:
    def rule(config: Config, shapes: Sequence[Shape]) -> list[Shape]:
        shape, units = shapes[0], config["units"]
        last(shape)
        return _rnn_outputs(config, shape, (units,), [(shape[0], units)] * states)

    return rule


def _conv_lstm(config: Config, shapes: Sequence[Shape]) -> list[Shape]:
    shape = shapes[0]
    step = _conv(config, [(shape[0], *shape[2:])])[0]
    return _rnn_outputs(config, shape, step[1:], [step, step])


def _pad2d(config: Config, shapes: Sequence[Shape]) -> list[Shape]:
    return [_grow(config, shapes[0], config["padding"], 1)]


def _crop2d(config: Config, shapes: Sequence[Shape]) -> list[Shape]:
    return [_grow(config, shapes[0], config["cropping"], -1)]


def _grow(config: Config, shape: Shape, pairs: list[list[int]], sign: int) -> Shape:
    spatial, _ = _axes(config, shape)
    changes: dict[int, int | None] = {}
    for axis, pair in zip(spatial, pairs, strict=True):
        size = shape[axis]
        changes[axis] = None if size is None else size + sign * sum(pair)
        if size is not None and size + sign * sum(pair) <= 0:
            raise ShapeError(f"nothing is left of an axis of {size} after cropping {pair}")
    return _replace(shape, changes)


def _upsample2d(config: Config, shapes: Sequence[Shape]) -> list[Shape]:
    shape = shapes[0]
    spatial, _ = _axes(config, shape)
    changes: dict[int, int | None] = {}
    for axis, factor in zip(spatial, config["size"], strict=True):
        size = shape[axis]
        changes[axis] = None if size is None else size * factor
    return [_replace(shape, changes)]


# ---------------------------------------------------------------------------------- weight rules


def _no_weights(config: Config, shapes: Sequence[Shape]) -> dict[str, Shape]:
    return {}


def _add_bias(kernel: dict[str, Shape], bias: Shape, config: Config) -> dict[str, Shape]:
    return {**kernel, "bias": bias} if config.get("use_bias", True) else kernel


def _dense_weights(config: Config, shapes: Sequence[Shape]) -> dict[str, Shape]:
    units = config["units"]
    return _add_bias({"kernel": (last(shapes[0]), units)}, (units,), config)


def _conv_weights(config: Config, shapes: Sequence[Shape]) -> dict[str, Shape]:
    filters = config["filters"]
    kernel = (*config["kernel_size"], _channels(config, shapes[0]), filters)
    return _add_bias({"kernel": kernel}, (filters,), config)


def _deconv_weights(config: Config, shapes: Sequence[Shape]) -> dict[str, Shape]:
    filters = config["filters"]
    kernel = (*config["kernel_size"], filters, _channels(config, shapes[0]))
    return _add_bias({"kernel": kernel}, (filters,), config)


def _depthwise_weights(config: Config, shapes: Sequence[Shape]) -> dict[str, Shape]:
    channels, multiplier = _channels(config, shapes[0]), config["depth_multiplier"]
    kernel = (*config["kernel_size"], channels, multiplier)
    return _add_bias({"depthwise_kernel": kernel}, (channels * multiplier,), config)


def _separable_weights(config: Config, shapes: Sequence[Shape]) -> dict[str, Shape]:
    channels, multiplier = _channels(config, shapes[0]), config["depth_multiplier"]
    size = config["kernel_size"]
    kernels: dict[str, Shape] = {
        "depthwise_kernel": (*size, channels, multiplier),
        "pointwise_kernel": (*(1,) * len(size), channels * multiplier, config["filters"]),
    }
    return _add_bias(kernels, (config["filters"],), config)


def _embedding_weights(config: Config, shapes: Sequence[Shape]) -> dict[str, Shape]:
    return {"embeddings": (config["input_dim"], config["output_dim"])}


def _batch_norm_weights(config: Config, shapes: Sequence[Shape]) -> dict[str, Shape]:
    size = shapes[0][config["axis"]]
    if size is None:
        raise ShapeError("the normalised axis must be known when converting")
    names = [
        name for name, key in (("gamma", "scale"), ("beta", "center")) if config.get(key, True)
    ]
    return dict.fromkeys((*names, "moving_mean", "moving_variance"), (size,))


def _layer_norm_weights(config: Config, shapes: Sequence[Shape]) -> dict[str, Shape]:
    axes = config["axis"] if isinstance(config["axis"], list) else [config["axis"]]
    names = [
        name for name, key in (("gamma", "scale"), ("beta", "center")) if config.get(key, True)
    ]
    return {name: tuple(shapes[0][axis] for axis in axes) for name in names}


def _prelu_weights(config: Config, shapes: Sequence[Shape]) -> dict[str, Shape]:
    shared = config.get("shared_axes") or []
    shape = shapes[0]
    return {"alpha": tuple(1 if i in shared else shape[i] for i in range(1, len(shape)))}


def _rnn_weights(gates: int) -> WeightRule:
    def rule(config: Config, shapes: Sequence[Shape]) -> dict[str, Shape]:
        units = config["units"]
        kernels: dict[str, Shape] = {
            "kernel": (last(shapes[0]), gates * units),
            "recurrent_kernel": (units, gates * units),
        }
        return _add_bias(kernels, (gates * units,), config)

    return rule


def _conv_lstm_weights(config: Config, shapes: Sequence[Shape]) -> dict[str, Shape]:
    shape, filters = shapes[0], config["filters"]
    channels = _channels(config, (shape[0], *shape[2:]))
    kernels: dict[str, Shape] = {
        "kernel": (*config["kernel_size"], channels, 4 * filters),
        "recurrent_kernel": (*config["kernel_size"], filters, 4 * filters),
    }
    return _add_bias(kernels, (4 * filters,), config)


# ------------------------------------------------------------------------------------- the table

_CONV = (
    "filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate", "activation",
    "use_bias", "kernel_regularizer", "bias_regularizer",
)  # fmt: skip
_DECONV = tuple(key for key in _CONV if key != "dilation_rate")
_POOL = ("pool_size", "strides", "padding", "data_format")
_RNN = (
    "units", "activation", "use_bias", "return_sequences", "return_state", "go_backwards",
    "stateful", "unroll", "dropout", "recurrent_dropout", "kernel_regularizer",
    "recurrent_regularizer", "bias_regularizer",
)  # fmt: skip
_GATED = (*_RNN, "recurrent_activation")
_NORM = ("axis", "epsilon", "center", "scale")
_ANY = range(1, 7)


def _plain(
    *keys: str, shape: ShapeRule = _same, ranks: range = _ANY, passes_mask: bool = False
) -> TfjsClass:
    """A class without variables."""
    return TfjsClass(keys, shape, _no_weights, ranks, passes_mask)


def _exactly(rank: int) -> range:
    return range(rank, rank + 1)


def _recurrent(keys: tuple[str, ...], *, states: int, gates: int) -> TfjsClass:
    shape, weights = _rnn(states), _rnn_weights(gates)
    return TfjsClass(keys, shape, weights, _exactly(3), passes_mask=True, takes_states=True)


# What tfjs takes for keys that are not there.
DEFAULTS: Config = {
    **dict.fromkeys(("return_sequences", "return_state", "go_backwards", "unroll"), False),
    **dict.fromkeys(("stateful", "mask_zero"), False),
    **dict.fromkeys(("use_bias", "center", "trainable"), True),
    "data_format": "channels_last",
    "padding": "valid",
    "merge_mode": "concat",
    "depth_multiplier": 1,
    "pool_size": 2,
    "size": 2,
    "activation": "linear",
    "interpolation": "nearest",
    **dict.fromkeys(("dropout", "recurrent_dropout"), 0),
    "momentum": 0.99,
    "epsilon": 1e-3,
}
_GATES: Config = {"activation": "tanh", "recurrent_activation": "hard_sigmoid"}
# The same for classes of their own.
DEFAULTS_OF: dict[str, Config] = {
    **dict.fromkeys(("LSTM", "GRU", "ConvLSTM2D"), _GATES),
    "SimpleRNN": {"activation": "tanh"},
    "BatchNormalization": {"axis": -1, "scale": True},
    "LayerNormalization": {"axis": -1, "scale": True},
    "Concatenate": {"axis": -1},
    "Softmax": {"axis": 1},
    "LeakyReLU": {"alpha": 0.3},
    "ELU": {"alpha": 1},
    "ThresholdedReLU": {"theta": 1},
}
TFJS_CLASSES: dict[str, TfjsClass] = {
    "InputLayer": _plain("batch_input_shape", "dtype"),
    "Dense": TfjsClass(
        ("units", "activation", "use_bias", "kernel_regularizer", "bias_regularizer"),
        _units,
        _dense_weights,
        range(2, 7),
        passes_mask=True,
    ),
    "Activation": _plain("activation", passes_mask=True),
    "Dropout": _plain("rate", "noise_shape", "seed", passes_mask=True),
    "SpatialDropout1D": _plain("rate", "seed", ranks=_exactly(3), passes_mask=True),
    "GaussianNoise": _plain("stddev", passes_mask=True),
    "GaussianDropout": _plain("rate", passes_mask=True),
    "AlphaDropout": _plain("rate", passes_mask=True),
    "Flatten": _plain("data_format", shape=_flatten, ranks=range(3, 7)),
    "Reshape": _plain("target_shape", shape=_reshape),
    "Permute": _plain("dims", shape=_permute, ranks=range(2, 7)),
    "RepeatVector": _plain("n", shape=_repeat, ranks=_exactly(2)),
    "Masking": _plain("mask_value", ranks=range(2, 7)),
    "Embedding": TfjsClass(
        ("input_dim", "output_dim", "mask_zero", "embeddings_regularizer"),
        _embedding,
        _embedding_weights,
        range(1, 6),
    ),
    "Add": _plain(shape=_merge),
    "Multiply": _plain(shape=_merge),
    "Average": _plain(shape=_merge),
    "Maximum": _plain(shape=_merge),
    "Minimum": _plain(shape=_merge),
    "Concatenate": _plain("axis", shape=_concatenate),
    "Dot": _plain("axes", "normalize", shape=_dot, ranks=range(2, 4)),
    "Conv1D": TfjsClass(_CONV, _conv, _conv_weights, _exactly(3)),
    "Conv2D": TfjsClass(_CONV, _conv, _conv_weights, _exactly(4)),
    "Conv3D": TfjsClass(_CONV, _conv, _conv_weights, _exactly(5)),
    "Conv2DTranspose": TfjsClass(_DECONV, _deconv, _deconv_weights, _exactly(4)),
    "Conv3DTranspose": TfjsClass(_DECONV, _deconv, _deconv_weights, _exactly(5)),
    "DepthwiseConv2D": TfjsClass(
        (
            "kernel_size",
            "strides",
            "padding",
            "data_format",
            "dilation_rate",
            "activation",
            "use_bias",
            "depth_multiplier",
            "depthwise_regularizer",
            "bias_regularizer",
        ),
        _conv,
        _depthwise_weights,
        _exactly(4),
    ),
    "SeparableConv2D": TfjsClass(
        (
            "filters",
            "kernel_size",
            "strides",
            "padding",
            "data_format",
            "dilation_rate",
            "activation",
            "use_bias",
            "depth_multiplier",
            "depthwise_regularizer",
            "pointwise_regularizer",
            "bias_regularizer",
        ),
        _conv,
        _separable_weights,
        _exactly(4),
    ),
    **{
        f"{kind}Pooling{rank - 2}D": _plain(*_POOL, shape=_pool, ranks=_exactly(rank))
        for kind in ("Max", "Average")
        for rank in (3, 4, 5)
    },
    **{
        f"Global{kind}Pooling{rank - 2}D": _plain(
            "data_format", shape=_global_pool, ranks=_exactly(rank)
        )
        for kind in ("Max", "Average")
        for rank in (3, 4)
    },
    "BatchNormalization": TfjsClass(
        (*_NORM, "momentum"), _same, _batch_norm_weights, range(2, 5), passes_mask=True
    ),
    "LayerNormalization": TfjsClass(
        _NORM, _same, _layer_norm_weights, range(2, 5), passes_mask=True
    ),
    "ReLU": _plain("max_value", passes_mask=True),
    "LeakyReLU": _plain("alpha"),
    "PReLU": TfjsClass(("shared_axes",), _same, _prelu_weights, range(2, 7), passes_mask=True),
    "ELU": _plain("alpha"),
    "ThresholdedReLU": _plain("theta"),
    "Softmax": _plain("axis"),
    "Rescaling": _plain("scale", "offset"),
    "ZeroPadding2D": _plain("padding", "data_format", shape=_pad2d, ranks=_exactly(4)),
    "Cropping2D": _plain("cropping", "data_format", shape=_crop2d, ranks=_exactly(4)),
    "UpSampling2D": _plain(
        "size", "data_format", "interpolation", shape=_upsample2d, ranks=_exactly(4)
    ),
    "SimpleRNN": _recurrent(_RNN, states=1, gates=1),
    "LSTM": _recurrent((*_GATED, "unit_forget_bias"), states=2, gates=4),
    "GRU": _recurrent((*_GATED, "reset_after"), states=1, gates=3),
    "ConvLSTM2D": TfjsClass(
        (
            *_CONV,
            "recurrent_activation",
            "return_sequences",
            "return_state",
            "go_backwards",
            "stateful",
            "dropout",
            "recurrent_dropout",
            "unit_forget_bias",
        ),
        _conv_lstm,
        _conv_lstm_weights,
        _exactly(5),
        passes_mask=True,
        takes_states=True,
    ),
}
"""Classes whose shapes follow from their own config. The wrappers (TimeDistributed,
Bidirectional, RNN) and nested models hold inner layers: their rules state the output shapes."""
