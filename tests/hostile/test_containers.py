"""Rows 1-9, 13-19, 21, 27 and 28 of the hostile-input list, at container level.

All files are built here and looked at by one child process (see container_probe), so that a crash
of libhdf5 fails a test. For each: the error's class, one line that names the file and says what
is wrong, bounded memory and time, no other file opened, none created.
"""

from __future__ import annotations

import io
import json
import os
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import container_probe
import h5py
import numpy as np
import pytest

MAX_SECONDS = 2.0
MAX_GROWN_BYTES = 64 << 20

# file name -> (builder of its bytes or maker of its path, error class, part of the message)
Builder = Callable[[], bytes] | Callable[[Path], None]
CASES: dict[str, tuple[Builder, str | None, str]] = {}


def case(name: str, error: str | None, text: str = "") -> Callable[[Builder], Builder]:
    def add(builder: Builder) -> Builder:
        CASES[name] = (builder, error, text)
        return builder

    return add


def data(name: str, content: bytes, error: str | None, text: str = "") -> None:
    CASES[name] = (lambda: content, error, text)


# --- building blocks -----------------------------------------------------------------------


def h5(fill: Callable[[h5py.File], None], **options: Any) -> bytes:
    memory = io.BytesIO()
    with h5py.File(memory, "w", **options) as file:
        fill(file)
    return memory.getvalue()


def good_weights(file: h5py.File) -> None:
    file["layers/dense/vars/0"] = np.arange(6, dtype="f4").reshape(2, 3)
    file["layers/dense/vars/1"] = np.zeros(3, "f4")


def good_zip(method: int = zipfile.ZIP_STORED, **changes: bytes | None) -> bytes:
    members: dict[str, bytes | None] = {
        "metadata.json": b'{"keras_version": "3.8.0"}',
        "config.json": b'{"class_name": "Sequential"}',
        "model.weights.h5": h5(good_weights),
    }
    members.update({name.replace("__", "."): value for name, value in changes.items()})
    return zip_of([(name, value) for name, value in members.items() if value is not None], method)


def zip_of(members: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", method) as archive:
        for name, content in members:
            info = zipfile.ZipInfo("x")
            info.filename, info.compress_type = name, method
            archive.writestr(info, content)
    return memory.getvalue()


def patched(content: bytes, magic: bytes, offset: int, value: bytes, index: int = 0) -> bytes:
    """Overwrite bytes *offset* after the *index*-th record with this *magic*."""
    at = -1
    for _ in range(index + 1):
        at = content.index(magic, at + 1)
    at += offset
    return content[:at] + value + content[at + len(value) :]


CENTRAL, LOCAL = b"PK\x01\x02", b"PK\x03\x04"
H5_FILE = h5(good_weights)
ZIP_FILE = good_zip()

# --- 1: not a model at all -------------------------------------------------------------------

data("empty.h5", b"", "UnknownFormatError", "this is an empty file")
data("one_byte.h5", b"x", "UnknownFormatError", "Looked for: HDF5")
data("random.h5", random.Random(1).randbytes(1 << 20), "UnknownFormatError", "no known format")
data("text.h5", b"hello\n", "UnknownFormatError", "Looked for")
data("image.h5", b"\x89PNG\r\n\x1a\n" + bytes(99), "UnknownFormatError", "an image")
data("page.h5", b"\n<!DOCTYPE html><html>404", "UnknownFormatError", "an HTML page")
data(
    "pointer.h5",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "UnknownFormatError",
    "Run git lfs pull",
)

# --- 2: right content, other name ------------------------------------------------------------

data("zip_inside.h5", ZIP_FILE, None)
data("hdf5_inside.keras", H5_FILE, None)
data("user_block.h5", h5(good_weights, userblock_size=1024), None)

# --- 3: truncated HDF5 -----------------------------------------------------------------------

for size in (7, 8, 100, len(H5_FILE) // 2, len(H5_FILE) - 1):
    data(f"cut_at_{size}.h5", H5_FILE[:size], "CorruptFileError", "truncated")

# --- 4 and 5: zip ----------------------------------------------------------------------------

for size in (10, len(ZIP_FILE) // 2, len(ZIP_FILE) - 1):
    data(f"cut_at_{size}.keras", ZIP_FILE[:size], "CorruptFileError", "truncated")
data("no_config.keras", good_zip(config__json=None), "CorruptFileError", "no 'config.json'")
data("no_weights.keras", good_zip(model__weights__h5=None), "CorruptFileError", "weights.h5'")
data(
    "bad_crc.keras",
    ZIP_FILE.replace(b"Sequential", b"sequential"),
    "CorruptFileError",
    "config.json: wrong checksum",
)
data(
    "bad_crc_weights.keras",
    ZIP_FILE.replace(np.arange(6, dtype="f4").tobytes(), np.ones(6, "f4").tobytes()),
    "CorruptFileError",
    "model.weights.h5: wrong checksum",
)
data("encrypted.keras", patched(ZIP_FILE, CENTRAL, 8, b"\x01\0"), "CorruptFileError", "encrypted")
data("method.keras", patched(ZIP_FILE, CENTRAL, 10, b"\x63\0"), "CorruptFileError", "method 99")
data("local_method.keras", patched(ZIP_FILE, LOCAL, 8, b"\x08\0"), "CorruptFileError", "disagree")
data(
    "local_name.keras",
    patched(ZIP_FILE, LOCAL, 30, b"M"),
    "CorruptFileError",
    "metadata.json: the archive's two headers",
)
data(
    "overlap.keras",
    patched(ZIP_FILE, CENTRAL, 42, bytes(4), index=1),
    "UnsafeFileError",
    "overlaps another",
)
data("junk_before.keras", b"#!/bin/sh\n" + ZIP_FILE, "UnsafeFileError", "belong to no member")
data("junk_after.keras", ZIP_FILE + b"junk", "UnsafeFileError", "after the end")
for index, name in enumerate(["../x", "/x", "a\\..\\b", "C:/x", "a/../../x"]):
    data(f"name_{index}.keras", zip_of([(name, b"")]), "UnsafeFileError", "the member's name")
data(
    "nul_name.keras",
    zip_of([("config#json", b"{}")]).replace(b"#", b"\0"),
    "UnsafeFileError",
    "NUL",
)
data("long_name.keras", zip_of([("x" * 300, b"")]), "UnsafeFileError", "too long")
data("nested.keras", good_zip(model__weights__h5=ZIP_FILE), "CorruptFileError", "model.weights.h5")
data("empty_zip.keras", zip_of([]), "CorruptFileError", "no 'config.json'")
data("deflated.keras", good_zip(zipfile.ZIP_DEFLATED), None)


@case("duplicate.keras", "CorruptFileError", "config.json: the archive has two members")
def _duplicate() -> bytes:
    twin = zip_of([("config.json", b"{}"), ("config_json", b"[]")])
    return twin.replace(b"config_json", b"config.json")


@case("many_members.keras", "LimitExceededError", "zip_members")
def _many_members() -> bytes:
    return zip_of([(str(index), b"") for index in range(20_000)])


@case("bomb.keras", "LimitExceededError", "zip_ratio")
def _bomb() -> bytes:
    """300 MB of zeros in 300 kB, and honest about it."""
    content = zip_of([("config.json", b"#")], zipfile.ZIP_DEFLATED)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(300)) + packer.flush()
    return zip_with_data(content, packed, 300 << 20)


@case("lying_bomb.keras", "CorruptFileError", "config.json: the archive says 1,000 bytes")
def _lying_bomb() -> bytes:
    content = zip_of([("config.json", b"#")], zipfile.ZIP_DEFLATED)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(300)) + packer.flush()
    return zip_with_data(content, packed, 1000)


@case("huge_claim.keras", "LimitExceededError", "zip_ratio")
def _huge_claim() -> bytes:
    content = zip_of([("config.json", b"x" * 50)], zipfile.ZIP_DEFLATED)
    return patched(content, CENTRAL, 24, struct.pack("<L", 4_000_000_000))


@case("lying_stored.keras", "CorruptFileError", "declared as 9")
def _lying_stored() -> bytes:
    return patched(zip_of([("config.json", b"{}")]), CENTRAL, 24, struct.pack("<L", 9))


def zip_with_data(template: bytes, packed: bytes, size: int) -> bytes:
    """A zip of one member like *template*'s, with other data."""
    name_end = 30 + len("config.json")
    local = template[:name_end]
    central = template[template.index(CENTRAL) : template.index(b"PK\x05\x06")]
    sizes = struct.pack("<2L", len(packed), size)
    local = local[:18] + sizes + local[26:]
    central = central[:20] + sizes + central[28:]
    offset = len(local) + len(packed)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(central), offset, 0)
    return local + packed + central + end


# --- 6: things that are no files ---------------------------------------------------------------


@case("pipe.h5", "UsageError", "a named pipe, not a regular file")
def _pipe(path: Path) -> None:
    os.mkfifo(path)


@case("loop.h5", "OSError", "symbolic links")
def _loop(path: Path) -> None:
    path.symlink_to(path)


@case("device.h5", "UsageError", "a character device")
def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@case("proc.h5", "UnknownFormatError", "empty")
def _proc(path: Path) -> None:
    path.symlink_to("/proc/self/status")


@case("directory.h5", "UnknownFormatError", "neither saved_model.pb nor model.json")
def _directory(path: Path) -> None:
    path.mkdir()


@case("missing.h5", "FileNotFoundError", "No such file")
def _missing(path: Path) -> None:
    pass


# --- 7, 8, 9: JSON, as a file, in a zip and in an HDF5 attribute --------------------------------

BAD_JSON = {
    "utf8": (b'{"a": "\xff"}', "CorruptFileError", ":1:8: invalid JSON: not valid UTF-8"),
    "utf16": ('{"a": 1}'.encode("utf-16"), "CorruptFileError", "UTF-16"),
    "bom": (b'\xef\xbb\xbf{"a": 1}', "CorruptFileError", "byte order mark"),
    "trailing": (b'{"a": 1}\n {}', "CorruptFileError", ":2:2: invalid JSON: extra data"),
    "truncated": (b'{"a":\n [1,', "CorruptFileError", ":2:5: invalid JSON: the text ends"),
    "deep_lists": (b"[" * 50_000 + b"]" * 50_000, "LimitExceededError", "nesting is 50,000"),
    "deep_objects": (
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        "LimitExceededError",
        "nesting is 50,000",
    ),
    "many": (b"[" + b"[]," * 9_000_000 + b"1]", "LimitExceededError", "json_values"),
    "duplicate": (b'{"a": {"b": 1, "b": 2}}', "CorruptFileError", "a.b: invalid JSON: this key"),
    "nan": (b'{"a": [1, NaN]}', "CorruptFileError", "a[1]: invalid JSON: NaN"),
    "infinity": (b'{"a": -Infinity}', "CorruptFileError", "a: invalid JSON: -Infinity"),
    "overflow": (b'{"a": 1e999}', "CorruptFileError", "a: invalid JSON: '1e999'"),
    "long_int": (b'{"a": ' + b"7" * 5000 + b"}", "CorruptFileError", "a: invalid JSON: an int"),
    "surrogate": (
        b'{"a": "\\ud800"}',
        "CorruptFileError",
        "a: invalid JSON: a string with an unpaired",
    ),
}
for _name, (_text, _error, _message) in BAD_JSON.items():
    data(f"json_{_name}.keras", good_zip(config__json=_text), _error, _message)
    if not _message.startswith(":"):
        data(f"json_{_name}.json", _text, _error, _message)


@case("json_in_attr.h5", "CorruptFileError", "model_config: a: invalid JSON: NaN")
def _json_in_attr() -> bytes:
    return h5(lambda file: file.attrs.create("model_config", '{"a": NaN}'))


# --- 13: links ---------------------------------------------------------------------------------


def link(name: str, target: Any, error_text: str) -> None:
    def build() -> bytes:
        def fill(file: h5py.File) -> None:
            good_weights(file)
            layers = ["dense"] if name == "model_weights/dense" else []
            file.create_group("model_weights").attrs["layer_names"] = layers
            file.create_group("x/y")
            file[name] = target

        return h5(fill)

    CASES[f"link_{len(CASES)}.h5"] = (build, "UnsafeFileError", error_text)


for _name in ("a", "x/a", "x/y/a", "model_weights/dense", "layers/dense/vars/2"):
    link(_name, h5py.ExternalLink("t.h5", "/w"), f"{_name}: an external link to 't.h5'")
    link(_name, h5py.SoftLink("/layers/dense/vars/0"), f"{_name}: a soft link")
link("a", h5py.SoftLink("/nowhere"), "a: a soft link")
link("a", h5py.SoftLink("/a"), "a: a soft link")

# --- 14, 15, 16: storage -----------------------------------------------------------------------


@case("external_storage.h5", "UnsafeFileError", "w: the values are in another file")
def _external_storage() -> bytes:
    return h5(
        lambda file: file.create_dataset("w", (4,), "f4", external=[("/etc/hostname", 0, 16)])
    )


def virtual(source: str) -> Callable[[], bytes]:
    def fill(file: h5py.File) -> None:
        file["real"] = np.ones(4, "f4")
        layout = h5py.VirtualLayout((4,), "f4")
        layout[:] = h5py.VirtualSource(source, "real", shape=(4,))
        file.create_virtual_dataset("w", layout)

    return lambda: h5(fill)


CASES["virtual_other.h5"] = (virtual("t.h5"), "UnsafeFileError", "w: the values come from other")
CASES["virtual_same.h5"] = (virtual("."), "UnsafeFileError", "w: the values come from other")


def dataset(name: str, error: str | None, text: str, *shape: int, **options: Any) -> None:
    values = options.pop("values", None)

    def fill(file: h5py.File) -> None:
        created = file.create_dataset("w", shape, options.pop("dtype", "f4"), **options)
        if values is not None:
            created[: len(values)] = values

    CASES[name] = (lambda: h5(fill), error, text)


dataset("bomb_late.h5", "LimitExceededError", "tensor_bytes", 1 << 40)
dataset("bomb_medium.h5", "LimitExceededError", "expansion_ratio", 1 << 30)
dataset(
    "bomb_gzip.h5",
    "LimitExceededError",
    "w: the tensor would unpack",
    1 << 30,
    chunks=(1 << 18,),
    compression="gzip",
    values=np.zeros(1 << 18, "f4"),
)
dataset("bomb_rank.h5", "LimitExceededError", "tensor_bytes", *((1 << 20,) * 6))
dataset(
    "bomb_chunk.h5",
    "LimitExceededError",
    "w: the tensor would unpack",
    1,
    maxshape=(None,),
    chunks=(1 << 29,),
    compression="gzip",
)
dataset("unwritten.h5", "CorruptFileError", "w: the tensor has no stored data", 4)
dataset("unwritten_chunks.h5", "CorruptFileError", "no stored data", 40, chunks=(4,))
dataset("unwritten_fill.h5", "CorruptFileError", "no stored data", 4, fillvalue=0.1)
dataset(
    "half_written.h5",
    "CorruptFileError",
    "only 1 of 10 chunks",
    40,
    chunks=(4,),
    values=np.ones(4, "f4"),
)
dataset("zero_size.h5", None, "", 0, 3)


@case("aliases.h5", "LimitExceededError", "the file's tensors would unpack")
def _aliases() -> bytes:
    def fill(file: h5py.File) -> None:
        zeros = np.zeros(25 << 18, "f4")
        file.create_dataset("w", data=zeros, chunks=(1 << 18,), compression=1)
        for index in range(1000):
            file[f"alias/{index}"] = file["w"]

    return h5(fill)


# --- 17: shapes of the tree --------------------------------------------------------------------


@case("cycle.h5", "CorruptFileError", "linked from two places")
def _cycle() -> bytes:
    def fill(file: h5py.File) -> None:
        file.create_group("a/b")
        file["a/b/again"] = file["a"]

    return h5(fill)


@case("deep.h5", "LimitExceededError", "h5_depth")
def _deep() -> bytes:
    return h5(lambda file: file.create_group("/".join("a" * 2000)))


@case("not_a_group.h5", "CorruptFileError", "model_weights/dense: a dataset where a group")
def _not_a_group() -> bytes:
    def fill(file: h5py.File) -> None:
        file["model_weights/dense"] = np.ones(2, "f4")
        file["model_weights"].attrs["layer_names"] = ["dense"]

    return h5(fill)


@case("not_a_dataset.h5", "CorruptFileError", "dense/kernel:0: a group where a dataset")
def _not_a_dataset() -> bytes:
    return legacy(["dense/kernel:0"], lambda file: file.create_group("dense/kernel:0"))


# --- 18: dtypes --------------------------------------------------------------------------------

BAD_DTYPES: dict[str, Any] = {
    "opaque of 1 bytes": np.zeros(3, "V1"),
    "opaque of 16 bytes": np.zeros(3, "V16"),
    "compound": np.zeros(3, [("a", "f4")]),
    "string": np.array([b"a", b"b"]),
    "enumeration": np.zeros(3, h5py.enum_dtype({"a": 0}, "i4")),
    "array": np.zeros(3, np.dtype((np.void, 8))).view("V8"),
}
for _index, (_name, _values) in enumerate(BAD_DTYPES.items()):
    _expected = "opaque of 8 bytes" if _name == "array" else _name
    CASES[f"dtype_{_index}.h5"] = (
        lambda values=_values: h5(lambda file: file.create_dataset("w", data=values)),
        "UnsupportedModelError",
        f"w: values of type '{_expected}'",
    )
CASES["dtype_complex.h5"] = (
    lambda: h5(lambda file: file.create_dataset("w", data=np.zeros(2, "c16"))),
    "UnsupportedModelError",
    "w: values of type",
)
CASES["dtype_vlen.h5"] = (
    lambda: h5(lambda file: file.create_dataset("w", (2,), h5py.vlen_dtype("f4"))),
    "UnsupportedModelError",
    "w: values of type 'variable-length'",
)
CASES["dtype_reference.h5"] = (
    lambda: h5(lambda file: file.create_dataset("w", (2,), h5py.ref_dtype)),
    "UnsupportedModelError",
    "w: values of type 'reference'",
)
CASES["dtype_empty.h5"] = (
    lambda: h5(lambda file: file.create_dataset("w", data=h5py.Empty("f4"))),
    "CorruptFileError",
    "w: the dataset is empty",
)
CASES["dtype_scalar.h5"] = (
    lambda: h5(lambda f: f.create_dataset("w", data=np.float32(1))),
    None,
    "",
)

# --- 19: attributes ----------------------------------------------------------------------------


def legacy(weight_names: Any, fill: Callable[[h5py.File], Any] | None = None) -> bytes:
    def build(file: h5py.File) -> None:
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = ["dense"]
        group = root.create_group("dense")
        group.attrs["weight_names"] = weight_names
        if fill:
            fill(group)

    return h5(build)


data("weight_missing.h5", legacy(["k"]), "CorruptFileError", "dense: there is no 'k'")
data("weight_dotdot.h5", legacy(["../other"]), "CorruptFileError", "'../other' leads out")
data("names_numbers.h5", legacy([1.0, 2.0]), "CorruptFileError", "weight_names: the attribute is")
data("names_latin1.h5", legacy(np.array([b"d\xe9"])), "CorruptFileError", "not valid UTF-8")
data("names_table.h5", legacy(np.array([[b"a"]])), "CorruptFileError", "more than one dimension")
data("names_null.h5", legacy(h5py.Empty("f4")), "CorruptFileError", "the attribute is empty")
data("names_none.h5", legacy(np.zeros(0)), None)

# --- 21: filters -------------------------------------------------------------------------------


def damaged(**options: Any) -> Callable[[], bytes]:
    """A dataset of which one stored byte is wrong."""

    def build() -> bytes:
        memory = io.BytesIO()
        with h5py.File(memory, "w") as file:
            values = np.arange(1000, dtype="f4")
            created = file.create_dataset("w", data=values, chunks=(1000,), **options)
            chunk = created.id.get_chunk_info(0)
        content = bytearray(memory.getvalue())
        content[chunk.byte_offset + chunk.size // 2] ^= 0xFF
        return bytes(content)

    return build


CASES["bad_gzip.h5"] = (damaged(compression="gzip"), "CorruptFileError", "w: damaged HDF5 data")
CASES["bad_fletcher.h5"] = (damaged(fletcher32=True), "CorruptFileError", "w: damaged HDF5 data")


def past_the_end(above: int) -> Builder:
    """A dataset that says that its values lie *above* bytes farther on, past the end."""

    def build() -> bytes:
        memory = io.BytesIO()
        with h5py.File(memory, "w") as file:
            offset = file.create_dataset("w", data=np.arange(1000, dtype="f4")).id.get_offset()
        content = memory.getvalue()
        assert content.count(offset.to_bytes(8, "little")) == 1
        return content.replace(offset.to_bytes(8, "little"), (offset + above).to_bytes(8, "little"))

    return build


CASES["past_end.h5"] = (past_the_end(8), "CorruptFileError", "w: damaged HDF5 data")
CASES["far_past_end.h5"] = (past_the_end(1 << 62), "CorruptFileError", "w: damaged HDF5 data")


@case("unknown_filter.h5", "CorruptFileError", "w: compressed with HDF5 filter 32015")
def _unknown_filter() -> bytes:
    def fill(file: h5py.File) -> None:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((4,))
        plist.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, (1,))
        space = h5py.h5s.create_simple((4,))
        made = h5py.h5d.create(file.id, b"w", h5py.h5t.IEEE_F32LE, space, plist)
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.ones(4, "f4"))

    return h5(fill)


# --- 27, 28: paths in a model.json --------------------------------------------------------------

BAD_PATHS = [
    *("../x", "a/../../x", "/etc/passwd", "C:\\x", "C:x", "\\\\srv\\s", "a\\..\\b", "file:///x"),
    *("http://h/x", "%2e%2e/x", ".", "./x", "a//b", "", "a\0b", "x" * 300, "CON", "con.bin", "x."),
    *("x ", "g1.bin?sig=", "aux/x", "COM¹", "a\nb", "\ud800"),
]


def manifest(paths: list[str]) -> bytes:
    return json.dumps({"weightsManifest": [{"paths": paths, "weights": []}]}).encode()


for _index, _path in enumerate(BAD_PATHS):
    _expected = "CorruptFileError" if _path == "\ud800" else "UnsafeFileError"
    data(f"path_{_index}.json", manifest([_path]), _expected, "weightsManifest")
data("path_missing.json", manifest(["shard.bin"]), "CorruptFileError", "'shard.bin' is missing")


def shard(name: str, error: str | None, text: str, make: Callable[[Path], None]) -> None:
    def build(path: Path) -> None:
        path.mkdir()
        make(path)
        (path / "model.json").write_bytes(manifest(["d/shard.bin"]))

    CASES[f"{name}/model.json"] = (build, error, text)


def in_directory(make: Callable[[Path], Any]) -> Callable[[Path], None]:
    def build(path: Path) -> None:
        (path / "d").mkdir()
        make(path / "d" / "shard.bin")

    return build


SYMLINK = "symbolic link out"
shard("good", None, "", in_directory(lambda p: p.write_bytes(b"")))
shard("link", "UnsafeFileError", SYMLINK, in_directory(lambda p: p.symlink_to("/etc/passwd")))
shard("parent_link", "UnsafeFileError", SYMLINK, lambda p: (p / "d").symlink_to("/etc"))
shard("loop", "UnsafeFileError", "cannot be followed", in_directory(lambda p: p.symlink_to(p)))
shard("directory", "UnsafeFileError", "not a regular", in_directory(lambda p: p.mkdir()))
shard("pipe", "UnsafeFileError", "not a regular file", in_directory(os.mkfifo))


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Build all files, let one child look at them, and return what it says, by case name."""
    base = tmp_path_factory.mktemp("hostile")
    for name, (build, _, _) in CASES.items():
        path = base / name
        target = path.parent if path.parent != base else path
        if build.__code__.co_argcount - len(build.__defaults__ or ()) == 1:
            build(target)  # type: ignore[call-arg]
        else:
            path.write_bytes(build())  # type: ignore[call-arg]
    warm_up = base.parent / "warm_up.keras"
    weights = legacy(np.array([b"w"]), lambda group: group.create_dataset("w", data=[1.0]))
    warm_up.write_bytes(good_zip(zipfile.ZIP_DEFLATED, model__weights__h5=weights))
    before = sorted(base.rglob("*"))
    lines = container_probe.outcomes([base / name for name in CASES], warm_up)
    assert sorted(base.rglob("*")) == before, "looking at a file created one"
    return dict(zip(CASES, lines, strict=True))


@pytest.mark.parametrize("name", CASES)
def test_answer(name: str, outcomes: dict[str, dict[str, Any]]) -> None:
    outcome = outcomes[name]
    _, error, text = CASES[name]
    assert outcome["error"] == error, outcome["message"]
    assert text in outcome["message"]
    assert outcome["seconds"] < MAX_SECONDS
    assert outcome["grown_bytes"] < MAX_GROWN_BYTES
    assert outcome["opened"] == []
    if error and not error.endswith(("FoundError", "OSError")):
        assert outcome["is_ours"]
        assert name.rsplit("/", maxsplit=1)[-1] in outcome["message"]
        assert "\n" not in outcome["message"]
        assert len(outcome["message"]) < 1000
