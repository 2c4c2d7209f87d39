"""Checkpoints: CRC, table, values. The expected values are those tf.train.load_checkpoint gave."""

from __future__ import annotations

import json
import random
import re
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from bundle_files import block, entry, header, literal, table, write_bundle, write_index
from growth import growth

from tfjs_codec.errors import CorruptFileError, LimitExceededError, quote
from tfjs_codec.files.bundle_tensors import SlicedTensor, UnreadableTensor
from tfjs_codec.files.crc32c import combine, crc32c, masked
from tfjs_codec.files.snappy import decompress
from tfjs_codec.files.sstable import read_sstable
from tfjs_codec.files.tensor_bundle import OBJECT_GRAPH_KEY, _tiles, open_bundle, slice_key
from tfjs_codec.limits import Limits

FIXTURES = Path(__file__).parents[2] / "fixtures"
RECORDED = sorted(FIXTURES.glob("savedmodel_*/values.npz"))


def slow_crc32c(data: bytes, crc: int = 0) -> int:
    """Bit by bit, as defined."""
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def prefix_of(fixture: Path) -> Path:
    checkpoint = fixture / "model" / "ckpt-7"
    return (
        checkpoint
        if checkpoint.with_suffix(".index").exists()
        else (fixture / "model" / "variables" / "variables")
    )


# --- checksums -----------------------------------------------------------------------------


def test_crc32c_known_values():  # RFC 3720, B.4
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E
    assert masked(0) == 0xA282EAD8


@pytest.mark.parametrize(
    "size", [0, 1, 3, 4, 5, 7, 8, 100, 5684, 5685, 5686, 10008, 45479, 45480, 45481, 45489]
)
def test_crc32c_equals_its_definition(size):
    data = random.Random(size).randbytes(size)
    assert crc32c(data) == slow_crc32c(data)


def test_crc32c_continues_across_any_cut():
    data = random.Random(0).randbytes(3 << 18)
    whole = crc32c(data)
    for cut in (0, 1, 3, 4, 9, 45480, (1 << 18) - 1, 1 << 18, (1 << 18) + 1, len(data) - 2):
        assert crc32c(data[cut:], crc32c(data[:cut])) == whole
    assert crc32c(memoryview(data)[1:]) == crc32c(data[1:])


@pytest.mark.parametrize("size", [181_919, 181_984, 524_289, 706_272])  # at the buffer's edges
def test_crc32c_of_parts_is_that_of_the_whole(size):
    data = random.Random(size).randbytes(size)
    first, middle, last = data[:1000], data[1000:5000], data[5000:]
    crc = combine(combine(0, crc32c(first), 1000), crc32c(middle), 4000)
    assert combine(crc, crc32c(last), len(last)) == crc32c(data) == slow_crc32c(data)


def test_every_flipped_bit_changes_the_crc():
    data = bytearray(random.Random(1).randbytes(100_000))
    before = crc32c(data)
    for position in range(0, len(data), 997):
        data[position] ^= 1 << position % 8
        assert crc32c(data) != before
        data[position] ^= 1 << position % 8


# --- snappy --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\0", b""),
        (b"\x03\x08abc", b"abc"),
        (b"\x0a\x04ab\x1e\x02\0", b"ab" * 5),  # an overlapping copy
        (b"\x06\x00a\x05\x01", b"a" * 6),
        (b"\x46\xf0\x45" + bytes(range(70)), bytes(range(70))),
        (b"\x06\x04ab\x0f\x02\0\0\0", b"ab" * 3),
    ],
)
def test_snappy(data, expected):
    assert decompress(data) == expected


@pytest.mark.parametrize(
    "data",
    [b"", b"\x80", b"\xff\xff\xff\xff\x0f\0a", b"\x03\x08ab", b"\x02\x08abc", b"\x04\x00a\x05\x02",
     b"\x04\x00a\x05\0", b"\x09\xf0", b"\x03\x04ab"],
)  # fmt: skip
def test_broken_snappy(data):
    with pytest.raises(ValueError):
        decompress(data)


def test_a_snappy_index_is_read(tmp_path):
    index = prefix_of(FIXTURES / "savedmodel_checkpoint_slices").with_suffix(".index").read_bytes()
    entries = read_sstable(index, path="x")
    compressed = table(literal(block(entries)), max(entries), compression=1)
    assert read_sstable(compressed, path="x") == entries


# --- values --------------------------------------------------------------------------------


def test_there_are_fixtures_of_many_versions():
    assert len(RECORDED) >= 20


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda path: path.parent.name)
@pytest.mark.parametrize("max_bytes", [3, 1 << 20])
def test_every_variable_is_what_tensorflow_read(recorded, max_bytes):
    folder = recorded.parent
    expected = json.loads((folder / "names.json").read_text(encoding="utf-8"))
    tensors = open_bundle(prefix_of(folder))
    tensors.pop(OBJECT_GRAPH_KEY, None)
    names = [name.encode("utf-8", "surrogateescape") for name in expected["numbers"]]
    names = [name.decode("utf-8", "backslashreplace") for name in names]
    assert set(tensors) == {*names, *expected["strings"]}
    with np.load(recorded) as arrays:
        for number, name in enumerate(names):
            wanted, tensor = arrays[str(number)], tensors[name]
            assert tensor.shape == wanted.shape
            assert tensor.numpy().dtype == tensor.dtype == wanted.dtype
            np.testing.assert_array_equal(tensor.numpy(), wanted)
            chunks = list(tensor.chunks(max_bytes))
            assert all(chunk.nbytes <= max(max_bytes, tensor.dtype.itemsize) for chunk in chunks)
            flat = np.concatenate(chunks) if chunks else np.zeros(0, wanted.dtype)
            np.testing.assert_array_equal(flat, wanted.reshape(-1))
    for name, strings in expected["strings"].items():
        assert tensors[name].shape == tuple(strings["shape"])
        assert list(tensors[name].numpy().reshape(-1)) == [bytes.fromhex(h) for h in strings["hex"]]


def test_an_index_of_several_blocks():
    tensors = open_bundle(FIXTURES / "savedmodel_checkpoint_many" / "model" / "ckpt-7")
    assert len(tensors) == 540
    assert all(tensor.numpy() == int(name[:4]) for name, tensor in tensors.items())


def test_a_bundle_of_a_big_endian_machine(tmp_path):
    numbers, wide = np.arange(3, dtype="f4"), np.array([1, -2], "i8")
    data = numbers.astype(">f4").tobytes() + wide.astype(">i8").tobytes()
    (tmp_path / "ckpt.data-00000-of-00001").write_bytes(data)
    entries = {
        b"": header(endianness=1),
        b"numbers": entry([3], 12, crc32c=masked(crc32c(data[:12]))),
        b"wide": entry([2], 16, dtype=9, offset=12, crc32c=masked(crc32c(data[12:]))),
    }
    write_index(tmp_path / "ckpt", entries)
    tensors = open_bundle(tmp_path / "ckpt")
    np.testing.assert_array_equal(tensors["numbers"].numpy(), numbers)
    np.testing.assert_array_equal(tensors["wide"].numpy(), wide)
    assert open_bundle(tmp_path / "ckpt", verify=False)["numbers"].extent is None


def test_extent_only_without_verification():
    prefix = FIXTURES / "savedmodel_checkpoint_dtypes" / "model" / "ckpt-7"
    assert open_bundle(prefix)["float32"].extent is None
    tensors = open_bundle(prefix, verify=False)
    extent = tensors["float32"].extent
    data = extent.path.read_bytes()[extent.offset : extent.offset + extent.nbytes]
    assert data == tensors["float32"].numpy().tobytes()
    assert tensors["float64"].extent is None
    assert tensors["bfloat16"].extent is None


@pytest.mark.parametrize(
    ("start", "length", "key"),
    [(4, 3, "8483"), (70000, 30000, "e11170e07530"), (0, -1, "807f"), (63, 64, "bfc040"),
     (8191, 8192, "dfffe02000"), (1 << 31, 1 << 62, "f880000000ffc04000000000000000")],
)  # fmt: skip
def test_slice_keys(start, length, key):
    expected = b"\0w\0\1\1\1" + bytes.fromhex(key)
    assert slice_key(b"w", [(start, length)]) == expected


def tiles(boxes: list[tuple[tuple[int, ...], tuple[int, ...]]], shape: tuple[int, ...]) -> bool:
    parts = [(start, UnreadableTensor("", size, "", Path())) for start, size in boxes]
    return _tiles(parts, shape)


PINWHEEL = [
    ((0, 0), (1, 2)),
    ((0, 2), (2, 1)),
    ((2, 1), (1, 2)),
    ((1, 0), (2, 1)),
    ((1, 1), (1, 1)),
]


def test_slices_may_be_cut_in_any_way_that_covers_once():
    assert tiles([((), ())], ())
    assert tiles([((0,), (0,)), ((0,), (5,)), ((5,), (0,))], (5,))
    assert tiles([((0, 0), (4, 1)), ((0, 1), (1, 2)), ((1, 1), (3, 2))], (4, 3))
    assert tiles(PINWHEEL, (3, 3))
    assert tiles([], (0, 3))


@pytest.mark.parametrize(
    ("boxes", "shape"),
    [
        ([], (2,)),
        ([((), ()), ((), ())], ()),
        (PINWHEEL[:4], (3, 3)),
        ([*PINWHEEL, PINWHEEL[4]], (3, 3)),
        ([((0,), (2,)), ((1,), (2,))], (4,)),  # 4 elements, but one twice
        ([((0, 0), (2, 1)), ((0, 0), (2, 1))], (2, 2)),
        ([((0, 0), (1, 1)), ((1, 1), (1, 1)), ((0, 0), (1, 1)), ((1, 1), (1, 1))], (2, 2)),
    ],
)
def test_slices_that_leave_a_gap_or_overlap(boxes, shape):
    assert not tiles(boxes, shape)


@pytest.mark.parametrize("max_bytes", [4, 12, 1000])
def test_slices_are_put_together_band_by_band(tmp_path, max_bytes):
    whole = np.arange(6 * 4, dtype="f4").reshape(6, 4)
    boxes = [
        ((0, 0), (2, 4)),
        ((2, 0), (3, 1)),
        ((2, 1), (1, 3)),
        ((3, 1), (2, 3)),
        ((5, 0), (1, 4)),
    ]
    parts = [(str(box), np.ascontiguousarray(whole[cut(box)])) for box in boxes]
    write_bundle(tmp_path / "ckpt", parts)
    tensors = open_bundle(tmp_path / "ckpt")
    sliced = SlicedTensor("w", (6, 4), [(box[0], tensors[str(box)]) for box in boxes])
    assert [len(band) for band in sliced._bands()] == [1, 3, 1]
    np.testing.assert_array_equal(sliced.numpy(), whole)
    chunks = list(sliced.chunks(max_bytes))
    assert all(chunk.nbytes <= max_bytes for chunk in chunks)
    np.testing.assert_array_equal(np.concatenate(chunks), whole.reshape(-1))


def cut(box: tuple[tuple[int, ...], tuple[int, ...]]) -> tuple[slice, ...]:
    return tuple(slice(start, start + size) for start, size in zip(*box, strict=True))


def test_many_slices_are_checked_in_linear_time():
    def check(side: int) -> None:
        boxes = [((row, column), (1, 1)) for row in range(side) for column in range(side)]
        assert tiles(boxes, (side, side))
        assert not tiles([*boxes[1:], boxes[7]], (side, side))

    assert growth(check, 20, 60) < 9 * 3


# --- damage --------------------------------------------------------------------------------


def copied(tmp_path: Path, fixture: str) -> Path:
    shutil.copytree(prefix_of(FIXTURES / fixture).parent, tmp_path / "copy")
    return tmp_path / "copy" / prefix_of(FIXTURES / fixture).name


def test_every_flipped_byte_of_the_index_is_found(tmp_path):
    prefix = copied(tmp_path, "savedmodel_checkpoint_dtypes")
    index = prefix.with_suffix(".index")
    data = index.read_bytes()
    where = re.compile(r"(data block \d+|index block|metaindex block|footer)")
    for position in range(len(data)):
        for flip in (1, 0x80, 0xFF):
            changed = bytearray(data)
            changed[position] ^= flip
            with pytest.raises(CorruptFileError) as caught:
                read_sstable(bytes(changed), path=index)
            assert where.search(str(caught.value)), position


@pytest.mark.parametrize(
    "fixture", ["savedmodel_checkpoint_dtypes", "savedmodel_checkpoint_slices"]
)
def test_every_flipped_byte_of_a_tensor_is_found(tmp_path, fixture):
    prefix = copied(tmp_path, fixture)
    for shard in sorted(prefix.parent.glob(f"{prefix.name}.data-*")):
        data = shard.read_bytes()
        for position in {*range(0, len(data), max(1, len(data) // 150)), len(data) - 1}:
            changed = bytearray(data)
            changed[position] ^= 0x10
            shard.write_bytes(changed)
            found = []
            for name, tensor in open_bundle(prefix).items():
                with suppress(CorruptFileError):
                    tensor.numpy()
                    continue
                with pytest.raises(CorruptFileError, match=re.escape(quote(name)[:-1])):
                    tensor.numpy()
                found.append(name)
            assert len(found) == 1, position
        shard.write_bytes(data)


def test_truncated_everywhere(tmp_path):
    prefix = copied(tmp_path, "savedmodel_checkpoint_slices")
    index = prefix.with_suffix(".index")
    data = index.read_bytes()
    for size in range(len(data)):
        index.write_bytes(data[:size])
        with pytest.raises(CorruptFileError):
            open_bundle(prefix)


def test_a_missing_or_short_shard_names_the_variable(tmp_path):
    prefix = copied(tmp_path, "savedmodel_checkpoint_dtypes")
    shard = prefix.with_name(f"{prefix.name}.data-00001-of-00002")
    data = shard.read_bytes()
    shard.write_bytes(data[:-1])
    with pytest.raises(CorruptFileError, match=r"variable '.*': .*truncated"):
        open_bundle(prefix)
    shard.unlink()
    with pytest.raises(CorruptFileError, match=r"variable '.*data-00001-of-00002' is missing"):
        open_bundle(prefix)


def test_a_shard_that_shrinks_meanwhile(tmp_path):
    prefix = copied(tmp_path, "savedmodel_checkpoint_dtypes")
    tensors = open_bundle(prefix)
    for shard in prefix.parent.glob("*.data-*"):
        shard.write_bytes(b"")
    with pytest.raises(CorruptFileError, match="shorter"):
        tensors["float32"].numpy()


@pytest.mark.parametrize("limit", ["tensor_bytes", "total_bytes", "weights", "index_bytes", "rank"])
def test_limits(limit):
    prefix = FIXTURES / "savedmodel_checkpoint_dtypes" / "model" / "ckpt-7"
    with pytest.raises(LimitExceededError, match=limit):
        open_bundle(prefix, limits=Limits(**{limit: 1}))
