"""Pooling with any options: tfjs computes what Keras computes, or we refuse."""

from __future__ import annotations

import pytest
from configurations import BACKENDS, SUFFIXES, either, equal_or_refused, examples
from hypothesis import given
from hypothesis import strategies as st
from programs import layer, numbers, program

pytestmark = [pytest.mark.oracle, pytest.mark.node]


def _shape(draw: st.DrawFn, rank: int, config: dict[str, object]) -> list[int]:
    """Draw the shape of an input with *rank* spatial axes, and its data format."""
    shape = [draw(st.integers(2, 7 if rank < 3 else 5)) for _ in range(rank)]
    config["data_format"] = draw(either("channels_last", "channels_last", "channels_first"))
    shape.insert(0 if config["data_format"] == "channels_first" else rank, draw(st.integers(1, 3)))
    return shape


@st.composite
def windows(draw: st.DrawFn) -> tuple[str, dict[str, object], list[int], int]:
    rank = draw(st.integers(1, 3))
    config: dict[str, object] = {
        "pool_size": [draw(st.integers(1, 3)) for _ in range(rank)],
        "padding": draw(either("valid", "same")),
    }
    if draw(st.booleans()):
        config["strides"] = [draw(st.integers(1, 4)) for _ in range(rank)]
    kind = draw(either("Max", "Average"))
    return f"{kind}Pooling{rank}D", config, _shape(draw, rank, config), draw(st.integers(1, 3))


@st.composite
def whole(draw: st.DrawFn) -> tuple[str, dict[str, object], list[int], int]:
    rank, kind = draw(st.integers(1, 3)), draw(either("Max", "Average"))
    if draw(either(True, True, False)):
        config: dict[str, object] = {"keepdims": draw(st.booleans())}
        name = f"Global{kind}Pooling{rank}D"
    else:
        config = {"output_size": [draw(st.integers(1, 4)) for _ in range(rank)]}
        name = f"Adaptive{kind}Pooling{rank}D"
    return name, config, _shape(draw, rank, config), draw(st.integers(1, 3))


@examples(15)
@given(made=windows(), suffix=SUFFIXES, backend=BACKENDS)
def test_windows(exact, made, suffix, backend):
    class_name, config, shape, batch = made
    model = program([shape], layer(class_name, **config))
    equal_or_refused(exact, model, [numbers(batch, *shape)], suffix=suffix, backend=backend)


@examples(12)
@given(made=whole(), suffix=SUFFIXES, backend=BACKENDS)
def test_whole_axes(exact, made, suffix, backend):
    class_name, config, shape, batch = made
    model = program([shape], layer(class_name, **config))
    equal_or_refused(exact, model, [numbers(batch, *shape)], suffix=suffix, backend=backend)
