"""Cutting weights into files: every byte once, in order, whatever the sizes."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tfjs_codec.files.stage import Stage
from tfjs_codec.ir.layers import LayersGraph, TfjsLayer, Weight, layer_weights
from tfjs_codec.ir.loaded import TfjsLayers, Weights
from tfjs_codec.ir.tensors import ArrayTensor, Extent, LazyTensor
from tfjs_codec.options import ConvertOptions
from tfjs_codec.writers import tfjs_json
from tfjs_codec.writers.quantize_choice import Choice
from tfjs_codec.writers.shards import ShardWriter, plan_shards

AROUND = sorted({0, 1, *(n * 64 + d for n in (1, 2, 3) for d in (-1, 0, 1))})


@pytest.mark.parametrize("nbytes", AROUND)
@pytest.mark.parametrize("size", [1, 63, 64, 65, None])
def test_planned_sizes(nbytes, size):
    shards = plan_shards(7, nbytes, size)
    assert sum(shard.nbytes for shard in shards) == nbytes
    assert all(shard.nbytes == size for shard in shards[:-1])
    assert all(0 < shard.nbytes <= (size or nbytes) for shard in shards)
    names = [f"group7-shard{k}of{len(shards)}.bin" for k in range(1, len(shards) + 1)]
    assert [shard.name for shard in shards] == names
    assert len(shards) == (-(-nbytes // size) if size else bool(nbytes))


@given(
    sizes=st.lists(st.integers(0, 40), max_size=8),
    shard_size=st.one_of(st.none(), st.integers(1, 50)),
    from_file=st.booleans(),
)
@example([64, 0, 0, 64], 64, False)
@example([63, 1, 65], 64, True)
@settings(deadline=None, max_examples=150)
def test_the_bytes_of_all_files_are_the_bytes_written(sizes, shard_size, from_file):
    data = np.random.default_rng(0).integers(0, 256, sum(sizes), dtype=np.uint8)
    shards = plan_shards(1, len(data), shard_size)
    with tempfile.TemporaryDirectory() as name:
        source = Path(name, "source")
        source.write_bytes(b"before" + data.tobytes() + b"after")
        Path(name, "stage").mkdir()
        stage = Stage(Path(name, "stage"), Path(name))
        writer = ShardWriter(stage, shards)
        start = 0
        for size in sizes:
            if from_file:
                writer.copy(Extent(source, 6 + start, size))
            else:
                writer.write(data[start : start + size])
            start += size
        writer.finish()
        stage.close()
        files = [(stage.path / shard.name).read_bytes() for shard in shards]
        assert len(list(stage.path.iterdir())) == len(shards)
    assert [len(file) for file in files] == [shard.nbytes for shard in shards]
    assert b"".join(files) == data.tobytes()


class InFile(LazyTensor):
    """Zeros in memory; the values are in a file, whence they must be copied."""

    def __init__(self, path, offset, array):
        self.name, self.shape, self.dtype = "in file", array.shape, array.dtype
        self._place, self._offset = path, offset

    @property
    def extent(self):
        return Extent(self._place, self._offset, self.nbytes)

    def numpy(self):
        raise AssertionError("read instead of copied")


@given(
    layers=st.lists(st.lists(st.lists(st.integers(0, 4), max_size=3), max_size=3), max_size=4),
    shard_size=st.integers(1, 100),
    single=st.booleans(),
    split=st.booleans(),
    bare=st.booleans(),
    copied=st.booleans(),
)
@settings(deadline=None, max_examples=150)
def test_the_manifest_describes_the_files(layers, shard_size, single, split, bare, copied):
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as name:
        source, values, offset = Path(name, "source"), {}, 0
        graph = LayersGraph("m", [], [], [])
        with source.open("wb") as file:
            for i, shapes in enumerate(layers):
                layer = TfjsLayer(f"l{i}", "Dense")
                graph.layers.append(layer)
                for j, shape in enumerate(shapes):
                    array = values[f"l{i}/w{j}"] = rng.normal(size=shape).astype("<f4")
                    file.write(array.tobytes())
                    tensor = InFile(source, offset, array)
                    offset += array.nbytes
                    layer.weights[f"w{j}"] = tensor if copied else ArrayTensor("", array)
        weights = [Weight(*pair) for layer in graph.layers for pair in layer_weights(layer)]
        common = {"path": "m", "weights": tuple(weights)}
        model = Weights(format="m", **common) if bare else TfjsLayers(topology={}, **common)
        options = ConvertOptions(
            shard_size_bytes=shard_size, single_shard=single, split_weights_by_layer=split
        )
        planned = tfjs_json.plan(model, options, Choice({}))
        Path(name, "out").mkdir()
        stage = Stage(Path(name, "out"), Path(name))
        steps = []
        written = tfjs_json.write(model, planned, stage, lambda *step: steps.append(step))
        stage.close()
        assert {file.name: file.stat().st_size for file in stage.path.iterdir()} == dict(
            written.files
        )
        manifest = json.loads((stage.path / "model.json").read_bytes())["weightsManifest"]
        found = {}
        for group in manifest:
            data = b"".join((stage.path / path).read_bytes() for path in group["paths"])
            for entry in group["weights"]:
                count = 4 * int(np.prod(entry["shape"], dtype=int))
                found[entry["name"]] = np.frombuffer(data[:count], "<f4").reshape(entry["shape"])
                data = data[count:]
            assert not data
            assert len(group["paths"]) <= 1 or not single
    assert list(found) == list(values)
    for key, array in values.items():
        np.testing.assert_array_equal(found[key], array, strict=True)
    scopes = {key.partition("/")[0] for key in values}
    assert len(manifest) == (max(1, len(scopes)) if split else 1)
    if any(array.size for array in values.values()):
        assert steps[-1] == (offset, offset)


def test_fewer_bytes_than_planned_are_a_bug(tmp_path):
    writer = ShardWriter(Stage(tmp_path, tmp_path), plan_shards(1, 10, 4))
    writer.write(np.zeros(9, np.uint8))
    with pytest.raises(AssertionError, match="fewer bytes"):
        writer.finish()
    writer.close()
