"""The table of Keras classes: one row each, complete, and the only place that says so."""

from __future__ import annotations

import ast
import inspect
import runpy
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import cache
from pathlib import Path

import pytest

from tfjs_codec.keras.classes import ALIASES, CLASSES, REQUIRED, KerasClass
from tfjs_codec.keras.classes.row import COMMON_KEYS
from tfjs_codec.keras.signatures import OPERATIONS, signature
from tfjs_codec.layers.catalogue import REGISTRY
from tfjs_codec.operations.catalogue import REGISTRY as GRAPHS
from tfjs_codec.tracing.registry import Entry

PACKAGE = Path(__file__).parents[2] / "tfjs_codec"
KINDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
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
    """Each target registers its rules and refusals by class or operation."""
    return isinstance(call.func, ast.Name) and call.func.id in ("rule", "op", "operation", "refuse")


@cache
def listed() -> list[tuple[str, frozenset[str]]]:
    """Places and texts of what the source lists: arguments, sets, tuples, dict keys.

    Without the passes over graphs, whose words are TensorFlow's.
    """
    found = []
    for path in sorted(set(PACKAGE.rglob("*.py")) - set((PACKAGE / "graph").rglob("*"))):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            items: Sequence[ast.expr | None] = ()
            if isinstance(node, ast.Set | ast.List | ast.Tuple):
                items = node.elts
            elif isinstance(node, ast.Dict):
                items = node.keys
            elif isinstance(node, ast.Call) and not is_registration(node):
                items = node.args
            constants = [item.value for item in items if isinstance(item, ast.Constant)]
            texts = frozenset(text for text in constants if isinstance(text, str))
            if len(texts) >= 3:
                found.append((f"{path.relative_to(PACKAGE)}:{node.lineno}", texts))
    return found


def listed_sets(known: AbstractSet[str]) -> dict[frozenset[str], list[str]]:
    """Where the source lists three or more of *known*."""
    found: dict[frozenset[str], list[str]] = {}
    for place, texts in listed():
        if len(names := texts & known) >= 3:
            found.setdefault(names, []).append(place)
    return found


@pytest.mark.parametrize("known", [CLASSES.keys() | ALIASES.keys(), OPERATIONS])
def test_no_set_of_classes_or_operations_is_listed_twice(known: AbstractSet[str]) -> None:
    found = listed_sets(known)
    assert {places[0]: places for places in found.values() if len(places) > 1} == {}
    assert len(found) > 8


def parameters(entry: Entry) -> list[inspect.Parameter]:
    return list(inspect.signature(entry.function).parameters.values())[1:]


def test_every_operation_has_a_signature_and_the_reverse() -> None:
    assert GRAPHS.ops.keys() == OPERATIONS
    assert REGISTRY.ops.keys() <= OPERATIONS
    assert not GRAPHS.refused.keys() & OPERATIONS


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_graph_operations_have_the_signatures_of_the_table(name: str) -> None:
    """As functions they are also called by rules, so Python has to know their defaults."""
    row, function = signature(name), GRAPHS.ops[name]
    positional = [one for one in parameters(function) if one.kind in KINDS]
    options = positional[len(row.operands) :]
    assert {one.name for one in options} == set(row.options)
    optional = {one.name: one.default for one in positional if one.default is not one.empty}
    assert optional == row.defaults


def test_type_checkers_know_all_operations() -> None:
    script = PACKAGE.parent / "proto" / "functions.py"
    made = runpy.run_path(str(script))["make_stub"]()
    assert made.count("    def ") == len(OPERATIONS) + 1
    stub = PACKAGE / "operations" / "functions.pyi"
    assert stub.read_text(encoding="utf-8") == made, f"run {script.name}"


@pytest.mark.parametrize("name", sorted(REGISTRY.ops))
def test_rules_of_layers_leave_defaults_to_the_table(name: str) -> None:
    """Only what not all operations of a rule have has a default there."""
    rule = REGISTRY.ops[name]
    same = [each for each, entry in REGISTRY.ops.items() if entry.function is rule.function]
    for one in parameters(rule):
        if one.default is not one.empty:
            assert not all(one.name in signature(each).defaults for each in same), one.name
            assert signature(name).defaults.get(one.name, one.default) == one.default, one.name
