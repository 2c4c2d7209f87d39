"""Recurrent layers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.ir.layers import TfjsLayer
from tfjs_codec.ir.tensors import ArrayTensor, LazyTensor, mapped
from tfjs_codec.layers.engine import masks
from tfjs_codec.layers.engine.builder import Scope
from tfjs_codec.layers.engine.registry import refuse, rule
from tfjs_codec.layers.engine.symbolic import Mask, Tensor
from tfjs_codec.layers.primitives import per_axis, reshape
from tfjs_codec.layers.rules import activation
from tfjs_codec.layers.rules.cells import FLAGS, STEPS, composed
from tfjs_codec.layers.rules.core import regularizers
from tfjs_codec.tfjs.classes import TFJS_CLASSES
from tfjs_codec.tracing.refusal import Refusal

Weights = dict[str, LazyTensor]
# Blocks of the kernels' columns that the recurrent activation sees (i, f, o; z, r).
_GATES = {"LSTM": (4, (0, 1, 3)), "GRU": (3, (0, 1))}


def is_direct(b: Scope, layer: KerasLayer) -> bool:
    """Tell whether tfjs's class of the same name computes what Keras's *layer* does."""
    config = layer.config
    if layer.class_name == "GRU" and config.get("reset_after"):
        return False
    gate = config.get("recurrent_activation", "sigmoid")
    return activation.fused(b, config["activation"]) is not None and (
        gate == "hard_sigmoid" or activation.fused(b, gate) is not None
    )


def direct_config(b: Scope, layer: KerasLayer) -> dict[str, Any]:
    """Return the config of tfjs's class of the same name."""
    config = layer.config
    result: dict[str, Any] = {key: bool(config.get(key)) for key in FLAGS}
    result |= {key: config.get(key) or 0 for key in ("dropout", "recurrent_dropout")}
    result |= {
        "units": config["units"],
        "use_bias": bool(config["use_bias"]),
        "activation": activation.fused(b, config["activation"]),
        **regularizers(layer, "kernel", "recurrent", "bias"),
    }
    if layer.class_name != "SimpleRNN":
        result["recurrent_activation"] = activation.fused(b, config["recurrent_activation"])
        if config["recurrent_activation"] == "hard_sigmoid":
            result["recurrent_activation"] = "hard_sigmoid"
    if layer.class_name == "LSTM":
        result["unit_forget_bias"] = bool(config.get("unit_forget_bias", True))
    if layer.class_name == "GRU":
        result["reset_after"] = False
    return result


def direct_weights(b: Scope, layer: KerasLayer) -> Weights:
    """Return the weights for tfjs's class: Keras 3's hard_sigmoid scales its gates by 5/6."""
    weights = dict(layer.weights)
    if b.generation < 3 or layer.config.get("recurrent_activation") != "hard_sigmoid":
        return weights
    blocks, gates = _GATES[layer.class_name]
    scale = np.ones(blocks, np.float32)
    scale[list(gates)] = 5 / 6
    columns = np.repeat(scale, layer.config["units"])
    return {
        name: mapped(t, t.shape, lambda v: np.multiply(v, columns)) for name, t in weights.items()
    }


def check_options(b: Scope, layer: KerasLayer, x: Tensor) -> None:
    """Refuse what no tfjs layer does."""
    if layer.config.get("time_major"):
        raise Refusal("time_major inputs", "Transpose the input and set time_major=False.")
    last_only = not layer.config.get("return_sequences")
    if layer.config.get("zero_output_for_mask") and x.mask is not None and last_only:
        raise Refusal("zero_output_for_mask with a mask, for the last step alone")
    if layer.config.get("stateful") and x.shape[0] is None:
        raise Refusal("a stateful layer without a fixed batch size")


def call_inputs(b: Scope, x: Tensor | list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Return the sequence (with a mask given by keyword) and the initial states of the call."""
    x, *states = [x] if isinstance(x, Tensor) else x
    given = b.call.kwargs.get("initial_state")
    if given is None and len(b.call.args) > 1:
        raise Refusal("positional arguments after the input")
    if given is not None:
        states = [given] if isinstance(given, Tensor) else list(given)
    mask = b.call.kwargs.get("mask")
    if isinstance(mask, Tensor):
        x = replace(x, mask=mask.meaning or Mask("not_equal", (mask, 0)))
    if states and b.session.masked:
        raise Refusal("an initial state in a model with masks; tfjs hands it to other layers too")
    return x, states


@rule(*STEPS)
def recurrent(b: Scope, layer: KerasLayer, x: Tensor | list[Tensor]) -> list[Tensor]:
    """The same class; GRU(reset_after) as an RNN whose cell is a model."""
    x, states = call_inputs(b, x)
    check_options(b, layer, x)
    if is_direct(b, layer):
        inputs = b.consume_mask(x, *states)
        weights = direct_weights(b, layer)
        outputs = b.add_multi(layer.class_name, inputs, direct_config(b, layer), weights)
    else:
        outputs = composed(b, layer, b.consume_mask(x)[0], states)
    mask = x.mask if layer.config.get("return_sequences") else None
    return [_finish(b, layer, outputs[0], mask), *outputs[1:]]


def _finish(b: Scope, layer: KerasLayer, y: Tensor, mask: Mask | None) -> Tensor:
    """Return the output sequence *y* with its mask, and zeros where Keras wants them."""
    if mask is not None and layer.config.get("zero_output_for_mask"):
        keep = reshape(b, masks.compute(b, mask), (y.shape[1], 1))
        y = b.add("Multiply", [y, keep], part="kept")
    return replace(y, mask=mask)


# ------------------------------------------------------------------------------- bidirectional


@rule("Bidirectional")
def bidirectional(b: Scope, layer: KerasLayer, x: Tensor | list[Tensor]) -> list[Tensor]:
    """Bidirectional; where tfjs's cannot do it, two RNNs, one reversed, and a merge."""
    x, states = call_inputs(b, x)
    forward, backward = layer.children["forward_layer"], layer.children["backward_layer"]
    for inner in (forward, backward):
        if inner.class_name not in STEPS:
            raise Refusal(f"a bidirectional {inner.class_name}")
        check_options(b, inner, x)
    settled = b.consume_mask(x)[0]
    mode = layer.config.get("merge_mode", "concat")
    plain = _same(forward, backward) and is_direct(b, forward) and not states
    if plain and mode is not None:
        outputs = _native(b, layer, settled, mode)
    else:
        outputs = _explicit(b, layer, settled, mode, states)
    mask = x.mask if forward.config.get("return_sequences") else None
    count = 2 if mode is None else 1
    return [_finish(b, forward, t, mask) for t in outputs[:count]] + [
        replace(t, mask=None) for t in outputs[count:]
    ]


def _same(forward: KerasLayer, backward: KerasLayer) -> bool:
    """Tell whether the two differ in direction only, as tfjs's Bidirectional assumes."""
    ignored = ("name", "go_backwards", "seed", "trainable")

    def rest(layer: KerasLayer) -> dict[str, Any]:
        return {
            key: value for key, value in layer.config.items()
            if key not in ignored and not key.endswith(("_initializer", "_constraint"))
        }  # fmt: skip

    return (
        forward.class_name == backward.class_name
        and bool(forward.config.get("go_backwards")) != bool(backward.config.get("go_backwards"))
        and rest(forward) == rest(backward)
    )


def _native(b: Scope, layer: KerasLayer, x: Tensor, mode: str) -> list[Tensor]:
    forward, backward = layer.children["forward_layer"], layer.children["backward_layer"]
    name = b.session.names.base(forward).removeprefix("forward_")
    spec = TFJS_CLASSES[forward.class_name]
    config = direct_config(b, forward)
    initial = {f"{key}_initializer": "zeros" for key in ("kernel", "recurrent", "bias")}
    expected = spec.weights(config, [x.shape])
    inner = {
        key: TfjsLayer(
            f"{key.removesuffix('layer')}{name}",
            one.class_name,
            {**config, **initial},
            b.checked(expected, direct_weights(b, one), one.name),
        )
        for key, one in (("forward_layer", forward), ("backward_layer", backward))
    }
    shapes = spec.shape(config, [x.shape])
    states = shapes[1:]
    if mode == "concat":
        shapes = [(*shapes[0][:-1], 2 * config["units"])]
    wrapper = TfjsLayer("", "Bidirectional", {"merge_mode": mode}, children=dict(inner))
    return b.add_wrapper(wrapper, x, [shapes[0], *states, *states], passes_mask=True)


def _explicit(
    b: Scope, layer: KerasLayer, x: Tensor, mode: str | None, given: list[Tensor]
) -> list[Tensor]:
    """Run both directions as layers of their own."""
    forward, backward = layer.children["forward_layer"], layer.children["backward_layer"]
    half = len(given) // 2
    ahead = _one(b, forward, x, given[:half])
    behind = _one(b, backward, x, given[half:])
    first, second = ahead[0], behind[0]
    if forward.config.get("return_sequences"):
        second = _reverse_time(b, second)
    states = [*ahead[1:], *behind[1:]]
    if mode is None:
        return [first, second, *states]
    if mode == "concat":
        return [b.add("Concatenate", [first, second], {"axis": first.rank - 1}), *states]
    merges = {"sum": "Add", "ave": "Average", "mul": "Multiply"}
    return [b.add(merges[mode], [first, second]), *states]


def _one(b: Scope, inner: KerasLayer, x: Tensor, states: list[Tensor]) -> list[Tensor]:
    part = "backward" if inner.config.get("go_backwards") else "forward"
    if is_direct(b, inner):
        config, weights = direct_config(b, inner), direct_weights(b, inner)
        return b.add_multi(inner.class_name, [x, *states], config, weights, part=part)
    return composed(b.beneath(inner), inner, x, states)


def _reverse_time(b: Scope, x: Tensor) -> Tensor:
    """Reverse *x* ``(batch, time, units)`` in time: an RNN that copies, running backwards."""
    x = b.consume_mask(replace(x, mask=None))[0]  # masked steps are reversed, too
    units = x.shape[-1] or 0
    config = {
        "units": units, "activation": "linear", "use_bias": False, "return_sequences": True,
        "go_backwards": True,
    }  # fmt: skip
    weights: Weights = {
        "kernel": ArrayTensor("identity", np.eye(units, dtype=np.float32)),
        "recurrent_kernel": ArrayTensor("zeros", np.zeros((units, units), np.float32)),
    }
    return b.add("SimpleRNN", x, config, weights, part="reverse")


# ------------------------------------------------------------------------------- cells, ConvLSTM


@rule("RNN")
def rnn(b: Scope, layer: KerasLayer, x: Tensor | list[Tensor]) -> list[Tensor]:
    """RNN over tfjs's own cells; a single cell as the layer of its kind."""
    x, states = call_inputs(b, x)
    check_options(b, layer, x)
    cell = layer.children["cell"]
    if cell.class_name in ("SimpleRNNCell", "LSTMCell", "GRUCell"):
        class_name = cell.class_name.removesuffix("Cell")
        flags = {key: layer.config.get(key) for key in FLAGS}
        alias = KerasLayer(layer.name, class_name, {**cell.config, **flags}, weights=cell.weights)
        outputs: list[Tensor] = recurrent(b, alias, [x, *states] if states else x)
        return outputs
    if cell.class_name != "StackedRNNCells" or states:
        raise Refusal(f"an RNN over {cell.class_name} with these inputs")
    return _stack(b, layer, list(cell.children.values()), x)


def _stack(b: Scope, layer: KerasLayer, cells: list[KerasLayer], x: Tensor) -> list[Tensor]:
    """RNN over StackedRNNCells: the cells as layers one after the other."""
    if layer.config.get("return_state") or layer.config.get("stateful"):
        raise Refusal("the states of stacked cells")
    for number, cell in enumerate(cells):
        class_name = cell.class_name.removesuffix("Cell")
        if class_name not in STEPS:
            raise Refusal(f"an RNN over {cell.class_name}")
        if x.mask is not None:
            raise Refusal("stacked cells over a mask")
        final = number == len(cells) - 1
        flags = {
            "return_sequences": layer.config.get("return_sequences") or not final,
            "go_backwards": layer.config.get("go_backwards") and number == 0,
        }
        alias = KerasLayer(cell.name, class_name, {**cell.config, **flags}, weights=cell.weights)
        if is_direct(b, alias):
            inputs = b.consume_mask(x)
            weights = direct_weights(b, alias)
            part = f"cell_{number}"
            x = b.add(class_name, inputs, direct_config(b, alias), weights, part=part)
        else:
            x = composed(b.beneath(alias), alias, b.consume_mask(x)[0], [])[0]
    return [x]


@rule("ConvLSTM1D")
def conv_lstm_1d(b: Scope, layer: KerasLayer, x: Tensor | list[Tensor]) -> list[Tensor]:
    """ConvLSTM2D of images one pixel wide, between Reshapes."""
    config = layer.config
    if not isinstance(x, Tensor) or config.get("data_format") == "channels_first":
        raise Refusal("a ConvLSTM1D with initial states, or with channels first")
    wide = {key: [*per_axis(config.get(key, 1), 1), 1] for key in ("kernel_size", "dilation_rate")}
    wide["strides"] = per_axis(config.get("strides", 1), 1) * 2
    weights = {
        name: mapped(t, (t.shape[0], 1, *t.shape[1:]), lambda v: v[:, None])
        if t.shape[1:] else t
        for name, t in layer.weights.items()
    }  # fmt: skip
    alias = KerasLayer(layer.name, "ConvLSTM2D", {**config, **wide}, weights=weights)
    image = reshape(b, x, (*x.shape[1:3], 1, x.shape[3]))
    made = conv_lstm_2d(b, alias, replace(image, mask=x.mask))
    return [replace(reshape(b, y, (*y.shape[1:-2], y.shape[-1])), mask=y.mask) for y in made]


@rule("ConvLSTM2D")
def conv_lstm_2d(b: Scope, layer: KerasLayer, x: Tensor | list[Tensor]) -> list[Tensor]:
    """ConvLSTM2D."""
    x, states = call_inputs(b, x)
    check_options(b, layer, x)
    config = layer.config
    names = ("activation", "recurrent_activation")
    written = {name: activation.fused(b, config[name]) for name in names}
    weights = dict(layer.weights)
    if config["recurrent_activation"] == "hard_sigmoid":
        written["recurrent_activation"] = "hard_sigmoid"
        alias = KerasLayer(layer.name, "LSTM", {**config, "units": config["filters"]})
        alias.weights = weights
        weights = direct_weights(b, alias)
    if states or None in written.values():
        raise Refusal("a ConvLSTM2D with initial states or an activation that tfjs does not have")
    result = {
        "filters": config["filters"],
        "kernel_size": per_axis(config["kernel_size"], 2),
        "strides": per_axis(config.get("strides", 1), 2),
        "dilation_rate": per_axis(config.get("dilation_rate", 1), 2),
        "padding": config["padding"],
        "data_format": config.get("data_format") or "channels_last",
        "use_bias": bool(config["use_bias"]),
        **written,
        **{key: bool(config.get(key)) for key in FLAGS},
    }
    first, *states = b.add_multi("ConvLSTM2D", b.consume_mask(x), result, weights)
    return [replace(first, mask=x.mask if config["return_sequences"] else None), *states]


refuse(
    "ConvLSTM3D",
    reason="tfjs has no three-dimensional ConvLSTM",
    hint="Use ConvLSTM2D on slices.",
)
