"""Recurrent layers, their cells, wrappers, and attention."""

from __future__ import annotations

from tfjs_codec.ir.keras import Config
from tfjs_codec.keras.classes.row import (
    CHANNELS,
    REQUIRED,
    Gates,
    KerasClass,
    Variable,
    rows_by_name,
    training_keys,
)

_RNN: Config = {
    "return_sequences": False, "return_state": False, "go_backwards": False, "stateful": False,
    "time_major": False, "zero_output_for_mask": False,
}  # fmt: skip
_CALL = ("sequences", "initial_state", "mask", "training")
_OLDER_CALL = ("sequences", "mask", "training", "initial_state", "constants")
_SIMPLE: Config = {"units": REQUIRED, "activation": "tanh", "use_bias": True}
_GATED: Config = {**_SIMPLE, "recurrent_activation": "sigmoid"}
_CONV: Config = {
    "filters": REQUIRED, "kernel_size": REQUIRED, "strides": 1, "padding": "valid",
    "dilation_rate": 1, **CHANNELS, "activation": "tanh", "use_bias": True,
    "recurrent_activation": "sigmoid",
}  # fmt: skip
_INERT = (
    *training_keys("kernel", "recurrent", "bias"), "dropout", "recurrent_dropout", "seed",
    "implementation", "unroll",
)  # fmt: skip
_FORGET = ("unit_forget_bias",)  # of the initialiser
_LSTM_GATES = Gates(4, {"recurrent_activation": (0, 1, 3)})  # i, f, c, o
_GRU_GATES = Gates(3, {"recurrent_activation": (0, 1), "activation": (2,)})  # z, r, h
_SIMPLE_GATES = Gates(1, {"activation": (0,)})
# Before TensorFlow 2.0 and Keras 2.3 the gates' default was hard_sigmoid; the layers that leave
# the key out are those of Keras 1, converted elsewhere, and ConvLSTMs of all Keras 2.
_HARD: Config = {"recurrent_activation": "hard_sigmoid"}


def _recurrent(path: str, *, convolves: bool = False) -> tuple[Variable, ...]:
    return (
        Variable("kernel", path, convolves=convolves),
        Variable("recurrent_kernel", path, convolves=convolves),
        Variable("bias", path, key="use_bias"),
    )


def _rnn(name: str, config: Config, gates: Gates, *aliases: str) -> KerasClass:
    inert = (*_INERT, "consume_less", *(_FORGET if gates is _LSTM_GATES else ()))
    return KerasClass(
        name, "recurrent", {**_RNN, **config}, inert, aliases=aliases,
        variables=_recurrent("cell"), told=("units",),
        outputs=None, mask="own", call=_CALL, older_call=_OLDER_CALL,
        gates=gates,
    )  # fmt: skip


def _cell(name: str, config: Config, gates: Gates, *aliases: str) -> KerasClass:
    inert = (*_INERT, *(_FORGET if gates is _LSTM_GATES else ()))
    return KerasClass(
        name, "cell", config, inert, aliases=aliases, variables=_recurrent(""), told=("units",),
        outputs=None,
        call=("inputs", "states", "training"), gates=gates, generations=(2, 3),
    )  # fmt: skip


def _conv_lstm(rank: int) -> list[KerasClass]:
    convolves = rank == 2  # the only one that Theano had
    inert = (*_INERT, *_FORGET)
    return [
        KerasClass(
            f"ConvLSTM{rank}D", "recurrent", {**_CONV, **_RNN}, inert, _HARD, outputs=None,
            mask="own", variables=_recurrent("cell", convolves=convolves), call=_CALL,
            older_call=_OLDER_CALL, gates=_LSTM_GATES, generations=(2, 3),
            told=("filters", "kernel_size"),
        ),
        KerasClass(
            f"ConvLSTM{rank}DCell", "cell", _CONV, inert, _HARD, variables=_recurrent(""),
            outputs=None, call=("inputs", "states", "training"), gates=_LSTM_GATES,
            generations=(2, 3),
        ),
    ]  # fmt: skip


_DENSE_OF = {
    "query": "query_dense", "key": "key_dense", "value": "value_dense",
    "attention_output": "output_dense",
}  # fmt: skip


def _projections(*parts: str) -> tuple[Variable, ...]:
    return tuple(
        Variable(f"{part}/{short}", _DENSE_OF[part], key=key)
        for part in parts
        for short, key in (("kernel", ""), ("bias", "use_bias"))
    )


_SCALE = Variable("scale", key="use_scale")
_HEADS = (
    *_projections("query", "key"),
    # No `key`: the variables do not say what use_gate does.
    Variable("gate/kernel", "gate_dense", present=lambda c: c.get("use_gate")),
    Variable("gate/bias", "gate_dense", present=lambda c: c.get("use_gate") and c.get("use_bias")),
    *_projections("value", "attention_output"),
)
_HEADS_CONFIG: Config = {"use_bias": True, "use_gate": False, "sliding_window": None}
_GROUPS = ("head_dim", "num_query_heads", "num_key_value_heads")
_HEADS_INERT = (
    *training_keys("kernel", "bias"), "dropout", "seed", "query_shape", "key_shape", "value_shape",
    "flash_attention",
)  # fmt: skip
_HEADS_CALL = (
    "query", "value", "key", "query_mask", "value_mask", "key_mask", "attention_mask",
    "return_attention_scores", "training", "use_causal_mask",
)  # fmt: skip
_OLDER_HEADS_CALL = (
    "query", "value", "key", "attention_mask", "return_attention_scores", "training",
    "use_causal_mask",
)  # fmt: skip
_ATTENTION_CALL = ("inputs", "mask", "training", "return_attention_scores", "use_causal_mask")

ROWS = rows_by_name(
    _rnn("SimpleRNN", _SIMPLE, _SIMPLE_GATES),
    _rnn("LSTM", _GATED, _LSTM_GATES, "UnifiedLSTM", "LSTMV1", "LSTMV2", "CuDNNLSTM"),
    _rnn("GRU", {**_GATED, "reset_after": False}, _GRU_GATES,
         "UnifiedGRU", "GRUV1", "GRUV2", "CuDNNGRU"),
    _cell("SimpleRNNCell", _SIMPLE, _SIMPLE_GATES),
    _cell("LSTMCell", _GATED, _LSTM_GATES, "LSTMCellV1", "LSTMCellV2"),
    _cell("GRUCell", {**_GATED, "reset_after": False}, _GRU_GATES, "GRUCellV1", "GRUCellV2"),
    *(row for rank in (1, 2, 3) for row in _conv_lstm(rank)),
    KerasClass("RNN", "recurrent", {**_RNN, "num_constants": None}, ("unroll",), layers=("cell",),
               outputs=None, mask="own", call=_CALL, older_call=_OLDER_CALL, generations=(2, 3)),
    KerasClass("StackedRNNCells", "cell", {"reverse_state_order": False}, layers=("cells",),
               outputs=None, call=("inputs", "states", "training"), generations=(2, 3)),
    KerasClass("Bidirectional", "recurrent", {"merge_mode": "concat", "num_constants": None},
               layers=("layer", "backward_layer"), outputs=None, mask="own", call=_CALL,
               older_call=("sequences", "training", "mask", "initial_state", "constants")),
    KerasClass("TimeDistributed", "wrapper", layers=("layer",), outputs=None, mask="pass",
               call=("inputs", "training", "mask")),
    # ----------------------------------------------------------------------------- attention
    KerasClass(
        "MultiHeadAttention", "attention",
        {"num_heads": REQUIRED, "key_dim": REQUIRED, "value_dim": None, "output_shape": None,
         "attention_axes": None, **_HEADS_CONFIG},
        _HEADS_INERT, told=("num_heads", "key_dim", "value_dim", "output_shape"),
        variables=_HEADS, outputs=None, mask="pass", call=_HEADS_CALL,
        older_call=_OLDER_HEADS_CALL, generations=(2, 3),
    ),
    KerasClass(
        "GroupQueryAttention", "attention",
        {**dict.fromkeys(_GROUPS, REQUIRED), **_HEADS_CONFIG}, _HEADS_INERT, told=_GROUPS,
        aliases=("GroupedQueryAttention",), variables=_HEADS, outputs=None,
        mask="pass", call=_HEADS_CALL, generations=(3, 3),
    ),
    KerasClass(
        "Attention", "attention", {"use_scale": False, "score_mode": "dot", "causal": False},
        ("dropout", "seed"), outputs=None, mask="own", call=_ATTENTION_CALL, generations=(2, 3),
        variables=(
            _SCALE,
            Variable("concat_score_weight", present=lambda c: c.get("score_mode") == "concat"),
        ),
    ),
    KerasClass(
        "AdditiveAttention", "attention", {"use_scale": True, "causal": False},
        ("dropout", "seed"), outputs=None, mask="own", call=_ATTENTION_CALL, generations=(2, 3),
        variables=(_SCALE,),
    ),
)  # fmt: skip
PLAIN = tuple(name for name in ROWS if f"{name}Cell" in ROWS and not name.startswith("Conv"))
ZEROES_MASKED = (*PLAIN, "RNN")  # ConvLSTM of Keras 2 has zero_output_for_mask in vain
