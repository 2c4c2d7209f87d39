"""The workflow of the public project and CONTRIBUTING agree with what is there."""

from __future__ import annotations

import re
from importlib.metadata import metadata
from pathlib import Path

ROOT = Path(__file__).parents[2]
WORKFLOW = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
PROJECT = metadata("tfjs_codec")


def test_the_workflow_tries_the_oldest_dependencies():
    required = [each for each in PROJECT.get_all("Requires-Dist") if "extra" not in each]
    pins = re.search(r"pins: (\w.*)", WORKFLOW)[1].split()
    assert pins == [f"{each.replace('>=', '==')}.*" for each in required]


def test_the_workflow_tries_all_versions_of_python():
    named = re.findall(r":: Python :: (3\.\d+)", "\n".join(PROJECT.get_all("Classifier")))
    tried = re.search(r"python: \[(.*)\]", WORKFLOW)[1]
    assert re.findall(r"[\d.]+", tried) == named
    assert named[0] == PROJECT["Requires-Python"].removeprefix(">=")


def test_the_workflow_runs_the_suites_of_the_documents():
    without = re.search(r'pytest -m "(.*)"', (ROOT / "CONTRIBUTING.md").read_text())[1]
    assert f"FAST: {without}\n" in WORKFLOW
    assert "run: bash .ci/run\n" in WORKFLOW
    assert "    bash .ci/run\n" in (ROOT / "README.md").read_text()


def test_contributing_names_what_exists():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = re.findall(r"`((?:tfjs_codec|fixtures|tests|proto)/[\w./]*)`", text)
    assert len(named) > 10
    assert [name for name in named if not (ROOT / name).exists()] == []
