"""A short run of the fuzzer of structures; see ``run_structures.py`` for long ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("kind", ["config", "graph", "model_json"])
def test_mutants_give_our_errors_only(tmp_path, kind):
    line = [sys.executable, str(Path(__file__).with_name("run_structures.py"))]
    line += ["--kind", kind, "--count", "300", "--keep", str(tmp_path / "finds")]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "'none'" in done.stdout
