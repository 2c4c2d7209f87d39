"""Checkpoints that we write: byte for byte those of TensorFlow, and read back as they were."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfjs_codec import pb
from tfjs_codec.errors import CorruptFileError
from tfjs_codec.files import bundle_write
from tfjs_codec.files.bundle_tensors import UnreadableTensor
from tfjs_codec.files.memory import MemoryStage
from tfjs_codec.files.publish import stage_prefix
from tfjs_codec.files.sink import staged
from tfjs_codec.files.sstable import read_sstable, write_sstable
from tfjs_codec.files.stage import Stage, StagedFile
from tfjs_codec.files.tensor_bundle import open_bundle
from tfjs_codec.ir.tensors import Array, ArrayTensor, FormulaTensor, LazyTensor
from tfjs_codec.pb import messages

FIXTURES = Path(__file__).parents[2] / "fixtures"
INDEXES = sorted(FIXTURES.rglob("*.index"))
MANY = FIXTURES / "savedmodel_checkpoint_many" / "model" / "ckpt-7"  # in the order of its keys
OTHERS = [  # without types that come as others, and slices
    FIXTURES / f"savedmodel_{name}" / "model" / "variables" / "variables"
    for name in ("tf2.19_compiled", "tf2.19_recurrent", "tf2.15_text", "tf1.15_nested")
]


def write(directory: Path, tensors: dict[str, LazyTensor], size: int = 1 << 30) -> list[str]:
    """Write the bundle ``out/v``; return the names of its files."""

    def owned(_: Path) -> frozenset[str]:
        return frozenset()

    shards = bundle_write.plan_bundle("v", tensors, size)
    with staged(directory / "out", owned) as stage:
        files = bundle_write.write_bundle(stage, "v", tensors, shards)
    for name, nbytes in files:
        assert (directory / "out" / name).stat().st_size == nbytes
    planned = [(shard.name, shard.nbytes) for shard in shards]
    assert planned == files[:-1]
    assert not list(directory.glob(f"{stage_prefix(directory / 'out')}*"))
    return [name for name, _ in files]


def arrays(**values: Array) -> dict[str, LazyTensor]:
    return {key: ArrayTensor(key, np.asarray(value)) for key, value in values.items()}


@pytest.mark.parametrize("index", INDEXES, ids=lambda path: path.parts[-4])
def test_an_index_of_tensorflow_comes_out_byte_for_byte(index):
    data = index.read_bytes()
    assert write_sstable(read_sstable(data, path=index)) == data


def test_a_bundle_of_tensorflow_comes_out_byte_for_byte(tmp_path):
    write(tmp_path, dict(open_bundle(MANY)))
    for kind in ("index", "data-00000-of-00001"):
        expected = MANY.with_name(f"{MANY.name}.{kind}").read_bytes()
        assert (tmp_path / "out" / f"v.{kind}").read_bytes() == expected


@pytest.mark.parametrize("prefix", OTHERS, ids=lambda path: path.parts[-4])
def test_entries_are_those_of_tensorflow_but_for_their_places(prefix, tmp_path):
    write(tmp_path, dict(open_bundle(prefix)))
    ours, theirs = entries(tmp_path / "out" / "v.index"), entries(prefix.with_suffix(".index"))
    assert ours == theirs
    assert len(ours) > 3


def entries(index: Path) -> dict[bytes, str]:
    found = {}
    for key, value in read_sstable(index.read_bytes(), path=index).items():
        kind = messages.BundleEntryProto if key else messages.BundleHeaderProto
        entry = pb.parse(kind, value, path=index)
        if key:
            entry.offset = 0
        found[key] = str(entry)
    return found


@given(
    st.dictionaries(st.binary(min_size=1, max_size=30), st.binary(max_size=3), max_size=70),
    st.sampled_from([1, 50, 300, 262144]),
)
@settings(max_examples=200, deadline=None)
def test_a_table_of_any_keys_is_read_back(entries, block_bytes):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tfjs_codec.files.sstable._BLOCK_BYTES", block_bytes)
        data = write_sstable(entries)
    assert read_sstable(data, path="x") == dict(sorted(entries.items()))


def test_all_types(tmp_path):
    values = {
        kind: np.arange(6).reshape(2, 3).astype(kind)
        for kind in (
            *("float16", "float32", "float64", "int8", "int16", "int32", "int64"),
            *("uint8", "uint16", "uint32", "uint64", "bool", "complex64", "complex128"),
        )
    }
    values["scalar"] = np.float32(3)
    values["empty"] = np.zeros((0, 4), np.float32)
    values["text"] = np.array([b"", b"\0\xff", b"x" * 300], object)
    values["one text"] = np.array(b"graph", object)
    values["big endian"] = np.arange(3).astype(">i4").astype("i4")
    write(tmp_path, arrays(**values))
    found = open_bundle(tmp_path / "out" / "v")
    assert list(found) == sorted(values)
    for key, tensor in found.items():
        assert not isinstance(tensor, UnreadableTensor)
        expected = np.asarray(values[key])
        assert (tensor.dtype, tensor.shape) == (expected.dtype, expected.shape)
        assert tensor.numpy().tolist() == expected.tolist()


def test_shards_hold_whole_tensors_up_to_a_size(tmp_path):
    values = {f"k{i}": np.full(i, i, np.float32) for i in (1, 2, 3, 30, 4, 5)}
    names = write(tmp_path, arrays(**values), size=24)
    assert names == [*(f"v.data-{i:05d}-of-00004" for i in range(4)), "v.index"]
    found = open_bundle(tmp_path / "out" / "v")
    assert all(np.array_equal(found[key].numpy(), value) for key, value in values.items())


def test_what_a_file_holds_is_copied_and_summed(tmp_path):
    values = np.random.default_rng(0).normal(size=(300, 1000)).astype(np.float32)
    write(tmp_path / "one", arrays(a=values, b=values[1:]))
    source = open_bundle(tmp_path / "one" / "out" / "v", verify=False)
    assert all(tensor.extent is not None for tensor in source.values())
    write(tmp_path / "two", dict(source))
    for name in ("v.index", "v.data-00000-of-00001"):
        paths = [tmp_path / number / "out" / name for number in ("one", "two")]
        assert paths[0].read_bytes() == paths[1].read_bytes()
    found = open_bundle(tmp_path / "two" / "out" / "v")
    assert np.array_equal(found["a"].numpy(), values)


@pytest.mark.parametrize("shift", [-4, 0, 4])
def test_large_extents_are_copied_by_threads_in_blocks(shift, tmp_path, monkeypatch):
    values = np.random.default_rng(0).normal(size=(3 << 18) + shift // 4).astype(np.float32)
    other = values[: 1 << 18]
    write(tmp_path / "one", arrays(a=values, b=other))
    source = dict(open_bundle(tmp_path / "one" / "out" / "v", verify=False))
    monkeypatch.setattr("tfjs_codec.files.stage._BLOCK_BYTES", 1 << 20)
    write(tmp_path / "two", source)
    monkeypatch.setattr("tfjs_codec.files.stage.AT_OFFSETS", False)
    write(tmp_path / "three", source)
    stage = MemoryStage()
    bundle_write.write_bundle(stage, "v", source, bundle_write.plan_bundle("v", source, 1 << 30))
    for name in ("v.index", "v.data-00000-of-00001"):
        one, *others = ((tmp_path / n / "out" / name).read_bytes() for n in ("one", "two", "three"))
        assert [*others, stage.files()[name]] == [one] * 3


def test_a_source_that_became_shorter_leaves_nothing(tmp_path, monkeypatch):
    values = np.zeros(3 << 18, np.float32)
    write(tmp_path, arrays(a=values))
    source = dict(open_bundle(tmp_path / "out" / "v", verify=False))
    data = tmp_path / "out" / "v.data-00000-of-00001"
    monkeypatch.setattr("tfjs_codec.files.stage._BLOCK_BYTES", 1 << 18)
    reserve = StagedFile._reserve

    def shorten(self, extent):
        place = reserve(self, extent)
        os.truncate(data, (2 << 20) + 5)
        return place

    monkeypatch.setattr(StagedFile, "_reserve", shorten)
    with pytest.raises(CorruptFileError, match="became shorter"):
        write(tmp_path / "two", source)
    assert not (tmp_path / "two").exists()


def test_memory_is_bounded(tmp_path):
    shape = (1 << 22,)  # 16 MiB
    tensor = FormulaTensor("c", shape, lambda: lambda i: i % 7)
    tracemalloc.start()
    write(tmp_path, {"c": tensor})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 << 20  # most of it is what computes the values: pieces of 1 MiB
    assert open_bundle(tmp_path / "out" / "v")["c"].numpy()[-1] == (shape[0] - 1) % 7


def test_a_source_that_fails_leaves_nothing(tmp_path):
    class Broken(ArrayTensor):
        def chunks(self, max_bytes: int):
            raise CorruptFileError("gone", path="there")

    tensors: dict[str, LazyTensor] = {"a": Broken("a", np.zeros(3, np.float32))}
    with pytest.raises(CorruptFileError, match="gone"):
        write(tmp_path, tensors)
    assert list(tmp_path.iterdir()) == []


def test_files_of_a_stage_may_lie_in_directories(tmp_path):
    stage = Stage(tmp_path, tmp_path)
    stage.write("variables/v.index", b"x")
    stage.close()
    assert (tmp_path / "variables" / "v.index").read_bytes() == b"x"
