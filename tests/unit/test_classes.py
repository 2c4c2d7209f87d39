"""The table of Keras classes: one row each, complete, and the only place that says so."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

from tfjs_codec.keras.classes import ALIASES, CLASSES, REQUIRED, KerasClass
from tfjs_codec.keras.classes.row import COMMON_KEYS
from tfjs_codec.layers.catalogue import REGISTRY
from tfjs_codec.operations.catalogue import REGISTRY as GRAPHS
from tfjs_codec.tracing.registry import Entry

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
    assert not COMMON_KEYS & (inert | row.config.keys() - {"dtype"} | set(row.layers))
    assert set(row.inert_arguments) <= set(row.call)
    assert set(row.told) <= row.config.keys()
    assert row.older_defaults.keys() <= row.config.keys()
    assert row.checks.keys() <= {*row.config, "alpha"}
    assert all(row.defaults[key] is not REQUIRED for key in row.defaults)


def test_an_alias_is_no_class() -> None:
    assert not ALIASES.keys() & CLASSES.keys()
    assert len(ALIASES) == sum(len(row.aliases) for row in CLASSES.values())


def is_registration(call: ast.Call) -> bool:
    """Each target registers its rules and refusals by class."""
    return isinstance(call.func, ast.Name) and call.func.id in ("rule", "refuse")


def class_sets() -> dict[frozenset[str], list[str]]:
    """Where the source lists three or more class names: arguments, sets, tuples, dict keys."""
    known = CLASSES.keys() | ALIASES.keys()
    found: dict[frozenset[str], list[str]] = {}
    for path in sorted(set(PACKAGE.rglob("*.py")) - set((PACKAGE / "graph").rglob("*"))):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            items: list[ast.expr | None] = []
            if isinstance(node, ast.Set | ast.List | ast.Tuple):
                items = list(node.elts)
            elif isinstance(node, ast.Dict):
                items = list(node.keys)
            elif isinstance(node, ast.Call) and not is_registration(node):
                items = list(node.args)
            names = {item.value for item in items if isinstance(item, ast.Constant)} & known
            if len(names) >= 3:
                place = f"{path.relative_to(PACKAGE)}:{node.lineno}"
                found.setdefault(frozenset(names), []).append(place)
    return found


def test_no_set_of_classes_is_listed_twice() -> None:
    assert {places[0]: places for places in class_sets().values() if len(places) > 1} == {}


def defaults(entry: Entry) -> dict[str, object]:
    parameters = inspect.signature(entry.function).parameters.values()
    return {one.name: one.default for one in parameters if one.default is not one.empty}


def test_options_of_operations_have_the_same_defaults_in_both_targets() -> None:
    """Those of ``keras.ops``."""
    compared = 0
    for name in REGISTRY.ops.keys() & GRAPHS.ops.keys():
        layers, graphs = defaults(REGISTRY.ops[name]), defaults(GRAPHS.ops[name])
        for option in layers.keys() & graphs.keys():
            assert layers[option] == graphs[option], (name, option)
            compared += 1
    assert compared > 60
