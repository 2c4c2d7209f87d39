"""Masked recurrent layers: they run over the steps that the mask keeps, moved to the front.

At a masked step, Keras keeps state and output. So the kept steps alone decide; each step shows
the output of the last kept one before it. Both moves are products with matrices of 0s and 1s,
which layers that are right on every backend make from the mask
(:mod:`tfjs_codec.layers.engine.masks`). After the kept steps, the layer runs on zeros, whose
outputs nobody sees.
"""

from __future__ import annotations

import numpy as np

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.ir.shapes import product
from tfjs_codec.ir.tensors import Array, ArrayTensor, LazyTensor, formula, map_float32
from tfjs_codec.layers.engine import masks
from tfjs_codec.layers.engine.builder import Scope
from tfjs_codec.layers.engine.symbolic import Mask, Tensor
from tfjs_codec.layers.ops.shape import sum_over
from tfjs_codec.layers.primitives import affine, batch_dot, dense, reshape
from tfjs_codec.tracing.refusal import Refusal, check_constant

_SATURATED = 80.0  # e**-80 is nothing beside 1, and e**80 still a float32 number
_SATURATING = ("sigmoid", "hard_sigmoid")


class KeptSteps:
    """The steps of a sequence that *mask* keeps, of *steps* in all, in order or from the end.

    ``shown`` is 1 at ``[batch, step, place]`` where the step shows the output of the kept step at
    that place; before the first kept step, it shows none.
    """

    def __init__(self, b: Scope, mask: Mask, steps: int | None, *, backwards: bool) -> None:
        self.b = b
        flags = masks.compute(b, mask)
        self.flags = reshape(b, flags, (steps, 1), part="kept")
        self.count = sum_over(b, self.flags, 1, keepdims=True)
        ranks = cumulate(b, self.flags)
        if backwards:
            before = affine(b, ranks, -1, part="before")
            ranks = b.add("Add", [b.add("Add", [self.count, before]), self.flags], part="ranks")
        self._places = cumulate(b, affine(b, self.flags, 0, 1, part="ones"))
        self.shown = self._match(ranks)

    def _match(self, ranks: Tensor) -> Tensor:
        """Return 1 where one of *ranks* ``(batch, n, 1)`` is the place ``1, 2, …``, else 0."""
        b, plain = self.b, np.array([[1, 0]], np.float32)
        left = dense(b, ranks, plain, np.array([0, 1], np.float32), part="rank")
        right = dense(b, self._places, -plain[:, ::-1], np.array([1, 0], np.float32), part="place")
        return affine(
            b, masks.not_zero(b, batch_dot(b, left, right, [2, 2], "match")), -1, 1, part="shown"
        )

    def gather(self, x: Tensor) -> Tensor:
        """Return *x* ``(batch, time, …)`` with the kept steps in front, and zeros after them."""
        flat = reshape(self.b, x, (x.shape[1], product(x.shape[2:])))
        kept = self.b.add("Multiply", [flat, self.flags], part="kept_values")
        return reshape(self.b, batch_dot(self.b, self.shown, kept, [1, 1], "front"), x.shape[1:])

    def spread(self, y: Tensor) -> Tensor:
        """Return the outputs *y* ``(batch, place, …)`` of kept steps at all steps."""
        return self._pick(self.shown, y, y.shape[1])

    def final(self, y: Tensor) -> Tensor:
        """Return the output of the last kept step, or zeros if there is none."""
        last = self._pick(self._match(self.count), y, 1)
        return reshape(self.b, last, y.shape[2:])

    def _pick(self, which: Tensor, y: Tensor, steps: int | None) -> Tensor:
        flat = reshape(self.b, y, (y.shape[1], product(y.shape[2:])))
        return reshape(
            self.b, batch_dot(self.b, which, flat, [2, 1], "spread"), (steps, *y.shape[2:])
        )

    def or_initial(self, y: Tensor, state: Tensor) -> Tensor:
        """Return the state *y*, and *state* if no step is kept."""
        count = reshape(self.b, self.count, (1,))
        some = self.b.add("ReLU", count, {"max_value": 1}, part="some")
        initial = self.b.add("Multiply", [state, affine(self.b, some, -1, 1)], part="initial")
        return self.b.add("Add", [y, initial], part="state")

    def hold(self, layer: KerasLayer, x: Tensor) -> tuple[KerasLayer, Tensor]:
        """Return *layer*, an LSTM, and *x* gathered, such that the cell's state stays at the end.

        A further feature, 1 after the kept steps, closes the input gate and opens the forget gate.
        """
        if layer.config.get("recurrent_activation") not in _SATURATING:
            raise Refusal("the cell state of a masked LSTM whose gates are not sigmoids")
        units = layer.config["units"]
        used = batch_dot(self.b, self.shown, self.flags, [1, 1], "used")
        x = self.b.add("Concatenate", [x, affine(self.b, used, -1, 1, part="unused")], {"axis": 2})
        gates = np.repeat(np.array([-_SATURATED, _SATURATED, 0, 0], np.float32), units)

        def extend(values: Array) -> Array:
            return np.concatenate([values.astype(np.float32), gates[None]])

        kernel = layer.weights["kernel"]
        weights: dict[str, LazyTensor] = {
            **layer.weights,
            "kernel": map_float32(kernel, (kernel.shape[0] + 1, kernel.shape[1]), extend),
        }
        return KerasLayer(layer.name, layer.class_name, layer.config, weights=weights), x


def cumulate(b: Scope, x: Tensor) -> Tensor:
    """Return the cumulative sums of *x* ``(batch, time, 1)`` in time."""
    steps = x.shape[1]
    if steps is not None:
        check_constant(steps, steps)
        row = reshape(b, x, (steps,))
        sums = dense(b, row, formula((steps, steps), lambda i, j: i <= j), part=f"sums_{steps}")
        return reshape(b, sums, (steps, 1))
    one = ArrayTensor("one", np.ones((1, 1), np.float32))
    config = {"units": 1, "activation": "linear", "use_bias": False, "return_sequences": True}
    return b.add("SimpleRNN", x, config, {"kernel": one, "recurrent_kernel": one}, part="sums")


def first_step(b: Scope, x: Tensor, *, last: bool) -> Tensor:
    """Return 1 at the first step of *x* ``(batch, time, features)``, or the *last*, else 0."""
    ones = dense(b, x, np.zeros((x.shape[2] or 0, 1), np.float32), np.ones(1, np.float32))
    places = cumulate(b, ones)
    if last:
        total = affine(b, sum_over(b, ones, 1, keepdims=True), -1)
        away = b.add("Add", [places, total])
    else:
        away = affine(b, places, 1, -1)
    return affine(b, masks.not_zero(b, away), -1, 1, part="first")
