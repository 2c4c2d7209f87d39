"""The layer classes of tfjs 4.22: what they read, their output shapes and their variables.

Only what is used is listed. Facts: dumped from the class registry of the
tfjs 4.22.0 bundles and tried in Node. ``None`` in a shape is a dimension known only at run time;
index 0 is the batch.
"""

from __future__ import annotations

from typing import NamedTuple

from tfjs_codec.ir.json_types import Config
from tfjs_codec.tfjs import shapes, variables
from tfjs_codec.tfjs.shapes import ShapeRule
from tfjs_codec.tfjs.variables import WeightRule


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


# Keys without which tfjs cannot make a layer of a class that reads them, or cannot run it.
_REQUIRED = frozenset(
    ("units", "filters", "kernel_size", "input_dim", "output_dim", "target_shape", "dims", "n",
     "axes", "cropping", "batch_input_shape")
)  # fmt: skip
_REQUIRED_TOO = {"Rescaling": ("scale",)}


def missing_keys(class_name: str, config: Config) -> list[str]:
    """Return the keys that a *config* of tfjs's *class_name* lacks, and that have no default."""
    row = TFJS_CLASSES.get(class_name) or TFJS_CLASSES.get(class_name.removesuffix("Cell"))
    keys = [key for key in (row.keys if row else ()) if key in _REQUIRED]
    return [key for key in (*keys, *_REQUIRED_TOO.get(class_name, ())) if config.get(key) is None]


_WINDOW = (
    "kernel_size", "strides", "padding", "data_format", "dilation_rate", "activation", "use_bias",
    "bias_regularizer",
)  # fmt: skip
_CONV = ("filters", *_WINDOW, "kernel_regularizer")
_DEPTHWISE = (*_WINDOW, "depth_multiplier", "depthwise_regularizer")
_SEPARABLE = ("filters", *_DEPTHWISE, "pointwise_regularizer")
_DECONV = tuple(key for key in _CONV if key != "dilation_rate")
_POOL = ("pool_size", "strides", "padding", "data_format")
_STEPS = (
    "return_sequences", "return_state", "go_backwards", "stateful", "dropout", "recurrent_dropout",
)  # fmt: skip
_RNN = (
    "units", "activation", "use_bias", *_STEPS, "unroll", "kernel_regularizer",
    "recurrent_regularizer", "bias_regularizer",
)  # fmt: skip
_GATED = (*_RNN, "recurrent_activation")
_NORM = ("axis", "epsilon", "center", "scale")
_ANY = range(1, 7)


def _plain(
    *keys: str, shape: ShapeRule = shapes.same, ranks: range = _ANY, passes_mask: bool = False
) -> TfjsClass:
    """A class without variables."""
    return TfjsClass(keys, shape, variables.nothing, ranks, passes_mask)


def _exactly(rank: int) -> range:
    return range(rank, rank + 1)


def _recurrent(keys: tuple[str, ...], *, states: int, gates: int) -> TfjsClass:
    shape, weights = shapes.rnn(states), variables.rnn(gates)
    return TfjsClass(keys, shape, weights, _exactly(3), passes_mask=True, takes_states=True)


# What tfjs takes for keys that are not there.
DEFAULTS: Config = {
    **dict.fromkeys(("return_sequences", "return_state", "go_backwards", "unroll"), False),
    **dict.fromkeys(("stateful", "mask_zero", "normalize"), False),
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


def settle_flags(class_name: str, config: Config) -> Config:
    """Return *config* with true or false for what tfjs takes so: as JavaScript does.

    Flags are the keys whose default is true or false; null is the default.
    """
    defaults = {**DEFAULTS, **DEFAULTS_OF.get(class_name, {})}
    flags = {key: value for key, value in config.items() if isinstance(defaults.get(key), bool)}
    return config | {
        key: defaults[key] if value is None else value not in ("", 0)
        for key, value in flags.items()
    }


TFJS_CLASSES: dict[str, TfjsClass] = {
    "InputLayer": _plain("batch_input_shape", "dtype"),
    "Dense": TfjsClass(
        ("units", "activation", "use_bias", "kernel_regularizer", "bias_regularizer"),
        shapes.units,
        variables.dense,
        range(2, 7),
        passes_mask=True,
    ),
    "Activation": _plain("activation", passes_mask=True),
    "Dropout": _plain("rate", "noise_shape", "seed", passes_mask=True),
    "SpatialDropout1D": _plain("rate", "seed", ranks=_exactly(3), passes_mask=True),
    "GaussianNoise": _plain("stddev", passes_mask=True),
    "GaussianDropout": _plain("rate", passes_mask=True),
    "AlphaDropout": _plain("rate", passes_mask=True),
    "Flatten": _plain("data_format", shape=shapes.flatten, ranks=range(3, 7)),
    "Reshape": _plain("target_shape", shape=shapes.reshape),
    "Permute": _plain("dims", shape=shapes.permute, ranks=range(2, 7)),
    "RepeatVector": _plain("n", shape=shapes.repeat, ranks=_exactly(2)),
    "Masking": _plain("mask_value", ranks=range(2, 7)),
    "Embedding": TfjsClass(
        ("input_dim", "output_dim", "mask_zero", "embeddings_regularizer"),
        shapes.embedding,
        variables.embedding,
        range(1, 6),
    ),
    "Add": _plain(shape=shapes.merge),
    "Multiply": _plain(shape=shapes.merge),
    "Average": _plain(shape=shapes.merge),
    "Maximum": _plain(shape=shapes.merge),
    "Minimum": _plain(shape=shapes.merge),
    "Concatenate": _plain("axis", shape=shapes.concatenate),
    "Dot": _plain("axes", "normalize", shape=shapes.dot, ranks=range(2, 4)),
    "Conv1D": TfjsClass(_CONV, shapes.conv, variables.conv, _exactly(3)),
    "Conv2D": TfjsClass(_CONV, shapes.conv, variables.conv, _exactly(4)),
    "Conv3D": TfjsClass(_CONV, shapes.conv, variables.conv, _exactly(5)),
    "Conv2DTranspose": TfjsClass(_DECONV, shapes.deconv, variables.deconv, _exactly(4)),
    "Conv3DTranspose": TfjsClass(_DECONV, shapes.deconv, variables.deconv, _exactly(5)),
    "DepthwiseConv2D": TfjsClass(_DEPTHWISE, shapes.conv, variables.depthwise, _exactly(4)),
    "SeparableConv2D": TfjsClass(_SEPARABLE, shapes.conv, variables.separable, _exactly(4)),
    **{
        f"{kind}Pooling{rank - 2}D": _plain(*_POOL, shape=shapes.pool, ranks=_exactly(rank))
        for kind in ("Max", "Average")
        for rank in (3, 4, 5)
    },
    **{
        f"Global{kind}Pooling{rank - 2}D": _plain(
            "data_format", shape=shapes.global_pool, ranks=_exactly(rank)
        )
        for kind in ("Max", "Average")
        for rank in (3, 4)
    },
    "BatchNormalization": TfjsClass(
        (*_NORM, "momentum"), shapes.same, variables.batch_norm, range(2, 5), passes_mask=True
    ),
    "LayerNormalization": TfjsClass(
        _NORM, shapes.same, variables.layer_norm, range(2, 5), passes_mask=True
    ),
    "ReLU": _plain("max_value", passes_mask=True),
    "LeakyReLU": _plain("alpha"),
    "PReLU": TfjsClass(
        ("shared_axes",), shapes.same, variables.prelu, range(2, 7), passes_mask=True
    ),
    "ELU": _plain("alpha"),
    "ThresholdedReLU": _plain("theta"),
    "Softmax": _plain("axis"),
    "Rescaling": _plain("scale", "offset"),
    "ZeroPadding2D": _plain("padding", "data_format", shape=shapes.pad2d, ranks=_exactly(4)),
    "Cropping2D": _plain("cropping", "data_format", shape=shapes.crop2d, ranks=_exactly(4)),
    "UpSampling2D": _plain(
        "size", "data_format", "interpolation", shape=shapes.upsample2d, ranks=_exactly(4)
    ),
    "SimpleRNN": _recurrent(_RNN, states=1, gates=1),
    "LSTM": _recurrent((*_GATED, "unit_forget_bias"), states=2, gates=4),
    "GRU": _recurrent((*_GATED, "reset_after"), states=1, gates=3),
    "ConvLSTM2D": TfjsClass(
        (*_CONV, "recurrent_activation", *_STEPS, "unit_forget_bias"),
        shapes.conv_lstm,
        variables.conv_lstm,
        _exactly(5),
        passes_mask=True,
        takes_states=True,
    ),
}
"""Classes whose shapes follow from their own config. The wrappers (TimeDistributed,
Bidirectional, RNN) and nested models hold inner layers: their rules state the output shapes."""
# The other layer classes of tfjs's registry.
OTHER_CLASSES = frozenset(
    ("TimeDistributed", "Bidirectional", "RNN", "StackedRNNCells", "SimpleRNNCell", "GRUCell",
     "LSTMCell", "ConvLSTM2DCell", "CenterCrop", "CategoryEncoding", "Resizing", "RandomWidth")
)  # fmt: skip
