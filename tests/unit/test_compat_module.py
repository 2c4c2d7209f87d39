"""``tfjs_codec.compat.tensorflowjs``: the official functions with the official arguments."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from keras_files import dense_h5

import tfjs_codec
from tfjs_codec import compat
from tfjs_codec.compat import tensorflowjs
from tfjs_codec.errors import CorruptFileError, UsageError

RNG = np.random.default_rng(5)
WEIGHTS = [
    [{"name": "a/kernel", "data": RNG.normal(size=(3, 4)).astype(np.float32)},
     {"name": "a/bias", "data": np.arange(4.0)}],
    [{"name": "b/text", "data": np.array(["x", "été"], object)},
     {"name": "b/n", "data": np.array([1, -2], np.int64)}],
]  # fmt: skip


def test_weights_are_written_and_read(tmp_path):
    manifest = tensorflowjs.write_weights.write_weights(WEIGHTS, str(tmp_path))
    assert json.loads((tmp_path / "weights_manifest.json").read_text()) == manifest
    assert [group["paths"] for group in manifest] == [
        ["group1-shard1of1.bin"], ["group2-shard1of1.bin"],
    ]  # fmt: skip
    groups = tensorflowjs.read_weights.read_weights(manifest, str(tmp_path))
    for group, wanted in zip(groups, WEIGHTS, strict=True):
        for entry, original in zip(group, wanted, strict=True):
            assert entry["name"] == original["name"]
    np.testing.assert_array_equal(groups[0][0]["data"], WEIGHTS[0][0]["data"])
    assert groups[1][0]["data"].tolist() == [b"x", "été".encode()]
    buffers = [(tmp_path / group["paths"][0]).read_bytes() for group in manifest]
    flat = tensorflowjs.read_weights.decode_weights(manifest, buffers, flatten=True)
    assert [entry["name"] for entry in flat] == ["a/kernel", "a/bias", "b/text", "b/n"]


def test_weights_are_cut_and_quantised(tmp_path):
    manifest = tensorflowjs.write_weights.write_weights(
        WEIGHTS[:1], str(tmp_path / "new"), shard_size_bytes=5, write_manifest=False,
        quantization_dtype_map={np.uint8: "*/kernel"},
    )  # fmt: skip
    assert len(manifest[0]["paths"]) == 6
    assert manifest[0]["weights"][0]["quantization"]["dtype"] == "uint8"
    assert not (tmp_path / "new" / "weights_manifest.json").exists()


@pytest.mark.parametrize(
    ("groups", "what"),
    [
        ([{"name": "a"}], "is not a list"),
        ([[{"name": "a"}]], "lacks 'name' or 'data'"),
        ([WEIGHTS[0], WEIGHTS[0]], "two weights are called"),
        ([[{"name": "a", "data": np.zeros(1, np.complex128)}]], "tfjs lacks"),
    ],
)
def test_weights_that_are_refused(tmp_path, groups, what):
    with pytest.raises(UsageError, match=what):
        tensorflowjs.write_weights.write_weights(groups, str(tmp_path))
    assert not list(tmp_path.iterdir())


def test_buffers_that_do_not_fit():
    manifest = [{"paths": ["x"], "weights": [{"name": "a", "shape": [2], "dtype": "float32"}]}]
    with pytest.raises(UsageError, match="2 buffers for the 1 groups"):
        tensorflowjs.read_weights.decode_weights(manifest, [b"", b""])
    with pytest.raises(CorruptFileError):
        tensorflowjs.read_weights.decode_weights(manifest, b"1234")


# What tensorflowjs 4.22 returns for these, run with numpy 2.1.
@pytest.mark.parametrize(
    ("values", "dtype", "levels", "low", "scale"),
    [
        ([-1.0, 0.0, 0.5, 2.0], np.uint8, [0, 85, 128, 255], -1.0, 3 / 255),
        ([3.0, 4.0], np.uint16, [0, 65535], 3.0, 1 / 65535),
        ([7.0, 7.0], np.uint8, [0, 0], 7.0, 1.0),
    ],
)
def test_quantisation_of_arrays(values, dtype, levels, low, scale):
    data = np.array(values, np.float32)
    stored, meta = tensorflowjs.quantization.quantize_weights(data, dtype)
    assert stored.dtype == dtype
    assert stored.tolist() == levels
    assert meta == pytest.approx({"min": low, "scale": scale})
    back = tensorflowjs.quantization.dequantize_weights(stored, meta)
    np.testing.assert_allclose(back, data, atol=meta["scale"] / 2 if len(set(values)) > 1 else 0)


def test_float16_and_refused_dtypes():
    quantization = tensorflowjs.quantization
    stored, meta = quantization.quantize_weights(np.ones(2, np.float32), np.float16)
    assert (stored.dtype, meta) == (np.float16, {})
    assert quantization.dequantize_weights(stored, {}).dtype == np.float32
    with pytest.raises(ValueError, match="not a quantisation dtype"):
        quantization.quantize_weights(np.ones(2, np.float32), np.int8)
    with pytest.raises(ValueError, match="min or scale is missing"):
        quantization.dequantize_weights(np.zeros(2, np.uint8), {})
    found = quantization.map_layers_to_quantization_dtype(
        ["a/k", "b"], {"uint8": ["a/*"], "float16": True}
    )
    assert found == {"a/k": np.uint8, "b": np.float16}


def test_the_command_line_as_a_function(tmp_path):
    (tmp_path / "m.h5").write_bytes(dense_h5())
    tensorflowjs.converters.convert(
        ["--input_format=keras", str(tmp_path / "m.h5"), str(tmp_path / "web")]
    )
    assert (tmp_path / "web" / "model.json").exists()
    with pytest.raises(UsageError, match="unrecognized arguments"):
        tensorflowjs.converters.convert(["--nonsense"])


def test_dispatching(tmp_path):
    (tmp_path / "m.h5").write_bytes(dense_h5())
    converter = tensorflowjs.converters.converter
    topology, groups = converter.dispatch_keras_h5_to_tfjs_layers_model_conversion(
        str(tmp_path / "m.h5"), str(tmp_path / "web"), {"uint8": True}, weight_shard_size_bytes=8
    )
    assert topology["model_config"]["class_name"] == "Sequential"
    assert [entry["name"] for entry in groups[0]] == ["d/kernel", "d/bias"]
    assert len(list((tmp_path / "web").iterdir())) > 2
    converter.dispatch_tensorflowjs_to_keras_h5_conversion(
        str(tmp_path / "web" / "model.json"), str(tmp_path / "back.h5")
    )
    assert (tmp_path / "back.h5").exists()


def test_graphs(fixtures_dir, tmp_path):
    source = fixtures_dir / "savedmodel_tf2.19_module" / "model"
    tensorflowjs.converters.convert_tf_saved_model(str(source), str(tmp_path / "web"))
    assert json.loads((tmp_path / "web" / "model.json").read_text())["format"] == "graph-model"
    module = tensorflowjs.converters.tf_saved_model_conversion_v2
    frozen = str(fixtures_dir / "graph_frozen" / "model.pb")
    module.convert_tf_frozen_model(frozen, "norm,scaled", str(tmp_path / "web2"))
    outputs = json.loads((tmp_path / "web2" / "model.json").read_text())["signature"]["outputs"]
    assert set(outputs) == {"norm", "scaled"}


def test_jax_functions_are_refused():
    with pytest.raises(UsageError, match=r"model\.save"):
        tensorflowjs.converters.convert_jax(lambda x: x, [])


def test_a_keras_model_needs_keras(tmp_path, monkeypatch):
    loader = tensorflowjs.converters.keras_tfjs_loader
    monkeypatch.setattr(loader, "find_spec", lambda name: None)
    files = tfjs_codec.to_files(dense_h5())
    with pytest.raises(UsageError, match="pip install keras"):
        loader.deserialize_keras_model(files["model.json"], [files["group1-shard1of1.bin"]])
    with pytest.raises(UsageError, match="2 buffers for the 1 groups"):
        loader.deserialize_keras_model(files["model.json"], [b"", io.BytesIO()])
    with pytest.raises(UsageError, match="has no 'modelTopology'"):
        loader.deserialize_keras_model("{}")
    with pytest.raises(UsageError, match="not both"):
        loader.load_keras_model("x", "y", b"")


def run_python(text, *arguments):
    line = [sys.executable, "-c", textwrap.dedent(text), *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def test_scripts_that_import_tensorflowjs(tmp_path):
    (tmp_path / "m.h5").write_bytes(dense_h5())
    done = run_python(
        """
        import sys
        from tfjs_codec import compat
        compat.install()
        import tensorflowjs as tfjs
        from tensorflowjs import converters
        from tensorflowjs.converters import converter
        from tensorflowjs.write_weights import write_weights
        assert tfjs.__version__ == "4.22.0" and tfjs.converters is converters
        converter.dispatch_keras_h5_to_tfjs_layers_model_conversion(sys.argv[1], sys.argv[2])
        """,
        tmp_path / "m.h5", tmp_path / "web",
    )  # fmt: skip
    assert done.stderr == ""
    assert (tmp_path / "web" / "model.json").exists()


def test_installing_over_the_official_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflowjs", sys)
    with pytest.raises(UsageError, match="imported already"):
        compat.install()
