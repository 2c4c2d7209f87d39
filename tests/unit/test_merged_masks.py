"""What Keras 3.4 makes of masks in merges, and which masks Keras 3.8 loses."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tfjs_codec.ir.keras import Call, Config, KerasGraph, KerasLayer, Ref
from tfjs_codec.tracing.lost_masks import lost_masks

LINEAR: Config = {"activation": "linear"}


def layer(name: str, class_name: str, *calls: Sequence[str]) -> KerasLayer:
    """Return a layer called on the first outputs of others; attention takes them one by one."""

    def arguments(names: Sequence[str]) -> Call:
        refs = tuple(Ref(one, 0, 0) for one in names)
        return Call(refs if class_name == "MultiHeadAttention" else (list(refs),))

    return KerasLayer(name, class_name, calls=[arguments(names) for names in calls])


def graph(*layers: KerasLayer, outputs: Sequence[str]) -> KerasGraph:
    source = KerasLayer("x", "InputLayer")
    refs = [Ref(name, 0, 0) for name in outputs]
    return KerasGraph("m", [source, *layers], [Ref("x", 0, 0)], refs)


def lost(*layers: KerasLayer, outputs: Sequence[str]) -> dict[str, set[str]]:
    found = lost_masks(graph(*layers, outputs=outputs))
    return {name: {ref.layer for ref in refs} for (name, _), refs in found.items()}


ATTENTION = layer("a", "MultiHeadAttention", ("x", "x"))


def test_a_residual_sum_does_not_see_the_mask() -> None:
    after = layer("s", "Add", ("x", "a"))
    assert lost(ATTENTION, after, outputs=["s"]) == {"s": {"x"}}


def test_what_runs_before_sees_the_mask() -> None:
    """Of two branches, the longer one runs first."""
    one, two = layer("d", "Dense", ("x",)), layer("e", "Dense", ("d",))
    assert lost(ATTENTION, one, two, outputs=["a", "e"]) == {}
    late = layer("f", "Dense", ("a",))
    assert lost(ATTENTION, late, one, outputs=["f", "d"]) == {"d": {"x"}}


@pytest.mark.parametrize("kind", ["Dropout", "SpatialDropout1D", "Identity", "GaussianNoise"])
def test_a_layer_that_only_trains_returns_the_same_tensor(kind: str) -> None:
    drop = layer("d", kind, ("x",))
    attention = layer("a", "MultiHeadAttention", ("d", "d"))
    after = layer("s", "Add", ("x", "a"))
    assert lost(drop, attention, after, outputs=["s"]) == {"s": {"x"}}


def test_a_model_inside_removes_masks_of_its_inputs() -> None:
    nested = layer("n", "Functional", ("x",))
    nested.graph = graph(ATTENTION, outputs=["a"])
    after = layer("s", "Add", ("x", "n"))
    assert lost(nested, after, outputs=["s"]) == {"s": {"x"}}
    nested.graph = graph(layer("d", "Dense", ("x",)), outputs=["d"])
    assert lost(nested, after, outputs=["s"]) == {}


def test_other_attention_keeps_masks() -> None:
    after = layer("s", "Add", ("x", "a"))
    assert lost(layer("a", "Attention", ("x", "x")), after, outputs=["s"]) == {}


def test_cycles_end() -> None:
    ring = [layer("a", "MultiHeadAttention", ("b", "b")), layer("b", "Add", ("a", "x"))]
    lost(*ring, outputs=["b"])
