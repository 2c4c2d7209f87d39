"""Normalisations with any axes and options: tfjs computes what Keras computes, or we refuse."""

from __future__ import annotations

from typing import Any

import pytest
from configurations import BACKENDS, SUFFIXES, either, equal_or_refused, examples
from hypothesis import given
from hypothesis import strategies as st
from programs import inner, layer, numbers, program, ref

pytestmark = [pytest.mark.oracle, pytest.mark.node]


@st.composite
def normalisations(draw: st.DrawFn) -> tuple[str, dict[str, Any], list[int], int]:
    rank = draw(st.integers(1, 4))
    shape = [draw(st.integers(1, 4)) for _ in range(rank - 1)] + [2 * draw(st.integers(1, 3))]
    name = draw(
        either(
            "BatchNormalization", "LayerNormalization", "LayerNormalization", "GroupNormalization",
            "RMSNormalization", "UnitNormalization", "Normalization",
        )
    )  # fmt: skip
    axis: Any = draw(st.integers(1, rank))
    if draw(st.booleans()):
        axis -= rank + 1
    config: dict[str, Any] = {"axis": axis}
    if name in ("BatchNormalization", "LayerNormalization", "GroupNormalization"):
        config |= {"center": draw(st.booleans()), "scale": draw(st.booleans()), "epsilon": 1e-3}
    if name in ("LayerNormalization", "UnitNormalization") and draw(st.booleans()):
        config["axis"] = sorted(draw(st.sets(st.integers(1, rank), min_size=1)))
    if name == "LayerNormalization":
        config["rms_scaling"] = draw(either(False, False, True))
    if name == "GroupNormalization":
        config["groups"] = draw(either(1, 2, -1))
        config["axis"] = draw(either(-1, rank, axis))
    if name == "Normalization":
        config["axis"] = draw(either(-1, axis, None))
        one = config["axis"] is None
        size = 1 if one else shape[(config["axis"] % (rank + 1)) - 1]
        config |= {"mean": [0.3 * i for i in range(size)], "variance": [1.5] * size}
        if one:
            config |= {"mean": 0.3, "variance": 1.5}
        config["invert"] = draw(st.booleans())
    return name, config, shape, draw(st.integers(1, 3))


@examples(30)
@given(made=normalisations(), suffix=SUFFIXES, backend=BACKENDS)
def test_normalisations(exact, made, suffix, backend):
    class_name, config, shape, batch = made
    model = program([shape], layer(class_name, **config))
    inputs = [numbers(batch, *shape)]
    equal_or_refused(exact, model, inputs, suffix=suffix, backend=backend, atol=3e-5)


@examples(4)
@given(units=st.integers(1, 3), wrapped=either("Dense", "Conv1D", "TimeDistributed"))
def test_wrapped_layers(exact, units, wrapped):
    config = {"filters": units, "kernel_size": 2} if wrapped == "Conv1D" else {"units": units}
    if wrapped == "TimeDistributed":
        made = layer(wrapped, layer=inner("Dense", **config))
    else:
        made = layer("SpectralNormalization", layer=inner(wrapped, **config))
    after = layer("UnitNormalization", ref(1))
    equal_or_refused(exact, program([[4, 3]], made, after), [numbers(2, 4, 3)])
