"""Models at URLs: what is read of them, how they are replaced, what errors say."""

from __future__ import annotations

import gc
import json
import os
import struct
import subprocess
import sys
import uuid
import zipfile
from contextlib import closing
from pathlib import Path
from typing import ClassVar

import fsspec
import h5py
import numpy as np
import pytest
from fsspec.spec import AbstractBufferedFile
from h5py import h5d, h5p, h5s, h5t
from keras_files import dense_h5, entry
from web_server import WebServer, sparse_copy

import tfjs_codec
from tfjs_codec.cli.main import main
from tfjs_codec.errors import (
    CorruptFileError,
    OutputError,
    RemoteError,
    UnsafeFileError,
    UsageError,
)
from tfjs_codec.files import remote
from tfjs_codec.files.remote_file import RemoteFile

_ROWS, _LAYERS = 1024, 256  # of float32 kernels of 4 MiB: 1 GiB
_MIB = 1 << 20


@pytest.fixture
def web(tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "_WAITS_S", (0.01, 0.01, 0.01))
    with closing(WebServer(tmp_path)) as server:
        yield server


@pytest.fixture
def store():
    """An empty directory of the store in memory: its URL, and what is in it."""
    base = uuid.uuid4().hex
    system = fsspec.filesystem("memory")

    def content():
        names = system.find(f"/{base}")
        return {name.removeprefix(f"/{base}/"): system.cat_file(name) for name in names}

    yield f"memory://{base}", content
    if system.exists(f"/{base}"):
        system.rm(f"/{base}", recursive=True)


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    """A ``.keras`` file and a tfjs model of 1 GiB each, full of holes but for one tensor."""
    folder = tmp_path_factory.mktemp("big")
    _write_big_keras(folder)
    _write_big_tfjs(folder)
    return folder


def _write_big_keras(folder: Path) -> None:
    properties = h5p.create(h5p.DATASET_CREATE)
    properties.set_alloc_time(h5d.ALLOC_TIME_EARLY)
    properties.set_fill_time(h5d.FILL_TIME_NEVER)
    shapes = {"0": (_ROWS, _ROWS), "1": (_ROWS,)}
    with h5py.File(folder / "weights.h5", "w") as file:
        for number in range(_LAYERS):
            suffix = f"_{number}" if number else ""
            group = file.create_group(f"layers/dense{suffix}/vars")
            for name, shape in shapes.items():
                h5d.create(group.id, name.encode(), h5t.IEEE_F32LE, h5s.create_simple(shape),
                           properties)  # fmt: skip
        file["layers/dense_100/vars/0"][...] = np.arange(_ROWS**2).reshape(_ROWS, _ROWS)
    layers = [entry("Dense", f"d{number}", units=_ROWS) for number in range(_LAYERS)]
    layers[0]["config"]["batch_input_shape"] = [None, _ROWS]
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}
    with zipfile.ZipFile(folder / "big.keras", "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.4.1"}))
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", b"")
    _swell(folder / "big.keras", folder / "weights.h5")


def _swell(archive: Path, content: Path) -> None:
    """Let the last member of *archive*, which is empty, be *content*; its checksum stays wrong."""
    data, size = archive.read_bytes(), content.stat().st_size
    end = data.rindex(b"PK\x05\x06")
    table = data.index(b"PK\x01\x02")
    entry = data.rindex(b"PK\x01\x02")
    sizes = struct.pack("<2L", size, size)
    head = bytearray(data[:table])
    local = head.rindex(b"PK\x03\x04")
    head[local + 18 : local + 26] = sizes
    directory = bytearray(data[table:])
    directory[entry - table + 20 : entry - table + 28] = sizes
    directory[end - table + 16 : end - table + 20] = struct.pack("<L", table + size)
    target = os.open(archive, os.O_RDWR)
    os.pwrite(target, head, 0)
    sparse_copy(content, target, table)
    os.pwrite(target, directory, table + size)
    os.close(target)


def _write_big_tfjs(folder: Path) -> None:
    names = [f"group1-shard{number}of16.bin" for number in range(1, 17)]
    entries = [
        {"name": f"w{number}", "shape": [_ROWS, _ROWS], "dtype": "float32"}
        for number in range(_LAYERS)
    ]
    for name in names:
        with (folder / name).open("wb") as file:
            file.truncate(64 * _MIB)
    values = np.arange(_ROWS**2, dtype="<f4")
    with (folder / names[100 // 16]).open("r+b") as file:
        file.seek(100 % 16 * 4 * _MIB)
        file.write(values.tobytes())
    index = {"weightsManifest": [{"paths": names, "weights": entries}]}
    (folder / "model.json").write_text(json.dumps(index))


@pytest.mark.posix
@pytest.mark.parametrize(("name", "tensor"), [("big.keras", "d100/kernel"), ("model.json", "w100")])
def test_one_tensor_of_a_gibibyte_takes_its_bytes_and_little_more(big, name, tensor):
    with closing(WebServer(big)) as server:
        with tfjs_codec.load(f"{server.url}/{name}") as model:
            array = model.weights[tensor]
        np.testing.assert_array_equal(array.reshape(-1), np.arange(_ROWS**2, dtype=np.float32))
        assert array.nbytes <= server.sent < array.nbytes + 2 * _MIB


FILES = {
    "digits.keras": "digits/digits.keras",
    "two.keras": "files/keras214_two_dense/model.keras",
    "tfjs": "tfjs_trained/recurrent/model.json",
}


def test_no_thread_collects_objects_of_h5py_while_h5py_waits_for_a_read(
    web, fixtures_dir, monkeypatch
):
    """Such a thread, fsspec's among them, would wait for the lock that h5py holds meanwhile."""
    seen = []
    whole = RemoteFile._range
    monkeypatch.setattr(
        RemoteFile, "_range", lambda *args: seen.append(gc.isenabled()) or whole(*args)
    )
    web.root = fixtures_dir
    with tfjs_codec.load(f"{web.url}/digits/digits.h5") as model:
        assert model.weights["dense/bias"].shape == (10,)
    assert seen
    assert not any(seen)
    assert gc.isenabled()


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("path", FILES.values(), ids=FILES)
def test_a_conversion_from_a_url_is_that_of_the_file(web, fixtures_dir, path, ranges):
    web.root, web.ranges = fixtures_dir, ranges
    url = f"{web.url}/{path}"
    assert tfjs_codec.to_files(url) == tfjs_codec.to_files(fixtures_dir / path)
    assert tfjs_codec.diff(url, fixtures_dir / path).equal


def test_a_directory_at_a_url_ends_with_a_slash(web, fixtures_dir):
    web.root = fixtures_dir
    found = tfjs_codec.inspect(f"{web.url}/tfjs_trained/recurrent/")
    assert found.format == "tfjs-layers"


def test_a_query_goes_with_the_shards_and_into_no_message(web, tmp_path):
    tfjs_codec.convert(dense_h5(), tmp_path / "web")
    url = f"{web.url}/web/model.json?sig=secret"
    assert tfjs_codec.verify(url).path == f"{web.url}/web/model.json"
    assert "/web/group1-shard1of1.bin?sig=secret" in web.asked
    (tmp_path / "web" / "group1-shard1of1.bin").unlink()
    with pytest.raises(tfjs_codec.errors.VerificationError, match="missing") as raised:
        tfjs_codec.verify(url)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("name", ["../secret.bin", "http://127.0.0.1:1/x.bin", "/etc/passwd", "a?b",
                                  "%2e%2e/secret.bin", "memory::x"])  # fmt: skip
def test_no_name_in_a_file_leads_to_another_url(web, tmp_path, name):
    (tmp_path / "secret.bin").write_bytes(bytes(4))
    weights = [{"name": "w", "shape": [1], "dtype": "float32"}]
    (tmp_path / "web").mkdir()
    manifest = {"weightsManifest": [{"paths": [name], "weights": weights}]}
    (tmp_path / "web" / "model.json").write_text(json.dumps(manifest))
    with pytest.raises(UnsafeFileError, match="path"):
        tfjs_codec.load(f"{web.url}/web/model.json")
    assert set(web.asked) == {"/web/model.json"}


def test_what_fails_for_a_moment_is_tried_again(web, tmp_path):
    (tmp_path / "m.h5").write_bytes(dense_h5())
    web.failures = [503, 503]  # HEAD and GET of the first look
    files = tfjs_codec.to_files(f"{web.url}/m.h5")
    assert files == tfjs_codec.to_files(dense_h5())
    web.failures = [503] * 20
    with pytest.raises(RemoteError, match="503"):
        tfjs_codec.inspect(f"{web.url}/m.h5")


@pytest.mark.parametrize(("status", "kind"), [(403, PermissionError), (404, FileNotFoundError)])
def test_what_is_not_there_is_not_asked_for_again(web, status, kind):
    web.failures = [status, status]
    with pytest.raises(kind) as raised:
        tfjs_codec.inspect(f"{web.url}/m.h5?sig=secret")
    assert len(web.asked) == 2
    assert raised.value.filename == f"{web.url}/m.h5"


def test_messages_name_urls_without_credentials(capsys, monkeypatch):
    monkeypatch.setattr(remote, "_WAITS_S", ())
    assert main(["inspect", "http://user:secret@127.0.0.1:1/m.h5?sig=secret#secret"]) == 3
    said = capsys.readouterr().err
    assert "http://127.0.0.1:1/m.h5: cannot be reached" in said
    assert "secret" not in said
    chain = "zip://m.h5::https://u:p@ss@host/a.zip?sig=1::x"
    assert remote.redact(chain) == "zip://m.h5::https://host/a.zip::x"


def test_a_source_that_changes_meanwhile_is_refused(store, tmp_path):
    url, _ = store
    system = fsspec.filesystem("memory")
    system.pipe_file(f"{url}/m.h5".removeprefix("memory:/"), dense_h5())

    def change(*_: int) -> None:
        system.pipe_file(f"{url}/m.h5".removeprefix("memory:/"), dense_h5())

    with pytest.raises(CorruptFileError, match="changed while it was read"):
        tfjs_codec.convert(f"{url}/m.h5", tmp_path / "web", progress=change)
    assert not (tmp_path / "web").exists()


# --- destinations ---------------------------------------------------------------------------


def test_what_is_written_to_a_url_is_what_is_written_to_a_disk(store, tmp_path):
    url, content = store
    for name in ("web", "m.keras", "m.h5", "m.npz", "m.zip"):
        report = tfjs_codec.convert(dense_h5(), f"{url}/{name}")
        tfjs_codec.convert(dense_h5(), tmp_path / name)
        assert report.destination == f"{url}/{name}"
    tfjs_codec.convert(dense_h5(), f"{url}/saved", to="savedmodel")
    tfjs_codec.convert(dense_h5(), tmp_path / "saved", to="savedmodel")
    written = {
        path.relative_to(tmp_path).as_posix(): path.read_bytes()
        for path in tmp_path.rglob("*") if path.is_file()
    }  # fmt: skip
    assert content() == written
    for name in ("web/model.json", "m.keras", "m.h5", "m.zip", "saved"):
        assert tfjs_codec.diff(f"{url}/{name}", tmp_path / name).equal
    assert tfjs_codec.diff(f"zip://model.json::{url}/m.zip", tmp_path / "m.zip").equal


@pytest.fixture
def puts(monkeypatch):
    """The names of the files that are written to the store in memory, in order."""
    names: list[str] = []
    system = type(fsspec.filesystem("memory"))
    real = system.pipe_file

    def pipe_file(self, path, value, **options):
        names.append(path.rpartition("/")[2])
        return real(self, path, value, **options)

    monkeypatch.setattr(system, "pipe_file", pipe_file)
    return names


def test_the_index_comes_last_and_old_files_go_after_it(store, puts):
    url, content = store
    first = tfjs_codec.convert(dense_h5(), url, shard_size_bytes=16)
    assert puts[-1] == "model.json"
    assert len(puts) == 5
    puts.clear()
    tfjs_codec.convert(dense_h5(), url, shard_size_bytes=16)
    assert puts == []  # nothing is to be changed
    other = dense_h5(sizes=(5, 3))
    report = tfjs_codec.convert(other, url, checksums=True)
    assert puts[-1] == "model.json"
    assert not set(puts[:-1]) & {name for name, _ in first.files}
    assert set(content()) == {name for name, _ in report.files} == set(puts)
    assert "SHA-256 verified" in str(tfjs_codec.verify(url, other))


def test_a_run_that_is_cut_off_leaves_the_old_model(store, monkeypatch):
    url, content = store
    tfjs_codec.convert(dense_h5(), url)
    real = remote.write

    def fail(place, file):
        if place.path.endswith("model.json"):
            raise RemoteError("gone", path=place)
        real(place, file)

    other = dense_h5(sizes=(5, 3))
    with monkeypatch.context() as patch:
        patch.setattr(remote, "write", fail)
        with pytest.raises(OutputError, match="cannot write: gone"):
            tfjs_codec.convert(other, url)
    assert len(content()) == 3
    tfjs_codec.verify(url, dense_h5())
    tfjs_codec.convert(other, url)
    tfjs_codec.verify(url, other)
    assert len(content()) == 2


class Parts(fsspec.AbstractFileSystem):
    """A store that shows a file once all its parts are there; *failures* of parts to come."""

    protocol = "parts"
    files: ClassVar[dict[str, bytes]] = {}
    failures: ClassVar[list[int]] = []

    def _open(self, path, mode="rb", block_size=None, **_):
        return PartsFile(self, path, mode, block_size)

    def info(self, path, **_):
        raise FileNotFoundError(path)


class PartsFile(AbstractBufferedFile):
    def _initiate_upload(self):
        self.parts = []

    def _upload_chunk(self, final=False):
        if self.fs.failures and len(self.parts) == self.fs.failures[0]:
            self.fs.failures.pop(0)
            raise OSError("the line is down")
        self.parts.append(self.buffer.getvalue())
        assert final or len(self.parts[-1]) <= 2 * self.blocksize
        if final:
            self.fs.files[self.path] = b"".join(self.parts)

    def discard(self):
        self.parts.clear()


def test_what_is_big_is_written_in_parts_and_whole_or_not_at_all(monkeypatch):
    fsspec.register_implementation("parts", Parts, clobber=True)
    monkeypatch.setattr(remote, "_WAITS_S", (0.01, 0.01, 0.01))
    monkeypatch.setattr(remote, "_PART_BYTES", 400)
    monkeypatch.setattr(remote, "_PIECE_BYTES", 100)
    source = dense_h5(sizes=(20, 30))
    wanted = tfjs_codec.to_files(source, to="h5")["model.h5"]
    Parts.failures[:] = [3, 0]
    tfjs_codec.convert(source, "parts://a.h5")
    assert Parts.files == {"a.h5": wanted}
    assert Parts.failures == []
    Parts.files.clear()
    Parts.failures[:] = [2] * 4
    with pytest.raises(OutputError, match="cannot write: cannot be reached: OSError the line is"):
        tfjs_codec.convert(source, "parts://a.h5")
    gc.collect()  # fsspec completes files that are collected before they are closed
    assert Parts.files == {}


def test_what_others_wrote_stays(store):
    url, content = store
    system = fsspec.filesystem("memory")
    path = url.removeprefix("memory:/")
    system.pipe_file(f"{path}/notes.txt", b"mine")
    with pytest.raises(UsageError, match="is not empty and holds no tfjs model"):
        tfjs_codec.convert(dense_h5(), url)
    tfjs_codec.convert(dense_h5(), url, force=True)
    assert set(content()) == {"notes.txt", "model.json", "group1-shard1of1.bin"}
    system.pipe_file(f"{path}/index.html", b"mine")
    with pytest.raises(UsageError, match=r"index\.html"):
        tfjs_codec.convert(dense_h5(), url, with_page=True)
    system.pipe_file(f"{path}/m.h5", b"something else")
    with pytest.raises(UsageError, match="not of the format"):
        tfjs_codec.convert(dense_h5(), f"{url}/m.h5")
    tfjs_codec.convert(dense_h5(), f"{url}/saved", to="savedmodel")
    with pytest.raises(UsageError, match="another SavedModel"):
        tfjs_codec.convert(dense_h5(sizes=(5, 3)), f"{url}/saved", to="savedmodel")


def test_weight_files_of_an_interrupted_run_are_replaced(store):
    url, content = store
    fsspec.filesystem("memory").pipe_file(
        f"{url}/group1-shard1of1.bin".removeprefix("memory:/"), b"half"
    )
    tfjs_codec.convert(dense_h5(), url)
    assert content() == tfjs_codec.to_files(dense_h5())


def test_the_source_is_not_replaced(store):
    url, _ = store
    tfjs_codec.convert(dense_h5(), url)
    with pytest.raises(UsageError, match="is the source"):
        tfjs_codec.convert(url, f"{url}/model.json", quantize={"uint8": True})


@pytest.mark.posix
def test_every_command_takes_urls(store, tmp_path, capsys):
    url, content = store
    (tmp_path / "m.h5").write_bytes(dense_h5())
    (tmp_path / "in.json").write_text("[[1, 2, 3, 4]]")
    inputs = f"file://{tmp_path}/in.json"
    assert main(["convert", f"file://{tmp_path}/m.h5", url]) == 0
    for command in (
        ["inspect", url],
        ["diff", url, str(tmp_path / "m.h5")],
        ["verify", url, "--against", f"file://{tmp_path}/m.h5"],
        ["predict", url, inputs, f"{url}.npz"],
        ["snippet", url],
    ):
        assert main(command) == 0, capsys.readouterr().err
    system = fsspec.filesystem("memory")
    with system.open(f"{url}.npz".removeprefix("memory:/"), "rb") as file, np.load(file) as arrays:
        assert arrays["d"].shape == (1, 3)
    system.rm_file(f"{url}.npz".removeprefix("memory:/"))
    assert main(["verify", url, "--node"]) == 2
    assert set(content()) == {"model.json", "group1-shard1of1.bin"}


def test_without_the_extra_one_sentence_names_it():
    code = (
        "import sys; sys.modules['fsspec'] = None\n"
        "from tfjs_codec.cli.main import main\n"
        "main(['inspect', 's3://u:secret@bucket/m.h5'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "s3://bucket/m.h5: reading and writing URLs needs fsspec" in done.stderr
    assert "pip install 'tfjs_codec[remote]'" in done.stderr
