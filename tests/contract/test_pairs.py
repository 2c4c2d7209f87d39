"""Every reader and every writer: what goes in comes out, whatever the pair."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tfjs_files import manifest_model

import tfjs_codec
from tfjs_codec.errors import CorruptFileError, TfjsCodecError, UsageError

FIXTURES = Path(__file__).parents[2] / "fixtures"
SOURCES = ("keras2.h5", "keras2.keras", "keras3.h5", "keras3.keras", "official", "tfjs")
TARGETS = ("web", "saved", "back.h5", "back.keras", "back.weights.h5", "back.npz")
DIRECTORIES: dict[str, dict[str, Any]] = {"web": {}, "saved": {"to": "savedmodel"}}
_WRITERS = {"keras2": "tf_keras-2.19", "keras3": "keras-3.15"}


@pytest.fixture
def source(request, tmp_path: Path) -> Path:
    """A small model in the format asked for."""
    name = request.param
    if name == "tfjs":
        return manifest_model(tmp_path / "tfjs", np.random.default_rng(5))
    writer, _, suffix = name.partition(".")
    file = "official.zip" if name == "official" else "keras/sequential_input.zip"
    with zipfile.ZipFile(FIXTURES / file) as archive:
        archive.extractall(tmp_path / "unpacked")
    if name == "official":
        return tmp_path / "unpacked" / "sequential_input" / "none"
    return tmp_path / "unpacked" / f"{_WRITERS[writer]}.{suffix}"


def values(path: Path) -> list[tuple[tuple[int, ...], bytes]]:
    """Return the weights in *path* without their names, which every format has its own of."""
    if path.suffix == ".npz":
        with np.load(path) as archive:
            arrays = [archive[name] for name in archive.files]
    else:
        with tfjs_codec.load(path) as model:
            arrays = list(model.weights.values())
    return sorted((array.shape, array.tobytes()) for array in arrays if array.ndim)


@pytest.mark.parametrize("source", SOURCES, indirect=True)
class TestReaders:
    def test_weights_are_a_mapping_of_arrays(self, source):
        with tfjs_codec.load(source) as model:
            assert len(model.weights) == len(list(model.weights)) > 0
            for name, array in model.weights.items():
                assert isinstance(name, str)
                assert isinstance(array, np.ndarray)
                assert array.flags.c_contiguous
                assert array.dtype.isnative

    def test_reading_twice_gives_the_same(self, source):
        assert values(source) == values(source)

    def test_a_cut_off_source_is_corrupt(self, source):
        shards = sorted(source.glob("*.bin")) if source.is_dir() else []
        file = shards[0] if shards else source
        file.write_bytes(file.read_bytes()[:-100])
        with pytest.raises(CorruptFileError):
            values(source)

    def test_the_source_is_left_alone(self, source, tmp_path):
        before = values(source)
        tfjs_codec.convert(source, tmp_path / "out.npz")
        assert values(source) == before


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("source", SOURCES, indirect=True)
def test_every_pair_keeps_the_weights(source, target, tmp_path):
    expected = values(source)
    report = tfjs_codec.convert(source, tmp_path / target, **DIRECTORIES.get(target, {}))
    assert values(tmp_path / target) == expected
    assert report.destination == str(tmp_path / target)
    files = [tmp_path / target, *(tmp_path / target).rglob("*")]
    assert report.nbytes == sum(file.stat().st_size for file in files if file.is_file())


@pytest.mark.parametrize("target", ["web", "saved", "back.h5", "back.keras"])
@pytest.mark.parametrize("source", SOURCES, indirect=True)
def test_every_pair_is_verified_by_values_and_predictions(source, target, tmp_path):
    tfjs_codec.convert(source, tmp_path / target, **DIRECTORIES.get(target, {}))
    found = tfjs_codec.verify(tmp_path / target, against=source)
    assert not found.notes
    values, predictions = found.checks[-2:]
    assert "weights match the source" in values
    assert predictions.startswith("predictions for 2 random inputs")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("source", ["keras2.h5"], indirect=True)
class TestWriters:
    def test_same_input_same_bytes(self, source, target, tmp_path):
        for name in ("one", "two"):
            tfjs_codec.convert(source, tmp_path / name / target, **DIRECTORIES.get(target, {}))
        files = [
            {
                path.name: path.read_bytes()
                for path in (tmp_path / name).rglob("*")
                if path.is_file()
            }
            for name in ("one", "two")
        ]
        assert files[0] == files[1]

    def test_a_model_is_replaced(self, source, target, tmp_path):
        tfjs_codec.convert(source, tmp_path / target, **DIRECTORIES.get(target, {}))
        tfjs_codec.convert(source, tmp_path / target, **DIRECTORIES.get(target, {}))
        names = {path.name for path in tmp_path.iterdir()}
        assert names == {target, "unpacked"}

    def test_something_else_is_not_replaced(self, source, target, tmp_path):
        file = tmp_path / target
        if target in DIRECTORIES:
            file.mkdir()
            file /= "notes.txt"
        file.write_text("my notes")
        with pytest.raises(UsageError, match="force"):
            tfjs_codec.convert(source, tmp_path / target, **DIRECTORIES.get(target, {}))
        assert file.read_text() == "my notes"

    def test_a_dry_run_writes_nothing(self, source, target, tmp_path):
        tfjs_codec.plan(source, tmp_path / target, **DIRECTORIES.get(target, {}))
        assert not (tmp_path / target).exists()

    def test_failing_leaves_nothing(self, source, target, tmp_path):
        source.write_bytes(source.read_bytes()[:-100])
        with pytest.raises(TfjsCodecError):
            tfjs_codec.convert(source, tmp_path / target, **DIRECTORIES.get(target, {}))
        assert {path.name for path in tmp_path.iterdir()} == {"unpacked"}


def test_what_was_loaded_is_saved(tmp_path):
    web = manifest_model(tmp_path / "web", np.random.default_rng(5))
    with tfjs_codec.load(web) as model:
        tfjs_codec.save(model, tmp_path / "back.h5")
    assert len(values(tmp_path / "back.h5")) == 2
