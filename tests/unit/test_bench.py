"""The command that writes the page of figures runs to its end, whatever else is there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.posix
def test_the_figures_are_measured_and_the_rest_of_the_page_stays(tmp_path):
    page = tmp_path / "figures.md"
    page.write_text("# Old\n\n## Graphs of SavedModels\n\nas it was\n")
    line = [sys.executable, str(ROOT / "tests" / "bench" / "figures.py"), "--quick"]
    done = subprocess.run(
        [*line, "--page", str(page)], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "Predictions in the page: left out, needs --tensorflow" in done.stderr
    parts = page.read_text().split("\n## ")
    assert [part.partition("\n")[0] for part in parts[1:]] == [
        "Conversions", "Quantised weights", "Graphs of SavedModels",
    ]  # fmt: skip
    rows = [line for line in parts[1].splitlines() if line.startswith("| ")]
    assert [row.count("|") for row in rows] == [5] * 10
    assert "a batch of 10 small models" in rows[-1]
    assert "| conv, layers | " in parts[2]
    assert parts[3].endswith("as it was\n")
