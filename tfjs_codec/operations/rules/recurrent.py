"""Recurrent layers: all steps are projected at once, then a recurrence runs over time.

The gates stand in the order that takes the fewest nodes a step: those that share an activation
are neighbours and go through it together. Both directions of a Bidirectional layer run in step,
as one recurrence over stacks of two, where they are of one kind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.ir.tensors import Array
from tfjs_codec.keras.classes import CLASSES
from tfjs_codec.keras.dialect import ALONG_AXIS
from tfjs_codec.operations.builder import Builder
from tfjs_codec.operations.ops import arithmetic as a
from tfjs_codec.operations.ops import functions as f
from tfjs_codec.operations.ops.convolution import (
    conv,
    to_channels_first,
    to_channels_last,
)
from tfjs_codec.operations.ops.linalg import matmul
from tfjs_codec.operations.ops.shapes import (
    concatenate,
    dynamic_shape,
    expand_dims,
    reshape,
    size_of,
    stack,
    transpose,
    zeros,
)
from tfjs_codec.operations.ops.slicing import flip, getitem, split, unstack
from tfjs_codec.operations.registry import rule
from tfjs_codec.operations.rules.activations import activate
from tfjs_codec.operations.scan import Scanned, scan
from tfjs_codec.operations.values import Value
from tfjs_codec.tracing.refusal import Refusal


@dataclass(frozen=True, slots=True)
class Cell:
    """What a recurrence computes, with the variables of one direction or of two.

    Attributes:
        layer: Whose config counts: a recurrent layer or a cell.
        recur: Applies recurrent kernel number *i* to a state.
        bias: A GRU's recurrent bias, if it has one.
    """

    layer: KerasLayer
    recur: Callable[[Value, int], Value]
    bias: Value | None = None


def _gates(layer: KerasLayer) -> int:
    """Return how many gates a recurrent layer or cell has: 4 for an LSTM, 3 for a GRU, 1.

    Raises:
        Refusal: It is a class of somebody's own.
    """
    row = CLASSES.get(layer.class_name)
    if row is None or row.gates is None:
        raise Refusal(
            f"a recurrence over {layer.registered_name or layer.class_name}, "
            "whose code is not in the file",
            "Export the model with model.export() and convert that.",
        )
    return row.gates.number


def _convolves(layer: KerasLayer) -> bool:
    row = CLASSES.get(layer.class_name)
    return row is not None and "filters" in row.config


def _state_count(layer: KerasLayer) -> int:
    if layer.graph is not None:
        return len(layer.graph.inputs) - 1
    return 2 if _gates(layer) == _LSTM else 1


_LSTM, _GRU = 4, 3  # gates


# ------------------------------------------------------------------------------------ variables


def _reorder_gates(b: Builder, layer: KerasLayer, role: str) -> Value:
    """Return a variable with an LSTM's gates in the order i, f, o, c; Keras has i, f, c, o."""
    tensor = layer.weights.get(role)
    if tensor is None or _gates(layer) != _LSTM:
        return b.weight(layer, role)

    def order(values: Array) -> Array:
        i, g, c, o = np.split(values, 4, axis=-1)
        return np.concatenate([i, g, o, c], axis=-1)

    return b.derive(tensor, "gates", tensor.shape, order)


def _columns(b: Builder, layer: KerasLayer, role: str, start: int, stop: int) -> Value:
    tensor = layer.weights[role]
    shape = (*tensor.shape[:-1], stop - start)
    return b.derive(tensor, f"{start}:{stop}", shape, lambda v: v[..., start:stop])


def _bias_row(b: Builder, layer: KerasLayer, row: int) -> Value | None:
    """Return the bias of a layer; a GRU with reset_after has one for inputs and one for states."""
    tensor = layer.weights.get("bias")
    if tensor is None:
        return None
    if len(tensor.shape) == 1:
        return _reorder_gates(b, layer, "bias") if row == 0 else None
    return b.derive(tensor, f"row {row}", tensor.shape[1:], lambda v: v[row])


def _recurrent_kernels(b: Builder, layer: KerasLayer) -> list[Value]:
    """Return the kernels that states are multiplied with, in the order of their use."""
    if _gates(layer) == _GRU and not layer.config.get("reset_after"):
        units = layer.config["units"]
        edges = ((0, 2 * units), (2 * units, 3 * units))
        return [_columns(b, layer, "recurrent_kernel", *edge) for edge in edges]
    return [_reorder_gates(b, layer, "recurrent_kernel")]


# ---------------------------------------------------------------------------------------- steps


def _activate_gates(b: Builder, x: Value, activation: Any, count: int) -> list[Value]:
    """Return *count* gates side by side, each through *activation*."""
    if isinstance(activation, str) and activation not in ALONG_AXIS:
        y = activate(b, x, activation)
        return split(b, y, count, -1) if count > 1 else [y]
    parts = split(b, x, count, -1) if count > 1 else [x]
    return [activate(b, part, activation) for part in parts]


def _step(b: Builder, cell: Cell) -> Callable[[list[Value], list[Value]], list[Value]]:
    """Return the step of a cell, from its projected inputs and states to the next states."""
    return {1: _simple, _GRU: _gru, _LSTM: _lstm}[_gates(cell.layer)](b, cell)


def _simple(b: Builder, cell: Cell) -> Callable[[list[Value], list[Value]], list[Value]]:
    def step(inputs: list[Value], states: list[Value]) -> list[Value]:
        total = a.add(b, inputs[0], cell.recur(states[0], 0))
        return [activate(b, total, cell.layer.config["activation"])]

    return step


def _lstm(b: Builder, cell: Cell) -> Callable[[list[Value], list[Value]], list[Value]]:
    config = cell.layer.config

    def step(inputs: list[Value], states: list[Value]) -> list[Value]:
        h, c = states
        total = a.add(b, inputs[0], cell.recur(h, 0))
        width = (total.shape[-1] or 0) // 4
        gates, fresh = split(b, total, [3 * width], -1)
        i, g, o = _activate_gates(b, gates, config["recurrent_activation"], 3)
        (fresh,) = _activate_gates(b, fresh, config["activation"], 1)
        c = a.add(b, a.multiply(b, g, c), a.multiply(b, i, fresh))
        (seen,) = _activate_gates(b, c, config["activation"], 1)
        return [a.multiply(b, o, seen), c]

    return step


def _gru(b: Builder, cell: Cell) -> Callable[[list[Value], list[Value]], list[Value]]:
    config, after = cell.layer.config, cell.layer.config.get("reset_after")

    def step(inputs: list[Value], states: list[Value]) -> list[Value]:
        (h,), (gates, fresh) = states, inputs
        width = fresh.shape[-1] or 0
        past = cell.recur(h, 0)
        if after:
            if cell.bias is not None:
                plus = a.bias_add if cell.bias.rank == 1 else a.add
                past = plus(b, past, cell.bias)
            past, candidate = split(b, past, [2 * width], -1)
        z, r = _activate_gates(b, a.add(b, gates, past), config["recurrent_activation"], 2)
        candidate = a.multiply(b, r, candidate) if after else cell.recur(a.multiply(b, r, h), 1)
        (fresh,) = _activate_gates(b, a.add(b, fresh, candidate), config["activation"], 1)
        return [a.add(b, fresh, a.multiply(b, z, a.subtract(b, h, fresh)))]

    return step


# ----------------------------------------------------------------------------------- projections


def _project(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """Return the share of *x* ``(batch, steps, …)`` in the gates, for all steps in one product."""
    kernel, bias = _reorder_gates(b, layer, "kernel"), _bias_row(b, layer, 0)
    sizes = dynamic_shape(b, x)
    rows = reshape(b, x, [-1, *sizes[2:]])
    if _convolves(layer):
        config = layer.config
        y = conv(
            b, rows, kernel, config["strides"], config["padding"],
            dilation_rate=config.get("dilation_rate") or 1,
        )  # fmt: skip
    else:
        y = matmul(b, rows, kernel)
    y = y if bias is None else a.bias_add(b, y, bias)
    return reshape(b, y, [*sizes[:2], *dynamic_shape(b, y)[1:]])


def _per_gate(b: Builder, layer: KerasLayer, projected: Value) -> list[Value]:
    """Split the gates for all steps together, so that no step has to."""
    if _gates(layer) != _GRU:
        return [projected]
    return split(b, projected, [2 * ((projected.shape[-1] or 0) // 3)], -1)


def _one_direction(b: Builder, layer: KerasLayer) -> Cell:
    kernels = _recurrent_kernels(b, layer)
    if _convolves(layer):
        return Cell(layer, lambda x, i: conv(b, x, kernels[i], 1, "same"))
    bias = _bias_row(b, layer, 1) if layer.config.get("reset_after") else None
    return Cell(layer, lambda x, i: matmul(b, x, kernels[i]), bias)


# --------------------------------------------------------------------------------- whole layers


@dataclass(frozen=True, slots=True)
class Given:
    """The call of a recurrent layer: its sequence, the mask it sees and hands on, its states."""

    x: Value
    mask: Value | None
    states: list[Value]
    passed: Value | None = None


def _read_call(b: Builder, layer: KerasLayer, x: Any) -> Given:
    """Return the arguments of the call of *layer*; states may also be further inputs."""
    first, *states = list(x) if isinstance(x, list | tuple) else [x]
    value = f.real(b, b.value(first))
    given = b.argument("initial_state")
    if given is not None:
        listed = list(given) if isinstance(given, list | tuple) else [given]
        states = [f.real(b, b.value(each)) for each in listed]
    mask = b.seen_mask(value)
    if mask is not None and mask.rank != 2:
        raise Refusal(f"a mask of shape {list(mask.shape)}, not (batch, time)")
    if mask is not None and states and b.generation > 2:
        b.warn(
            "outputs before the first step that is not masked are zeros, as Keras computes them "
            "on TensorFlow; on JAX they are the initial state"
        )
    states = [replace(each, mask=None) for each in states]
    return Given(replace(value, mask=None), mask, states, b.passed_mask(value))


def _check(b: Builder, layer: KerasLayer, mask: Value | None) -> None:
    """Refuse options that no graph expresses."""
    config = layer.config
    zero_masked = config.get("zero_output_for_mask") and mask is not None
    if config.get("stateful"):
        raise Refusal(
            "it is stateful, and a graph model forgets its states",
            "Set stateful=False, or return the states and feed them in again.",
        )
    if config.get("dropout") or config.get("recurrent_dropout"):
        b.check_predicting()
    if _time_major(layer) and mask is not None:
        raise Refusal("a mask in a time_major layer")
    if zero_masked and not config["return_sequences"]:
        raise Refusal("zero_output_for_mask with a mask, for the last step alone")


def _start(b: Builder, layer: KerasLayer, projected: Value) -> list[Value]:
    """Return states of zeros."""
    batch = size_of(b, projected, 0)
    if _convolves(layer):
        filters = layer.config["filters"]
        zero = zeros(b, [batch, *dynamic_shape(b, projected)[2:-1], filters])
    else:
        zero = zeros(b, [batch, layer.config["units"]])
    return [zero] * _state_count(layer)


def _mask_step(
    b: Builder, step: Callable[[list[Value], list[Value]], list[Value]], count: int
) -> Callable[[list[Value], list[Value]], list[Value]]:
    """Return *step* where the last input, a mask, is true; elsewhere states stay.

    States after the first *count* ones are the output of the step before, which differs from the
    first state as long as only masked steps have been seen after an initial state.
    """

    def masked(inputs: list[Value], states: list[Value]) -> list[Value]:
        *inputs, keep = inputs
        output, before = (states[0], states[1:]) if len(states) > count else (None, states)
        after = step(inputs, before)
        kept = [a.where(b, keep, new, old) for new, old in zip(after, before, strict=True)]
        return kept if output is None else [a.where(b, keep, after[0], output), *kept]

    return masked


def _run(
    b: Builder, layer: KerasLayer, given: Given, *, keep_all: bool, backwards: bool
) -> Scanned:
    """Run one recurrent layer or cell over a sequence ``(batch, steps, …)``."""
    if layer.graph is not None:
        return _run_model(b, layer, given, keep_all=keep_all, backwards=backwards)
    projected = _project(b, layer, given.x)
    inputs = _per_gate(b, layer, projected)
    step = _step(b, _one_direction(b, layer))
    states = given.states or _start(b, layer, projected)
    if len(states) != _state_count(layer):
        raise Refusal(f"{len(states)} initial states for a layer that has {_state_count(layer)}")
    if given.mask is None:
        return scan(b, step, inputs, states, backwards=backwards, keep_all=keep_all)
    ones = list(range(2, inputs[0].rank))
    inputs = [*inputs, expand_dims(b, given.mask, ones)]
    step = _mask_step(b, step, len(states))
    extra = _start(b, layer, projected)[:1] if given.states else []
    made = scan(b, step, inputs, [*extra, *states], backwards=backwards, keep_all=keep_all)
    return made._replace(states=made.states[len(extra) :])


def _run_model(
    b: Builder, layer: KerasLayer, given: Given, *, keep_all: bool, backwards: bool
) -> Scanned:
    """Run a cell that is a model, from a step and states to an output and states.

    tfjs knows such cells, and our Layers models have them; states begin with zeros.
    """
    if given.mask is not None:
        raise Refusal("a mask in a recurrence over a model")
    graph, x = layer.graph, given.x
    assert graph is not None
    shapes = {each.name: each.config.get("batch_shape") or [] for each in graph.layers}
    batch = size_of(b, x, 0)
    states = given.states or [zeros(b, [batch, *shapes[ref.layer][1:]]) for ref in graph.inputs[1:]]

    def step(inputs: list[Value], states: list[Value]) -> list[Value]:
        return b.caller.nested(layer, [*inputs, *states[1:]])

    output = states[0]  # never read
    if x.shape[1] is None:  # a loop wants its shape
        first = step([getitem(b, x, (slice(None), 0))], [output, *states])[0]
        output = zeros(b, [batch, *first.shape[1:]])
    made = scan(b, step, [x], [output, *states], backwards=backwards, keep_all=keep_all)
    return made._replace(states=made.states[1:])


def _outputs(
    b: Builder, layer: KerasLayer, made: Scanned, given: Given
) -> tuple[Value, list[Value]]:
    """Return the output with its mask, and the states if the layer returns them."""
    y, mask = made.last if made.outputs is None else made.outputs, given.mask
    if made.outputs is not None:
        if mask is not None and layer.config.get("zero_output_for_mask"):
            keep = flip(b, mask, 1) if layer.config.get("go_backwards") else mask
            keep = expand_dims(b, keep, list(range(2, y.rank)))
            y = a.where(b, keep, y, 0.0)
        y = replace(y, mask=given.passed)
    return y, made.states if layer.config.get("return_state") else []


@rule("SimpleRNN", "LSTM", "GRU", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
def recurrent(b: Builder, layer: KerasLayer, x: Any) -> list[Value]:
    """One product for the inputs of all steps, then the steps: unrolled, or a loop."""
    return _call(b, layer, _read_call(b, layer, x))


def _call(b: Builder, layer: KerasLayer, given: Given) -> list[Value]:
    config = layer.config
    _check(b, layer, given.mask)
    keep_all, backwards = bool(config.get("return_sequences")), bool(config.get("go_backwards"))
    if _time_major(layer):
        given = replace(given, x=_swap(b, given.x))
    first = config.get("data_format") == "channels_first" and given.x.rank > 3
    if first:
        states = [to_channels_last(b, each) for each in given.states]
        given = replace(given, x=_frames(b, given.x, to_channels_last), states=states)
    made = _run(b, layer, given, keep_all=keep_all, backwards=backwards)
    y, states = _outputs(b, layer, made, given)
    if first:
        mask = y.mask
        y = _frames(b, y, to_channels_first) if keep_all else to_channels_first(b, y)
        y, states = replace(y, mask=mask), [to_channels_first(b, each) for each in states]
    if _time_major(layer) and keep_all:
        y = _swap(b, y)
    return [y, *states]


def _swap(b: Builder, x: Value) -> Value:
    return transpose(b, x, [1, 0, *range(2, x.rank)])


def _frames(b: Builder, x: Value, turn: Callable[[Builder, Value], Value]) -> Value:
    """Apply *turn* to all steps of *x*."""
    sizes = dynamic_shape(b, x)
    y = turn(b, reshape(b, x, [-1, *sizes[2:]]))
    return reshape(b, y, [*sizes[:2], *dynamic_shape(b, y)[1:]])


# ------------------------------------------------------------------------------------------ RNN


@rule("RNN")
def rnn(b: Builder, layer: KerasLayer, x: Any) -> list[Value]:
    """The steps of its cell; stacked cells one after the other."""
    return _over_cells(b, layer, _read_call(b, layer, x))


def _over_cells(b: Builder, layer: KerasLayer, given: Given) -> list[Value]:
    cell = layer.children["cell"]
    stacked = cell.class_name == "StackedRNNCells"
    cells = list(cell.children.values()) if stacked else [cell]
    _check(b, layer, given.mask)
    if stacked and cell.config.get("reverse_state_order") and (
        given.states or layer.config.get("return_state")
    ):  # fmt: skip
        raise Refusal("the states of stacked cells in reversed order")
    x, waiting, finals = given.x, list(given.states), []
    count = sum(map(_state_count, cells))
    if len(waiting) not in (0, count):
        raise Refusal(f"{len(waiting)} initial states for cells that have {count}")
    if layer.config.get("time_major"):
        x = _swap(b, x)
    made, mask = None, given.mask
    for number, each in enumerate(cells):
        count = _state_count(each)
        states, waiting = waiting[:count], waiting[count:]
        last = number == len(cells) - 1
        made = _run(
            b, each, Given(x, mask, states),
            keep_all=not last or bool(layer.config.get("return_sequences")),
            backwards=bool(layer.config.get("go_backwards")) and number == 0,
        )  # fmt: skip
        x = x if made.outputs is None else made.outputs
        finals += made.states
        if mask is not None and number == 0 and layer.config.get("go_backwards"):
            mask = flip(b, mask, 1)  # later cells see the steps in the order of the first
    assert made is not None
    y, states = _outputs(b, layer, made._replace(states=finals), given)
    if layer.config.get("time_major") and layer.config.get("return_sequences"):
        y = _swap(b, y)
    return [y, *states]


# -------------------------------------------------------------------------------- bidirectional


@rule("Bidirectional")
def bidirectional(b: Builder, layer: KerasLayer, x: Any) -> list[Value]:
    """Both directions, in step where they are of one kind."""
    given = _read_call(b, layer, x)
    forward, backward = layer.children["forward_layer"], layer.children["backward_layer"]
    for inner in (forward, backward):
        _check(b, inner, given.mask)
    half = len(given.states) // 2
    if len(given.states) % 2:
        raise Refusal(f"{len(given.states)} initial states for two directions")
    sides = (given.states[:half], given.states[half:])
    all_steps = bool(forward.config.get("return_sequences"))
    if given.mask is None and not half and _in_step(forward, backward):
        first, second, states = _both(b, forward, backward, given.x, keep_all=all_steps)
    else:
        (first, *ahead), (second, *behind) = (
            (_over_cells if inner.class_name == "RNN" else _call)(
                b, inner, replace(given, states=states)
            )
            for inner, states in zip((forward, backward), sides, strict=True)
        )
        states = [*ahead, *behind]
        if all_steps:
            second = flip(b, replace(second, mask=None), 0 if _time_major(forward) else 1)
    mask = given.passed if all_steps else None
    mode = layer.config.get("merge_mode", "concat")
    if mode is None:
        return [replace(first, mask=mask), replace(second, mask=mask), *states]
    return [replace(_MERGES[mode](b, first, second), mask=mask), *states]


_MERGES: dict[str, Callable[[Builder, Value, Value], Value]] = {
    "concat": lambda b, x, y: concatenate(b, [x, y], -1),
    "sum": a.add,
    "mul": a.multiply,
    "ave": lambda b, x, y: a.multiply(b, a.add(b, x, y), 0.5),
}


def _time_major(layer: KerasLayer) -> bool:
    """Tell whether time comes before the batch; ConvLSTMs of Keras 2 say so and ignore it."""
    convolves = layer.class_name in CLASSES and _convolves(layer)
    return bool(layer.config.get("time_major")) and not convolves


def _in_step(forward: KerasLayer, backward: KerasLayer) -> bool:
    """Tell whether two layers are the same recurrence over vectors in opposite directions."""
    keys = ("units", "activation", "recurrent_activation", "reset_after", "use_bias",
            "return_sequences", "return_state")  # fmt: skip
    options = [[one.config.get(key) for key in keys] for one in (forward, backward)]
    return (
        forward.class_name == backward.class_name
        and forward.class_name != "RNN"
        and not _convolves(forward)
        and options[0] == options[1]
        and bool(backward.config.get("go_backwards")) and not forward.config.get("go_backwards")
        and not _time_major(forward) and not _time_major(backward)
    )  # fmt: skip


def _both(
    b: Builder, forward: KerasLayer, backward: KerasLayer, x: Value, *, keep_all: bool
) -> tuple[Value, Value, list[Value]]:
    """Run both directions as one recurrence over stacks ``(2, batch, …)``."""
    ahead, behind = (_project(b, layer, x) for layer in (forward, backward))
    projected = stack(b, [ahead, flip(b, behind, 1)], 0)
    pairs = zip(*(_recurrent_kernels(b, each) for each in (forward, backward)), strict=True)
    kernels = [stack(b, pair, 0) for pair in pairs]
    bias = None
    if forward.config.get("reset_after"):
        rows = [_bias_row(b, each, 1) for each in (forward, backward)]
        if rows[0] is not None and rows[1] is not None:
            bias = expand_dims(b, stack(b, [rows[0], rows[1]], 0), 1)
    cell = Cell(forward, lambda h, i: matmul(b, h, kernels[i]), bias)
    zero = zeros(b, [2, size_of(b, x, 0), forward.config["units"]])
    made = scan(
        b, _step(b, cell), _per_gate(b, forward, projected), [zero] * _state_count(forward),
        axis=2, keep_all=keep_all,
    )  # fmt: skip
    first, second = unstack(b, made.last if made.outputs is None else made.outputs, axis=0)
    if made.outputs is not None:
        second = flip(b, second, 1)
    states: list[Value] = []
    if forward.config.get("return_state"):
        sides = list(zip(*(unstack(b, each, axis=0) for each in made.states), strict=True))
        states = [*sides[0], *sides[1]]
    return first, second, states
