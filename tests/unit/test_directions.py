"""Masked Bidirectional layers of tfjs on the way to Keras, which zeroes what their mask hides."""

from __future__ import annotations

import pytest

from tfjs_codec.back.portable import make_portable
from tfjs_codec.errors import UnsupportedModelError
from tfjs_codec.ir.keras import Call, Config, KerasGraph, KerasLayer, Ref
from tfjs_codec.ir.loaded import KerasModel
from tfjs_codec.writers.keras_config import KEYS

GRU: Config = {
    "units": 2, "activation": "tanh", "recurrent_activation": "sigmoid", "return_sequences": True,
}  # fmt: skip


def layer(name: str, class_name: str, source: str, **config: object) -> KerasLayer:
    new = KerasLayer(name, class_name, dict(config))
    new.calls = [Call((Ref(source, 0, 0),))]
    return new


def both(name: str, source: str, mode: str | None = "concat", **more: object) -> KerasLayer:
    """Return a Bidirectional GRU that returns sequences."""
    new = layer(name, "Bidirectional", source, merge_mode=mode)
    for key in ("forward", "backward"):
        config: Config = {**GRU, "go_backwards": key == "backward", **more}
        new.children[f"{key}_layer"] = KerasLayer(f"{key}_gru_{name}", "GRU", config)
    return new


def brought(*layers: KerasLayer, outputs: str = "b") -> dict[str, str]:
    """Return the classes, by name, that Keras gets for *layers* behind a Masking ``m``."""
    graph = portable(*layers, outputs=outputs)
    return {one.name: one.class_name for one in graph.layers if one.name not in ("x", "m")}


def portable(*layers: KerasLayer, outputs: str = "b", sequential: bool = False) -> KerasGraph:
    entry = KerasLayer("x", "InputLayer", {"batch_shape": [None, 4, 3], "dtype": "float32"})
    masking = layer("m", "Masking", "x", mask_value=0.0)
    refs = [Ref(name, 0, 0) for name in outputs.split()]
    graph = KerasGraph("model", [entry, masking, *layers], [Ref("x", 0, 0)], refs, sequential)
    model, _ = make_portable(KerasModel("m", "tfjs-layers", graph, 2), frozenset(KEYS))
    return model.graph


SPLIT = {
    "forward_gru_b": "GRU", "forward_gru_b_unmasked": "Masking",
    "backward_gru_b": "GRU", "backward_gru_b_unmasked": "Masking",
    "backward_gru_b_reversed": "SimpleRNN", "b_merged": "Concatenate",
}  # fmt: skip


def test_a_layer_whose_hidden_steps_are_used_becomes_two() -> None:
    assert brought(both("b", "m")) == SPLIT


@pytest.mark.parametrize("kind", ["Flatten", "GlobalAveragePooling1D", "LayerNormalization"])
def test_it_does_before_layers_that_mix_steps(kind: str) -> None:
    after = layer("d", kind, "b", axis=-1)
    found = brought(both("b", "m"), after, outputs="d")
    assert found.items() >= (SPLIT | {"d": kind}).items()


def test_it_stays_where_the_next_layer_skips_the_same_steps() -> None:
    dense = layer("d", "Dense", "b", units=2, activation="linear")
    last = layer("g", "GRU", "d", **{**GRU, "return_sequences": False})
    found = brought(both("b", "m"), dense, last, outputs="g")
    assert found == {"b": "Bidirectional", "d": "Dense", "g": "GRU"}


def test_it_stays_without_a_mask_or_sequences() -> None:
    assert brought(both("b", "m", return_sequences=False)) == {"b": "Bidirectional"}
    unmasked = brought(layer("n", "Masking", "m", mask_value=3e38), both("b", "n"))
    assert unmasked["b"] == "Bidirectional"


def test_both_uses_are_refused() -> None:
    last = layer("g", "GRU", "b", **{**GRU, "return_sequences": False})
    with pytest.raises(UnsupportedModelError, match=r"'b' .*yields zeros.*either with the mask"):
        brought(both("b", "m"), last, outputs="b g")


def test_directions_that_are_not_merged_are_refused() -> None:
    last = layer("g", "GRU", "b", **{**GRU, "return_sequences": False})
    with pytest.raises(UnsupportedModelError, match=r"yields zeros"):
        brought(both("b", "m", mode=None), last, outputs="g")
    with_state = both("b", "m")
    with_state.calls = [Call(([Ref("m", 0, 0), Ref("x", 0, 0), Ref("x", 0, 0)],))]
    with pytest.raises(UnsupportedModelError, match=r"yields zeros.*without initial states"):
        brought(with_state)


def test_a_chain_with_two_directions_is_none() -> None:
    assert not portable(both("b", "m"), sequential=True).sequential
