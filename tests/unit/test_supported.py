"""The supported-layers table, and rules of a user's own."""

from __future__ import annotations

from pathlib import Path

from tfjs_codec.layers.catalogue import REGISTRY
from tfjs_codec.layers.table import render


def test_the_table_is_current():
    committed = Path(__file__).parents[2] / "tfjs_codec" / "SUPPORTED.md"
    assert committed.read_text(encoding="utf-8") == render(), (
        "run: python -m tfjs_codec.layers.table > tfjs_codec/SUPPORTED.md"
    )


def test_every_rule_says_how():
    for name, entry in {**REGISTRY.layers, **REGISTRY.ops}.items():
        assert entry.summary.endswith("."), name


def test_nothing_is_both_supported_and_refused():
    assert not {*REGISTRY.layers, *REGISTRY.ops} & {*REGISTRY.refused}


def test_every_refusal_shows_a_way_out():
    for name, (reason, hint) in REGISTRY.refused.items():
        assert reason, name
        assert hint.endswith("."), name
