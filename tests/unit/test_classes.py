"""The table of Keras classes: one row each, complete, and the only place that says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfjs_codec.keras.classes import ALIASES, CLASSES, REQUIRED, KerasClass
from tfjs_codec.keras.classes.row import COMMON_KEYS
from tfjs_codec.layers.catalogue import REGISTRY

PACKAGE = Path(__file__).parents[2] / "tfjs_codec"
# Taken apart by the reader, or by the rules of the layers that hold them.
INSIDE_OTHERS = {"InputLayer", "StackedRNNCells"}


def test_every_rule_has_a_row() -> None:
    assert REGISTRY.layers.keys() <= CLASSES.keys()


def test_every_row_has_a_rule_or_a_refusal() -> None:
    inside = INSIDE_OTHERS | {name for name in CLASSES if name.endswith("Cell")}
    assert (
        CLASSES.keys() - inside
        == (REGISTRY.layers.keys() | REGISTRY.refused.keys()) & CLASSES.keys()
    )


def test_everything_refused_by_name_is_a_class_or_an_operation() -> None:
    layers = {name for name in REGISTRY.refused if name[0].isupper()}
    assert layers <= CLASSES.keys()
    assert not REGISTRY.refused.keys() & REGISTRY.ops.keys()


@pytest.mark.parametrize("row", CLASSES.values(), ids=lambda row: row.name)
def test_a_row_says_everything_once(row: KerasClass) -> None:
    inert = set(row.inert)
    assert len(inert) == len(row.inert)
    assert not inert & row.config.keys()
    assert not COMMON_KEYS & (inert | row.config.keys() | set(row.layers))
    assert set(row.inert_arguments) <= set(row.call)
    assert row.older_defaults.keys() <= row.config.keys()
    assert row.checks.keys() <= {*row.config, "alpha"}
    assert all(row.defaults[key] is not REQUIRED for key in row.defaults)


def test_an_alias_is_no_class() -> None:
    assert not ALIASES.keys() & CLASSES.keys()
    assert len(ALIASES) == sum(len(row.aliases) for row in CLASSES.values())
