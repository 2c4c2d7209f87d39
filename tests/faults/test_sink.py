"""Rows 36, 37 and 43 of the hostile-input list: a writer may die or fail at any moment.

The destination is the whole old or the whole new model afterwards, and the next run finds nothing
in its way.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from keras_files import dense_h5, entry, h5_model

import tfjs_codec

FAULTY = Path(__file__).with_name("faulty.py")
Files = dict[str, bytes]
REMOVING = ("unlink", "rmdir")


class Runner:
    """Runs conversions with faults in child processes."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(FAULTY)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __call__(self, source, destination, action="", number=0, call="", *, exchange=True):
        request = {"source": str(source), "destination": str(destination), "action": action,
                   "number": number, "call": call, "exchange": exchange}  # fmt: skip
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> tuple[Path, Path]:
    """A bigger model, and the smaller one that is to replace it."""
    directory = tmp_path_factory.mktemp("sources")
    (directory / "old.h5").write_bytes(dense_h5("old", (8, 3)))
    (directory / "new.h5").write_bytes(dense_h5("new", (4, 3)))
    return directory / "old.h5", directory / "new.h5"


@pytest.fixture(scope="module")
def convert(sources, tmp_path_factory) -> Iterator[Runner]:
    runner = Runner()
    runner(sources[0], tmp_path_factory.mktemp("warm") / "web", "warm up")
    yield runner
    runner.close()


@pytest.fixture(scope="module")
def old_model(convert, sources, tmp_path_factory) -> Path:
    destination = tmp_path_factory.mktemp("old") / "web"
    assert convert(sources[0], destination)["error"] is None
    return destination


def files(directory: Path) -> Files:
    """All files of *directory* with what they hold; names of directories with nothing."""
    if not directory.exists():
        return {}
    return {
        path.name: path.read_bytes() if path.is_file() else b""
        for path in directory.iterdir()
        if ".tfjs_codec-" not in path.name
    }


SETTINGS = {
    # name: (there is an old model, foreign entries, directories can be swapped)
    "absent": (False, [], True),
    "empty": (False, None, True),
    "replaced": (True, [], True),
    "replaced with foreign files": (True, ["notes.txt", "other.bin"], True),
    "replaced file by file": (True, ["notes.txt"], False),
    "beside a foreign directory": (True, ["directory/"], True),
    "among foreign files": (False, ["notes.txt"], False),
}


@pytest.fixture(params=SETTINGS)
def setting(request, old_model, tmp_path):
    """A function that sets the stage: (destination, old files, new files, swap?)."""
    has_old, foreign, exchange = SETTINGS[request.param]
    count = 0

    def make():
        nonlocal count
        count += 1
        destination = tmp_path / str(count) / "web"
        if has_old:
            shutil.copytree(old_model, destination)
        if foreign is None or foreign:
            destination.mkdir(parents=True, exist_ok=True)
        for name in foreign or ():
            if name.endswith("/"):
                (destination / name).mkdir()
            else:
                (destination / name).write_text(name)
        return destination, files(destination), exchange

    return make


@pytest.fixture
def complete(convert, sources, setting):
    """Calls made by, and files after, a replacement without faults."""
    destination, _, exchange = setting()
    answer = convert(sources[1], destination, exchange=exchange)
    assert answer["error"] is None
    assert [path.name for path in destination.parent.iterdir()] == ["web"]
    return answer["calls"], files(destination)


def is_model(found: Files) -> bool:
    return "model.json" in found


def test_replacing_leaves_the_new_model_and_what_is_foreign(complete, setting):
    _, new = complete
    _, old, _ = setting()
    manifest = json.loads(new["model.json"])["weightsManifest"]
    ours = {"model.json", *(path for group in manifest for path in group["paths"])}
    old_ours = {"model.json", *(name for name in old if name.startswith("group"))}
    assert new.keys() == ours | (old.keys() - old_ours)
    assert {name: old[name] for name in old.keys() - old_ours} == {
        name: new[name] for name in new.keys() - ours
    }


def test_what_replaces_something_is_on_the_disk_first(complete, setting):
    calls, new = complete
    _, old, exchange = setting()
    if not old:
        assert "fsync" not in calls  # as cp does it: nothing can be lost
        return
    moves = {"exchange", "rename", "replace"} if exchange else {"rename", "replace"}
    before = calls[: next(i for i, call in enumerate(calls) if call in moves)]
    ours = [name for name in new if name == "model.json" or name.startswith("group")]
    assert before.count("fsync") >= len(ours) + 1  # each file, and the directory of the stage


def test_killed_at_every_call(convert, sources, setting, complete):
    calls, new = complete
    for number in range(1, len(calls) + 1):
        destination, old, exchange = setting()
        convert(sources[1], destination, "kill", number, exchange=exchange)
        found = files(destination)
        at = f"killed at call {number}, {calls[number - 1]}"
        if is_model(found):
            assert found in (old, new), at
        else:  # moving file by file: no model for a moment, never a mixture
            assert not is_model(old) or (not exchange or b"" in old.values()), at
        # A run that fails puts back what the dead one moved ...
        answer = convert(sources[1], destination, "ENOSPC", 1, "write", exchange=exchange)
        assert "No space left" in answer["error"]
        assert files(destination) in (old, new), at
        # ... and one that does not replaces it.
        assert convert(sources[1], destination, exchange=exchange)["error"] is None
        assert files(destination) == new, at
        assert [path.name for path in destination.parent.iterdir()] == ["web"], at


def test_errors_at_every_call(convert, sources, setting, complete):
    calls, new = complete
    for number in range(1, len(calls) + 1):
        destination, old, exchange = setting()
        answer = convert(sources[1], destination, "ENOSPC", number, exchange=exchange)
        found = files(destination)
        at = f"failed at call {number}, {calls[number - 1]}: {answer['error']}"
        assert answer["calls"][: number - 1] == calls[: number - 1], at
        if answer["error"] is None:
            assert found == new, at
        else:
            assert answer["error"].startswith(("OutputError: ", "CorruptFileError: ")), at
            assert found == old, at
        # What cannot be removed stays behind.
        assert not list(destination.parent.glob(".*")) or calls[number - 1] in REMOVING, at


def test_sizes_that_are_not_granted(tmp_path):
    """RLIMIT_FSIZE: the system's own refusal to write."""
    source = tmp_path / "m.h5"
    source.write_bytes(dense_h5(sizes=(200, 100)))
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "from tfjs_codec.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    for flags in ([], ["--quantize-uint16"]):
        arguments = ["convert", str(source), str(tmp_path / "o"), *flags]
        line = [sys.executable, "-B", "-c", code, *arguments]  # no bytecode, cut off at the limit
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        if flags:
            assert done.returncode == 0
        else:
            assert done.returncode == 6
            assert "cannot write: File too large" in done.stderr
            assert [path.name for path in tmp_path.iterdir()] == ["m.h5"]


@pytest.mark.parametrize("copy", ["copy(extent)", "copy_checked(extent)()"])
def test_large_copies_that_fail_on_another_thread(copy, tmp_path):
    """16 files of 1 MiB, copied beside each other; the disk takes half a MiB of each."""
    source = tmp_path / "source.bin"
    source.write_bytes(bytes(range(256)) * (1 << 16))
    code = (
        "import resource, signal, sys, pathlib; from tfjs_codec.files.sink import staged\n"
        "from tfjs_codec.ir.tensors import Extent\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)\n"
        "with staged(pathlib.Path(sys.argv[2]), lambda path: None) as stage:\n"
        "    for k in range(16):\n"
        "        file = stage.create(f'{k}.bin')\n"
        "        file.write(bytes([k]))\n"
        "        extent = Extent(pathlib.Path(sys.argv[1]), k << 20, 1 << 20)\n"
        "        try:\n"
        f"            file.{copy}\n"
        "            file.write(bytes([k]))\n"
        "        finally:\n"
        "            file.close()\n"
    )
    web = tmp_path / "out" / "web"
    for limit, good in ((1 << 19, False), (1 << 21, True)):
        line = [sys.executable, "-c", code, str(source), str(web), str(limit)]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        if good:
            assert done.returncode == 0, done.stderr
            data = source.read_bytes()
            for k in range(16):
                middle = data[k << 20 : (k + 1) << 20]
                assert (web / f"{k}.bin").read_bytes() == bytes([k]) + middle + bytes([k])
        else:
            assert "OutputError" in done.stderr
            assert "File too large" in done.stderr
            assert not web.parent.exists()


def test_old_shards_go_after_the_new_index_is_there(tmp_path, sources):
    tfjs_codec.convert(sources[0], tmp_path / "web", shard_size_bytes=8)
    (tmp_path / "web" / "group9-shard1of1.bin").write_text("not in the manifest")
    tfjs_codec.convert(sources[1], tmp_path / "web")
    assert sorted(files(tmp_path / "web")) == [
        "group1-shard1of1.bin", "group9-shard1of1.bin", "model.json",
    ]  # fmt: skip


def test_manifests_cannot_make_us_remove_foreign_files(tmp_path, sources):
    web = tmp_path / "web"
    web.mkdir()
    (tmp_path / "precious").write_text("precious")
    paths = ["../precious", str(tmp_path / "precious"), "sub/file", ".", "..", "", ".hidden", 5]
    (web / "model.json").write_text(
        json.dumps({"modelTopology": {}, "weightsManifest": [{"paths": paths}, {"paths": 3}, 7]})
    )
    (web / "sub").mkdir()
    for name in ("sub/file", ".hidden"):
        (web / name).write_text("precious")
    tfjs_codec.convert(sources[1], web)
    for name in ("precious", "web/sub/file", "web/.hidden"):
        assert (tmp_path / name).read_text() == "precious"


def test_a_derived_weight_that_fails_leaves_no_trace(tmp_path, sources, monkeypatch):
    tfjs_codec.convert(sources[0], tmp_path / "web")
    old = files(tmp_path / "web")
    broken = np.full((4, 3), np.nan, np.float32)
    layer = entry("Dense", "d", units=3, batch_input_shape=[None, 4])
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [layer]}}
    data = h5_model(config, {"d": [("d/kernel:0", broken), ("d/bias:0", np.zeros(3))]})
    with pytest.raises(ValueError, match="NaN or infinite"):
        tfjs_codec.convert(data, tmp_path / "web", quantize={"uint8": "d/kernel"})
    assert files(tmp_path / "web") == old
    assert [path.name for path in tmp_path.iterdir()] == ["web"]
