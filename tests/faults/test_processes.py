"""Rows 38-42 and 44-46: permissions, processes, signals, memory, and the same bytes always."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pytest
from keras_files import dense_h5, entry

import tfjs_codec
from tfjs_codec.errors import CorruptFileError, OutputError, UsageError

CONVERT = [sys.executable, "-m", "tfjs_codec", "convert"]


@pytest.fixture
def model(tmp_path) -> Path:
    path = tmp_path / "model.h5"
    path.write_bytes(dense_h5())
    return path


def content(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


def big_h5(path: Path, megabytes: int, sparse: bool = True) -> None:
    """Write a model with one contiguous kernel; *sparse* leaves a hole where its values are."""
    rows = megabytes << 8  # of 1024 float32
    layer = entry("Dense", "d", units=1024, batch_input_shape=[None, rows], use_bias=False)
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [layer]}}
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = "2.15.0"
        top = file.create_group("model_weights")
        top.attrs["layer_names"] = [b"d"]
        group = top.create_group("d")
        group.attrs["weight_names"] = [b"d/kernel:0"]
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        plist.set_fill_time(h5py.h5d.FILL_TIME_NEVER if sparse else h5py.h5d.FILL_TIME_ALLOC)
        lcpl = h5py.h5p.create(h5py.h5p.LINK_CREATE)
        lcpl.set_create_intermediate_group(True)
        space = h5py.h5s.create_simple((rows, 1024))
        h5py.h5d.create(group.id, b"d/kernel:0", h5py.h5t.IEEE_F32LE, space, plist, lcpl=lcpl)


# --- permissions and places ------------------------------------------------------------------


AS_NOBODY = """
import os, sys, tfjs_codec
from tfjs_codec.cli.main import main
tfjs_codec.plan(sys.argv[2])  # everything is imported
if os.geteuid() == 0:  # root may write everywhere
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
sys.exit(main(sys.argv[1:]))
"""


def run_as_nobody(*arguments, env=None, cwd=None):
    line = [sys.executable, "-c", AS_NOBODY, "convert", *map(str, arguments)]
    env = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"} | (env or {})
    return subprocess.run(line, capture_output=True, text=True, check=False, env=env, cwd=cwd)


@pytest.fixture
def open_dir(tmp_path) -> Path:
    """A directory that anybody can reach."""
    for path in (tmp_path, *tmp_path.parents):
        if path.owner() != "root" or path.stat().st_mode & 0o700 == 0o700:
            path.chmod(path.stat().st_mode | 0o055)
        if path.name.startswith("pytest-of"):
            break
    return tmp_path


def test_destinations_without_permission(open_dir, model):
    closed = open_dir / "closed"
    closed.mkdir(mode=0o755)
    done = run_as_nobody(model, closed / "web")
    assert done.returncode == 6
    assert "closed/web: cannot write: Permission denied" in done.stderr
    assert not list(closed.iterdir())


def test_nothing_is_written_beside_the_source(open_dir, model):
    """Sources, working directory and temporary directory may all be read-only."""
    target = open_dir / "target"
    target.mkdir()
    target.chmod(0o777)
    env = {"HOME": "/nonexistent", "TMPDIR": "/nonexistent"}
    done = run_as_nobody(model, target / "web", cwd="/", env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list((target / "web").iterdir())) == 2


def test_destinations_that_cannot_be(model, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="is not a directory"):
        tfjs_codec.convert(model, tmp_path / "file")
    with pytest.raises(OutputError):
        tfjs_codec.convert(model, tmp_path / "file" / "web")
    with pytest.raises(OutputError, match="File name too long"):
        tfjs_codec.convert(model, tmp_path / ("n" * 300))
    assert (tmp_path / "file").read_text() == "mine"
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises((OutputError, UsageError)):
        tfjs_codec.convert(model, tmp_path / "loop")


@pytest.mark.parametrize("name", ["n" * 255, "é" * 127, " ", "a b", ".hidden", "x\ny"])
def test_destinations_with_odd_names(model, tmp_path, name):
    for _ in range(2):
        tfjs_codec.convert(model, tmp_path / name)
        assert len(content(tmp_path / name)) == 2


def test_a_link_to_a_destination_stays_a_link(model, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    tfjs_codec.convert(model, tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert len(content(tmp_path / "real")) == 2


def test_the_working_directory_as_destination(model, tmp_path):
    (tmp_path / "web").mkdir()
    for _ in range(2):
        done = subprocess.run([*CONVERT, str(model), "."], cwd=tmp_path / "web", check=False)
        assert done.returncode == 0
    assert len(content(tmp_path / "web")) == 2


def test_permissions_follow_the_umask_and_the_old_directory(model, tmp_path):
    old = os.umask(0o027)
    try:
        tfjs_codec.convert(model, tmp_path / "web")
        assert (tmp_path / "web").stat().st_mode & 0o777 == 0o750
        assert (tmp_path / "web" / "model.json").stat().st_mode & 0o777 == 0o640
        (tmp_path / "web").chmod(0o711)
        tfjs_codec.convert(model, tmp_path / "web")
        assert (tmp_path / "web").stat().st_mode & 0o777 == 0o711
    finally:
        os.umask(old)


# --- the input changes -----------------------------------------------------------------------


@pytest.mark.parametrize("change", ["shorter", "written"])
@pytest.mark.parametrize("quantized", [True, False])
def test_sources_that_change_while_they_are_read(tmp_path, change, quantized):
    source = tmp_path / "big.h5"
    big_h5(source, 130, sparse=True)
    steps = []

    def interfere(done, _total):
        if not steps:
            if change == "shorter":
                os.truncate(source, 40 << 20)
            else:
                os.utime(source, ns=(1, 1))
        steps.append(done)

    quantize = {"uint8": True} if quantized else {}
    try:
        tfjs_codec.convert(source, tmp_path / "web", progress=interfere, quantize=quantize)
    except CorruptFileError:
        assert not (tmp_path / "web").exists()
    else:
        assert change == "written"
        assert not quantized
    assert not list(tmp_path.glob(".*"))


# --- several processes -----------------------------------------------------------------------


def test_writers_and_readers_at_once(tmp_path):
    """Whoever wins, the model is wholly one of them, and readers never see a mixture."""
    sources, wholes = [], []
    for number in range(3):
        sources.append(tmp_path / f"{number}.h5")
        sources[-1].write_bytes(dense_h5(f"d{number}", (30 + number, 5)))
        tfjs_codec.convert(sources[-1], tmp_path / f"whole{number}", shard_size_bytes=100)
        wholes.append(content(tmp_path / f"whole{number}"))
    web = tmp_path / "web"
    tfjs_codec.convert(sources[0], web, shard_size_bytes=100)
    code = (
        "import sys, tfjs_codec\n"
        "for _ in range(15): tfjs_codec.convert(*sys.argv[1:], shard_size_bytes=100)"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(source), str(web)]) for source in sources
    ]
    seen = 0
    while any(writer.poll() is None for writer in writers):
        found = held_content(web)
        if "model.json" in found and len(found) == len(json_paths(found)) + 1:
            assert found in wholes
            seen += 1
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert seen
    assert content(web) in wholes
    assert not list(tmp_path.glob(".*"))


def held_content(directory: Path) -> dict[str, bytes]:
    """What a reader finds that holds the directory open; nothing if it is removed meanwhile."""
    handle = os.open(directory, os.O_RDONLY)
    found = {}
    with suppress(FileNotFoundError):
        for name in sorted(os.listdir(handle)):  # noqa: PTH208  a directory without a path
            with os.fdopen(os.open(name, os.O_RDONLY, dir_fd=handle), "rb") as file:
                found[name] = file.read()
    os.close(handle)
    return found


def json_paths(found: dict[str, bytes]) -> list[str]:
    groups = json.loads(found["model.json"])["weightsManifest"]
    return [path for group in groups for path in group["paths"]]


# The command line, which stays where it opens the second shard.
STAYING = """
import runpy, sys, time
def stay(event, details):
    if event == "open" and "shard2of" in str(details[0]):
        time.sleep(300)
sys.addaudithook(stay)
runpy.run_module("tfjs_codec", run_name="__main__")
"""


def test_ctrl_c_leaves_the_old_model(tmp_path):
    tfjs_codec.convert(dense_h5(), tmp_path / "web")
    old = content(tmp_path / "web")
    big_h5(tmp_path / "big.h5", 40)
    line = [sys.executable, "-c", STAYING, "convert", str(tmp_path / "big.h5")]
    process = subprocess.Popen(
        [*line, str(tmp_path / "web"), "--quantize-uint8"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        # A shell that started the tests in the background lets them ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )  # fmt: skip
    while not list(tmp_path.glob(".web.*/*shard1of*")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, b"", b"")
    assert content(tmp_path / "web") == old
    assert not list(tmp_path.glob(".*"))


# --- memory ----------------------------------------------------------------------------------

MEASURE = """
import re, resource, sys, tfjs_codec
limit, source, destination, quantize = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]
tfjs_codec.plan(source)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
tfjs_codec.convert(source, destination, quantize={q: True for q in quantize})
# (ru_maxrss would count the parent before it became this program)
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) << 10)
"""


@pytest.mark.parametrize("quantize", [[], ["uint8"]])
def test_memory_does_not_grow_with_the_model(tmp_path, quantize):
    big_h5(tmp_path / "big.h5", 600)
    limit = 1 << 30
    line = [sys.executable, "-c", MEASURE, str(limit), str(tmp_path / "big.h5")]
    line += [str(tmp_path / "web"), *quantize]
    env = os.environ | {"OPENBLAS_NUM_THREADS": "1"}  # threads' stacks count as memory
    done = subprocess.run(line, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 150 << 20
    total = sum(path.stat().st_size for path in (tmp_path / "web").glob("*.bin"))
    assert total == (600 << 20) // (4 if quantize else 1)


# --- the same bytes --------------------------------------------------------------------------


def test_the_same_bytes_everywhere(tmp_path, fixtures_dir):
    sources = [
        fixtures_dir / "digits" / "digits.keras",
        fixtures_dir / "savedmodel_tf2.15_nested" / "model.h5",
        fixtures_dir / "savedmodel_tf2.4_recurrent" / "model.h5",
    ]
    code = (
        "import os, sys, tfjs_codec\nos.umask(int(sys.argv[1]))\n"
        "for i, source in enumerate(sys.argv[3:]):\n"
        "    tfjs_codec.convert(source, f'{sys.argv[2]}/{i}', shard_size_bytes=1000,\n"
        "                       quantize={'uint8': '*kernel'}, training_config=True)"
    )
    results = []
    for number, env in enumerate(
        [
            {"PYTHONHASHSEED": "0", "TZ": "UTC", "LC_ALL": "C.UTF-8"},
            {"PYTHONHASHSEED": "1", "TZ": "Asia/Kathmandu", "LC_ALL": "tr_TR.UTF-8"},
            {"PYTHONHASHSEED": "random", "TZ": "America/New_York", "LC_ALL": "C",
             "OMP_NUM_THREADS": "1", "COLUMNS": "20", "HOME": "/nonexistent"},
        ]
    ):  # fmt: skip
        target = tmp_path / str(number)
        target.mkdir()
        umask = "63" if number else "18"
        line = [sys.executable, "-c", code, umask, str(target), *map(str, sources)]
        subprocess.run(line, check=True, env=os.environ | env)
        results.append([content(target / str(i)) for i in range(len(sources))])
    assert results[0] == results[1] == results[2]


def test_no_time_and_no_path_in_the_output(model, tmp_path):
    tfjs_codec.convert(model, tmp_path / "one")
    os.utime(model, (1, 1))
    other = tmp_path / "elsewhere" / "renamed.weights"
    other.parent.mkdir()
    other.write_bytes(model.read_bytes())
    tfjs_codec.convert(other, tmp_path / "two")
    tfjs_codec.convert(model.read_bytes(), tmp_path / "three")
    assert content(tmp_path / "one") == content(tmp_path / "two") == content(tmp_path / "three")


def test_values_do_not_depend_on_the_order_of_bytes(tmp_path):
    """Big-endian and little-endian sources give the same model."""
    array = np.arange(12, dtype=np.float32).reshape(4, 3) / 7
    results = []
    for dtype in ("<f4", ">f4", ">f8", "<f8"):
        path = tmp_path / "m.h5"
        path.write_bytes(dense_h5())
        with h5py.File(path, "r+") as file:
            del file["model_weights/d/d/kernel:0"]
            file.create_dataset("model_weights/d/d/kernel:0", data=array.astype(dtype))
        tfjs_codec.convert(path, tmp_path / dtype[1:])
        results.append(content(tmp_path / dtype[1:]))
    assert all(result == results[0] for result in results)
