"""Legacy HDF5 files: weights find their layers, in whatever order and under whatever names."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from keras_files import entry, functional, h5_model, input_entry

import tfjs_codec
from tfjs_codec.errors import CorruptFileError, UnsupportedModelError
from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.ir.loaded import KerasModel, Weights
from tfjs_codec.options import ConvertOptions
from tfjs_codec.readers import open_model

RNG = np.random.default_rng(1)


def arr(*shape: int) -> Any:
    return RNG.normal(size=shape).astype(np.float32)


def find(model: KerasModel, name: str) -> KerasLayer:
    return next(layer for layer in model.graph.walk() if layer.name == name)


def same(layer: KerasLayer, **expected: Any) -> None:
    assert list(layer.weights) == list(expected)
    for role, array in expected.items():
        np.testing.assert_array_equal(layer.weights[role].numpy(), array)


def nested_config(frozen: str = "") -> Any:
    inner = [
        input_entry("in", [None, 3]),
        entry("Dense", "d1", [[["in", 0, 0, {}]]], units=3),
        entry("BatchNormalization", "bn", [[["d1", 0, 0, {}]]], axis=[1]),
        entry("Dense", "d2", [[["bn", 0, 0, {}]]], units=3),
    ]
    for item in inner:
        item["config"]["trainable"] = frozen not in (item["name"], "all")
    outer = [
        input_entry("x", [None, 3]),
        {**functional(inner, [["in", 0, 0]], [["d2", 0, 0]], "inner"), "name": "inner",
         "inbound_nodes": [[["x", 0, 0, {}]]]},
    ]  # fmt: skip
    return functional(outer, [["x", 0, 0]], [["inner", 1, 0]])


VARIABLES = {
    "d1/kernel": arr(3, 3), "d1/bias": arr(3), "bn/gamma": arr(3), "bn/beta": arr(3),
    "bn/moving_mean": arr(3), "bn/moving_variance": arr(3), "d2/kernel": arr(3, 3),
    "d2/bias": arr(3),
}  # fmt: skip
TRAINED_FIRST = ["d1/kernel", "d1/bias", "bn/gamma", "bn/beta", "d2/kernel", "d2/bias",
                 "bn/moving_mean", "bn/moving_variance"]  # fmt: skip
D1_FROZEN = ["bn/gamma", "bn/beta", "d2/kernel", "d2/bias", "d1/kernel", "d1/bias",
             "bn/moving_mean", "bn/moving_variance"]  # fmt: skip
PLAIN = list(VARIABLES)


@pytest.mark.parametrize("names", ["{}:0", "scope/{}:0", "{}"])
@pytest.mark.parametrize(
    ("frozen", "order"),
    [("", TRAINED_FIRST), ("d1", D1_FROZEN), ("all", PLAIN), ("", D1_FROZEN), ("all",
                                                                              TRAINED_FIRST)],
)  # fmt: skip
def test_nested_models_in_every_order(frozen: str, order: list[str], names: str) -> None:
    """The last two cases are orders that the flags in the config do not explain."""
    weights = [(names.format(name), VARIABLES[name]) for name in order]
    with open_model(h5_model(nested_config(frozen), {"x": [], "inner": weights})) as model:
        for name in ("d1", "bn", "d2"):
            own = {key.split("/")[1]: value for key, value in VARIABLES.items()
                   if key.startswith(f"{name}/")}  # fmt: skip
            same(find(model, name), **own)


def test_prefixes_from_another_session_are_not_believed() -> None:
    """In a file saved again layer dense may hold dense_1/kernel:0, another layer's name."""
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [
        entry("Dense", "dense", units=2, batch_input_shape=[None, 2]),
        entry("Dense", "dense_1", units=2),
    ]}}  # fmt: skip
    first, second = arr(2, 2), arr(2, 2)
    groups = {
        "dense": [("dense_1/kernel:0", first), ("dense_1/bias:0", np.zeros(2))],
        "dense_1": [("dense_2/kernel:0", second), ("dense_2/bias:0", np.ones(2))],
    }
    with open_model(h5_model(config, groups)) as model:
        same(find(model, "dense"), kernel=first, bias=np.zeros(2))
        same(find(model, "dense_1"), kernel=second, bias=np.ones(2))


def test_bare_names_of_early_keras_3() -> None:
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [
        entry("DepthwiseConv2D", "c", kernel_size=2, batch_input_shape=[None, 4, 4, 1]),
    ]}}  # fmt: skip
    kernel = arr(2, 2, 1, 1)
    file = h5_model(config, {"c": [("kernel", kernel), ("bias", np.zeros(1))]}, version="3.0.5")
    with open_model(file) as model:
        same(find(model, "c"), depthwise_kernel=kernel, bias=np.zeros(1))


def lstm_config(class_name: str = "LSTM", **config: Any) -> Any:
    layer = entry(class_name, "r", units=2, batch_input_shape=[None, 3, 4], **config)
    return {"class_name": "Sequential", "config": {"name": "s", "layers": [layer]}}


def test_cudnn_weights_are_converted() -> None:
    kernel, recurrent, bias = arr(4, 8), arr(2, 8), arr(16)
    weights = [("r/kernel:0", kernel), ("r/recurrent_kernel:0", recurrent), ("r/bias:0", bias)]
    with open_model(h5_model(lstm_config("CuDNNLSTM"), {"r": weights})) as model:
        layer = find(model, "r")
        assert layer.class_name == "LSTM"
        assert layer.config["recurrent_activation"] == "sigmoid"
        got = {role: tensor.numpy() for role, tensor in layer.weights.items()}
        # cuDNN applies W^T of each gate: the first gate's matrix read in its own order.
        np.testing.assert_array_equal(got["recurrent_kernel"][:, :2], recurrent[:, :2].T)
        np.testing.assert_array_equal(
            got["kernel"][:, 2:4], kernel[:, 2:4].T.reshape((4, 2), order="F")
        )
        np.testing.assert_allclose(got["bias"], bias[:8] + bias[8:], rtol=1e-6)


def test_keras_1_gates_are_joined() -> None:
    layer = entry("LSTM", "r", output_dim=2, inner_activation="hard_sigmoid", consume_less="cpu")
    layer["config"].update(batch_input_shape=[None, 3, 4], input_dtype="float32")
    parts = {f"{kind}_{gate}": arr(*shape) for gate in "icfo"
             for kind, shape in (("W", (4, 2)), ("U", (2, 2)), ("b", (2,)))}  # fmt: skip
    weights = [(f"r_{name}:0", array) for name, array in parts.items()]
    file = h5_model({"class_name": "Sequential", "config": [layer]}, {"r": weights}, "1.2.2")
    with open_model(file) as model:
        assert model.generation == 1
        joined = [np.concatenate([parts[f"{kind}_{gate}"] for gate in "ifco"], -1)
                  for kind in "WUb"]  # fmt: skip
        same(find(model, "r"), kernel=joined[0], recurrent_kernel=joined[1], bias=joined[2])


def test_theano_kernels_are_flipped() -> None:
    layer = entry("Conv2D", "c", filters=1, kernel_size=[2, 3], batch_input_shape=[None, 4, 4, 1])
    kernel = arr(2, 3, 1, 1)
    file = h5_model(
        {"class_name": "Sequential", "config": [layer]},
        {"c": [("c/kernel", kernel), ("c/bias", np.zeros(1))]}, "2.0.8", backend="theano",
    )  # fmt: skip
    with open_model(file) as model:
        assert model.backend == "theano"
        same(find(model, "c"), kernel=kernel[::-1, ::-1], bias=np.zeros(1))


def test_custom_layers_keep_what_the_file_has() -> None:
    layer = entry("pkg>Thing", "t", batch_input_shape=[None, 4])
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [layer]}}
    weights = [("t/a/w:0", arr(1)), ("t/b/w:0", arr(2)), ("t/other:0", arr(3))]
    with open_model(h5_model(config, {"t": weights})) as model:
        assert list(find(model, "t").weights) == ["w", "t/b/w", "other"]


def test_weights_only() -> None:
    weights = [("r/kernel:0", arr(4, 8)), ("r/recurrent_kernel:0", arr(2, 8)),
               ("r/bias:0", arr(8))]  # fmt: skip
    file = h5_model(None, {"renamed": weights})
    with open_model(file) as model:
        assert isinstance(model, Weights)
        assert list(model.named_weights()) == [name[:-2] for name, _ in weights]
        assert list(model.warnings) == [
            (
                "weights only: 3 tensors, no architecture; "
                "pass the architecture with --architecture model.json"
            )
        ]
    with open_model(file, ConvertOptions(architecture=json.dumps(lstm_config()).encode())) as model:
        same(find(model, "r"), **{name[2:-2]: array for name, array in weights})
        assert any("by order" in warning for warning in model.warnings)


def test_the_input_shape_that_keras_2_2_loses_follows_from_the_weights() -> None:
    layers = [entry("Conv2D", "c", filters=1, kernel_size=2), entry("Flatten", "f")]
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}
    kernel = arr(2, 2, 3, 1)
    file = h5_model(config, {"c": [("c/kernel:0", kernel), ("c/bias:0", np.zeros(1))], "f": []})
    with open_model(file) as model:
        assert model.graph.layers[0].config["batch_shape"] == [None, None, None, 3]
    unknown = {"class_name": "Sequential", "config": {"name": "s", "layers": layers[1:]}}
    with pytest.raises(UnsupportedModelError), open_model(h5_model(unknown, {"f": []})):
        pass


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (["kernel"], "the file holds 1 weight (kernel), the config needs 2 (kernel, bias)"),
        ([], "the file holds 0 weights (), the config needs 2 (kernel, bias)"),
        (
            ["kernel", "gamma"],
            "the file holds the weights kernel, gamma, the config needs kernel, bias",
        ),
    ],
)
def test_wrong_weights_are_told(weights: list[str], message: str) -> None:
    layer = entry("Dense", "dense", units=2, batch_input_shape=[None, 2])
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [layer]}}
    file = h5_model(config, {"dense": [(f"dense/{name}:0", arr(2)) for name in weights]})
    with pytest.raises(CorruptFileError) as caught, open_model(file):
        pass
    assert caught.value.what == f"layer 'dense': {message}"


@pytest.mark.parametrize(("alpha", "scale"), [({}, 1), ({"lora_alpha": 3}, 1.5)])
@pytest.mark.parametrize(
    ("kind", "role", "shape", "config"),
    [("Dense", "kernel", (3, 4), {"units": 4, "use_bias": False}),
     ("Conv1D", "kernel", (2, 3, 4), {"filters": 4, "kernel_size": 2, "use_bias": False}),
     ("Embedding", "embeddings", (3, 4), {"input_dim": 3, "output_dim": 4})],
)  # fmt: skip
def test_what_lora_learned_is_added(kind, role, shape, config, alpha, scale, tmp_path):
    """``.h5`` files list it between the bias and the kernel; ``.keras`` files hold the sum."""
    layer = entry(kind, "d", batch_input_shape=[None, 5, 3], lora_rank=2, **config, **alpha)
    low, high, weight = arr(*shape[:-1], 2), arr(2, 4), arr(*shape)
    found = [(f"d/lora_{role}_a", low), (f"d/lora_{role}_b", high), (f"d/{role}", weight)]
    (tmp_path / "m.h5").write_bytes(
        h5_model({"class_name": "Sequential", "config": [layer]}, {"d": found}, "3.15.0")
    )
    with open_model(tmp_path / "m.h5", ConvertOptions()) as model:
        (got,) = find(model, "d").weights.items()
        assert got[0] == role
        np.testing.assert_allclose(got[1].numpy(), weight + scale * (low @ high), rtol=1e-5)


def quantised_h5(policy: str, tensors: dict[str, Any], **config: Any) -> bytes:
    """Return a model of one Dense layer with *policy*, as Keras 3 names it."""
    dtype = {"class_name": "QuantizedDTypePolicy", "module": "keras",
             "config": {"mode": policy, "source_name": "float32"}}  # fmt: skip
    layer = entry("Dense", "d", batch_input_shape=[None, 3], units=4, dtype=dtype, **config)
    groups = {"d": [(f"d/{name}", tensor) for name, tensor in tensors.items()]}
    return h5_model({"class_name": "Sequential", "config": [layer]}, groups, "3.15.0")


def test_lora_beside_quantised_weights_is_refused(tmp_path):
    tensors = {"bias": arr(4), "lora_kernel_a": arr(3, 2), "lora_kernel_b": arr(2, 4),
               "kernel": arr(3, 4), "kernel_scale": arr(4)}  # fmt: skip
    (tmp_path / "m.h5").write_bytes(quantised_h5("int8", tensors, lora_rank=2))
    with pytest.raises(UnsupportedModelError, match=r"'d': LoRA beside.*as \.keras"):
        tfjs_codec.convert(tmp_path / "m.h5", tmp_path / "web")


@pytest.mark.parametrize("to", [{}, {"to": "graph"}])
def test_float8_is_refused(to, tmp_path):
    """All it trains with is in the file, which is not damaged."""
    tensors = {"kernel": arr(3, 4), "bias": arr(4)}
    for name in ("inputs", "kernel", "outputs_grad"):
        tensors |= {f"{name}_scale": arr(), f"{name}_amax_history": arr(8)}
    (tmp_path / "m.h5").write_bytes(quantised_h5("float8", tensors))
    with pytest.raises(UnsupportedModelError, match=r"'d' \(Dense\): float8.*before it is"):
        tfjs_codec.convert(tmp_path / "m.h5", tmp_path / "web", **to)


@pytest.mark.parametrize("to", [{}, {"to": "graph"}])
def test_layers_without_a_rule_are_refused_as_those_of_keras(to, tmp_path):
    layer = entry("LocallyConnected1D", "l", batch_input_shape=[None, 5, 3], filters=4,
                  kernel_size=[2])  # fmt: skip
    found = {"l": [("l/kernel", arr(4, 6, 4)), ("l/bias", arr(4, 4))]}
    (tmp_path / "m.h5").write_bytes(
        h5_model({"class_name": "Sequential", "config": [layer]}, found)
    )
    with pytest.raises(UnsupportedModelError, match=r"'l' .*differs from position.*register_rule"):
        tfjs_codec.convert(tmp_path / "m.h5", tmp_path / "web", **to)
