"""From one tfjs layout to another: the values stay, bit by bit unless they are quantised."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tfjs_files import manifest_model, write_model

import tfjs_codec
from tfjs_codec.errors import UnsupportedModelError, UsageError


@pytest.fixture
def web(tmp_path: Path) -> Path:
    """A Layers model with all that tfjs's own ``model.save()`` writes."""
    rng = np.random.default_rng(7)
    return manifest_model(tmp_path / "web", rng)


def _weights(directory: Path) -> dict[str, np.ndarray]:
    with tfjs_codec.load(directory) as model:
        return dict(model.weights)


def _index(directory: Path) -> dict:
    return json.loads((directory / "model.json").read_text())


def _same_bits(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert list(one) == list(other)
    for name, array in one.items():
        assert array.dtype == other[name].dtype
        assert array.tobytes() == other[name].tobytes(), name


@pytest.mark.parametrize(
    "options",
    [
        {"shard_size_bytes": 7},
        {"single_shard": True},
        {"split_weights_by_layer": True},
        {"shard_size_bytes": 64, "split_weights_by_layer": True},
    ],
)
def test_layouts_keep_values_and_topology(web, tmp_path, options):
    tfjs_codec.convert(web, tmp_path / "new", training_config=True, **options)
    _same_bits(_weights(tmp_path / "new"), _weights(web))
    old, new = _index(web), _index(tmp_path / "new")
    for key in ("modelTopology", "trainingConfig", "userDefinedMetadata", "signature"):
        assert new[key] == old[key]
    assert new["convertedBy"].startswith("tfjs_codec")


def test_optimizer_and_training_config_are_stripped_unless_wanted(web, tmp_path):
    report = tfjs_codec.convert(web, tmp_path / "new")
    assert report.dropped == ("1 weight of the optimizer", "the training config")
    assert "trainingConfig" not in _index(tmp_path / "new")
    assert set(_weights(web)) - set(_weights(tmp_path / "new")) == {"iter"}


def test_metadata_is_added_to_what_is_there(web, tmp_path):
    tfjs_codec.convert(web, tmp_path / "new", metadata={"labels": ["cat", "dog"]})
    metadata = _index(tmp_path / "new")["userDefinedMetadata"]
    assert metadata == {"packageName": "test", "labels": ["cat", "dog"]}


def test_quantised_weights_stay_as_they_are_stored(web, tmp_path):
    tfjs_codec.convert(web, tmp_path / "small", quantize={"uint8": "*kernel"})
    tfjs_codec.convert(tmp_path / "small", tmp_path / "cut", shard_size_bytes=5)
    _same_bits(_weights(tmp_path / "cut"), _weights(tmp_path / "small"))
    old, new = (
        _index(tmp_path / name)["weightsManifest"][0]["weights"] for name in ("small", "cut")
    )
    assert old == new
    assert "quantization" in old[0]


def test_dequantised_weights_are_what_tfjs_computes_with(web, tmp_path):
    tfjs_codec.convert(web, tmp_path / "small", quantize={"uint16": True})
    tfjs_codec.convert(tmp_path / "small", tmp_path / "whole", dequantize=True)
    _same_bits(_weights(tmp_path / "whole"), _weights(tmp_path / "small"))
    entries = _index(tmp_path / "whole")["weightsManifest"][0]["weights"]
    assert not any("quantization" in entry for entry in entries)


def test_a_graph_model_keeps_its_topology(tmp_path):
    topology = {"node": [{"name": "x", "op": "Const"}], "library": {}}
    arrays = {"x": np.arange(5, dtype=np.int32), "s": np.array([b"ab", b""], object)}
    write_model(
        tmp_path / "web", arrays, topology=topology, format="graph-model", signature={"a": 1}
    )
    tfjs_codec.convert(tmp_path / "web", tmp_path / "new", shard_size_bytes=3)
    index = _index(tmp_path / "new")
    assert (index["format"], index["modelTopology"]) == ("graph-model", topology)
    assert index["signature"] == {"a": 1}
    assert _weights(tmp_path / "new")["s"].tolist() == [b"ab", b""]
    with pytest.raises(UnsupportedModelError, match="graph model"):
        tfjs_codec.convert(tmp_path / "web", tmp_path / "no", to="layers")


def test_layers_and_their_weights_get_new_names(digits_web, tmp_path):
    tfjs_codec.convert(digits_web, tmp_path / "new", rename={"conv2d": "first"})
    old, new = _weights(digits_web), _weights(tmp_path / "new")
    _same_bits({name.replace("conv2d/", "first/"): value for name, value in old.items()}, new)
    text = json.dumps(_index(tmp_path / "new")["modelTopology"])
    assert '"first"' in text
    assert '"conv2d"' not in text


@pytest.mark.parametrize(
    ("names", "message"),
    [({"nowhere": "x"}, "no layer 'nowhere' to rename"), ({"conv2d": "dense"}, "a layer 'dense'")],
)
def test_names_must_be_there_and_free(digits_web, tmp_path, names, message):
    with pytest.raises(UsageError, match=message):
        tfjs_codec.convert(digits_web, tmp_path / "new", rename=names)
    assert not (tmp_path / "new").exists()


@pytest.fixture
def digits_web(fixtures_dir, tmp_path):
    tfjs_codec.convert(fixtures_dir / "digits" / "digits.keras", tmp_path / "digits")
    return tmp_path / "digits"
