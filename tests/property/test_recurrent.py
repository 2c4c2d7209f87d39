"""Recurrent layers with any options: tfjs computes what Keras computes, or we refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from configurations import BACKENDS, SUFFIXES, either, equal_or_refused, examples
from hypothesis import given
from hypothesis import strategies as st
from programs import inner, layer, numbers, op, program, ref

pytestmark = [pytest.mark.oracle, pytest.mark.node]

STATES = {"SimpleRNN": 1, "GRU": 1, "LSTM": 2}
UNITS = 3


def _options(draw: st.DrawFn, kind: str) -> dict[str, Any]:
    config: dict[str, Any] = {
        "units": UNITS,
        "use_bias": draw(either(True, True, False)),
        "activation": draw(either("tanh", "tanh", "relu", "leaky_relu")),
        "return_sequences": draw(st.booleans()),
        "return_state": draw(either(False, False, True)),
        "go_backwards": draw(either(False, False, True)),
        "unroll": draw(either(False, False, True)),
    }
    if kind != "SimpleRNN":
        config["recurrent_activation"] = draw(either("sigmoid", "sigmoid", "hard_sigmoid", "tanh"))
    if kind == "GRU":
        config["reset_after"] = draw(st.booleans())
    return config


@st.composite
def networks(draw: st.DrawFn) -> tuple[dict[str, Any], list[np.ndarray], str, str]:
    kind = draw(st.sampled_from(list(STATES)))
    config = _options(draw, kind)
    steps, batch = draw(st.integers(1, 6)), draw(st.integers(1, 3))
    wrapped = draw(either("", "", "Bidirectional", "RNN"))
    if wrapped == "Bidirectional":
        mode = draw(either("concat", "concat", "sum", "mul", "ave", None))
        config["go_backwards"] = False
        main = layer(wrapped, layer=inner(kind, **config), merge_mode=mode)
        sequences = config["return_sequences"] and mode is not None
    elif wrapped == "RNN":
        outer = {k: config.pop(k) for k in ("return_sequences", "return_state", "go_backwards")}
        del config["unroll"]
        main = layer(wrapped, cell=inner(f"{kind}Cell", **config), **outer)
        sequences = outer["return_sequences"]
        config = {**config, **outer}
    else:
        main = layer(kind, **config)
        sequences = config["return_sequences"]
    shapes: list[list[int | None]] = [[draw(either(steps, None)), 4]]
    inputs = [numbers(batch, steps, 4)]
    states = STATES[kind]
    if wrapped != "RNN" and draw(either(False, False, True)):
        count = states * (2 if wrapped else 1)
        shapes += [[UNITS]] * count
        inputs += [numbers(batch, UNITS, seed=i) for i in range(count)]
        main["kwargs"]["initial_state"] = [ref(1 + i) for i in range(count)]
    made = len(shapes)
    outputs = 1
    if config["return_state"] or (wrapped == "Bidirectional" and mode is None):
        pieces = 2 if wrapped == "Bidirectional" and mode is None else 1
        both = 2 if wrapped == "Bidirectional" else 1
        outputs = pieces + (states * both if config["return_state"] else 0)
    results = [ref(made, i) for i in range(outputs)] if outputs > 1 else [ref(made)]
    after = []
    if draw(either(False, False, True)):  # masked steps in front, in the middle, and at the end
        main["args"] = [ref(made)]
        results = [{**result, "ref": made + 1} for result in results]
        after = [layer("Masking", mask_value=0.0), main]
        keep = np.random.default_rng(steps).random((batch, steps, 1)) > 0.4
        keep[:, draw(either(0, -1))] = True
        inputs[0] = inputs[0] * keep.astype(np.float32)
        if sequences and outputs == 1 and draw(st.booleans()):
            after.append(layer("GlobalAveragePooling1D", ref(made + 1)))
            results = [ref(made + 2)]
    else:
        after = [main]
    model = program(shapes, *after, outputs=results)
    return model, inputs, draw(SUFFIXES), draw(BACKENDS)


@examples(35)
@given(made=networks())
def test_recurrent_layers(exact, made):
    model, inputs, suffix, backend = made
    equal_or_refused(exact, model, inputs, suffix=suffix, backend=backend)


@st.composite
def masked_chains(draw: st.DrawFn) -> tuple[dict[str, Any], list[np.ndarray], str]:
    """An embedding with a mask, layers that pass, drop or use it, and a second, plain branch."""
    steps: list[dict[str, Any]] = [layer("Embedding", input_dim=7, output_dim=4, mask_zero=True)]
    between = {
        "LeakyReLU": {}, "Dropout": {"rate": 0.5}, "Dense": {"units": 4}, "Conv1D": None,
        "LayerNormalization": {}, "Reshape": {"target_shape": [-1, 2]}, "Activation":
        {"activation": "silu"}, "TimeDistributed": None, "Softmax": None, "Rescaling": {"scale": 2},
        "BatchNormalization": {},
    }  # fmt: skip
    for name in draw(st.lists(st.sampled_from(list(between)), max_size=3, unique=True)):
        at = ref(len(steps))
        config = between[name]
        if name == "Conv1D":
            steps.append(layer(name, at, filters=4, kernel_size=3, padding="same"))
        elif name == "TimeDistributed":
            steps.append(layer(name, at, layer=inner("Dense", units=4)))
        elif config is not None:
            steps.append(layer(name, at, **config))
    main = len(steps)
    ends = []
    for _ in range(draw(st.integers(1, 3))):
        source = draw(either(main, 0))
        kind = draw(either("LSTM", "GRU", "SimpleRNN", "Bidirectional", "GlobalAveragePooling1D"))
        if source == 0:
            steps.append(op("cast", ref(0), dtype="float32"))
            steps.append(layer("Reshape", ref(len(steps)), target_shape=[5, 1]))
            source = len(steps)
        if kind == "Bidirectional":
            cell = inner("LSTM", units=2, return_sequences=draw(st.booleans()))
            steps.append(layer(kind, ref(source), layer=cell))
        elif kind == "GlobalAveragePooling1D":
            steps.append(layer(kind, ref(source)))
        else:
            options = {"reset_after": draw(st.booleans())} if kind == "GRU" else {}
            steps.append(layer(kind, ref(source), units=2, **options))
        ends.append(ref(len(steps)))
    ids = np.random.default_rng(draw(st.integers(0, 9))).integers(0, 7, (3, 5)).astype(np.int32)
    ids[:, draw(either(0, -1))] = 0
    ids[:, 2] = 3
    model = program([[5]], *steps, outputs=[{"ref": e["ref"]} for e in ends], dtype="int32")
    for step in model["steps"]:
        step["args"] = step["args"] or [ref(0)]
    return model, [ids], draw(SUFFIXES)


@examples(15)
@given(made=masked_chains())
def test_masks(exact, made):
    model, inputs, suffix = made
    equal_or_refused(exact, model, inputs, suffix=suffix)
