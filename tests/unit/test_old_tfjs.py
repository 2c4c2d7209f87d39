"""Graphs of TensorFlow.js 0.x: their constants' values lie in a weight manifest beside them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import tfjs_codec
from tfjs_codec import pb
from tfjs_codec.errors import CorruptFileError, UnsupportedModelError
from tfjs_codec.pb import messages

OUTPUTS = ["norm", "scaled"]


@pytest.fixture
def old(fixtures_dir: Path, tmp_path: Path) -> Path:
    """The frozen fixture as tfjs-converter 0.x wrote graphs: values in shards, not in the graph."""
    graph = pb.parse(
        messages.GraphDef, (fixtures_dir / "graph_frozen" / "model.pb").read_bytes(), path=""
    )
    web = tmp_path / "as_json"
    tfjs_codec.convert(
        fixtures_dir / "graph_frozen" / "model.pb", web, to="graph", output_node_names=OUTPUTS
    )
    folder = tmp_path / "old"
    folder.mkdir()
    entries, data = [], b""
    for node in graph.node:
        if node.op != "Const":
            continue
        tensor = node.attr["value"].tensor
        shape = [dim.size for dim in tensor.tensor_shape.dim]
        dtype = {1: np.float32, 3: np.int32}[tensor.dtype]
        values = np.frombuffer(tensor.tensor_content, dtype)
        if not values.size:
            listed = tensor.float_val if tensor.dtype == 1 else tensor.int_val
            values = np.broadcast_to(np.array(listed, dtype), [int(np.prod(shape))])
        entries.append({"name": node.name, "shape": shape, "dtype": np.dtype(dtype).name})
        data += values.astype(dtype).tobytes()
        for field in ("tensor_content", "float_val", "int_val"):
            tensor.ClearField(field)
    (folder / "web_model.pb").write_bytes(graph.SerializeToString())
    (folder / "group1-shard1of1").write_bytes(data)
    manifest = [{"paths": ["group1-shard1of1"], "weights": entries}]
    (folder / "weights_manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.mark.parametrize("called", ["web_model.pb", "tensorflowjs_model.pb"])
@pytest.mark.parametrize("by", ["folder", "file"])
def test_becomes_what_the_frozen_graph_becomes(old: Path, tmp_path: Path, called: str, by: str):
    file = (old / "web_model.pb").rename(old / called)
    source = old if by == "folder" else file
    tfjs_codec.convert(source, tmp_path / "web", to="graph", output_node_names=OUTPUTS)
    for file in (tmp_path / "as_json").iterdir():
        assert (tmp_path / "web" / file.name).read_bytes() == file.read_bytes()


def test_constants_without_values_are_refused(old: Path, tmp_path: Path) -> None:
    (old / "weights_manifest.json").unlink()
    with pytest.raises(UnsupportedModelError, match=r"constants have no values.*weights_manifest"):
        tfjs_codec.convert(old, tmp_path / "web", to="graph", output_node_names=OUTPUTS)
    assert not (tmp_path / "web").exists()


def test_a_manifest_of_another_graph_is_refused(old: Path, tmp_path: Path) -> None:
    path = old / "weights_manifest.json"
    path.write_text(path.read_text().replace('"name": "', '"name": "other_'))
    with pytest.raises(CorruptFileError, match=r"expected a weight .* found no weight"):
        tfjs_codec.convert(old, tmp_path / "web", to="graph", output_node_names=OUTPUTS)
