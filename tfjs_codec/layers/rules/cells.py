"""Recurrent layers that tfjs lacks, as an RNN whose cell is a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.ir.layers import TfjsLayer
from tfjs_codec.ir.tensors import Array, LazyTensor, formula, map_float32
from tfjs_codec.layers.engine.builder import Scope
from tfjs_codec.layers.engine.symbolic import Tensor
from tfjs_codec.layers.primitives import affine, dense, reshape, slice_axis
from tfjs_codec.layers.rules import activation
from tfjs_codec.layers.rules.kept import first_step
from tfjs_codec.tfjs.classes import TFJS_CLASSES
from tfjs_codec.tfjs.shapes import Shape
from tfjs_codec.tracing.refusal import Refusal

FLAGS = ("return_sequences", "return_state", "go_backwards", "stateful")


def compose_cell(b: Scope, layer: KerasLayer, x: Tensor, states: list[Tensor]) -> list[Tensor]:
    """Add an RNN whose cell is a Functional model; *x* has no mask.

    The cell has one state, all of Keras's side by side. tfjs starts it with zeros; initial
    *states* come as further features of the first step, and are added.
    """
    units, count = layer.config["units"], STEPS[layer.class_name].states
    if layer.config.get("stateful"):
        raise Refusal("tfjs's RNN over a composed cell keeps no state")
    b.check_weights(_variables(layer, x), layer.weights, layer.name)
    features = x.shape[-1] or 0
    if states:
        x = _with_states(b, layer, x, states)

    def make() -> TfjsLayer:
        name = b.session.names.base(layer)
        graph, cell = b.subgraph(f"{name}_cell")
        step = graph.input(f"{name}_step", (None, x.shape[-1]), "float32")
        state = graph.input(f"{name}_state", (None, count * units), "float32")
        # the state of the first step arrives as zeros of shape (batch, 1): adding widens it
        extra = formula((x.shape[-1] or 0, count * units), lambda i, j: i == j + features)
        start = dense(cell, step, extra, part="start")
        state = cell.add("Add", [state, start], part="state")
        if states:
            step = slice_axis(cell, step, 1, 0, features, part="features")
        new = STEPS[layer.class_name].build(cell, layer, step, *_parts(cell, state, units))
        again = cell.add("Activation", new[0], {"activation": "linear"}, part="output")
        if count > 1:
            again = cell.add("Concatenate", [again, *new[1:]], {"axis": 1}, part="states")
        inner = TfjsLayer(f"{name}_cell", "Functional", graph=cell.model([new[0], again]))
        cells = TfjsLayer(f"{name}_cells", "StackedRNNCells", children={"cells": [inner]})
        flags = {key: bool(layer.config.get(key)) for key in FLAGS}
        return TfjsLayer("", "RNN", flags, children={"cell": cells})

    config = layer.config
    shapes: list[Shape] = [(x.shape[0], units)]
    if config.get("return_sequences"):
        shapes = [(x.shape[0], x.shape[1], units)]
    if config.get("return_state"):
        shapes.append((x.shape[0], count * units))
    rnn, made_for = b.once("rnn", lambda: (make(), (x.shape[-1], bool(states))))
    if made_for != (x.shape[-1], bool(states)):
        raise Refusal(
            "the layer is called with initial states and without, which need different networks",
            "Call it with initial states each time; they may be zeros.",
        )
    raw = b.add_wrapper(rnn, x, shapes, part="rnn")
    # tfjs does not know the last axis of what its RNN returns; Reshape tells it
    result = []
    for tensor, shape in zip(raw, shapes, strict=True):
        target = [-1 if size is None else size for size in shape[1:]]
        made = b.add("Reshape", tensor, {"target_shape": target})
        result.append(replace(made, shape=shape))
    return [result[0], *(part for t in result[1:] for part in _parts(b, t, units))]


def _variables(layer: KerasLayer, x: Tensor) -> dict[str, Shape]:
    """Return the shapes of the layer's variables in Keras."""
    units = layer.config["units"]
    config = {"units": units, "use_bias": layer.config.get("use_bias", True)}
    expected = dict(TFJS_CLASSES[layer.class_name].weights(config, [x.shape]))
    if layer.config.get("reset_after") and "bias" in expected:
        expected["bias"] = (2, 3 * units)  # of input and state
    return expected


def _parts(b: Scope, x: Tensor, units: int) -> list[Tensor]:
    """Cut *x* ``(batch, n·units)`` into its states."""
    return [slice_axis(b, x, 1, at, at + units) for at in range(0, x.shape[1] or 0, units)]


def _with_states(b: Scope, layer: KerasLayer, x: Tensor, states: list[Tensor]) -> Tensor:
    """Return *x* with *states* as further features of the step that comes first."""
    joined = states[0] if len(states) == 1 else b.add("Concatenate", states, {"axis": 1})
    row = reshape(b, joined, (1, joined.shape[1]))
    first = first_step(b, x, last=bool(layer.config.get("go_backwards")))
    states_in_time = b.add("Multiply", [first, row], part="first_state")
    return b.add("Concatenate", [x, states_in_time], {"axis": 2}, part="with_state")


def _block(source: LazyTensor, index: int, units: int, row: int | None = None) -> LazyTensor:
    """Return the columns of gate *index*, of one *row* of a bias with two."""
    columns = slice(index * units, (index + 1) * units)
    shape = (*source.shape[:-1], units) if row is None else (units,)

    def cut(values: Array) -> Array:
        return values[..., columns] if row is None else values[row, columns]

    return map_float32(source, shape, cut)


def _lines(
    b: Scope, layer: KerasLayer, source: Tensor, kernel: str, gates: str, row: int | None = None
) -> list[Tensor]:
    """Return the share of *source* in each gate; the bias comes with the input, or by row."""
    units, bias = layer.config["units"], layer.weights.get("bias")
    if row is None and kernel == "recurrent_kernel":
        bias = None
    return [
        dense(
            b, source, _block(layer.weights[kernel], i, units),
            None if bias is None else _block(bias, i, units, row), part=f"{kernel}_{gate}",
        )
        for i, gate in enumerate(gates)
    ]  # fmt: skip


def _simple_step(b: Scope, layer: KerasLayer, x: Tensor, state: Tensor) -> list[Tensor]:
    """One step of a SimpleRNN."""
    (own,) = _lines(b, layer, x, "kernel", "h")
    (past,) = _lines(b, layer, state, "recurrent_kernel", "h")
    return [activation.apply(b, b.add("Add", [own, past]), layer.config["activation"])]


def _lstm_step(b: Scope, layer: KerasLayer, x: Tensor, h: Tensor, c: Tensor) -> list[Tensor]:
    """One step of an LSTM: c' = f·c + i·g, h' = o·act(c')."""
    own = _lines(b, layer, x, "kernel", "ifco")
    past = _lines(b, layer, h, "recurrent_kernel", "ifco")
    sums = [b.add("Add", [one, two]) for one, two in zip(own, past, strict=True)]
    act, gate = layer.config["activation"], layer.config["recurrent_activation"]
    i, f, o = (activation.apply(b, sums[k], gate) for k in (0, 1, 3))
    fresh = b.add("Multiply", [i, activation.apply(b, sums[2], act)])
    c = b.add("Add", [b.add("Multiply", [f, c]), fresh])
    return [b.add("Multiply", [o, activation.apply(b, c, act)]), c]


def _gru_step(b: Scope, layer: KerasLayer, x: Tensor, state: Tensor) -> list[Tensor]:
    """One step of a GRU: z = σ(xz+sz), r = σ(xr+sr), h = tanh(xh + r·sh), z·s + (1-z)·h."""
    if not layer.config.get("reset_after"):
        raise Refusal("a GRU(reset_after=False) with an activation that tfjs does not have")
    xz, xr, xh = _lines(b, layer, x, "kernel", "zrh", 0)
    sz, sr, sh = _lines(b, layer, state, "recurrent_kernel", "zrh", 1)
    gate = layer.config["recurrent_activation"]
    z = activation.apply(b, b.add("Add", [xz, sz]), gate)
    r = activation.apply(b, b.add("Add", [xr, sr]), gate)
    inner = b.add("Add", [xh, b.add("Multiply", [r, sh])])
    h = activation.apply(b, inner, layer.config["activation"])
    kept = b.add("Multiply", [z, state])
    fresh = b.add("Multiply", [affine(b, z, -1, 1), h])
    return [b.add("Add", [kept, fresh])]


class Step(NamedTuple):
    """One step of a recurrent layer, built from other layers, and how many states it has."""

    build: Callable[..., list[Tensor]]
    states: int


STEPS = {
    "SimpleRNN": Step(_simple_step, 1),
    "LSTM": Step(_lstm_step, 2),
    "GRU": Step(_gru_step, 1),
}
