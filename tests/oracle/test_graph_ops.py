"""The table of operations is what its script makes of TensorFlow's registry and tfjs's mappers."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tfjs_node import NODE_DIR

ROOT = Path(__file__).parents[2]


@pytest.mark.tensorflow
def test_the_table_is_current(tensorflow, tmp_path):
    made = tmp_path / "graph_ops.json"
    script = ROOT / "proto" / "graph_ops.py"
    subprocess.run([*tensorflow, script, NODE_DIR / "node_modules", made], check=True)
    committed = ROOT / "tfjs_codec" / "tfjs" / "graph_ops.json"
    assert committed.read_text() == made.read_text(), f"run: python {script.relative_to(ROOT)}"
