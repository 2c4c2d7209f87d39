"""Sources and results in memory: files by name, zip archives, numpy arrays."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
from keras_files import dense_h5

import tfjs_codec
from tfjs_codec.errors import CorruptFileError, UnsafeFileError, UsageError


def read_directory(directory):
    return {file.name: file.read_bytes() for file in directory.iterdir()}


def parse(files):
    return {**files, "model.json": json.loads(files["model.json"])}


def pack(files, prefix=""):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(prefix + name, content)
    return data.getvalue()


@pytest.mark.parametrize(
    "options", [{}, {"shard_size_bytes": 1000}, {"to": "graph"}, {"checksums": True}]
)
def test_files_in_memory_are_those_on_disk(fixtures_dir, tmp_path, options):
    source = fixtures_dir / "digits" / "digits.h5"
    tfjs_codec.convert(source, tmp_path / "web", **options)
    files = tfjs_codec.to_files(source, **options)
    assert files == read_directory(tmp_path / "web")
    assert list(files)[-1] == "model.json"


@pytest.mark.parametrize(
    ("to", "name"),
    [
        ("h5", "model.h5"),
        ("keras", "model.keras"),
        ("weights-h5", "model.weights.h5"),
        ("npz", "model.npz"),
    ],
)
def test_single_files_in_memory_are_those_on_disk(fixtures_dir, tmp_path, to, name):
    source = fixtures_dir / "digits" / "digits.keras"
    tfjs_codec.convert(source, tmp_path / name)
    assert tfjs_codec.to_files(source, to=to) == {name: (tmp_path / name).read_bytes()}


def test_nothing_is_written_and_all_limits_hold(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tfjs_codec.to_files(dense_h5())
    assert not list(tmp_path.iterdir())
    with pytest.raises(tfjs_codec.errors.LimitExceededError):
        tfjs_codec.to_files(dense_h5(), limits=tfjs_codec.Limits(tensor_bytes=1))


def test_a_model_goes_through_memory_and_back():
    files = tfjs_codec.to_files(dense_h5())
    assert parse(tfjs_codec.to_files(files)) == parse(files)
    back = tfjs_codec.to_files(files, to="h5")["model.h5"]
    assert tfjs_codec.diff(back, files).equal


@pytest.mark.parametrize("prefix", ["", "my model/"])
def test_zipped_models_are_read(prefix):
    files = tfjs_codec.to_files(dense_h5())
    assert parse(tfjs_codec.to_files(pack(files, prefix))) == parse(files)
    assert tfjs_codec.inspect(pack(files, prefix)).format == "tfjs-layers"


def test_a_zip_destination_holds_the_same_files(tmp_path):
    report = tfjs_codec.convert(dense_h5(), tmp_path / "web.zip")
    with zipfile.ZipFile(tmp_path / "web.zip") as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    assert found == tfjs_codec.to_files(dense_h5())
    assert dict(report.files) == {name: len(data) for name, data in found.items()}
    assert [file.name for file in tmp_path.iterdir()] == ["web.zip"]


def test_files_that_are_missing_or_named_outside():
    files = tfjs_codec.to_files(dense_h5())
    index = files.pop("model.json")
    with pytest.raises(CorruptFileError, match=r"model\.json.*weightsManifest.*is missing"):
        tfjs_codec.to_files({"model.json": index})
    content = json.loads(index)
    content["weightsManifest"][0]["paths"] = ["../secret.bin"]
    with pytest.raises(UnsafeFileError, match="leads out"):
        tfjs_codec.to_files({**files, "model.json": json.dumps(content).encode()})


def test_arrays_become_a_manifest():
    arrays = {
        "w": np.arange(6, dtype=np.float64).reshape(2, 3),
        "n": np.array([1, -2], np.int64),
        "s": np.array(["a", "été"]),
        "b": np.array(True),
    }
    files = tfjs_codec.to_files(arrays)
    assert set(files) == {"group1-shard1of1.bin", "model.json"}
    loaded = tfjs_codec.load(files).weights
    np.testing.assert_array_equal(loaded["w"], arrays["w"].astype(np.float32))
    np.testing.assert_array_equal(loaded["n"], arrays["n"])
    assert loaded["s"].tolist() == [b"a", "été".encode()]
    assert loaded["b"]


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ({"w": np.array([1 << 40])}, "int32 cannot hold"),
        ({"w": np.array([1j], np.complex128)}, "tfjs lacks"),
        ({1: np.zeros(2, np.float32)}, "must be a string"),
        ({"model.json": "text"}, "the bytes of files"),
        ({"saved_model.pb": b""}, "only read from a directory"),
    ],
)
def test_mappings_that_are_refused(source, what):
    with pytest.raises(UsageError, match=what):
        tfjs_codec.to_files(source)
