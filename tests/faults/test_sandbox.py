"""The sandbox: a crash, an overrun or an error in the child is one error in the parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from keras_files import dense_h5, entry, h5_model

import tfjs_codec
from tfjs_codec.errors import CorruptFileError, UnsafeFileError, UnsupportedModelError
from tfjs_codec.limits import Limits
from tfjs_codec.sandbox import run_apart


def test_the_result_is_that_without_a_sandbox(tmp_path):
    one = tfjs_codec.convert(dense_h5(), tmp_path / "web", quantize={"uint8": True})
    before = {path.name: path.read_bytes() for path in (tmp_path / "web").iterdir()}
    other = tfjs_codec.convert(dense_h5(), tmp_path / "web", quantize={"uint8": True}, sandbox=True)
    assert one == other
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "web").iterdir()}


def test_errors_are_those_without_a_sandbox(tmp_path):
    layer = entry("Lambda", "f", batch_input_shape=[None, 3])
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [layer]}}
    for source, kind in ((h5_model(config, {}), UnsupportedModelError),
                         (dense_h5()[:-9], CorruptFileError)):  # fmt: skip
        caught = []
        for sandbox in (False, True):
            with pytest.raises(kind) as error:
                tfjs_codec.convert(source, tmp_path / "web", sandbox=sandbox)
            caught.append(str(error.value))
        assert caught[0] == caught[1]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS])
def test_crashes(number):
    with pytest.raises(UnsafeFileError, match=f"crashed .{number.name}."):
        run_apart(lambda: os.kill(os.getpid(), number), Limits())


def test_memory():
    with pytest.raises(UnsafeFileError, match="needs more than 67,108,864 bytes of memory"):
        run_apart(lambda: len(bytes(200 << 20)), Limits(sandbox_memory_bytes=64 << 20))
    assert (
        run_apart(lambda: len(bytes(20 << 20)), Limits(sandbox_memory_bytes=64 << 20)) == 20 << 20
    )


def test_time():
    def burn() -> None:
        while True:
            np.ones(1000).sum()

    start = time.monotonic()
    with pytest.raises(UnsafeFileError, match="took too long"):
        run_apart(burn, Limits(sandbox_seconds=1))
    assert time.monotonic() - start < 30


def test_size_of_files(tmp_path):
    with pytest.raises(tfjs_codec.errors.OutputError, match="File too large"):
        tfjs_codec.convert(dense_h5(sizes=(100, 100)), tmp_path / "web", sandbox=True,
                           limits=Limits(sandbox_file_bytes=1000))  # fmt: skip
    assert not list(tmp_path.iterdir())


def test_anything_else():
    with pytest.raises(UnsafeFileError, match="KeyError"):
        run_apart(lambda: {}["x"], Limits())
    with pytest.raises(UnsafeFileError, match="exit code 3"):
        run_apart(lambda: os._exit(3), Limits())


def test_the_command_line(tmp_path):
    model = tmp_path / "m.h5"
    model.write_bytes(dense_h5())
    line = [sys.executable, "-m", "tfjs_codec"]
    for command in (["convert", str(model), str(tmp_path / "web")], ["inspect", str(model)]):
        outputs = [
            subprocess.run([*line, *command, *flags], capture_output=True, text=True, check=True)
            for flags in ([], ["--sandbox"])
        ]
        assert outputs[0].stdout == outputs[1].stdout
    model.write_bytes(dense_h5()[:-1])
    done = subprocess.run([*line, "inspect", str(model), "--sandbox"], capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert done.returncode == 3
    assert done.stderr.startswith(f"tfjs-codec: error: {model}: truncated")
    assert Path(tmp_path / "web" / "model.json").exists()
