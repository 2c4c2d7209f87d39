"""No rule of either target overlooks what it does not know: options, arguments, options of ops.

Each class is tried in a model that converts: the recorded one named after it, or a small one made
here for classes that have none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from layer_fixtures import Programs

from tfjs_codec.errors import UnsupportedModelError
from tfjs_codec.ir.keras import Call, KerasGraph, KerasLayer, Ref
from tfjs_codec.ir.loaded import KerasModel
from tfjs_codec.ir.tensors import ArrayTensor
from tfjs_codec.keras.classes import CLASSES, REQUIRED
from tfjs_codec.layers.catalogue import REGISTRY as LAYERS
from tfjs_codec.layers.lower import lower
from tfjs_codec.operations.catalogue import REGISTRY as OPERATIONS
from tfjs_codec.operations.target import build_graph
from tfjs_codec.readers import open_model
from tfjs_codec.tracing.refusal import Refusal
from tfjs_codec.tracing.tracer import bind

RECORDED = tuple(Programs(f"{kind}programs.zip") for kind in ("", "graph_", "text_"))
IMAGE = (6, 6, 3)
VOCABULARY = {"vocabulary": ["a", "b"], "mask_token": None}
# Classes without a recorded model of their own: shape and dtype of the input, and its options.
MADE: dict[str, tuple[tuple[int, ...], str, dict[str, Any]]] = {
    **{
        name: (IMAGE, "float32", {})
        for name, row in CLASSES.items()
        if row.family == "augmentation" and name != "RandomCrop"
    },
    "Addons>InstanceNormalization": (IMAGE, "float32", {"center": False, "scale": False}),
    "GaussianNoise": (IMAGE, "float32", {"stddev": 0.5}), "Masking": (IMAGE, "float32", {}),
    "LayerScale": (IMAGE, "float32", {}), "StochasticDepth": (IMAGE, "float32", {}),
    "CustomScaleLayer": (IMAGE, "float32", {"scale": 0.5}),
    "Functional": (IMAGE, "float32", {}),
    "SpatialDropout2D": (IMAGE, "float32", {}), "SpatialDropout3D": ((2, *IMAGE), "float32", {}),
    "ThresholdedReLU": (IMAGE, "float32", {}), "Hashing": ((2,), "int32", {"num_bins": 3}),
    "ConvLSTM3D": ((2, 2, 2, 2, 1), "float32", {
        "filters": 1, "kernel_size": [1, 1, 1], "strides": [1, 1, 1], "use_bias": False,
        "dilation_rate": [1, 1, 1]}),
    "IntegerLookup": ((2,), "int32", {**VOCABULARY, "vocabulary": [1, 2]}),
    "StringLookup": ((2,), "string", VOCABULARY),
}  # fmt: skip
WEIGHTS = {
    "LayerScale": {"gamma": (3,)},
    "ConvLSTM3D": {"kernel": (1, 1, 1, 1, 4), "recurrent_kernel": (1, 1, 1, 1, 4)},
}
# A model's options are those of its layers.
CASES = [
    (name, where)
    for name in sorted(LAYERS.layers.keys() | OPERATIONS.layers.keys())
    for where in ("config", "call")
    if (name, where) != ("Functional", "config")
]


def make(name: str) -> KerasModel:
    """Return a model with one layer of class *name*."""
    shape, dtype, config = MADE[name]
    row = CLASSES[name]
    known = {key: value for key, value in row.config.items() if value is not REQUIRED}
    held = {
        role: ArrayTensor(role, np.ones(size, np.float32))
        for role, size in WEIGHTS.get(name, {}).items()
    }
    source = KerasLayer("i", "InputLayer", {"batch_shape": [None, *shape], "dtype": dtype})
    start = Ref("i", 0, 0)
    given = [start, start] if name == "CustomScaleLayer" else start
    layer = KerasLayer(
        "x", name, {**known, **config}, calls=[Call((given,))], weights=dict(held)
    )  # fmt: skip
    if name == "Functional":
        layer.graph = KerasGraph("n", [source.copy()], [start], [start])
    graph = KerasGraph("m", [source, layer], [start], [Ref("x", 0, 0)])
    return KerasModel("m", "keras-v3", graph, row.generations[-1], keras_version="3.15.0")


@contextmanager
def example(name: str) -> Iterator[KerasModel]:
    """Open a model with a layer of class *name*."""
    if name in MADE:
        yield make(name)
        return
    recorded = next(
        each.get(key) for each in RECORDED for key in each.how if key.partition("_")[0] == name
    )
    with open_model(recorded.source) as model:
        assert isinstance(model, KerasModel)
        yield model


def spoil(model: KerasModel, name: str, where: str) -> KerasModel:
    """Give the layers of class *name* an option, or an argument, that no class of Keras has."""
    graph = model.graph.copy()
    for layer in graph.walk():
        if layer.is_op or (layer.class_name if layer.graph is None else "Functional") != name:
            continue
        if where == "config":
            layer.config["odd"] = 3
        layer.calls = [
            Call(call.args, {**call.kwargs, **({"odd": np.ones(3)} if where == "call" else {})})
            for call in layer.calls
        ]
    return KerasModel(
        model.path, model.format, graph, model.generation, keras_version=model.keras_version
    )


def reasons(translate: Callable[[KerasModel], object], model: KerasModel) -> list[str]:
    try:
        translate(model)
    except UnsupportedModelError as error:
        return [problem.reason for problem in error.problems]
    return []


@pytest.mark.parametrize(("name", "where"), CASES)
def test_what_a_rule_does_not_know_is_refused(name: str, where: str) -> None:
    what = "the option 'odd' of" if where == "config" else "the argument 'odd'"
    with example(name) as model:
        called = {layer.class_name for layer in model.graph.walk() if layer.calls}
        if where == "call" and name not in called:
            assert CLASSES[name].family == "cell"  # nobody calls it by itself
            return
        for translate, registry in ((lower, LAYERS), (build_graph, OPERATIONS)):
            if name in registry.layers and not reasons(translate, model):
                found = reasons(translate, spoil(model, name, where))
                assert any(what in reason for reason in found), found


@pytest.mark.parametrize(
    ("registry", "name"),
    [
        pytest.param(registry, name, id=f"{target}-{name}")
        for target, registry in (("layers", LAYERS), ("graph", OPERATIONS))
        for name in sorted(registry.ops)
    ],
)
def test_an_option_that_an_operation_does_not_know_is_refused(registry: Any, name: str) -> None:
    for value in (3, 0, np.ones(3)):
        with pytest.raises(Refusal, match="the option 'odd'"):
            bind(registry.ops[name], name, Call((), {"odd": value}))
