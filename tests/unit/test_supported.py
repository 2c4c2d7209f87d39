"""The supported-layers table, and rules of a user's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfjs_codec.errors import UsageError
from tfjs_codec.layers.catalogue import REGISTRY
from tfjs_codec.operations.catalogue import REGISTRY as GRAPH
from tfjs_codec.supported import list_all, look_up, render

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


def test_looking_up_a_name_tells_what_both_targets_make_of_it():
    (gru,) = look_up("gru").found
    assert (gru.name, gru.kind) == ("GRU", "layer")
    assert gru.layers == REGISTRY.layers["GRU"].summary
    assert gru.graph == GRAPH.layers["GRU"].summary
    assert [each.kind for each in look_up("add").found] == ["layer", "operation"]
    (svd,) = look_up("svd").found
    assert svd.layers.startswith("refused: ")


def test_the_command_prints_one_row_or_the_whole_table(capsys):
    from tfjs_codec.cli.main import main

    assert main(["supported", "GRU"]) == 0
    assert capsys.readouterr().out.startswith("GRU (layer)\n  Layers: ")
    assert main(["supported"]) == 0
    assert capsys.readouterr().out == render()
    assert main(["supported", "GRUU"]) == 2


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(UsageError, match=r"'GRUU'. Did you mean 'GRU'\?"):
        look_up("GRUU")


def test_the_list_of_all_has_every_rule_and_every_refusal_once():
    names = [(each.kind, each.name) for each in list_all().found]
    assert len(names) == len(set(names))
    assert {name for _, name in names} == {
        *(name for registry in (REGISTRY, GRAPH) for name in registry.layers),
        *(name for registry in (REGISTRY, GRAPH) for name in registry.ops),
        *(name for registry in (REGISTRY, GRAPH) for name in registry.refused),
    }
