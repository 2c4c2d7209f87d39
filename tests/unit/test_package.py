"""The archives that are published: the same bytes from the same sources, and nothing missing."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import tfjs_codec

ROOT = Path(__file__).parents[2]
PARTS = ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "docs", "proto", "tfjs_codec")


@pytest.fixture(scope="module")
def archives(tmp_path_factory) -> list[dict[str, Path]]:
    """The sdist and the wheel, built twice, from copies made at different times."""
    built = []
    for name in ("first", "second"):
        copy = tmp_path_factory.mktemp(name)
        for part in PARTS:
            if (ROOT / part).is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(
                    ROOT / part, copy / part, copy_function=shutil.copyfile, ignore=ignored
                )
            else:
                shutil.copyfile(ROOT / part, copy / part)
        subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-d", copy / "dist"],
            cwd=copy, check=True, capture_output=True,
        )  # fmt: skip
        built.append({file.suffix: file for file in (copy / "dist").iterdir()})
    return built


def test_the_same_sources_give_the_same_bytes(archives):
    first, second = archives
    assert set(first) == {".gz", ".whl"}
    for suffix, file in first.items():
        assert file.read_bytes() == second[suffix].read_bytes()


def test_the_wheel_has_all_files_of_the_package_and_the_version_of_the_sources(archives):
    wheel = archives[0][".whl"]
    package = ROOT / "tfjs_codec"
    files = {
        str(file.relative_to(ROOT))
        for file in package.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert {name for name in names if name.startswith("tfjs_codec/")} == files
    assert wheel.name.startswith(f"tfjs_codec-{tfjs_codec.__version__}-py3")


def test_the_sdist_has_what_the_wheel_is_made_of(archives):
    with tarfile.open(archives[0][".gz"]) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "tfjs_codec/py.typed"} <= names
