"""Rows 27 to 31 of the list of hostile input: paths, sizes and entries of weight manifests."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from tfjs_files import dense_topology, manifest_model, write_model

import tfjs_codec
from tfjs_codec.errors import (
    CorruptFileError,
    LimitExceededError,
    UnsafeFileError,
    UnsupportedModelError,
)
from tfjs_codec.limits import Limits


@pytest.fixture
def web(tmp_path: Path) -> Path:
    return manifest_model(tmp_path / "web", np.random.default_rng(3))


def changed(web: Path, change) -> None:
    """Apply *change* to the first group of the manifest."""
    index = json.loads((web / "model.json").read_text())
    change(index["weightsManifest"][0])
    (web / "model.json").write_text(json.dumps(index))


UNSAFE = [
    "../x", "a/../../x", "/etc/passwd", "C:\\x", "\\\\srv\\s", "a\\..\\b", "file:///etc/passwd",
    "http://example.com/x.bin", "%2e%2e/x", ".", "", "a\0b", "a" * 300, "CON", "x.", "x ",
    "g1.bin?sig=1", "./../x", ".//etc/passwd",
]  # fmt: skip


@pytest.mark.parametrize("name", UNSAFE)
def test_paths_that_are_no_plain_files_are_unsafe(web, name):
    changed(web, lambda group: group.update(paths=[name]))
    with pytest.raises(UnsafeFileError, match=r"weightsManifest\[0\].paths\[0\]"):
        tfjs_codec.load(web)


def test_browsers_begin_paths_with_a_dot(web):
    changed(web, lambda group: group.update(paths=["./weights.bin"]))
    with tfjs_codec.load(web) as model:
        assert model.weights["dense_Dense1/kernel"].shape == (4, 3)


@pytest.mark.parametrize("kind", ["link", "parent", "directory", "fifo"])
def test_weight_files_that_are_no_files_inside_are_unsafe(web, tmp_path, kind):
    shard, outside = web / "weights.bin", tmp_path / "outside"
    outside.mkdir()
    name = "weights.bin"
    if kind == "link":
        shard.rename(outside / "weights.bin")
        shard.symlink_to(outside / "weights.bin")
    elif kind == "parent":
        shard.rename(outside / "weights.bin")
        (web / "sub").symlink_to(outside)
        name = "sub/weights.bin"
    else:
        shard.unlink()
        shard.mkdir() if kind == "directory" else os.mkfifo(shard)
    changed(web, lambda group: group.update(paths=[name]))
    with pytest.raises(UnsafeFileError):
        tfjs_codec.load(web)


@pytest.mark.parametrize("change", [-1, 1, -64])
def test_weight_files_of_another_size_are_corrupt(web, change):
    data = (web / "weights.bin").read_bytes()
    (web / "weights.bin").write_bytes(data[:change] if change < 0 else data + b"\0")
    with pytest.raises(CorruptFileError, match=f"bytes of weights, found {len(data) + change:,}"):
        tfjs_codec.load(web)


def test_a_missing_weight_file_is_named(web):
    (web / "weights.bin").unlink()
    with pytest.raises(CorruptFileError, match=r"'weights\.bin' is missing"):
        tfjs_codec.load(web)


def test_a_file_listed_twice_is_corrupt(web):
    changed(web, lambda group: group.update(paths=["weights.bin", "./weights.bin"]))
    with pytest.raises(CorruptFileError, match="listed twice"):
        tfjs_codec.load(web)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"name": "dense_Dense1/bias"}, "two weights called"),
        ({"dtype": "float64"}, "unknown dtype 'float64'"),
        ({"dtype": None}, "unknown dtype None"),
        ({"shape": [4, -3]}, r"shape\[1\]"),
        ({"shape": [4, 2.5]}, r"shape\[1\]"),
        ({"shape": [2**31, 2**31]}, r"shape\[0\]"),
        ({"quantization": {"dtype": "uint8"}}, "scale"),
        ({"quantization": {"dtype": "uint8", "scale": 0, "min": 0}}, "a positive number"),
        ({"quantization": {"dtype": "uint8", "scale": -1, "min": 0}}, "a positive number"),
        ({"quantization": {"dtype": "int4", "scale": 1, "min": 0}}, "unknown quantisation dtype"),
        ({"dtype": "int32", "quantization": {"dtype": "float16"}}, "cannot stand for int32"),
        ({"dtype": "bool", "quantization": {"dtype": "uint8"}}, "uint8 cannot stand for bool"),
        ({"dtype": "string"}, "past the end|at least"),
        ({"shape": [1 << 20, 1 << 20]}, "limit tensor_bytes"),
    ],
)  # fmt: skip
def test_entries_that_make_no_sense_are_corrupt(web, entry, message):
    changed(web, lambda group: group["weights"][0].update(entry))
    with pytest.raises((CorruptFileError, LimitExceededError), match=message):
        tfjs_codec.load(web)


def test_limits_hold_for_manifests(web):
    with pytest.raises(LimitExceededError, match="limit weights = 2"):
        tfjs_codec.load(web, limits=Limits(weights=2))


def test_layers_and_graph_models_are_not_taken_for_each_other(tmp_path):
    write_model(tmp_path / "a", {}, topology={"node": []}, format="layers-model")
    with pytest.raises(CorruptFileError, match=r"tf\.loadGraphModel"):
        tfjs_codec.load(tmp_path / "a")
    write_model(tmp_path / "b", {}, topology=dense_topology(), format="graph-model")
    with pytest.raises(CorruptFileError, match=r"tf\.loadLayersModel"):
        tfjs_codec.load(tmp_path / "b")
    write_model(tmp_path / "c", {}, topology={"node": []}, format="graph-model")
    with pytest.raises(UnsupportedModelError, match="a graph model"):
        tfjs_codec.convert(tmp_path / "c", tmp_path / "back.h5")
