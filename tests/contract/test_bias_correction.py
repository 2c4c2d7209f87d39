"""Biases take back what rounding kernels does to the mean of their outputs."""

from __future__ import annotations

import numpy as np
import pytest
from keras_files import dense_h5

import tfjs_codec
from tfjs_codec.cli.main import main
from tfjs_codec.errors import UsageError, VerificationError
from tfjs_codec.ir.graph import Graph, Node, Ref, Shape, Tensor
from tfjs_codec.ir.tensors import ArrayTensor
from tfjs_codec.quantization.bias import correct_biases

FORMS = [("conv", "layers"), ("conv", "graph"), ("lstm", "layers"), ("lstm", "graph"),
         ("transformer", "graph")]  # fmt: skip
UINT8 = {"quantize": {"uint8": True}}


@pytest.fixture
def recorded(fixtures_dir, tmp_path):
    """Return a function from the name of a model to its file, inputs, outputs and 100 samples."""
    folder = fixtures_dir / "quantized"

    def read(name):
        with np.load(folder / "io.npz") as arrays:
            x, expected = arrays[f"{name}/in"], arrays[f"{name}/out"]
        np.savez(tmp_path / "io.npz", in0=x[:100])
        return folder / f"{name}.keras", x, expected.astype(np.float64), tmp_path / "io.npz"

    return read


def predict(web, x):
    with tfjs_codec.load(web) as model:
        return model.predict(x).astype(np.float64)


def divergence(found, expected):
    return np.mean(np.sum(expected * np.log(expected / found), axis=-1))


@pytest.mark.parametrize(("name", "to"), FORMS)
def test_samples_are_predicted_better_or_as_before(recorded, tmp_path, name, to):
    source, x, expected, samples = recorded(name)
    tfjs_codec.convert(source, tmp_path / "plain", to=to, **UINT8)
    report = tfjs_codec.convert(source, tmp_path / "web", to=to, calibrate=samples, **UINT8)
    plain, found = predict(tmp_path / "plain", x), predict(tmp_path / "web", x)
    errors = [np.mean(np.square(each - expected)[:100]) for each in (plain, found)]
    assert errors[1] < errors[0] if report.corrected else errors[1] == errors[0]
    assert bool(report.corrected) == ((name, to) != ("lstm", "layers"))
    assert ("corrected for the calibration inputs" in str(report)) == bool(report.corrected)
    tfjs_codec.verify(tmp_path / "web", source, samples=0, calibrate=samples)
    if report.corrected:
        with pytest.raises(VerificationError, match=r"(?s)' differs from .* was given --calibrate"):
            tfjs_codec.verify(tmp_path / "web", source, samples=0)


@pytest.mark.parametrize("to", ["layers", "graph"])
def test_other_inputs_gain_too(recorded, tmp_path, to):
    source, x, expected, samples = recorded("conv")
    tfjs_codec.convert(source, tmp_path / "plain", to=to, **UINT8)
    tfjs_codec.convert(source, tmp_path / "web", to=to, calibrate=samples, **UINT8)
    before, after = (
        divergence(predict(tmp_path / web, x[100:]), expected[100:]) for web in ("plain", "web")
    )
    assert after < 0.7 * before


def test_kernels_rounded_for_samples_are_within_a_step(recorded, tmp_path):
    source, _, _, samples = recorded("transformer")
    web = tmp_path / "web"
    report = tfjs_codec.convert(source, web, to="graph", calibrate=samples, **UINT8)
    kernels = {name for name, *_ in report.quantization}
    assert len(kernels & set(report.corrected)) > 5
    tfjs_codec.verify(web, source, samples=0, calibrate=samples)
    shard = web / "group1-shard1of1.bin"
    data = bytearray(shard.read_bytes())
    sizes = {one.name: one for one in tfjs_codec.inspect(web).tensors}
    name = max(kernels, key=lambda name: sizes[name].nbytes)
    start = 0
    for one in tfjs_codec.inspect(web).tensors:
        if one.name == name:
            break
        start += one.nbytes
    data[start + 5] ^= 4
    shard.write_bytes(data)
    with pytest.raises(VerificationError, match="its quantisation allows"):
        tfjs_codec.verify(web, source, samples=0, calibrate=samples)


def test_what_half_of_the_samples_ask_for_must_suit_the_others(tmp_path):
    x = np.random.default_rng(1).uniform(1, 2, (150, 40)).astype(np.float32)
    x[1::2] *= -1  # a shift for these is the opposite of that for the rest
    np.savez(tmp_path / "io.npz", in0=x)
    samples, web = tmp_path / "io.npz", tmp_path / "web"
    report = tfjs_codec.convert(dense_h5(sizes=(40, 3)), web, calibrate=samples, **UINT8)
    assert report.corrected == ()


def test_measuring_alone_corrects_nothing(tmp_path, capsys):
    x = np.random.default_rng(1).uniform(1, 2, (150, 40)).astype(np.float32)
    np.savez(tmp_path / "io.npz", in0=x)
    (tmp_path / "m.h5").write_bytes(dense_h5(sizes=(40, 3)))
    source, samples = str(tmp_path / "m.h5"), str(tmp_path / "io.npz")
    command = ["convert", source, str(tmp_path / "web"), "--quantize-uint8"]
    assert main([*command, "--calibrate", samples, "--no-bias-correction"]) == 0
    said = capsys.readouterr().out
    assert "for 150 inputs" in said
    assert "corrected" not in said
    tfjs_codec.verify(tmp_path / "web", source, samples=0)
    assert main([*command, "--no-bias-correction"]) == 2
    assert "bias_correction has no effect on a conversion without cali" in capsys.readouterr().err
    assert main([*command, "--no-bias-correction", "--dry-run"]) == 2


@pytest.mark.parametrize("to", ["layers", "graph"])
def test_mean_outputs_stay_what_they_were(tmp_path, to):
    x = np.random.default_rng(1).uniform(1, 2, (150, 40)).astype(np.float32)
    np.savez(tmp_path / "io.npz", in0=x)
    source = dense_h5(sizes=(40, 3))
    web = tmp_path / "web"
    plain = tfjs_codec.to_files(source, to=to, **UINT8)
    report = tfjs_codec.convert(source, web, to=to, calibrate=tmp_path / "io.npz", **UINT8)
    assert len(report.corrected) == 1
    files = tfjs_codec.to_files(source, to=to, calibrate=tmp_path / "io.npz", **UINT8)
    assert files == {path.name: path.read_bytes() for path in web.iterdir()}
    wanted = predict(source, x).mean(0)
    assert np.abs(predict(plain, x).mean(0) - wanted).max() > 1e-2
    np.testing.assert_allclose(predict(web, x).mean(0), wanted, rtol=0, atol=1e-4)
    again = tmp_path / "again"  # what is restored is rounded to the same values
    tfjs_codec.convert(web, again, calibrate=tmp_path / "io.npz", **UINT8)
    np.testing.assert_allclose(predict(again, x).mean(0), wanted, rtol=0, atol=1e-3)


def test_biases_for_other_inputs_are_found(tmp_path):
    x = np.random.default_rng(1).uniform(1, 2, (150, 40)).astype(np.float32)
    np.savez(tmp_path / "io.npz", in0=x)
    source = dense_h5(sizes=(40, 3))
    tfjs_codec.convert(source, tmp_path / "web", calibrate=tmp_path / "io.npz", **UINT8)
    np.savez(tmp_path / "other.npz", in0=-x)
    with pytest.raises(VerificationError, match="d/bias' differs from the source in 3 of 3"):
        tfjs_codec.verify(tmp_path / "web", source, samples=0, calibrate=tmp_path / "other.npz")
    with pytest.raises(UsageError, match="calibrate has no effect"):
        tfjs_codec.verify(tmp_path / "web", calibrate=tmp_path / "io.npz")


def test_inputs_are_read_before_anything_is_written(tmp_path):
    np.savez(tmp_path / "io.npz", x=np.zeros((2, 4)))
    with pytest.raises(UsageError, match="no array is called"):
        tfjs_codec.convert(dense_h5(), tmp_path / "web", calibrate=tmp_path / "io.npz", **UINT8)
    assert not (tmp_path / "web").exists()


KERNEL = np.float32([[1, 2, 3], [4, 5, 6]])


def product_graph(bias, *, op="BiasAdd", twice=False, reshape=None, **attrs):
    """Return a graph of a product with KERNEL, perhaps reshaped, to which *bias* is added."""

    def const(name, array):
        return Node(name, "Const", (), {"value": ArrayTensor(name, array), "dtype": "float32"})

    plain = {"T": "float32", "transpose_a": False, "transpose_b": False, "data_format": b"NHWC"}
    nodes = [
        Node("x", "Placeholder", (), {"dtype": "float32", "shape": Shape((-1, 2))}),
        const("kernel", KERNEL),
        const("bias", np.float32(bias)),
        const("shape", np.int32(reshape or [-1, 3])),
        Node("product", "MatMul", (Ref("x"), Ref("kernel")), plain),
        Node("rows", "Reshape", (Ref("product"), Ref("shape")), {"T": "float32"}),
        Node("sum", op, (Ref("rows"), Ref("bias")), plain | attrs),
        Node("y", "AddV2", (Ref("sum"), Ref("bias" if twice else "sum")), plain),
    ]
    shape = Shape((-1, 2))
    return Graph(
        {node.name: node for node in nodes},
        {"x": Tensor(Ref("x"), "float32", shape)},
        {"y": Tensor(Ref("y"), "float32")},
    )


@pytest.mark.parametrize(
    ("graph", "corrected"),
    [(product_graph([1, 2, 3]), True),
     (product_graph([1, 2, 3], op="AddV2"), True),
     (product_graph([[[1, 2, 3]]], op="AddV2"), True),
     (product_graph([[1], [2], [3]], op="AddV2", reshape=[-1, 3, 1]), True),
     (product_graph([1, 2, 3], op="AddV2", reshape=[3, -1]), False),
     (product_graph([1], op="AddV2"), False),
     (product_graph([1, 2, 3], op="Mul"), False),
     (product_graph([1, 2, 3], data_format=b"NCHW"), False),
     (product_graph([1, 2, 3], twice=True), False)],
)  # fmt: skip
def test_a_bias_of_its_own_is_corrected(graph, corrected):
    weights = {name: graph.nodes[name].value for name in ("kernel", "bias")}
    x = np.random.default_rng(0).uniform(size=(130, 2)).astype(np.float32)
    error = np.float32([[0.5, 0, -0.25], [0, 1, 0]])
    rounded = {"kernel": ArrayTensor("kernel", KERNEL + error)}
    found = correct_biases(graph, weights, rounded, {"x": x})
    assert set(found) == ({"bias"} if corrected else set())
    if corrected:
        bias = weights["bias"].numpy()
        expected = bias - (x.mean(0, dtype=np.float64) @ error).reshape(bias.shape)
        np.testing.assert_allclose(found["bias"].numpy(), expected, rtol=1e-6)
        assert found["bias"].dtype == np.float32
