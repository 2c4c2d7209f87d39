"""A short run of the fuzzer over the fixtures; see ``run.py`` for long ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_damaged_fixtures_give_our_errors_only(tmp_path):
    line = [sys.executable, str(Path(__file__).with_name("run.py"))]
    line += ["--count", "300", "--keep", str(tmp_path / "finds")]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "converted" in done.stdout
