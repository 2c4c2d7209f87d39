"""Rows 23-26 of the hostile-input list: SavedModel directories and checkpoints.

As in test_containers, one child process reads everything in each.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import container_probe
import numpy as np
import pytest
from bundle_files import (
    block,
    entry,
    header,
    message,
    table,
    varint,
    write_bundle,
    write_index,
)

from tfjs_codec.files.crc32c import crc32c, masked
from tfjs_codec.files.tensor_bundle import slice_key

MAX_SECONDS = 2.0
MAX_GROWN_BYTES = 64 << 20
FIXTURES = Path(__file__).parents[2] / "fixtures"
INDEX = "ckpt.index"
SHARD = "ckpt.data-00000-of-00001"
VALUES = np.arange(6, dtype="f4")

# name -> (maker of the files in a directory, what to read there, error class, part of the message)
CASES: dict[str, tuple[Callable[[Path], Any], str, str | None, str]] = {}


def case(name: str, target: str, error: str | None, text: str) -> Callable[..., None]:
    def add(make: Callable[[Path], Any]) -> None:
        CASES[name] = (make, target, error, text)

    return add


# --- 23, 24: saved_model.pb --------------------------------------------------------------------


def graph_file(name: str, data: bytes, error: str, text: str, size: int | None = None) -> None:
    def make(path: Path) -> None:
        file = path / "saved_model.pb"
        file.write_bytes(data)
        if size is not None:
            os.truncate(file, size)

    CASES[name] = (make, "", error, text)


def field(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def nested(levels: int) -> bytes:
    """AttrValue.func inside NameAttrList.attr, again and again."""
    data = b""
    for _ in range(levels):
        data = field(10, field(2, field(2, data)))
    return field(2, field(2, field(1, field(5, field(2, data)))))


GOOD = message("SavedModel", saved_model_schema_version=1, meta_graphs=[{}])
graph_file("empty", b"", "CorruptFileError", "holds no MetaGraph")
graph_file("no_graph", GOOD[:2], "CorruptFileError", "holds no MetaGraph")
graph_file("garbage", b"\xff" * 500, "CorruptFileError", "not a SavedModel message")
graph_file("truncated", field(2, b"\x0a\x05abcde")[:-1], "CorruptFileError", "truncated")
graph_file("text", b"meta_graphs {}", "CorruptFileError", "not a SavedModel message")
graph_file("sparse", b"", "CorruptFileError", "no field at byte 0", (2 << 30) - 1)
graph_file(
    "too_large", b"", "CorruptFileError", "3,221,225,472 bytes, more than the 2 GiB", 3 << 30
)
graph_file("deep", nested(5000), "CorruptFileError", "not a valid SavedModel message")
graph_file("twins", GOOD + field(2, b""), None, "")  # ambiguous, but it has no variables
graph_file("bad_child", field(2, field(7, field(1, field(1, b"\x08\x07")))), "CorruptFileError",
           "object graph, node 0")  # fmt: skip


@case("text_deep", "", "CorruptFileError", "not the text format")
def _text_deep(path: Path) -> None:
    (path / "saved_model.pbtxt").write_text("meta_graphs { graph_def {" * 3000)


# --- 25: the index -----------------------------------------------------------------------------


def index_file(name: str, data: bytes, text: str, error: str = "CorruptFileError") -> None:
    CASES[name] = (lambda path: (path / INDEX).write_bytes(data), INDEX, error, text)


def entries(
    name: str,
    error: str | None,
    text: str,
    items: Iterable[tuple[bytes, bytes]],
    head: bytes | None = None,
) -> None:
    """A checkpoint of one shard with VALUES, and an index with these entries."""

    def make(path: Path) -> None:
        (path / SHARD).write_bytes(VALUES.tobytes())
        write_index(path / "ckpt", {b"": header() if head is None else head, **dict(items)})

    CASES[name] = (make, INDEX, error, text)


CRC = masked(crc32c(VALUES.tobytes()))
PLAIN = {b"": header(), b"w": entry([6], 24, crc32c=CRC)}
FILE = table(block(PLAIN), b"w")
entries("good", None, "", [(b"w", PLAIN[b"w"])])
index_file("magic", FILE[:-1] + b"\0", "no known format", "UnknownFormatError")
index_file("block_crc", b"\1" + FILE[1:], "data block 0: checksum mismatch")
index_file("cut", FILE[-48:], "metaindex block")
index_file("restart", table(block(PLAIN, [1]), b"w"), "data block 0: restarts are not at entries")
index_file("restarts", table(block(PLAIN)[:-4] + b"\xff" * 4, b"w"), "restart array out of range")
index_file("order", table(block(dict(reversed(PLAIN.items()))), b"w"), "keys are not in order")
index_file("snappy", table(varint(4 << 30) + b"\0a", b"w", 1), "data block 0:")
index_file("snappy_ratio", table(varint(1 << 20) + b"\0a" + b"\xfe\1\0" * 10, b"w", 1), "block 0:")
index_file("compression", table(block(PLAIN), b"w", 7), "unknown compression type 7")
index_file("between", b"junk" + FILE, "metaindex block")


@case("index_size", INDEX, "LimitExceededError", "index_bytes")
def _index_size(path: Path) -> None:
    (path / INDEX).write_bytes(b"")
    os.truncate(path / INDEX, (3 << 30) - len(FILE))
    with (path / INDEX).open("ab") as file:
        file.write(FILE)


entries("no_header", "CorruptFileError", "header", [(b"w", PLAIN[b"w"])], b"\xff")
entries("version", "UnsupportedModelError", "reader of version 9", [],
        header(version={"min_consumer": 9}))  # fmt: skip
entries("no_shards", "CorruptFileError", "impossible header", [], header(num_shards=0))
entries("shards", "LimitExceededError", "shards", [], header(num_shards=(1 << 31) - 1))
WRONG_ENTRIES = {
    "shard_id": (entry([6], 24, shard_id=1), "is in shard 1 of 1"),
    "shard_negative": (entry([6], 24, shard_id=-1), "is in shard -1 of 1"),
    "past_end": (entry([6], 24, offset=1), "bytes 1 to 25 are not in its shard of 24 bytes"),
    "before_start": (entry([6], 24, offset=-1), "bytes -1 to 23"),
    "negative_size": (entry([6], -24), "bytes 0 to -24 are not in its shard"),
    "size": (entry([5], 24), "shape [5] of float32 takes 20 bytes, not 24"),
    "shape_negative": (entry([-1], 24), "its shape is not complete"),
    "crc": (entry([6], 24, crc32c=CRC ^ 1), "checksum mismatch"),
    "slice_missing": (entry([6], 0, slices=[{"extent": [{}]}]), "its slice [(0, -1)] is missing"),
    "slice_rank": (entry([6], 0, slices=[{}]), "its slice [] is missing"),
    "strings": (entry([6], 24, dtype=7), "strings of"),
    "not_a_message": (b"\xff", "not a valid BundleEntryProto"),
}
for _name, (_entry, _text) in WRONG_ENTRIES.items():
    entries(f"entry_{_name}", "CorruptFileError", f"variable 'w': {_text}", [(b"w", _entry)])
for _shape in ([1 << 62, 1 << 62], [1 << 40]):
    entries(f"bomb_{len(_shape)}", "LimitExceededError", "tensor_bytes",
            [(b"w", entry(_shape, 24))])  # fmt: skip
entries(
    "bomb_strings", "LimitExceededError", "tensor_bytes", [(b"w", entry([1 << 40], 24, dtype=7))]
)
entries("rank", "LimitExceededError", "rank", [(b"w", entry([1] * 40, 4))])
entries("overlap", "CorruptFileError", "variable 'x': its bytes overlap those of 'w'",
        [(b"w", entry([3], 12)), (b"x", entry([3], 12, offset=8))])  # fmt: skip


@case("many", INDEX, "LimitExceededError", "weights")
def _many(path: Path) -> None:
    items = {b"%06d" % number: b"" for number in range(100_001)}
    write_index(path / "ckpt", {b"": header(), **items})


def sliced(name: str, text: str, shape: list[int], cuts: list[tuple[int, int]]) -> None:
    """A vector cut into these pieces, pairs of start and length."""
    slices = [{"extent": [{"start": a, "length": n}]} for a, n in cuts]
    items = {slice_key(b"w", [cut]): entry([cut[1]], 4 * cut[1], offset=0) for cut in cuts}
    whole = {b"w": entry(shape, 0, slices=slices)}
    entries(
        name, "CorruptFileError", f"variable 'w': {text}", [*sorted(items.items()), *whole.items()]
    )


sliced("slices_gap", "its slices do not cover", [6], [(0, 2), (3, 3)])
sliced("slices_overlap", "its slices do not cover", [5], [(0, 3), (2, 3)])
sliced("slices_outside", "its slice [(4, 3)] does not fit", [6], [(0, 4), (4, 3)])
sliced("slices_twice", "its slice [(0, 3)] is missing or listed twice", [6], [(0, 3), (0, 3)])


@case("slices_repeated", INDEX, "CorruptFileError", "listed twice")
def _slices_repeated(path: Path) -> None:
    (path / SHARD).write_bytes(VALUES.tobytes())
    piece = {slice_key(b"w", [(0, -1)]): entry([6], 24)}
    whole = {b"w": entry([6], 0) + b"\x3a\x02\x0a\x00" * 100_000}
    write_index(path / "ckpt", {b"": header(), **piece, **whole})


@case("slices_many", INDEX, "CorruptFileError", "its slices do not cover")
def _slices_many(path: Path) -> None:
    count = 20_000
    (path / SHARD).write_bytes(bytes(4 * count))
    pieces = {slice_key(b"w", [(n, 1)]): entry([1], 4, offset=4 * n) for n in range(count)}
    slices = [{"extent": [{"start": n, "length": 1}]} for n in range(count)]
    whole = {b"w": entry([count + 1], 0, slices=slices)}
    write_index(path / "ckpt", {b"": header(), **dict(sorted(pieces.items())), **whole})


# --- 25, 26: the files beside it ----------------------------------------------------------------


def shard(name: str, error: str | None, text: str, make: Callable[[Path], Any]) -> None:
    def build(path: Path) -> None:
        write_bundle(path / "ckpt", [("w", VALUES)])
        (path / SHARD).rename(path.with_name(f"{path.name}.away"))
        make(path / SHARD)

    CASES[f"shard_{name}"] = (build, INDEX, error, text)


shard("missing", "CorruptFileError", f"variable 'w': the file '{SHARD}' is missing", lambda _: None)
shard("link", "UnsafeFileError", "symbolic link out", lambda p: p.symlink_to("/etc/passwd"))
shard("pipe", "UnsafeFileError", "not a regular file", os.mkfifo)
shard("directory", "UnsafeFileError", "not a regular file", Path.mkdir)
shard(
    "empty", "CorruptFileError", "variable 'w': bytes 0 to 24 are not", lambda p: p.write_bytes(b"")
)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Build all cases, let one child look at them, and return what it says, by case name."""
    base = tmp_path_factory.mktemp("hostile")
    paths = []
    for name, (make, target, _, _) in CASES.items():
        (base / name).mkdir()
        make(base / name)
        paths.append(base / name / target)
    before = sorted(base.rglob("*"))
    lines = container_probe.outcomes(paths, FIXTURES / "savedmodel_tf2.19_sharded" / "model")
    assert sorted(base.rglob("*")) == before, "looking at a file created one"
    return dict(zip(CASES, lines, strict=True))


@pytest.mark.parametrize("name", CASES)
def test_answer(name: str, outcomes: dict[str, dict[str, Any]]) -> None:
    outcome = outcomes[name]
    _, _, error, text = CASES[name]
    assert outcome["error"] == error, outcome["message"]
    assert text in outcome["message"]
    assert outcome["seconds"] < MAX_SECONDS
    assert outcome["grown_bytes"] < MAX_GROWN_BYTES
    assert outcome["opened"] == []
    if error:
        assert outcome["is_ours"]
        assert f"/{name}" in outcome["message"]
        assert "\n" not in outcome["message"]
        assert len(outcome["message"]) < 1000
