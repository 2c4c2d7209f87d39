"""The workflow of the public project and CONTRIBUTING agree with what is there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from importlib.metadata import metadata
from pathlib import Path

import pytest

import tfjs_codec

ROOT = Path(__file__).parents[2]
WORKFLOW = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
PROJECT = metadata("tfjs_codec")


def test_the_workflow_tries_the_oldest_dependencies():
    required = [each for each in PROJECT.get_all("Requires-Dist") if ";" not in each]
    pins = re.search(r"pins: (\w.*)", WORKFLOW)[1].split()
    assert sorted(pins) == sorted(f"{each.replace('>=', '==')}.*" for each in required)


def test_the_workflow_tries_all_versions_of_python():
    named = re.findall(r":: Python :: (3\.\d+)", "\n".join(PROJECT.get_all("Classifier")))
    tried = re.search(r"python: \[(.*)\]", WORKFLOW)[1]
    assert re.findall(r"[\d.]+", tried) == named
    assert named[0] == PROJECT["Requires-Python"].removeprefix(">=")


def test_the_workflow_runs_the_suites_of_the_documents():
    without = re.search(r'pytest -m "(.*)"', (ROOT / "CONTRIBUTING.md").read_text())[1]
    assert f"FAST: {without}\n" in WORKFLOW
    assert "run: bash .ci/run\n" in WORKFLOW
    assert "\nbash .ci/run\n" in (ROOT / "README.md").read_text()


def test_actions_are_pinned_by_commit():
    workflows = [path.read_text() for path in (ROOT / ".github").rglob("*.yml")]
    used = re.findall(r"^[ -]+uses: (.+)$", "\n".join(workflows), re.MULTILINE)
    assert len(used) > 10
    assert [each for each in used if not re.fullmatch(r"\S+@[0-9a-f]{40}  # v[\d.]+", each)] == []


def test_each_entry_of_the_changelog_stands_once_under_a_topic():
    versions = (ROOT / "CHANGELOG.md").read_text().split("\n## ")[1:]
    for version in versions:
        before, *groups = re.split(r"\n####? ", version)
        assert "\n- " not in before
        entries = [" ".join(each.split()) for group in groups for each in group.split("\n- ")[1:]]
        assert entries
        assert [entry for entry in entries if entries.count(entry) > 1] == []


def test_contributing_names_what_exists():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = re.findall(r"`((?:tfjs_codec|fixtures|tests|proto)/[\w./]*)`", text)
    assert len(named) > 10
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_version_has_one_home():
    version = tfjs_codec.__version__
    assert PROJECT["Version"] == version
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()


@pytest.mark.posix
def test_the_action_converts_and_verifies(tmp_path):
    """Its script, run as GitHub runs it, with an installation that is there already."""
    action = (ROOT / ".github" / "actions" / "convert" / "action.yml").read_text()
    script = textwrap.dedent(action.split("run: |\n")[1])
    packages = tmp_path / "tfjs-codec" / "bin"
    packages.mkdir(parents=True)
    for name, text in (("pip", "true"), ("tfjs-codec", f'{sys.executable} -m tfjs_codec "$@"')):
        (packages / name).write_text(f"#!/bin/sh\n{text}\n")
        (packages / name).chmod(0o755)
    inputs = {
        "SOURCE": str(ROOT / "fixtures" / "digits" / "digits.keras"),
        "DESTINATION": "web model",
        "OPTIONS": "--to graph --with-page",
        "VERSION": "tfjs_codec",
        "RUNNER_TEMP": str(tmp_path),
    }
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script.replace("python3 -m venv", "true")],
        cwd=tmp_path, env={**os.environ, **inputs}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "web model" / "index.html").exists()
    assert "verified" in done.stdout


@pytest.mark.posix
def test_the_hook_stops_at_a_damaged_model(tmp_path):
    hook = (ROOT / ".pre-commit-hooks.yaml").read_text()
    script = re.search(r"entry: sh -c '(.*)' sh", hook)[1].replace(
        "tfjs-codec", f"{sys.executable} -m tfjs_codec"
    )
    tfjs_codec.convert(ROOT / "fixtures" / "digits" / "digits.keras", tmp_path / "web")
    model = tmp_path / "web" / "model.json"
    assert subprocess.run(["sh", "-c", script, "sh", model], check=False).returncode == 0
    (tmp_path / "web" / "group1-shard1of1.bin").write_bytes(b"")
    done = subprocess.run(["sh", "-c", script, "sh", model], check=False, capture_output=True)
    assert done.returncode == 1
