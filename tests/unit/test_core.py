"""The small parts: names, training configs, topology, options, tensors, sniffing, the API."""

from __future__ import annotations

import io
import pickle

import numpy as np
import pytest
from keras_files import dense_h5, v3_model

import tfjs_codec
from tfjs_codec.errors import UsageError
from tfjs_codec.files.detection import sniff
from tfjs_codec.files.source import open_source
from tfjs_codec.ir.layers import LayersGraph, TensorRef, TfjsLayer
from tfjs_codec.ir.tensors import ArrayTensor, DerivedTensor, as_float32, map_float32
from tfjs_codec.layers.training import training_config
from tfjs_codec.options import ConvertOptions, parse_size
from tfjs_codec.tfjs.names import Names, legal
from tfjs_codec.tfjs.topology import write_topology


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("dense", "dense"), ("a b", "a_b"), ("_x", "x"), ("a:0", "a_0"), ("é", "layer"),
        ("", "layer"), ("constructor", "constructor_"), ("__proto__", "proto__"),
        ("a/b.c-d", "a/b.c-d"),
    ],
)  # fmt: skip
def test_names_become_legal(name, want):
    assert legal(name) == want


def test_names_are_unique_in_a_model_and_with_weights_everywhere():
    names, one, other = Names(), object(), object()
    assert [names.claim(one, "d", True), names.claim(one, "d", True)] == ["d", "d_1"]
    assert names.claim(other, "d", True) == "d_2"
    assert names.claim(other, "d", False) == "d"


ADAM = {"class_name": "Adam", "config": {"learning_rate": 0.01}}


@pytest.mark.parametrize(
    ("optimizer", "want"),
    [
        (ADAM, ("Adam", {"learning_rate": 0.01, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7})),
        ({"class_name": "Custom>Adam", "config": {"learning_rate": 1}},
         ("Adam", {"learning_rate": 1, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7})),
        ({"class_name": "SGD", "config": {"lr": 0.5, "momentum": 0.0}},
         ("SGD", {"learning_rate": 0.5})),
        ({"class_name": "SGD", "config": {"learning_rate": 0.5, "momentum": 0.9, "nesterov": True}},
         ("Momentum", {"learning_rate": 0.5, "momentum": 0.9, "use_nesterov": True})),
        ({"class_name": "RMSprop", "config": {"learning_rate": 0.5, "rho": 0.8}},
         ("RMSProp", {"learning_rate": 0.5, "decay": 0.8, "momentum": 0.0, "epsilon": 1e-7,
                      "centered": False})),
    ],
)  # fmt: skip
def test_optimizers(optimizer, want):
    config, warnings = training_config({"optimizer_config": optimizer, "loss": "mse"})
    assert not warnings
    assert config["optimizer_config"] == {"class_name": want[0], "config": want[1]}


@pytest.mark.parametrize(
    ("loss", "want"),
    [
        ("mse", "mean_squared_error"), ("KLDivergence", "kullback_leibler_divergence"),
        (["mae", "bce"], ["mean_absolute_error", "binary_crossentropy"]),
        ({"a": "log_cosh"}, {"a": "logcosh"}),
        ({"class_name": "MeanSquaredError", "config": {"reduction": "auto"}}, "mean_squared_error"),
        ({"class_name": "function", "config": "poisson"}, "poisson"),
        ({"class_name": "BinaryCrossentropy", "config": {"from_logits": True}}, None),
        ({"class_name": "CategoricalCrossentropy", "config": {"label_smoothing": 0.1}}, None),
        ("huber", None), ("cosine_similarity", None), (None, None), (5, None), ([], []), ({}, {}),
    ],
)  # fmt: skip
def test_losses(loss, want):
    config, warnings = training_config({"optimizer_config": ADAM, "loss": loss})
    if want is None:
        assert config is None
        assert warnings[0].startswith("the training config was left out: ")
    else:
        assert config["loss"] == want


SCHEDULE = {"class_name": "Adam", "config": {"learning_rate": {}}}


@pytest.mark.parametrize(
    "optimizer", [None, 5, [], {}, {"class_name": "Lion", "config": {}}, SCHEDULE]
)
def test_optimizers_that_tfjs_lacks_drop_the_config(optimizer):
    config, warnings = training_config({"optimizer_config": optimizer, "loss": "mse"})
    assert config is None
    assert warnings


def wrapped(name, fn):
    config = {"name": name, "dtype": "float32", "fn": fn}
    return {"class_name": "MeanMetricWrapper", "config": config}


AUC = {"class_name": "AUC", "config": {"name": "auc", "num_thresholds": 200}}
STRICT = {"class_name": "BinaryAccuracy", "config": {"name": "strict", "threshold": 0.9}}


@pytest.mark.parametrize(
    ("metrics", "want", "lost"),
    [
        (["acc", "auc", "mean_absolute_error"], ["acc", "mae"], ["auc"]),
        ([[wrapped("accuracy", "categorical_accuracy"), wrapped("mae", "mean_absolute_error")]],
         ["accuracy", "mae"], []),  # as Keras 2 writes them
        ([[wrapped("acc", "binary_accuracy"), AUC]], ["acc"], ["auc"]),
        ([{"class_name": "CategoricalAccuracy", "config": {"name": "c"}}],
         ["categorical_accuracy"], []),
        ([STRICT], None, ["strict"]),
        ([["mse", "acc"], ["mse"]], ["mse"], ["acc"]),  # tfjs has the same for all outputs
        ({"a": "mse", "b": ["mse", "mae"]}, ["mse"], ["mae"]),
        ({"class_name": "function", "config": "mse"}, ["mse"], []),
        (None, None, []),
    ],
)  # fmt: skip
def test_metrics(metrics, want, lost):
    made, warnings = training_config({"optimizer_config": ADAM, "loss": "mse", "metrics": metrics})
    assert made.get("metrics") == want
    named = ", ".join(f"the metric {name}" for name in lost)
    assert warnings == ([f"training in tfjs does without {named}"] if lost else [])


@pytest.mark.parametrize(
    ("name", "want", "rate"),
    [("sgd", "SGD", 0.01), ("adam", "Adam", 0.001), ("RMSprop", "RMSProp", 0.001)],
)
def test_optimizers_by_name_have_the_rates_of_keras(name, want, rate):
    made, warnings = training_config({"optimizer": name, "loss": "mse"})
    assert made["optimizer_config"]["class_name"] == want
    assert made["optimizer_config"]["config"]["learning_rate"] == rate
    assert not warnings


OPTIONS = {"learning_rate": 0.1, "weight_decay": 0.01, "clipnorm": 1.0, "amsgrad": True,
           "clipvalue": None, "use_ema": False, "ema_momentum": 0.99, "name": "adam"}  # fmt: skip


def test_options_of_optimizers_that_tfjs_lacks_are_named():
    _, warnings = training_config(
        {"optimizer": {"class_name": "Adam", "config": OPTIONS}, "loss": "mse",
         "loss_weights": [2.0], "weighted_metrics": None, "jit_compile": True}
    )  # fmt: skip
    parts = [f"{key} of the optimizer" for key in ("weight_decay", "clipnorm", "amsgrad")]
    assert warnings == [f"training in tfjs does without {', '.join(parts)}, loss_weights"]


def test_schedules_are_named():
    schedule = {"class_name": "ExponentialDecay", "config": {"initial_learning_rate": 0.1}}
    optimizer = {"class_name": "SGD", "config": {"learning_rate": schedule}}
    made, warnings = training_config({"optimizer": optimizer, "loss": "mse"})
    assert made["optimizer_config"] == {"class_name": "SGD", "config": {"learning_rate": 0.1}}
    assert warnings == [
        "training in tfjs does without the schedule ExponentialDecay of the learning rate"
    ]


def layer(name, calls=(), graph=None):
    refs = [[TensorRef(*ref) for ref in call] for call in calls]
    return TfjsLayer(name, "Dense", {"units": 1}, graph=graph, calls=refs)


def test_nodes_of_nested_models_count_from_one():
    inner = LayersGraph("i", [layer("x")], [TensorRef("x", 0, 0)], [TensorRef("x", 0, 0)])
    nested = layer("n", [[("x", 0, 0)], [("x", 0, 0)]], inner)
    last = layer("d", [[("n", 1, 0)]])
    graph = LayersGraph(
        "m", [layer("x"), nested, last], [TensorRef("x", 0, 0)], [TensorRef("d", 0, 0)]
    )
    layers = write_topology(graph)["config"]["layers"]
    assert layers[1]["inbound_nodes"] == [[["x", 0, 0, {}]], [["x", 0, 0, {}]]]
    assert layers[2]["inbound_nodes"] == [[["n", 2, 0, {}]]]


@pytest.mark.parametrize("ref", [("y", 0, 0), ("x", 1, 0), ("x", -1, 0)])
def test_references_that_would_hang_tfjs_are_bugs(ref):
    graph = LayersGraph("m", [layer("x"), layer("d", [[ref]])], [], [])
    with pytest.raises(AssertionError, match="does not exist"):
        write_topology(graph)


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), ("4MB", 4_000_000), ("8MiB", 8 << 20), ("8M", 8 << 20), ("1.5k", 1536),
     (" 2 g ", 2 << 30)],
)  # fmt: skip
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "1e3", "iB", "1iB", "1 T", "x", "1,5M"])
def test_texts_that_are_no_sizes(text):
    with pytest.raises(UsageError, match="is not a size"):
        parse_size(text)


@pytest.mark.parametrize(
    "choices",
    [
        {"shard_size_bytes": 0}, {"shard_size_bytes": True}, {"shard_size_bytes": 1.5},
        {"quantize": "uint8"}, {"quantize": {"int8": True}}, {"quantize": {"uint8": 5}},
        {"quantize": {"uint8": [5]}}, {"metadata": [1]}, {"metadata": {"a": float("nan")}},
        {"metadata": {"a": object()}}, {"tags": "serve"},
    ],
)  # fmt: skip
def test_options_that_make_no_sense(choices):
    with pytest.raises(UsageError):
        ConvertOptions(**choices)
    assert pickle.loads(pickle.dumps(ConvertOptions())) == ConvertOptions()


@pytest.mark.parametrize("size", [1, 3, 4, 8, 13, 1000])
def test_pieces_of_tensors_are_the_tensor(size):
    array = np.arange(24, dtype=np.float64).reshape(2, 3, 4)
    for tensor in (
        ArrayTensor("a", array), as_float32(ArrayTensor("a", array)),
        map_float32(ArrayTensor("a", array), (4, 3, 2), np.transpose),
        DerivedTensor("a", (24,), lambda: array.reshape(-1)),
    ):  # fmt: skip
        pieces = list(tensor.chunks(size))
        assert all(piece.nbytes <= max(size, tensor.dtype.itemsize) for piece in pieces)
        np.testing.assert_array_equal(np.concatenate(pieces), tensor.numpy().reshape(-1))
        assert tensor.nbytes == tensor.numpy().nbytes


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "unknown"), (b"\x89HDF", "hdf5"), (b"\x89HDF\r\n\x1a\n" + bytes(9), "hdf5"),
        (bytes(512) + b"\x89HDF\r\n\x1a\n", "hdf5"), (b"PK\x03\x04", "zip"),
        (b' \n{"a": 1}', "json"),
        (b"PK\x05\x06" + bytes(18), "zip"), (b"junk" + b"PK\x05\x06" + bytes(18), "zip"),
        (b"hello", "unknown"),
    ],
)  # fmt: skip
def test_formats_are_told_by_content(data, kind):
    assert sniff(open_source(data)) == kind


def test_sources_of_all_kinds_give_the_same_model(tmp_path):
    path = tmp_path / "model.any"
    path.write_bytes(dense_h5())
    with path.open("rb") as file:
        sources = [path, str(path), path.read_bytes(), io.BytesIO(path.read_bytes()), file]
        for source in sources:
            with tfjs_codec.load(source) as model:
                assert list(model.weights) == ["d/kernel", "d/bias"]
                np.testing.assert_array_equal(model.weights["d/bias"], [0, 1, 2])
    with pytest.raises(UsageError):
        tfjs_codec.load(io.StringIO("text"))
    with pytest.raises(FileNotFoundError):
        tfjs_codec.load(tmp_path / "missing")


def test_weights_end_with_their_file():
    model = tfjs_codec.load(dense_h5())
    model.close()
    with pytest.raises(UsageError, match="closed"):
        model.weights["d/kernel"]


def test_plans_tell_the_sizes_that_conversions_write(tmp_path):
    layer = {"class_name": "InputLayer", "config": {"name": "x", "batch_shape": [None, 2]}}
    empty = {"class_name": "Sequential", "config": {"name": "s", "layers": [layer]}}
    for source in (dense_h5(), v3_model(empty, {})):
        planned = tfjs_codec.plan(source, shard_size_bytes=10)
        done = tfjs_codec.convert(source, tmp_path / "web", shard_size_bytes=10)
        assert planned.files == done.files[:-1]
        assert (planned.weights, planned.format) == (done.weights, done.format)
