"""Layers and their options, one by one: what Keras 3 predicts is what tfjs predicts."""

from __future__ import annotations

import pytest
from programs import layer, numbers, op, program, ref

pytestmark = [pytest.mark.oracle, pytest.mark.node]


def test_recurrent_layer_and_operation(exact):
    model = program(
        [[5, 4]], layer("LSTM", units=3, return_sequences=True), op("mean", ref(1), axis=1)
    )
    exact(model, [numbers(2, 5, 4)])
