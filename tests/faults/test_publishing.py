"""What is ours and what is not: foreign files, other models, other runs, rights, streams."""

from __future__ import annotations

import fcntl
import io
import json
import os
import stat
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from keras_files import dense_h5, entry, v3_model

import tfjs_codec
from tfjs_codec.errors import CorruptFileError, OutputError, UnsupportedModelError, UsageError
from tfjs_codec.files.publish import stage_prefix

PROGRAM = [sys.executable, "-m", "tfjs_codec"]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.h5"
    path.write_bytes(dense_h5())
    return path


@pytest.fixture
def web(model: Path, tmp_path: Path) -> Path:
    tfjs_codec.convert(model, tmp_path / "web")
    return tmp_path / "web"


def content(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


# --- foreign files ------------------------------------------------------------------------------


@pytest.mark.parametrize("exchange", [True, False])
def test_shards_of_another_model_are_not_overwritten(model, web, exchange, monkeypatch):
    if not exchange:
        monkeypatch.setattr("tfjs_codec.files.publish._exchange", lambda *_: False)
    (web / "group1-shard1of4.bin").write_text("of another model")
    before = content(web)
    with pytest.raises(UsageError, match=r"'group1-shard1of4\.bin' exists and is not part of"):
        tfjs_codec.convert(model, web, shard_size_bytes=16)
    assert content(web) == before
    tfjs_codec.convert(model, web, shard_size_bytes=16, force=True)
    assert (web / "group1-shard1of4.bin").read_bytes() != b"of another model"
    assert sorted(path.name for path in web.parent.iterdir()) == ["model.h5", "web"]


def test_files_that_come_while_we_write_are_not_overwritten(model, web):
    def appear(done: int, total: int) -> None:
        (web / "group1-shard1of4.bin").write_text("of another model")

    before = content(web)
    with pytest.raises(UsageError, match="exists and is not part of"):
        tfjs_codec.convert(model, web, shard_size_bytes=16, progress=appear)
    assert content(web) == {**before, "group1-shard1of4.bin": b"of another model"}


NOT_OURS = [
    "thesis.doc", "data.bin", "group1-shard1of1.bin.bak", "notes.txt", "index.html",
    "group-shard1of1.bin", "model.h5", "a weights.bin",
    "group\N{FULLWIDTH DIGIT ONE}-shard1of1.bin",
]  # fmt: skip


@pytest.mark.parametrize("exchange", [True, False])
def test_a_manifest_names_no_foreign_file_for_deletion(model, tmp_path, exchange, monkeypatch):
    if not exchange:
        monkeypatch.setattr("tfjs_codec.files.publish._exchange", lambda *_: False)
    web = tmp_path / "web"
    web.mkdir()
    ours = ["group1-shard1of2.bin", "group1-shard2of2", "weights.bin", "my-model.weights.bin"]
    for name in (*NOT_OURS, *ours):
        (web / name).write_text(name)
    manifest = [{"paths": [*NOT_OURS, *ours], "weights": []}]
    (web / "model.json").write_text(json.dumps({"modelTopology": {}, "weightsManifest": manifest}))
    tfjs_codec.convert(model, web)
    found = content(web)
    assert found.keys() == {*NOT_OURS, "model.json", "group1-shard1of1.bin"}
    assert all(found[name] == name.encode() for name in NOT_OURS)


@pytest.mark.parametrize("name", ["web", "web/model.json", "link", "web/."])
@pytest.mark.parametrize("options", [{}, {"quantize": {"uint8": True}}, {"force": True}])
def test_a_directory_is_not_converted_onto_itself(web, name, options):
    (web.parent / "link").symlink_to("web")
    before = content(web)
    with pytest.raises(UsageError, match="is the source file"):
        tfjs_codec.convert(web.parent / name, web, **options)
    assert content(web) == before


# --- other runs ---------------------------------------------------------------------------------


def leave_stage(destination: Path, pid: int) -> Path:
    stage = destination.parent / f"{stage_prefix(destination)}{pid}-0123abcd"
    stage.mkdir()
    (stage / "group1-shard1of1.bin").write_text("half")
    return stage


@pytest.mark.parametrize("pid", [1, 2, 999_999_999])
def test_what_a_dead_run_left_goes_whatever_its_number(model, tmp_path, pid):
    """In a container every converter is process 1."""
    stage = leave_stage(tmp_path / "web", pid)
    tfjs_codec.convert(model, tmp_path / "web")
    assert not stage.exists()


@pytest.mark.parametrize("pid", [1, 999_999_999])
def test_what_a_living_run_works_on_stays(model, tmp_path, pid):
    stage = leave_stage(tmp_path / "web", pid)
    lock = os.open(stage, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        tfjs_codec.convert(model, tmp_path / "web")
        assert (stage / "group1-shard1of1.bin").read_text() == "half"
    finally:
        os.close(lock)


def test_a_stage_that_is_taken_for_left_behind_is_made_again(model, tmp_path, monkeypatch):
    from tfjs_codec.files import sink

    taken = []
    lock = sink._lock

    def late(path: Path) -> int | None:
        if not taken:
            taken.append(path)
            path.rmdir()
        return lock(path)

    monkeypatch.setattr(sink, "_lock", late)
    tfjs_codec.convert(model, tmp_path / "web")
    assert taken
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.h5", "web"]


def test_long_names_with_the_same_beginning_have_stages_of_their_own(tmp_path):
    names = [tmp_path / ("n" * size + end) for size in (49, 50, 60, 200) for end in ("a", "b", "")]
    assert len({stage_prefix(name) for name in names}) == len(set(names))
    for one in names:
        assert len(stage_prefix(one)) < 80
        for other in names:
            assert one == other or not stage_prefix(one).startswith(stage_prefix(other))


def test_a_failing_run_does_not_move_a_model_into_its_neighbour(model, tmp_path):
    one, other = tmp_path / ("n" * 60 + "1"), tmp_path / ("n" * 60 + "2")
    tfjs_codec.convert(model, one)
    before = content(one)
    # What a kill in the middle of a replacement file by file leaves: the old model in the stage.
    stage = leave_stage(one, 1)
    (stage / ".tfjs_codec-old").mkdir()
    (stage / "model.json").write_text("{}")
    for name in before:
        (one / name).rename(stage / ".tfjs_codec-old" / name)
    broken = tmp_path / "broken.h5"
    broken.write_bytes(model.read_bytes()[:-100])
    with pytest.raises(CorruptFileError):
        tfjs_codec.convert(broken, other)
    tfjs_codec.convert(model, other)
    assert stage.exists()
    assert len(content(other)) == 2
    with pytest.raises(UsageError):
        tfjs_codec.convert(one / "none", one, to="nothing")
    tfjs_codec.convert(model, one)
    assert content(one) == before
    assert not stage.exists()


def test_other_pid_namespaces(model, tmp_path):
    """Every writer is process 1 of a namespace of its own; all publish to one destination."""
    line = ["unshare", "--pid", "--fork", *PROGRAM, "convert", str(model), str(tmp_path / "web")]
    runs = [
        subprocess.Popen(line, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) for _ in range(4)
    ]
    errors = [run.communicate()[1] for run in runs]
    assert [run.returncode for run in runs] == [0] * 4, errors
    assert len(content(tmp_path / "web")) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.h5", "web"]


# --- rights -------------------------------------------------------------------------------------

GROUP = 12345


@pytest.fixture
def served(web: Path) -> Iterator[Path]:
    """A directory that a web server reads: it belongs to the server's group."""
    os.chown(web, -1, GROUP)
    web.chmod(0o2750)
    return web


def test_the_group_of_the_replaced_directory_stays(model, served):
    tfjs_codec.convert(model, served, quantize={"uint8": True})
    status = served.stat()
    assert status.st_gid == GROUP
    assert stat.S_IMODE(status.st_mode) == 0o2750
    assert {path.stat().st_gid for path in served.iterdir()} == {GROUP}  # as its bit 2000 says


def test_a_group_that_we_cannot_give_keeps_the_directory(model, served, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    inode = served.stat().st_ino
    monkeypatch.setattr(os, "chown", refuse)
    tfjs_codec.convert(model, served, quantize={"uint8": True})
    assert (served.stat().st_ino, served.stat().st_gid) == (inode, GROUP)
    assert len(content(served)) == 2


def acl(*entries: tuple[int, int, int]) -> bytes:
    """Return an access control list as the kernel stores it: (tag, permissions, id)."""
    words = b"".join(
        tag.to_bytes(2, "little") + bits.to_bytes(2, "little") + who.to_bytes(4, "little")
        for tag, bits, who in entries
    )
    return (2).to_bytes(4, "little") + words


NOBODY = 0xFFFFFFFF
ACL = acl((1, 7, NOBODY), (2, 5, GROUP), (4, 5, NOBODY), (0x10, 5, NOBODY), (0x20, 0, NOBODY))
ACLS = {"system.posix_acl_access": ACL, "system.posix_acl_default": ACL}


class Attributes:
    """Extended attributes in memory: not all file systems have access control lists."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.held: dict[int, dict[str, bytes]] = {}
        monkeypatch.setattr(os, "getxattr", self.get)
        monkeypatch.setattr(os, "setxattr", self.set)

    def get(self, path: Path, name: str) -> bytes:
        found = self.held.get(path.stat().st_ino, {})
        if name not in found:
            raise OSError(61, "No data available")
        return found[name]

    def set(self, path: Path, name: str, value: bytes) -> None:
        self.held.setdefault(path.stat().st_ino, {})[name] = value


def test_access_control_lists_of_the_replaced_stay(model, web, monkeypatch):
    attributes = Attributes(monkeypatch)
    for name, value in ACLS.items():
        os.setxattr(web, name, value)
    tfjs_codec.convert(model, web, quantize={"uint8": True})
    assert attributes.held[web.stat().st_ino] == ACLS


def test_access_control_lists_that_we_cannot_give_keep_the_directory(model, web, monkeypatch):
    attributes = Attributes(monkeypatch)
    for name, value in ACLS.items():
        os.setxattr(web, name, value)
    monkeypatch.setattr(os, "setxattr", lambda *_: (_ for _ in ()).throw(PermissionError(1, "")))
    inode = web.stat().st_ino
    tfjs_codec.convert(model, web, quantize={"uint8": True})
    assert web.stat().st_ino == inode
    assert attributes.held[inode] == ACLS


@pytest.mark.parametrize("name", ["back.h5", "back.keras", "back.npz", "back.weights.h5"])
def test_rights_of_a_replaced_file_stay(model, tmp_path, name):
    target = tmp_path / name
    tfjs_codec.convert(model, target)
    target.chmod(0o600)
    os.chown(target, -1, GROUP)
    tfjs_codec.convert(model, target)
    assert (stat.S_IMODE(target.stat().st_mode), target.stat().st_gid) == (0o600, GROUP)


# --- messages and exit codes --------------------------------------------------------------------


def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    line = [*PROGRAM, *map(str, arguments)]
    env = {**os.environ, "PYTHONUNBUFFERED": ""}
    return subprocess.run(line, text=True, check=False, env=env, **options)


@pytest.mark.parametrize("command", ["--help", "--version", "inspect", "inspect --json", "diff"])
def test_standard_output_that_is_full(model, command):
    files = {"inspect": [model], "inspect --json": [model], "diff": [model, model]}
    with Path("/dev/full").open("w") as full:
        done = run(*command.split(), *files.get(command, []), stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 6
    expected = "tfjs-codec: error: standard output: cannot write: No space left on device\n"
    assert done.stderr == expected


def test_standard_output_that_is_full_after_a_conversion(model, tmp_path):
    with Path("/dev/full").open("w") as full:
        done = run("convert", model, tmp_path / "web", stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 6
    assert len(content(tmp_path / "web")) == 2


def test_standard_input_that_is_closed(tmp_path):
    code = "import os, sys; os.close(0); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    for command in (["inspect", "-"], ["convert", "-", str(tmp_path / "web")]):
        line = [sys.executable, "-c", code, "-m", "tfjs_codec", *command]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert done.stderr.startswith("tfjs-codec: error: standard input is closed. ")
    assert not list(tmp_path.iterdir())


def test_standard_input_has_a_cap(tmp_path):
    with Path("/dev/zero").open("rb") as endless:
        done = run("inspect", "-", "--limit", "stdin_bytes=3MiB", stdin=endless,
                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
    assert done.returncode == 4
    assert "more than the limit stdin_bytes = 3,145,728" in done.stderr


FULL = ["back.h5", "back.weights.h5", "back.keras", "back.npz", "web"]
ROOM = (0, 100, 1000, 3000)  # for each file, in bytes
WRITE_ALL = """
import contextlib, io, json, resource, signal, sys
import tfjs_codec.cli.main as main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
source, *targets = sys.argv[1:]
most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
said = {}
for target in targets:
    room = int(target.split("/")[-2])
    with contextlib.redirect_stderr(io.StringIO()) as errors:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, most))
        code = main.main(["convert", source, target])
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    said[target] = code, errors.getvalue()
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def full(tmp_path_factory) -> tuple[Path, dict[str, tuple[int, str]]]:
    """A directory with one for each size, and the exit codes and errors of writing there."""
    folder = tmp_path_factory.mktemp("full")
    source = folder / "model.h5"
    source.write_bytes(dense_h5(sizes=(100, 100)))
    targets = []
    for room in ROOM:
        (folder / str(room)).mkdir()
        targets += [str(folder / str(room) / name) for name in FULL]
    line = [sys.executable, "-c", WRITE_ALL, str(source), *targets]
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(line, capture_output=True, text=True, check=True, env=env)
    return folder, json.loads(done.stdout)


@pytest.mark.parametrize("name", FULL)
@pytest.mark.parametrize("room", ROOM)
def test_errors_of_writing_are_one_line_about_the_destination(full, name, room):
    folder, said = full
    target = str(folder / str(room) / name)
    code, error = said[target]
    assert code == 6, error
    assert error.startswith(f"tfjs-codec: error: {target}" + ("/" if name == "web" else ""))
    assert error.endswith(": cannot write: File too large\n")
    assert error.count("\n") == 1
    assert ".tfjs_codec-" not in error
    assert not list((folder / str(room)).iterdir())


def archive(tmp_path: Path, files: dict[str, bytes]) -> Path:
    path = tmp_path / "model.tar.gz"
    with tarfile.open(path, "w:gz") as made:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize(
    ("files", "where"),
    [
        ({"saved_model.pb": b"\xff\xff"}, "saved_model.pb"),
        ({"m/saved_model.pb": b""}, "m/saved_model.pb"),
        ({"m/saved_model.pb": b"\x12\x00", "m/variables/variables.index": b"x"}, "m"),
    ],
)
def test_errors_in_an_archive_name_the_archive(tmp_path, files, where):
    path = archive(tmp_path, files)
    with pytest.raises((CorruptFileError, UnsupportedModelError)) as caught:
        tfjs_codec.convert(path, tmp_path / "web")
    assert str(caught.value).startswith(f"{path}: {where}")
    assert "tfjs-codec-" not in str(caught.value)


def test_no_room_to_unpack_an_archive(tmp_path, monkeypatch):
    path = archive(tmp_path, {"saved_model.pb": b"\x12\x00"})
    monkeypatch.setattr("tempfile.tempdir", "/nonexistent")
    with pytest.raises(OutputError, match="cannot be unpacked: No such file") as caught:
        tfjs_codec.convert(path, tmp_path / "web")
    assert str(caught.value).startswith(f"{path}: ")


def test_refusals_are_bounded():
    layers = [
        entry("C" * 9000, f"{i}-" * 900, activation="x" * 9000, batch_input_shape=[None, 3])
        for i in range(1000)
    ]
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}
    with pytest.raises(UnsupportedModelError) as caught:
        tfjs_codec.plan(v3_model(config, {}))
    assert len(caught.value.problems) == 1000
    assert len(str(caught.value)) < 50_000
    assert str(caught.value).endswith("… and 900 more.")


# --- what inspect says of weight files ----------------------------------------------------------


def shard(web: Path) -> Path:
    return next(web.glob("*.bin"))


def test_inspect_says_what_is_wrong_with_weight_files(web, tmp_path):
    def warnings() -> tuple[str, ...]:
        return tfjs_codec.inspect(web).warnings

    assert warnings() == ()
    data = shard(web).read_bytes()
    name = shard(web).name
    shard(web).write_bytes(data[:-1])
    assert warnings() == ("weights cannot be read: the files have 59 bytes, the tensors 60",)
    shard(web).unlink()
    assert warnings() == (f"weights cannot be read: the file '{name}' is missing",)
    (tmp_path / "outside").write_bytes(data)
    (web / name).symlink_to(tmp_path / "outside")
    assert "is a symbolic link out of its directory" in warnings()[0]
    (web / name).unlink()
    os.mkfifo(web / name)
    assert warnings() == (f"weights cannot be read: '{name}' is not a regular file",)
    (web / name).unlink()
    (web / name).symlink_to("/dev/zero")
    assert len(warnings()) == 1
    (web / name).unlink()
    (web / name).mkdir()
    assert warnings() == (f"weights cannot be read: '{name}' is not a regular file",)
