"""Systems that lack calls, as Pyodide: no links, threads, locks or copies in the kernel."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from keras_files import dense_h5

import tfjs_codec

# What emscripten has not; a new thread cannot be started there.
PROLOGUE = """
import os, sys, threading
for name in ("link", "copy_file_range", "posix_fadvise", "pread", "pwrite", "getxattr", "setxattr",
             "fork", "geteuid", "chown"):
    if hasattr(os, name):
        delattr(os, name)
sys.modules["fcntl"] = None
sys.modules["resource"] = None
def start(self):
    raise RuntimeError("can't start new thread")
threading.Thread.start = start
import tfjs_codec
source, target = sys.argv[1:]
"""
WORK = {
    "layers": "tfjs_codec.convert(source, target)",
    "graph": "tfjs_codec.convert(source, target, to='graph')",
    "replaced": "[tfjs_codec.convert(source, target) for _ in range(2)]",
    "h5": "tfjs_codec.convert(source, target + '.h5')",
    "keras": "tfjs_codec.convert(source, target + '.keras')",
    "zip": "tfjs_codec.convert(source, target + '.zip')",
    "memory": "assert 'model.json' in tfjs_codec.to_files(source)",
    "back": "tfjs_codec.convert(source, target); tfjs_codec.convert(target, target + '.h5')",
    "verify": "tfjs_codec.convert(source, target); tfjs_codec.verify(target, source)",
    "inspect": "assert tfjs_codec.inspect(source).target == 'layers'",
}


@pytest.fixture(scope="module")
def failures(tmp_path_factory) -> dict[str, str]:
    """The tracebacks of what failed of :data:`WORK`, all done by one process."""
    folder = tmp_path_factory.mktemp("pyodide")
    (folder / "m.h5").write_bytes(dense_h5(sizes=(600, 600)))  # large enough for threads
    code = PROLOGUE + (
        "import json, traceback\n"
        "for name, work in json.loads(sys.stdin.read()).items():\n"
        "    target = os.path.join(sys.argv[2], name)\n"
        "    try: exec(work)\n"
        "    except Exception: print(json.dumps([name, traceback.format_exc()]))\n"
        "print('\"done\"')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, folder / "m.h5", folder],
        input=json.dumps(WORK), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    *failed, end = map(json.loads, done.stdout.splitlines())
    assert end == "done"
    return dict(failed)


@pytest.mark.posix
@pytest.mark.parametrize("name", WORK)
def test_what_pyodide_lacks_is_not_needed(failures, name):
    assert name not in failures, failures[name]


@pytest.mark.posix
def test_the_bytes_are_the_same(tmp_path):
    (tmp_path / "m.h5").write_bytes(dense_h5(sizes=(600, 600)))
    line = [sys.executable, "-c", PROLOGUE + WORK["layers"], tmp_path / "m.h5", tmp_path / "out"]
    subprocess.run(line, check=True)
    written = {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    assert written == tfjs_codec.to_files(tmp_path / "m.h5")


@pytest.mark.posix
def test_the_sandbox_says_that_there_is_none(tmp_path):
    (tmp_path / "m.h5").write_bytes(dense_h5())
    work = "tfjs_codec.convert(source, target, sandbox=True)"
    line = [sys.executable, "-c", PROLOGUE + work, tmp_path / "m.h5", tmp_path / "out"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert "there is no sandbox on this system" in done.stderr
