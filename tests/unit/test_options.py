"""What callers can choose, and what they are told about choices that mean nothing."""

from __future__ import annotations

import gc
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest
from keras_files import dense_h5

import tfjs_codec
from tfjs_codec.errors import UsageError
from tfjs_codec.options import CompareChoices, ConvertChoices, InspectChoices, ReadingChoices


@pytest.fixture
def web(tmp_path):
    tfjs_codec.convert(dense_h5(), tmp_path / "web")
    return tmp_path / "web"


def test_the_keywords_are_the_options():
    names = {field.name for field in fields(tfjs_codec.ConvertOptions)}
    assert ConvertChoices.__optional_keys__ == names
    for choices in (ReadingChoices, InspectChoices, CompareChoices):
        assert choices.__optional_keys__ < names


def test_an_unknown_keyword_names_the_nearest(tmp_path):
    with pytest.raises(
        UsageError, match=r"no option 'shard_size'. Did you mean 'shard_size_bytes'"
    ):
        tfjs_codec.convert(dense_h5(), tmp_path / "out", shard_size=8)
    with pytest.raises(UsageError, match=r"no option 'xyz'. There are: 'to',"):
        tfjs_codec.plan(dense_h5(), xyz=8)


def test_a_keyword_of_another_function_is_refused(web):
    with pytest.raises(UsageError, match="option checksums has no effect on this function"):
        tfjs_codec.load(web, checksums=True)
    with pytest.raises(UsageError, match="option quantize has no effect"):
        tfjs_codec.diff(web, web, quantize={})


def test_options_exclude_keywords(tmp_path):
    options = tfjs_codec.ConvertOptions(single_shard=True)
    for call in (
        lambda: tfjs_codec.convert(dense_h5(), tmp_path / "o", options=options, checksums=True),
        lambda: tfjs_codec.inspect(dense_h5(), options=options, tags=["serve"]),
    ):
        with pytest.raises(UsageError, match="options were passed together with the keywords"):
            call()


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("out", {"tags": ["serve"]}),
        ("out", {"verify_checksums": False}),
        ("out", {"output_node_names": ["y"]}),
        ("out", {"signature_name": "f"}),
        ("out", {"structured_outputs": True}),
        ("out", {"dequantize": True}),
        ("out.h5", {"checksums": True}),
        ("out.keras", {"shard_size_bytes": 10}),
        ("out.npz", {"rename": {"dense": "d"}}),
        ("out.npz", {"allow_approximate": True}),
    ],
)
def test_an_option_without_effect_is_named(tmp_path, name, choices):
    (option,) = choices
    with pytest.raises(UsageError, match=f"the option {option} has no effect on a"):
        tfjs_codec.convert(dense_h5(), tmp_path / name, **choices)
    assert not list(tmp_path.iterdir())


def test_replacements_of_weights_are_refused(tmp_path):
    with pytest.raises(UsageError, match="the option replace has no effect on a file of weights"):
        tfjs_codec.convert(dense_h5(), tmp_path / "out.npz", replace={"dense": dense_h5()})


def test_one_set_of_options_serves_a_conversion_and_its_checks(web, tmp_path):
    options = tfjs_codec.ConvertOptions(quantize={"float16": True}, rename={"d": "e"})
    tfjs_codec.convert(web, tmp_path / "two", options=options)
    assert tfjs_codec.verify(tmp_path / "two", web, options=options).checks
    assert tfjs_codec.diff(tmp_path / "two", tmp_path / "two", options=options).equal


def test_errors_are_there_at_once():
    code = (
        "import tfjs_codec; print(tfjs_codec.errors.UsageError.exit_code, tfjs_codec.Limits().rank)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "32"]


def test_weights_keep_their_file_open():
    weights = tfjs_codec.load(dense_h5()).weights
    gc.collect()
    assert all(np.isfinite(array).all() for array in weights.values())
    assert weights


def test_tfjs_models_know_the_version_of_keras(web):
    topology = tfjs_codec.load(web).topology
    assert tfjs_codec.load(web).keras_version == topology["keras_version"]
