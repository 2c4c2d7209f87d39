"""Every snippet of README and of the documentation does what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pages import NEEDS, ROOT, Block, read_pages

import tfjs_codec

PAGES = read_pages()
LANGUAGES = {"bash", "console", "html", "js", "json", "python", "text", "toml", "yaml"}


def mark(blocks: list[Block]) -> list[pytest.MarkDecorator]:
    """Return the markers of what *blocks* need."""
    return [getattr(pytest.mark, NEEDS[need]) for need in {b.note for b in blocks} & {*NEEDS}]


CASES = [
    pytest.param(page, id=page, marks=mark(blocks))
    for page, blocks in PAGES.items()
    if any(block.is_run for block in blocks)
]


@pytest.mark.posix
@pytest.mark.parametrize("page", CASES)
def test_a_page_works_from_its_first_block_to_its_last(page, tmp_path):
    (tmp_path / "fixtures").symlink_to(ROOT / "fixtures")
    for block in PAGES[page]:
        if block.title:
            (tmp_path / block.title).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / block.title).write_text(block.code, encoding="utf-8")
        elif block.is_run:
            run(block, tmp_path)


def test_every_block_is_of_a_language_that_is_known_and_says_why_it_is_not_run():
    for block in (block for blocks in PAGES.values() for block in blocks):
        where = f"{block.page}:{block.line}"
        assert block.language in LANGUAGES, where
        assert block.note in NEEDS or re.fullmatch(r"|not run: .{10,}", block.note), where


@pytest.mark.parametrize("page", PAGES)
def test_links_within_the_repository_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if "://" not in target and not target.startswith("mailto:"):
            assert ((ROOT / page).parent / target).exists(), target


def test_the_api_page_has_every_public_name():
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^::: tfjs_codec\.(\w+)$", text, re.MULTILINE))
    assert named == {name for name in tfjs_codec.__all__ if not name.startswith("__")}


def run(block: Block, directory: Path) -> None:
    """Run *block* in *directory*, and compare what it prints with what it says."""
    environment = prepare(block, directory)
    if block.language == "python":
        check(
            [environment.get("PAGE_PYTHON", sys.executable), "-c", block.code],
            block,
            directory,
            environment,
        )
    elif block.language == "bash":
        check(["bash", "-euo", "pipefail", "-c", block.code], block, directory, environment)
    else:
        for part in re.split(r"^\$ ", block.code, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            printed = check(["bash", "-c", command], block, directory, environment)
            pattern = ".*?".join(map(re.escape, expected.strip().split("…")))
            assert re.search(pattern, printed, re.DOTALL), f"{block.page}:{block.line}\n{printed}"


def prepare(block: Block, directory: Path) -> dict[str, str]:
    """Return the environment of *block*, in which ``python`` is the one that it needs."""
    path = [str(Path(sys.executable).parent), os.environ["PATH"]]
    environment = {**os.environ, "KERAS_BACKEND": "jax", "TF_CPP_MIN_LOG_LEVEL": "3"}
    for need, variable in (
        ("keras", "TFJS_CODEC_KERAS_PYTHON"),
        ("tensorflow", "TFJS_CODEC_TF_PYTHON"),
    ):
        if block.note == need:
            python = os.environ[variable]
            shared = directory / ".packages"  # of ours only: the rest is what the oracle came with
            shared.mkdir(exist_ok=True)
            if not (shared / "tfjs_codec").is_symlink():
                (shared / "tfjs_codec").symlink_to(Path(tfjs_codec.__file__).parent)
            path.insert(0, str(Path(python).parent))
            environment.update(PAGE_PYTHON=python, PYTHONPATH=str(shared))
    return {**environment, "PATH": os.pathsep.join(path)}


def check(command: list[str], block: Block, directory: Path, environment: dict[str, str]) -> str:
    """Run *command* and return what it printed; it must succeed."""
    done = subprocess.run(
        command,
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    text = done.stdout + done.stderr
    assert done.returncode == 0, f"{block.page}:{block.line}\n{text}"
    return text
