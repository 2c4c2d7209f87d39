"""Recurrences: a step applied along the axis of time, unrolled or as a loop.

The graph executor of tfjs pays for every node that runs, most of all inside loops, where each
loop variable costs a Merge, a Switch and a NextIteration an iteration. So a known number of steps
is unrolled as long as the graph stays small; otherwise the loop carries as little as it can.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from tfjs_codec.ir.graph import UNROLLED_NODES
from tfjs_codec.operations.builder import Builder
from tfjs_codec.operations.ops import arithmetic as a
from tfjs_codec.operations.ops.shapes import size_of, stack, transpose
from tfjs_codec.operations.ops.slicing import unstack
from tfjs_codec.operations.values import Value

Step = Callable[[list[Value], list[Value]], list[Value]]

_NODES_A_STEP = 14

_MANY_STEPS = 100  # for which it matters that an unrolled LSTM is slower than that of Layers


class Scanned(NamedTuple):
    """What a recurrence yields.

    Attributes:
        outputs: The first state after every step, stacked along the axis of time; None if they
            were not asked for.
        last: The first state after the last step.
        states: The states after the last step.
    """

    outputs: Value | None
    last: Value
    states: list[Value]


def scan(
    b: Builder,
    step: Step,
    inputs: Sequence[Value],
    states: Sequence[Value],
    *,
    axis: int = 1,
    backwards: bool = False,
    keep_all: bool,
) -> Scanned:
    """Apply *step* to the slices of *inputs* along the time *axis*, one after the other.

    Args:
        b: The builder.
        step: Called with a slice of each input and the states; returns the states that follow.
        inputs: Values with the same number of steps on *axis*.
        states: The states before the first step.
        axis: The axis of time, of the inputs and of the outputs.
        backwards: Begin with the last step; outputs are in the order in which they are computed.
        keep_all: Return the outputs of all steps.
    """
    count = inputs[0].shape[axis]
    unrolled = count is not None and len(b.nodes) + count * _NODES_A_STEP <= UNROLLED_NODES
    _tell_speed(b, count if unrolled else None)
    run = _unroll if unrolled else _loop
    return run(b, step, inputs, states, axis, backwards=backwards, keep_all=keep_all)


def _tell_speed(b: Builder, unrolled: int | None) -> None:
    """Warn if a Layers model predicts faster than so many steps *unrolled*, None for a loop.

    The figures are measured by ``tests/bench/targets.py``: 64 to 256 units, 100 to 1000 steps, on
    wasm. On webgl graphs are about as fast or faster.
    """
    kinds = {b.layer.class_name, *(child.class_name for child in b.layer.children.values())}
    if unrolled is None and not kinds >= {"Bidirectional", "GRU"}:
        how, times = "its steps run as a loop", "1.6" if "GRU" in kinds else "2.5 to 4"
    elif unrolled is not None and unrolled >= _MANY_STEPS and kinds == {"LSTM"}:
        how, times = f"its {unrolled} steps are unrolled", "1.2 to 1.9"
    else:
        return
    b.warn(f"{how}; where a Layers model is exact, it predicts {times} times as fast on wasm")


def _unroll(
    b: Builder, step: Step, inputs: Sequence[Value], states: Sequence[Value], axis: int,
    *, backwards: bool, keep_all: bool,
) -> Scanned:  # fmt: skip
    slices = list(zip(*(unstack(b, each, axis=axis) for each in inputs), strict=True))
    now, outputs = list(states), []
    for each in reversed(slices) if backwards else slices:
        now = step(list(each), now)
        outputs.append(now[0])
    return Scanned(stack(b, outputs, axis) if keep_all else None, now[0], now)


def _loop(
    b: Builder, step: Step, inputs: Sequence[Value], states: Sequence[Value], axis: int,
    *, backwards: bool, keep_all: bool,
) -> Scanned:  # fmt: skip
    count = b.value(size_of(b, inputs[0], axis), "int32")
    one = b.constant(1, "int32")
    last = a.subtract(b, count, one)
    lists = [_list_of(b, _first(b, each, axis)) for each in inputs]
    variables = [b.constant(0, "int32"), *states]
    if keep_all:
        dims = states[0].shape
        variables.append(
            b.emit(
                "TensorListReserve", _element_shape(b, dims), count, shape=(), dtype="variant",
                element_dtype=states[0].dtype,
            )
        )  # fmt: skip
    frame = f"scan_{len(b.nodes)}".encode()
    entered = [
        b.emit("Enter", each, frame_name=frame, shape=each.shape, dtype=each.dtype)
        for each in variables
    ]
    merged = [b.emit_many("Merge", each, each, results=_pair(each))[0] for each in entered]
    going = b.emit("LoopCond", a.less(b, merged[0], count), shape=())
    switched = [
        b.emit_many("Switch", each, going, results=[(each.shape, each.dtype)] * 2)
        for each in merged
    ]
    exits = [b.emit("Exit", out) for out, _ in switched]
    index, *now = [inside for _, inside in switched]
    place = a.subtract(b, last, index) if backwards else index
    items = [
        b.emit(
            "TensorListGetItem", handle, place, _element_shape(b, dims), shape=dims,
            dtype=each.dtype,
        )
        for (handle, dims), each in zip(lists, inputs, strict=True)
    ]  # fmt: skip
    after = step(items, now[: len(states)])
    following = [a.add(b, index, one), *after]
    if keep_all:
        following.append(
            b.emit("TensorListSetItem", now[-1], index, after[0], shape=(), dtype="variant")
        )
    for start, merge, each in zip(entered, merged, following, strict=True):
        back = b.emit("NextIteration", each)
        node = b.nodes[merge.ref.node]
        b.nodes[node.name] = replace(node, inputs=(start.ref, back.ref))
    _, *finals = exits
    outputs = None
    if keep_all:
        dims = states[0].shape
        made = b.emit(
            "TensorListStack", finals.pop(), _element_shape(b, dims),
            shape=(inputs[0].shape[axis], *dims), dtype=states[0].dtype,
        )  # fmt: skip
        outputs = transpose(b, made, [*range(1, axis + 1), 0, *range(axis + 1, made.rank)])
    return Scanned(outputs, finals[0], finals)


def _pair(value: Value) -> list[tuple[tuple[int | None, ...], str]]:
    return [(value.shape, value.dtype), ((), "int32")]


def _first(b: Builder, x: Value, axis: int) -> Value:
    """Move the axis of time to the front."""
    return transpose(b, x, [axis, *(i for i in range(x.rank) if i != axis)])


def _list_of(b: Builder, x: Value) -> tuple[Value, tuple[int | None, ...]]:
    """Return the slices of *x* along its first axis as a list, and the shape of its elements."""
    shape = x.shape[1:]
    handle = b.emit(
        "TensorListFromTensor", x, _element_shape(b, shape), shape=(), dtype="variant",
        element_dtype=x.dtype,
    )  # fmt: skip
    return handle, shape


def _element_shape(b: Builder, shape: tuple[int | None, ...]) -> Value:
    return b.constant([-1 if size is None else size for size in shape], "int32")
