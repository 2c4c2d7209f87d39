"""``tfjs-codec-compat``: every official flag, and the official refusals."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from keras_files import dense_h5, entry, h5_model
from tfjs_files import manifest_model

import tfjs_codec
from tfjs_codec import __version__
from tfjs_codec.cli import compat


@pytest.fixture
def model(tmp_path):
    (tmp_path / "m.h5").write_bytes(dense_h5())
    return tmp_path / "m.h5"


@pytest.fixture
def run(capsys):
    """Run in this process: (exit code, stdout, stderr)."""

    def call(*arguments):
        try:
            code = compat.main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = end.code
        streams = capsys.readouterr()
        return code, streams.out, streams.err

    return call


def index(directory):
    return json.loads((directory / "model.json").read_text())


def entries(directory):
    return [weight for group in index(directory)["weightsManifest"] for weight in group["weights"]]


LAMBDA = {
    "class_name": "Sequential",
    "config": {
        "name": "s",
        "layers": [
            entry("Lambda", "mine", batch_input_shape=[None, 3], function=["x", None, None])
        ],
    },
}
KERAS = ("--input_format", "keras")


def test_keras_to_layers_is_silent(run, model, tmp_path):
    assert run(*KERAS, model, tmp_path / "web") == (0, "", "")
    assert index(tmp_path / "web")["format"] == "layers-model"
    assert [entry["name"] for entry in entries(tmp_path / "web")] == ["d/kernel", "d/bias"]


@pytest.mark.parametrize(
    ("format_", "file"), [("keras_keras", "digits.keras"), ("keras", "digits.h5")]
)
def test_the_formats_of_keras(run, fixtures_dir, tmp_path, format_, file):
    source = fixtures_dir / "digits" / file
    flags = (f"--input_format={format_}", "--output_format=tfjs_layers_model")
    assert run(*flags, source, tmp_path / "web")[0] == 0
    assert len(entries(tmp_path / "web")) == 10


def test_keras_saved_models(run, fixtures_dir, tmp_path):
    source = fixtures_dir / "savedmodel_tf2.15_nested" / "model"
    assert run("--input_format=keras_saved_model", source, tmp_path / "web")[0] == 0
    assert index(tmp_path / "web")["format"] == "layers-model"


@pytest.mark.parametrize(
    ("flags", "name", "kind"),
    [
        ([], "back", "keras-savedmodel"),
        ([], "back.hdf5", "keras-h5"),
        ([], "back.keras", "keras-v3"),
        (["--output_format=keras_saved_model"], "back.h5", "keras-savedmodel"),
    ],
)
def test_the_way_back_goes_by_the_suffix_as_in_keras(run, model, tmp_path, flags, name, kind):
    assert run(*KERAS, model, tmp_path / "web")[0] == 0
    line = ("--input_format=tfjs_layers_model", *flags, tmp_path / "web" / "model.json")
    assert run(*line, tmp_path / name)[0] == 0
    with tfjs_codec.load(tmp_path / name) as back:
        assert back.format == kind


def test_saved_models_are_the_default_and_become_graphs(run, fixtures_dir, tmp_path):
    source = fixtures_dir / "savedmodel_tf2.19_module" / "model"
    flags = ("--signature_name=serving_default", "--saved_model_tags=serve")
    assert run(*flags, source, tmp_path / "web")[0] == 0
    assert index(tmp_path / "web")["format"] == "graph-model"
    code, _, err = run("--signature_name=other", source, tmp_path / "web2")
    assert code == 2
    assert "other" in err


def test_frozen_graphs(run, fixtures_dir, tmp_path):
    source = fixtures_dir / "graph_frozen" / "model.pb"
    flags = ("--input_format=tf_frozen_model", "--output_node_names=norm,scaled")
    assert run(*flags, source, tmp_path / "web")[0] == 0
    assert set(index(tmp_path / "web")["signature"]["outputs"]) == {"norm", "scaled"}
    code, _, err = run(flags[0], source, tmp_path / "web2")
    assert code == 2
    assert "needs --output_node_names" in err


def test_tfjs_models_are_cut_and_quantised_anew(run, tmp_path):
    source = manifest_model(tmp_path / "a", np.random.default_rng(0)) / "model.json"
    flags = ("--input_format=tfjs_layers_model", "--output_format=tfjs_layers_model",
             "--quantize_uint8", "*", "--weight_shard_size_bytes", "4")  # fmt: skip
    assert run(*flags, source, tmp_path / "b")[0] == 0
    assert {e["quantization"]["dtype"] for e in entries(tmp_path / "b")} == {"uint8"}
    assert len(index(tmp_path / "b")["weightsManifest"][0]["paths"]) == 4


@pytest.mark.parametrize("flags", [[], ["--output_format=keras_keras"]])
def test_tfjs_models_become_keras_files_again(run, fixtures_dir, tmp_path, flags):
    digits = fixtures_dir / "digits" / "digits.h5"
    assert run(*KERAS, digits, tmp_path / "web")[0] == 0
    back = tmp_path / ("back.keras" if flags else "back.h5")
    for _ in range(2):  # the second time over the first
        line = ("--input_format=tfjs_layers_model", *flags, tmp_path / "web" / "model.json", back)
        assert run(*line)[0] == 0
    assert tfjs_codec.diff(digits, back).tensors == ()
    assert tfjs_codec.diff(tmp_path / "web", back).equal


@pytest.mark.parametrize("dtype", ["float16", "uint8", "uint16"])
def test_quantisation(run, model, tmp_path, dtype):
    assert run(*KERAS, model, tmp_path / "all", f"--quantize_{dtype}")[0] == 0
    assert run(*KERAS, f"--quantize_{dtype}=*/kernel,x", model, tmp_path / "some")[0] == 0
    assert [e["quantization"]["dtype"] for e in entries(tmp_path / "all")] == [dtype, dtype]
    assert ["quantization" in e for e in entries(tmp_path / "some")] == [True, False]


def test_a_glob_without_a_match_is_a_warning(run, model, tmp_path):
    code, out, err = run(*KERAS, "--quantize_uint8=*/gamma", model, tmp_path / "web")
    assert (code, out) == (0, "")
    assert err == "tfjs-codec-compat: warning: quantize: '*/gamma' matches no weight\n"


def test_quantization_bytes(run, model, tmp_path):
    assert run(*KERAS, "--quantization_bytes=2", model, tmp_path / "web")[0] == 0
    assert {e["quantization"]["dtype"] for e in entries(tmp_path / "web")} == {"uint16"}
    flags = ("--quantization_bytes=1", "--quantize_uint8=*")
    code, _, err = run(*KERAS, *flags, model, tmp_path / "web2")
    assert code == 2
    assert "Leave it out; --quantize_uint8 does the same" in err


def test_layout_and_metadata(run, model, tmp_path):
    (tmp_path / "a.json").write_text('{"x": 1}')
    (tmp_path / "b.json").write_text("[2]")
    flags = ("--split_weights_by_layer", "--weight_shard_size_bytes=16",
             f"--metadata=a:{tmp_path / 'a.json'},b:{tmp_path / 'b.json'}")  # fmt: skip
    assert run(*KERAS, *flags, model, tmp_path / "web")[0] == 0
    content = index(tmp_path / "web")
    assert content["userDefinedMetadata"] == {"a": {"x": 1}, "b": [2]}
    assert len(content["weightsManifest"][0]["paths"]) == 4


def test_an_existing_directory_is_written_into(run, model, tmp_path):
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "notes.txt").write_text("mine")
    for _ in range(2):
        assert run(*KERAS, model, tmp_path / "web")[0] == 0
    assert (tmp_path / "web" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("flag", ["--skip_op_check", "--control_flow_v2=True", "--experiments=1"])
def test_flags_without_effect_are_noted(run, fixtures_dir, tmp_path, flag):
    source = fixtures_dir / "savedmodel_tf2.19_module" / "model"
    code, out, err = run(flag, "--strip_debug_ops=True", source, tmp_path / "web")
    assert (code, out) == (0, "")
    assert f"note: {flag.partition('=')[0]} has no effect: " in err


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--input_format=keras", "--output_format=keras"],
         "Use --output_format=tfjs_layers_model or tfjs_graph_model."),
        (["--input_format=keras", "--signature_name=x"], "only for SavedModels"),
        (["--input_format=keras", "--control_flow_v2=1"], "only for --output_format=tfjs_graph"),
        (["--input_format=keras", "--weight_shard_size_bytes=0"], "positive integer, not 0"),
        (["--input_format=keras", "--metadata=x"], "'x' should read KEY:FILE"),
        (["--input_format=keras", "--quantize_uint8=*", "--quantize_uint16=*"], "remaining"),
        (["--input_format=nonsense"], "invalid choice"),
    ],
)  # fmt: skip
def test_combinations_that_are_refused(run, model, tmp_path, flags, text):
    code, out, err = run(*flags, model, tmp_path / "web")
    assert (code, out) == (2, "")
    assert text in err
    assert not (tmp_path / "web").exists()


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--weight_shard_size_bytes=8"], "for tfjs models"),
        (["--output_format=nonsense"], "invalid choice"),
    ],
)
def test_combinations_that_tfjs_models_refuse(run, tmp_path, flags, text):
    source = manifest_model(tmp_path / "a", np.random.default_rng(0)) / "model.json"
    code, _, err = run("--input_format=tfjs_layers_model", *flags, source, tmp_path / "b.h5")
    assert code == 2
    assert text in err


def test_saved_models_do_not_become_layers(run, fixtures_dir, tmp_path):
    source = fixtures_dir / "savedmodel_tf2.19_module" / "model"
    code, _, err = run("--output_format=tfjs_layers_model", source, tmp_path / "web")
    assert code == 2
    assert "Use --output_format=tfjs_graph_model." in err


@pytest.mark.parametrize("flags", [[], ["--input_format=auto"], ["--input_format=keras_keras"]])
def test_a_format_that_does_not_fit_the_file_is_corrected(run, model, tmp_path, flags):
    code, out, err = run(*flags, model, tmp_path / "web")
    assert (code, out) == (0, "")
    assert index(tmp_path / "web")["format"] == "layers-model"
    assert ("is not" in err) == (flags != ["--input_format=auto"])
    assert not err or "but keras, and is converted as such" in err


def test_a_bare_quantisation_flag_gives_the_path_back(run, model, tmp_path):
    assert run(*KERAS, "--quantize_uint8", model, tmp_path / "web")[0] == 0
    assert {e["quantization"]["dtype"] for e in entries(tmp_path / "web")} == {"uint8"}
    code, _, err = run(*KERAS, "--quantize_uint8", "no/such/path", tmp_path / "web2")
    assert code == 2
    assert "output_path is missing" in err


def test_output_node_names_of_saved_models_have_no_effect(run, fixtures_dir, tmp_path):
    source = fixtures_dir / "savedmodel_tf2.19_module" / "model"
    code, _, err = run("--output_node_names=Identity", source, tmp_path / "web")
    assert code == 0
    assert "--output_node_names has no effect" in err


def test_hints_name_flags_that_there_are(run, tmp_path):
    official = "Convert it to a graph model (--output_format=tfjs_graph_model)."
    assert compat._spell("Convert it to a graph model (--to graph).") == official
    h5 = tmp_path / "lambda.h5"
    h5.write_bytes(h5_model(LAMBDA, {}))
    code, _, err = run(*KERAS, h5, tmp_path / "web")
    assert code == 5
    assert "(--replace: of tfjs-codec convert, not of this program.)" in err


@pytest.mark.posix
def test_the_alias_runs_this_program(run, model, tmp_path):
    assert run("--install-alias", tmp_path / "bin")[0] == 0
    line = [tmp_path / "bin" / "tensorflowjs_converter", *KERAS, model, tmp_path / "a b"]
    subprocess.run(line, check=True)
    assert index(tmp_path / "a b")["format"] == "layers-model"
    assert run("--install-alias", tmp_path / "bin")[0] == 0  # again, over itself
    (tmp_path / "bin" / "tensorflowjs_converter").write_text("#!/usr/bin/python3")
    assert run("--install-alias", tmp_path / "bin")[0] == 2  # not over the real one


def test_paths(run, model, tmp_path):
    assert "input_path is missing" in run()[2]
    assert "output_path is missing" in run(*KERAS, model)[2]
    code, _, err = run("--input_format=tf_hub", "https://tfhub.dev/x\x1b", tmp_path / "web")
    assert code == 2
    assert "'https://tfhub.dev/x\\x1b' is not downloaded" in err
    code, _, err = run(*KERAS, tmp_path / "none.h5", tmp_path / "web")
    assert code == 3
    assert err.startswith("tfjs-codec-compat: error: ")


def test_version(run):
    for flag in ("--version", "-v"):
        assert run(flag) == (0, f"tfjs_codec {__version__}\n", "")


def test_help_needs_no_numpy():
    code = (
        "import sys; from tfjs_codec.cli.compat import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print(sorted({'numpy', 'h5py'} & sys.modules.keys()))"
    )
    line = [sys.executable, "-c", code]
    assert subprocess.run(line, capture_output=True, text=True, check=True).stdout.endswith("[]\n")
