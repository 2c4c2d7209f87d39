"""Fixtures that several test directories share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent / "oracle")]  # helpers

from tfjs_node import TfjsNode  # noqa: E402  found by the line above

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def fixtures_dir() -> Path:
    """The directory of recorded models."""
    return ROOT / "fixtures"


@pytest.fixture(scope="session")
def tfjs() -> Iterator[TfjsNode]:
    """Real TensorFlow.js in Node, one process for the whole session."""
    with TfjsNode() as node:
        yield node
