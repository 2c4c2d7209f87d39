"""Which weights are kernels, and what the report says of the others."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

import tfjs_codec
from tfjs_codec.errors import VerificationError
from tfjs_codec.tfjs.classes import TFJS_CLASSES
from tfjs_codec.tfjs.variables import KERNELS

# Configs and input shapes with which every class has all of its variables.
CONFIG = {"units": 3, "filters": 3, "kernel_size": [2, 2], "depth_multiplier": 1, "input_dim": 5,
          "output_dim": 3, "axis": -1, "data_format": "channels_last"}  # fmt: skip
VECTORS = {"bias", "gamma", "beta", "moving_mean", "moving_variance", "alpha"}


@pytest.mark.parametrize("name", sorted(TFJS_CLASSES))
def test_every_variable_is_a_kernel_or_a_vector(name):
    row = TFJS_CLASSES[name]
    rank = 5 if name == "ConvLSTM2D" else min(row.ranks[-1], 4)
    found = row.weights(CONFIG, [(None, 6, 6, 6, 4)[:rank]])
    for variable, shape in found.items():
        assert (variable in KERNELS) != (variable in VECTORS), variable
        assert variable not in KERNELS or len(shape) >= 2


def stored(web):
    groups = json.loads((web / "model.json").read_text())["weightsManifest"]
    return {
        weight["name"]: weight.get("quantization", {}).get("dtype", weight["dtype"])
        for group in groups
        for weight in group["weights"]
    }


@pytest.mark.parametrize(
    ("source", "to"),
    [("digits.h5", "layers"), ("digits.h5", "graph"), ("layers", "layers"), ("layers", "graph"),
     ("graph", "graph")],
)  # fmt: skip
def test_only_kernels(fixtures_dir, tmp_path, source, to):
    path = fixtures_dir / "digits" / "digits.h5"
    if source in ("layers", "graph"):
        path = tfjs_codec.convert(path, tmp_path / source, to=source).destination
    report = tfjs_codec.convert(path, tmp_path / "web", to=to, quantize={"uint8": True})
    found = stored(tmp_path / "web")
    with tfjs_codec.load(tmp_path / "web") as model:
        for name, dtype in found.items():
            values = model.weights[name]
            expected = values.ndim >= 2 and values.dtype == np.float32
            assert (dtype == "uint8") == expected, name
    assert list(found.values()).count("uint8") == len(report.quantization) == 3
    whole = [name for name, dtype in found.items() if dtype == "float32"]
    assert list(report.kept_whole) == whole
    assert tfjs_codec.verify(tmp_path / "web", path, samples=0).checks


def test_kernels_that_reach_their_product_through_a_loop(fixtures_dir, tmp_path):
    with zipfile.ZipFile(fixtures_dir / "keras" / "lstm.zip") as archive:
        source = archive.extract("tf_keras-2.19.h5", tmp_path)
    tfjs_codec.convert(source, tmp_path / "web", to="graph", quantize={"uint16": True})
    found = stored(tmp_path / "web")
    with tfjs_codec.load(tmp_path / "web") as model:
        matrices = {name for name in found if model.weights[name].ndim == 2}
    assert len(matrices) > 1
    assert {name for name, dtype in found.items() if dtype == "uint16"} == matrices


def test_mere_weights_tell_it_by_their_axes():
    arrays = {"table": np.ones((3, 2), np.float32), "shift": np.ones(3, np.float32)}
    files = tfjs_codec.to_files(arrays, quantize={"uint8": True})
    weights = json.loads(files["model.json"])["weightsManifest"][0]["weights"]
    assert ["quantization" in weight for weight in weights] == [True, False]


@pytest.mark.parametrize("to", ["layers", "graph"])
def test_rescaled_models_are_verified_against_their_source(fixtures_dir, tmp_path, to):
    source = fixtures_dir / "digits" / "digits.h5"
    report = tfjs_codec.convert(source, tmp_path / "web", to=to, quantize={"uint8": True})
    assert "conv2d/kernel" in report.rescaled
    assert "rescaled before rounding, without effect on predictions" in str(report)
    number = len(report.rescaled)
    checks = " ".join(tfjs_codec.verify(tmp_path / "web", source, samples=0).checks)
    assert "3 within a step, so that errors cancel out" in checks
    assert f"{number} rescaled without effect on predictions" in checks
    plain = tfjs_codec.convert(
        source, tmp_path / "plain", to=to, quantize={"uint8": True}, rescale=False
    )
    assert plain.rescaled == ()
    checks = " ".join(tfjs_codec.verify(tmp_path / "plain", source, samples=0).checks)
    assert "rescaled" not in checks
    assert "3 within half a step of their quantisation" in checks
    shard = tmp_path / "web" / "group1-shard1of1.bin"
    data = bytearray(shard.read_bytes())
    data[9] ^= 2
    shard.write_bytes(data)
    with pytest.raises(VerificationError, match=r"its quantisation allows|differs from the source"):
        tfjs_codec.verify(tmp_path / "web", source, samples=0)


@pytest.mark.parametrize("to", ["layers", "graph"])
def test_rescaling_brings_predictions_nearer(fixtures_dir, to):
    source = fixtures_dir / "digits" / "digits.h5"
    with np.load(fixtures_dir / "digits" / "io.npz") as arrays:
        x = arrays["in0"]

    def predict(**options):
        with tfjs_codec.load(tfjs_codec.to_files(source, to=to, **options)) as model:
            return model.predict(x)

    whole = predict()
    plain, rescaled = (
        np.square(predict(quantize={"uint8": True}, rescale=on) - whole).sum()
        for on in (False, True)
    )
    assert rescaled < 0.5 * plain


def test_globs_and_float16_rescale_nothing(fixtures_dir):
    source = fixtures_dir / "digits" / "digits.h5"
    for quantize in ({"uint8": "*"}, {"uint8": "*/kernel"}, {"float16": True}):
        assert tfjs_codec.plan(source, quantize=quantize).rescaled == ()
