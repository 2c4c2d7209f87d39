"""The supported-layers table, and rules of a user's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfjs_codec.layers.catalogue import REGISTRY
from tfjs_codec.operations.catalogue import REGISTRY as GRAPH
from tfjs_codec.supported import render

TARGETS = pytest.mark.parametrize("registry", [REGISTRY, GRAPH], ids=["layers", "graph"])


def test_the_table_is_current():
    committed = Path(__file__).parents[2] / "tfjs_codec" / "SUPPORTED.md"
    assert committed.read_text(encoding="utf-8") == render(), (
        "run: python -m tfjs_codec.supported > tfjs_codec/SUPPORTED.md"
    )


@TARGETS
def test_every_rule_says_how(registry):
    for name, entry in {
        **registry.layers,
        **(registry.ops if registry is REGISTRY else {}),
    }.items():
        assert entry.summary.endswith("."), name


@TARGETS
def test_nothing_is_both_supported_and_refused(registry):
    assert not {*registry.layers, *registry.ops} & {*registry.refused}


def test_a_graph_has_all_that_layers_have():
    missing = {*REGISTRY.layers, *REGISTRY.ops} - {*GRAPH.layers, *GRAPH.ops}
    assert missing == set()


@TARGETS
def test_every_refusal_shows_a_way_out(registry):
    for name, (reason, hint) in registry.refused.items():
        assert reason, name
        assert hint.endswith("."), name
