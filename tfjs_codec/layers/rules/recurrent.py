"""Recurrent layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.ir.layers import TfjsLayer
from tfjs_codec.ir.shapes import product
from tfjs_codec.ir.tensors import LazyTensor, formula, map_float32
from tfjs_codec.layers.engine import masks
from tfjs_codec.layers.engine.builder import Scope
from tfjs_codec.layers.engine.registry import refuse, rule
from tfjs_codec.layers.engine.symbolic import Tensor
from tfjs_codec.layers.primitives import filled, identity, matrix_on_axis, permute, reshape
from tfjs_codec.layers.rules import activation
from tfjs_codec.layers.rules.cells import FLAGS, STEPS, compose_cell
from tfjs_codec.layers.rules.conv import pad_same
from tfjs_codec.layers.rules.core import regularizers
from tfjs_codec.layers.rules.kept import KeptSteps
from tfjs_codec.tfjs.classes import TFJS_CLASSES
from tfjs_codec.tracing.refusal import Refusal
from tfjs_codec.tracing.sizes import per_axis

Weights = dict[str, LazyTensor]
# Blocks of the kernels' columns that the recurrent activation sees (i, f, o; z, r).
_GATES = {"LSTM": (4, (0, 1, 3)), "GRU": (3, (0, 1))}


def is_direct(b: Scope, layer: KerasLayer) -> bool:
    """Tell whether tfjs's class of the same name computes what Keras's *layer* does."""
    config = layer.config
    if layer.class_name == "GRU" and config.get("reset_after"):
        return False
    gate = config.get("recurrent_activation", "sigmoid")
    return activation.tfjs_activation(b, config["activation"]) is not None and (
        gate == "hard_sigmoid" or activation.tfjs_activation(b, gate) is not None
    )


def direct_config(b: Scope, layer: KerasLayer) -> dict[str, Any]:
    """Return the config of tfjs's class of the same name."""
    config = layer.config
    result: dict[str, Any] = {key: bool(config.get(key)) for key in FLAGS}
    result |= {key: config.get(key) or 0 for key in ("dropout", "recurrent_dropout")}
    result |= {
        "units": config["units"],
        "use_bias": bool(config["use_bias"]),
        "activation": activation.tfjs_activation(b, config["activation"]),
        **regularizers(layer, "kernel", "recurrent", "bias"),
    }
    if layer.class_name != "SimpleRNN":
        result["recurrent_activation"] = activation.tfjs_activation(
            b, config["recurrent_activation"]
        )
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
        name: map_float32(t, t.shape, lambda v: np.multiply(v, columns))
        for name, t in weights.items()
    }


def check_options(b: Scope, layer: KerasLayer, x: Tensor) -> None:
    """Refuse options that no tfjs layer has."""
    if layer.config.get("time_major"):
        raise Refusal("time_major inputs", "Transpose the input and set time_major=False.")
    last_only = not layer.config.get("return_sequences")
    if layer.config.get("zero_output_for_mask") and b.mask is not None and last_only:
        raise Refusal("zero_output_for_mask with a mask, for the last step alone")
    if layer.config.get("stateful") and x.shape[0] is None:
        raise Refusal("a stateful layer without a fixed batch size")
    if layer.config.get("stateful") and b.mask is not None:
        raise Refusal("a stateful layer with a mask")


def call_inputs(b: Scope, x: Tensor | list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Return the sequence and the initial states of the call."""
    x, *states = [x] if isinstance(x, Tensor) else x
    given = b.arguments.get("initial_state")
    if given is not None:
        states = [b.tensor(state) for state in (given if isinstance(given, list) else [given])]
    if b.arguments.get("constants") is not None:
        raise Refusal("constants of a cell")
    return x, states


@rule(*STEPS)
def recurrent(b: Scope, layer: KerasLayer, x: Tensor | list[Tensor]) -> list[Tensor]:
    """The same class; GRU(reset_after) as an RNN whose cell is a model."""
    x, states = call_inputs(b, x)
    check_options(b, layer, x)
    outputs = _run(b, layer, x, states)
    return [_finish(b, layer, outputs[0]), *outputs[1:]]


def _run(
    b: Scope, layer: KerasLayer, x: Tensor, states: list[Tensor], *, part: str = ""
) -> list[Tensor]:
    """Return the outputs of *layer* for the mask of the call, in Keras's order of steps."""
    if b.mask is None:
        return _run_unmasked(b, layer, x, states, part)
    outputs = _run_masked(b, layer, x, states, part)
    if layer.config.get("return_sequences") and layer.config.get("go_backwards"):
        outputs[0] = _reverse_time(b, outputs[0])
    return outputs


def _run_unmasked(
    b: Scope, layer: KerasLayer, x: Tensor, states: list[Tensor], part: str
) -> list[Tensor]:
    count = STEPS[layer.class_name].states
    if len(states) not in (0, count):
        raise Refusal(f"{len(states)} initial states for a layer that has {count}")
    if is_direct(b, layer):
        config, weights = direct_config(b, layer), direct_weights(b, layer)
        return _add(b, layer.class_name, [x, *states], config, weights, part=part)
    return compose_cell(b.beneath(layer) if part else b, layer, x, states)


def _add(
    b: Scope, class_name: str, x: Sequence[Tensor], config: dict[str, Any], weights: Weights, *,
    part: str = "",
) -> list[Tensor]:  # fmt: skip
    """Add a recurrent layer of tfjs.

    Its last output is also its first state: tfjs returns one tensor twice and disposes of it when
    the last user of either is done, so all use the output.
    """
    outputs = b.add_multi(class_name, x, config, weights, part=part)
    if config["return_state"] and not config["return_sequences"]:
        outputs[1] = outputs[0]
    return outputs


def _run_masked(
    b: Scope, layer: KerasLayer, x: Tensor, states: list[Tensor], part: str
) -> list[Tensor]:
    """Return the outputs for the mask of the call, sequences in the order of *x*."""
    assert b.mask is not None
    sequences, wants_states = (
        layer.config.get(key) for key in ("return_sequences", "return_state")
    )
    holds = wants_states and layer.class_name == "LSTM"
    flags = {"go_backwards": False, "return_sequences": True, "return_state": holds}
    run = KerasLayer(layer.name, layer.class_name, layer.config | flags, weights=layer.weights)
    backwards = bool(layer.config.get("go_backwards"))
    kept = KeptSteps(b, b.mask, x.shape[1], backwards=backwards)
    inner = kept.gather(x)
    if holds:
        run, inner = kept.hold(run, inner)
    if states and b.generation > 2:
        b.warn(
            "its output before the first step that the mask keeps is zero, as in TensorFlow; "
            "with JAX, Keras shows the initial state there"
        )
    y, *after = _run_unmasked(b, run, inner, states, part)
    outputs = [kept.spread(y) if sequences else kept.final(y)]
    if wants_states:
        state = kept.final(y)
        outputs += [kept.or_initial(state, states[0]) if states else state, *after[1:]]
    return outputs


def _finish(b: Scope, layer: KerasLayer, y: Tensor) -> Tensor:
    """Return the output *y* with its mask, and zeros where Keras wants them."""
    if not layer.config.get("return_sequences"):
        return y
    if b.mask is not None and layer.config.get("zero_output_for_mask"):
        ones = [1] * (y.rank - 2)
        keep = reshape(b, masks.compute(b, b.mask), (y.shape[1], *ones))
        y = b.add("Multiply", [y, keep], part="kept")
    return replace(y, mask=b.passed_mask)


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
    mode = layer.config.get("merge_mode", "concat")
    plain = _same(forward, backward) and is_direct(b, forward) and not states
    if plain and mode is not None and b.mask is None:
        outputs = _native(b, layer, x, mode)
    else:
        outputs = _explicit(b, layer, x, mode, states)
    count = 2 if mode is None else 1
    return [_finish(b, forward, t) for t in outputs[:count]] + outputs[count:]


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
    config, _ = (direct_config(b, one) for one in (forward, backward))  # alike but for direction
    initial = {f"{key}_initializer": "zeros" for key in ("kernel", "recurrent", "bias")}
    expected = spec.weights(config, [x.shape])
    inner = {
        key: TfjsLayer(
            f"{key.removesuffix('layer')}{name}",
            one.class_name,
            {**config, **initial},
            b.check_weights(expected, direct_weights(b, one), one.name),
        )
        for key, one in (("forward_layer", forward), ("backward_layer", backward))
    }
    shapes = spec.shape(config, [x.shape])
    states = shapes[1:]
    if mode == "concat":
        shapes = [(*shapes[0][:-1], 2 * config["units"])]
    wrapper = TfjsLayer("", "Bidirectional", {"merge_mode": mode}, children=dict(inner))
    return b.add_wrapper(wrapper, x, [shapes[0], *states, *states])


def _explicit(
    b: Scope, layer: KerasLayer, x: Tensor, mode: str | None, given: list[Tensor]
) -> list[Tensor]:
    """Run both directions as layers of their own."""
    forward, backward = layer.children["forward_layer"], layer.children["backward_layer"]
    half = len(given) // 2
    if len(given) % 2:
        raise Refusal(f"{len(given)} initial states for two directions")
    run = _run_unmasked if b.mask is None else _run_masked
    first, *ahead = run(b, forward, x, given[:half], "forward")
    second, *behind = run(b, backward, x, given[half:], "backward")
    if b.mask is None and forward.config.get("return_sequences"):
        second = _reverse_time(b, second)
    states = [*ahead, *behind]
    if mode is None:
        return [first, second, *states]
    if mode == "concat":
        return [b.add("Concatenate", [first, second], {"axis": first.rank - 1}), *states]
    merges = {"sum": "Add", "ave": "Average", "mul": "Multiply"}
    return [b.add(merges[mode], [first, second]), *states]


def _reverse_time(b: Scope, x: Tensor) -> Tensor:
    """Reverse *x* ``(batch, time, units)`` in time: an RNN that copies, running backwards."""
    units = x.shape[-1] or 0
    config = {
        "units": units, "activation": "linear", "use_bias": False, "return_sequences": True,
        "go_backwards": True,
    }  # fmt: skip
    weights: Weights = {
        "kernel": identity(units),
        "recurrent_kernel": filled(0, units, units),
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
        flags = {key: layer.config.get(key) for key in (*FLAGS, "zero_output_for_mask")}
        alias = KerasLayer(layer.name, class_name, cell.config | flags, weights=cell.weights)
        outputs: list[Tensor] = recurrent(b, alias, [x, *states] if states else x)
        return outputs
    if cell.class_name != "StackedRNNCells" or states:
        raise Refusal(f"an RNN over {cell.class_name} with these inputs")
    return _stack(b, layer, list(cell.children.values()), x)


def _stack(b: Scope, layer: KerasLayer, cells: list[KerasLayer], x: Tensor) -> list[Tensor]:
    """RNN over StackedRNNCells: the cells as layers one after the other."""
    if layer.config.get("return_state") or layer.config.get("stateful"):
        raise Refusal("the states of stacked cells")
    sequences, backwards = (
        bool(layer.config.get(key)) for key in ("return_sequences", "go_backwards")
    )
    kept = None
    if b.mask is not None:
        kept = KeptSteps(b, b.mask, x.shape[1], backwards=backwards)
        x = kept.gather(x)
    for number, cell in enumerate(cells):
        class_name = cell.class_name.removesuffix("Cell")
        if class_name not in STEPS:
            raise Refusal(f"an RNN over {cell.class_name}")
        flags = {
            "return_sequences": sequences or kept or number < len(cells) - 1,
            "go_backwards": backwards and number == 0 and not kept,
        }
        alias = KerasLayer(cell.name, class_name, cell.config | flags, weights=cell.weights)
        x = _run_unmasked(b, alias, x, [], f"cell_{number}")[0]
    if kept is not None:
        x = kept.spread(x) if sequences else kept.final(x)
        x = _reverse_time(b, x) if sequences and backwards else x
    return [_finish(b, layer, x)]


def _channels_last(
    b: Scope, layer: KerasLayer, x: Tensor, run: Callable[..., list[Tensor]]
) -> list[Tensor]:
    """Apply the rule *run* to *x* ``(batch, time, channels, …)`` with the channels moved last."""
    alias = KerasLayer(layer.name, layer.class_name, layer.config | {"data_format": None})
    alias.weights = layer.weights
    inner, rank = permute(b, x, [1, *range(3, x.rank), 2]), x.rank
    made = run(b, alias, replace(inner, mask=x.mask))
    back = {rank: [1, rank - 1, *range(2, rank - 1)], rank - 1: [rank - 2, *range(1, rank - 2)]}
    return [replace(permute(b, y, back[y.rank]), mask=y.mask) for y in made]


@rule("ConvLSTM1D")
def conv_lstm_1d(b: Scope, layer: KerasLayer, x: Tensor | list[Tensor]) -> list[Tensor]:
    """ConvLSTM2D of images one pixel wide, between Reshapes."""
    config = layer.config
    if not isinstance(x, Tensor):
        raise Refusal("a ConvLSTM1D with initial states")
    if config.get("data_format") == "channels_first":
        return _channels_last(b, layer, x, conv_lstm_1d)
    wide = {key: [*per_axis(config.get(key, 1), 1), 1] for key in ("kernel_size", "dilation_rate")}
    wide["strides"] = per_axis(config.get("strides", 1), 1) * 2
    weights = {
        name: map_float32(t, (t.shape[0], 1, *t.shape[1:]), lambda v: v[:, None])
        if t.shape[1:] else t
        for name, t in layer.weights.items()
    }  # fmt: skip
    alias = KerasLayer(layer.name, "ConvLSTM2D", config | wide, weights=weights)
    image = reshape(b, x, (*x.shape[1:3], 1, x.shape[3]))
    made = conv_lstm_2d(b, alias, image)
    return [replace(reshape(b, y, (*y.shape[1:-2], y.shape[-1])), mask=y.mask) for y in made]


@rule("ConvLSTM2D")
def conv_lstm_2d(b: Scope, layer: KerasLayer, x: Tensor | list[Tensor]) -> list[Tensor]:
    """ConvLSTM2D."""
    x, states = call_inputs(b, x)
    check_options(b, layer, x)
    config = layer.config
    if config.get("data_format") == "channels_first" and not states:
        return _channels_last(b, layer, x, conv_lstm_2d)
    names = ("activation", "recurrent_activation")
    written = {name: activation.tfjs_activation(b, config[name]) for name in names}
    weights = dict(layer.weights)
    if config["recurrent_activation"] == "hard_sigmoid":
        written["recurrent_activation"] = "hard_sigmoid"
        alias = KerasLayer(layer.name, "LSTM", config | {"units": config["filters"]})
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
        "data_format": "channels_last",
        "use_bias": bool(config["use_bias"]),
        **written,
        **{key: bool(config.get(key)) for key in FLAGS},
    }
    result["go_backwards"] = False
    x = pad_same(b, x, result, frames=True)
    backwards = bool(config.get("go_backwards"))
    if b.mask is None:
        x = _reverse_frames(b, x) if backwards else x
        return _add(b, "ConvLSTM2D", [x], result, weights)
    if config.get("return_state"):
        raise Refusal("the states of a masked ConvLSTM")
    kept = KeptSteps(b, b.mask, x.shape[1], backwards=backwards)
    y = b.add("ConvLSTM2D", kept.gather(x), result | {"return_sequences": True}, weights)
    if not config.get("return_sequences"):
        return [_finish(b, layer, kept.final(y))]
    y = kept.spread(y)
    return [_finish(b, layer, _reverse_frames(b, y) if backwards else y)]


def _reverse_frames(b: Scope, x: Tensor) -> Tensor:
    """Reverse *x* ``(batch, time, …)`` in time, of frames that are images.

    tfjs's webgl backend reverses nothing of rank 5.
    """
    steps, *_ = b.static(x)
    flat = reshape(b, x, (steps, product(x.shape[2:])))
    matrix = formula((steps, steps), lambda i, j: i + j == steps - 1)
    return reshape(b, matrix_on_axis(b, flat, matrix, 1, part="reverse"), x.shape[1:])


refuse(
    "ConvLSTM3D",
    reason="tfjs has no three-dimensional ConvLSTM",
    hint="Use ConvLSTM2D on slices.",
)
