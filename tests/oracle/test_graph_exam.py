"""A part of the exam of ``graph_exam``: random TensorFlow graphs, on every backend by itself."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright
from tfjs_chromium import TfjsChromium
from tfjs_node import TfjsNode

sys.path.append(str(Path(__file__).parent / "graph_exam"))

from exam import ALL, GOOD, make_questions, run

pytestmark = [pytest.mark.tensorflow, pytest.mark.node, pytest.mark.chromium]

COUNT = 84  # every question once
MOST_REFUSED = 9  # a converter that refuses everything is no good


def test_nothing_is_silently_wrong(tensorflow, tmp_path):
    make_questions(tmp_path / "questions", seed=11, count=COUNT, python=tensorflow)
    with (
        sync_playwright() as playwright,
        closing(TfjsNode()) as node,
        closing(TfjsChromium(playwright)) as chromium,
    ):
        answers = list(run(tmp_path / "questions", ALL, node, chromium))
    assert [each for each in answers if each.outcome not in GOOD] == []
    assert sum(each.outcome == "refused" for each in answers) <= MOST_REFUSED
