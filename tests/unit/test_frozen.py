"""Layers that are frozen in Keras stay frozen in tfjs, nested ones, too."""

from __future__ import annotations

import numpy as np

from tfjs_codec.files.place import Place
from tfjs_codec.ir.keras import Call, KerasGraph, KerasLayer, Ref
from tfjs_codec.ir.loaded import KerasModel
from tfjs_codec.ir.tensors import ArrayTensor
from tfjs_codec.layers.lower import lower
from tfjs_codec.tfjs.topology import read_topology


def dense(name: str, before: str, *, trainable: bool) -> KerasLayer:
    config = {"units": 2, "activation": "linear", "use_bias": False, "trainable": trainable}
    kernel = ArrayTensor("kernel", np.ones((2, 2), np.float32))
    calls = [Call((Ref(before, 0, 0),))]
    return KerasLayer(name, "Dense", config, calls=calls, weights={"kernel": kernel})


def source(name: str) -> KerasLayer:
    return KerasLayer(name, "InputLayer", {"batch_shape": [None, 2], "dtype": "float32"})


def test_frozen_layers_stay_frozen() -> None:
    inner = KerasGraph(
        "base", [source("j"), dense("b", "j", trainable=True)], [Ref("j", 0, 0)], [Ref("b", 0, 0)]
    )
    base = KerasLayer(
        "base", "Functional", {"trainable": False}, calls=[Call((Ref("a", 0, 0),))], graph=inner
    )
    layers = [
        source("i"),
        dense("a", "i", trainable=False),
        base,
        dense("c", "base", trainable=True),
    ]
    model = KerasGraph("m", layers, [Ref("i", 0, 0)], [Ref("c", 0, 0)])
    made, _ = lower(KerasModel("m", "keras-v3", model, 3))
    graph = read_topology(made.topology, Place("m"))
    found = {}
    for layer in graph.layers:
        found[layer.name] = layer.config.get("trainable", True)
        for one in layer.graph.layers if layer.graph else ():
            found[one.name] = one.config.get("trainable", True)
    assert (found["a"], found["b"], found["c"]) == (False, False, True)
    assert inner.layers[1].trainable


def test_constants_of_layers_without_variables_are_frozen() -> None:
    """``fit`` in the page trains what Keras trains, not the matrices of a ``Resizing``."""
    resizing = KerasLayer(
        "r",
        "Resizing",
        {"height": 3, "width": 3, "trainable": True},
        calls=[Call((Ref("i", 0, 0),))],
    )
    image = KerasLayer("i", "InputLayer", {"batch_shape": [None, 2, 2, 2], "dtype": "float32"})
    layers = [image, resizing, dense("a", "r", trainable=True)]
    model = KerasGraph("m", layers, [Ref("i", 0, 0)], [Ref("a", 0, 0)])
    made, _ = lower(KerasModel("m", "keras-v3", model, 3))
    graph = read_topology(made.topology, Place("m"))
    trainable = {layer.name: layer.config.get("trainable", True) for layer in graph.layers}
    constants = {weight.name.rpartition("/")[0] for weight in made.weights} - {"a"}
    assert constants
    assert [trainable[name] for name in sorted(constants)] == [False] * len(constants)
    assert trainable["a"]
