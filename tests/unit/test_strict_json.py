"""The check of JSON texts before they are parsed, which works window by window."""

from __future__ import annotations

import json
import random

import pytest

from tfjs_codec.errors import LimitExceededError
from tfjs_codec.files import strict_json
from tfjs_codec.limits import Limits


def limit_hit(text: str, **limits: int) -> bool:
    try:
        strict_json._check_structure(text, "x", "", Limits(**limits))
    except LimitExceededError:
        return True
    return False


@pytest.mark.parametrize("window", [1, 2, 3, 7, 1 << 20])
def test_windows_do_not_change_what_is_counted(monkeypatch, window):
    monkeypatch.setattr(strict_json, "_WINDOW_CHARS", window)
    value = {'a\\"[': ["\\\\", '"', "[[[[{{", 'x\\\\"' * 3, {"ü,": [[1, 2], []]}], "\\": ""}
    text = json.dumps(value, ensure_ascii=False)
    assert strict_json.loads(text) == value
    assert "".join(strict_json._windows(text)) == text
    assert limit_hit(text, json_depth=4)
    assert not limit_hit(text, json_depth=5)
    assert limit_hit(text, json_values=13)
    assert not limit_hit(text, json_values=14)
    assert limit_hit(text, json_string_chars=5)
    assert not limit_hit(text, json_string_chars=6)


def test_windows_of_any_size_agree_on_any_text(monkeypatch):
    rng = random.Random(0)
    for _ in range(300):
        text = "".join(rng.choices('"\\[{}],x', k=40))
        limits = {name: rng.randint(1, 6) for name in ("json_depth", "json_values")}
        answers = set()
        for window in (1, 3, 40):
            monkeypatch.setattr(strict_json, "_WINDOW_CHARS", window)
            answers.add(limit_hit(text, **limits))
        assert len(answers) == 1, text


def test_a_long_run_of_backslashes_is_one_window():
    text = '"' + "\\" * (3 << 20) + '"'
    assert list(strict_json._windows(text)) == [text]
