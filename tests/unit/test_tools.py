"""What tools that embed the package use: JSON of failures, rules, logging, hashes, notebooks."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
from keras_files import dense_h5, entry, h5_model

import tfjs_codec
from tfjs_codec.cli import main

GAIN = entry("Mine>Gain", "mine", batch_input_shape=[None, 3])
GAINED = {"class_name": "Sequential", "config": {"name": "s", "layers": [GAIN]}}
RULES = """
import tfjs_codec

@tfjs_codec.register_rule("Mine>Gain")
def gain(b, layer, x):
    kernel = layer.weights["gain"].numpy()
    return b.add("Rescaling", x, {"scale": kernel.diagonal().tolist(), "offset": 0})
"""


@pytest.fixture
def gained(tmp_path):
    """A model of a custom layer that multiplies by a matrix."""
    path = tmp_path / "m.h5"
    path.write_bytes(h5_model(GAINED, {"mine": [("mine/gain:0", np.eye(3))]}))
    return path


def test_failures_as_json(gained, tmp_path, capsys):
    assert main.main(["convert", str(gained), str(tmp_path / "web"), "--json"]) == 5
    streams = capsys.readouterr()
    found = json.loads(streams.out)["error"]
    assert found["type"] == "UnsupportedModelError"
    assert found["path"] == str(gained)
    assert [problem["layer"] for problem in found["problems"]] == ["mine"]
    assert "register" in found["problems"][0]["hint"]
    assert streams.err.startswith("tfjs-codec: error: ")


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (["convert", "none.h5", "web", "--json"], "FileNotFoundError"),
        (["inspect", "--json", "--nonsense"], "UsageError"),
        (["convert", "s4://a/b", "web", "--json"], "UsageError"),
    ],
)
def test_all_failures_have_a_type(line, kind, capsys):
    assert main.main(line) != 0
    assert json.loads(capsys.readouterr().out)["error"]["type"] == kind


def test_rules_from_the_command_line(gained, tmp_path, capsys):
    (tmp_path / "rules.py").write_text(RULES)
    line = ["convert", str(gained), str(tmp_path / "web"), "--rules", str(tmp_path / "rules.py")]
    assert main.main(line) == 0
    assert "Rescaling" in (tmp_path / "web" / "model.json").read_text()
    assert main.main([*line[:3], "--force"]) == 5  # they ended with the command


def test_rules_that_hold_in_a_block(gained, tmp_path):
    with tfjs_codec.local_rules():
        exec(RULES)
        assert b"Rescaling" in tfjs_codec.to_files(gained)["model.json"]
        with tfjs_codec.local_rules():
            assert tfjs_codec.to_files(gained)
    with pytest.raises(tfjs_codec.errors.UnsupportedModelError):
        tfjs_codec.to_files(gained)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("x = 1\n\nnonsense", "line 3: NameError"),
        ("import nothing_of_the_kind", "line 1: ModuleNotFoundError"),
        ("1 +", "SyntaxError"),
    ],
)
def test_files_of_rules_that_fail(gained, tmp_path, capsys, text, what):
    (tmp_path / "rules.py").write_text(text)
    line = ["convert", str(gained), str(tmp_path / "web"), "--rules", str(tmp_path / "rules.py")]
    assert main.main(line) == 2
    assert what in capsys.readouterr().err
    assert main.main([*line[:-1], str(tmp_path / "none.py")]) == 2
    assert "no such file of rules" in capsys.readouterr().err


def test_options_are_hashable():
    options = tfjs_codec.ConvertOptions
    one = options(quantize={"uint8": ["a", "b"]}, rename={"x": "y"}, metadata={"m": [1, {"n": 2}]})
    same = options(quantize={"uint8": ["a", "b"]}, rename={"x": "y"}, metadata={"m": [1, {"n": 2}]})
    assert one == same
    assert len({one, same, options()}) == 2


def test_decisions_are_logged(fixtures_dir, caplog):
    with caplog.at_level(logging.DEBUG, "tfjs_codec"):
        tfjs_codec.to_files(fixtures_dir / "digits" / "digits.keras", to="graph")
    assert any("nodes became" in message for message in caplog.messages)
    assert any("bytes in" in message for message in caplog.messages)


def test_notebooks_show_tables_without_markup_from_files(tmp_path):
    (tmp_path / "m.h5").write_bytes(dense_h5("<script>alert(1)</script>"))
    for result in (tfjs_codec.inspect(tmp_path / "m.h5"), tfjs_codec.plan(tmp_path / "m.h5")):
        shown = result._repr_html_()
        assert "<table>" in shown
        assert "<script>" not in shown
    assert "&lt;script&gt;" in tfjs_codec.inspect(tmp_path / "m.h5")._repr_html_()


def test_shapes_without_reading_and_rows_of_big_tensors(fixtures_dir):
    with tfjs_codec.load(fixtures_dir / "digits" / "digits.keras") as model:
        for name, view in model.tensors.items():
            whole = model.weights[name]
            assert (view.shape, view.dtype, len(view)) == (whole.shape, whole.dtype, len(whole))
            np.testing.assert_array_equal(view[...], whole)
            np.testing.assert_array_equal(view[1:3], whole[1:3])
            np.testing.assert_array_equal(view[-1], whole[-1])
            assert view[2:2].shape == whole[2:2].shape
        with pytest.raises(IndexError):
            view[len(view)]
        with pytest.raises(tfjs_codec.errors.UsageError, match="step"):
            view[::2]


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("digits/digits.h5", "layers"),
        ("savedmodel_tf2.19_module/model", "graph"),
        ("savedmodel_tf2.15_nested/model", "layers"),
    ],
)
def test_inspect_says_what_convert_writes(fixtures_dir, source, target):
    found = tfjs_codec.inspect(fixtures_dir / source)
    written = json.loads(tfjs_codec.to_files(fixtures_dir / source)["model.json"])["format"]
    assert (found.target, found.problems) == (target, ())
    assert written == f"{target}-model"


def test_inspect_says_what_convert_refuses(gained):
    found = tfjs_codec.inspect(gained)
    assert found.target == ""
    assert [problem.layer for problem in found.problems] == ["mine"]


def test_a_loaded_model_says_what_it_is(fixtures_dir):
    with tfjs_codec.load(fixtures_dir / "digits" / "digits.keras") as model:
        assert repr(model) == "<LoadedModel keras-v3: 10 tensors>"
    assert repr(model) == "<LoadedModel keras-v3: closed>"
