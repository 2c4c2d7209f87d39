"""Scripts as public projects have them run unmodified after ``tfjs_codec.compat.install()``."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import tfjs_codec

pytestmark = pytest.mark.tensorflow

SCRIPTS = Path(__file__).parent / "compat_scripts"
RUN = """
import runpy, sys, traceback
from tfjs_codec import compat
compat.install()
failed = 0
for path in sys.argv[1:]:
    try:
        runpy.run_path(path, run_name="__main__")
    except BaseException:
        failed = 1
        print(path, traceback.format_exc(), file=sys.stderr)
sys.exit(failed)
"""
# What each leaves behind, where that is a tfjs model.
# fmt: off
WRITTEN = ("train_and_save", "quantised", "quantised16", "from_h5_file", "command_line",
           "saved_model", "frozen", "load_back", "export_callback/0", "export_callback/1")
# fmt: on


def test_scripts_run_unmodified(tensorflow, tmp_path):
    scripts = sorted(SCRIPTS.glob("*.py"))
    assert len(scripts) >= 10
    done = subprocess.run(
        [*tensorflow, "-c", RUN, *map(str, scripts)],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    for name in WRITTEN:
        tfjs_codec.verify(tmp_path / name)
    assert "lstm" in done.stdout
