"""Hash tables: every way to fill one becomes an import of two Consts."""

from __future__ import annotations

import numpy as np
import pytest

from tfjs_codec.errors import CorruptFileError, UnsupportedModelError
from tfjs_codec.graph.check import check
from tfjs_codec.graph.importing.tables import fill_tables, shape_lookups
from tfjs_codec.ir.graph import Graph, Node, Ref, Shape, Tensor, const

KINDS = {"key_dtype": "string", "value_dtype": "int64"}
FILE = {"key_index": -2, "value_index": -1, "vocab_size": -1, "delimiter": b"\t", "offset": 0}


def strings(*values):
    array = np.empty(len(values), object)
    array[:] = values
    return array


def graph(*initializer, kinds=KINDS, assets=(), dims=(None, 2)) -> Graph:
    """A lookup in table ``t``."""
    dims = tuple(-1 if size is None else size for size in dims)
    nodes = [
        Node("x", "Placeholder", (), {"dtype": "string", "shape": Shape(dims)}),
        Node("t", "HashTableV2", (), {**kinds, "shared_name": b"secret", "container": b""}),
        const("d", np.int64(-1)),
        Node(
            "y", "LookupTableFindV2", (Ref("t"), Ref("x"), Ref("d")),
            {"Tin": "string", "Tout": "int64"},
        ),
    ]  # fmt: skip
    table = Node("t", "HashTableV2", (), dict(kinds))
    return Graph(
        {node.name: node for node in nodes},
        {"x": Tensor(Ref("x"), "string", Shape(dims))},
        {"y": Tensor(Ref("y"), "int64")},
        initializer={node.name: node for node in (table, *initializer)},
        assets={name: lambda text=text: text for name, text in assets},
    )


def contents(made: Graph) -> tuple:
    (filler,) = [node for node in made.initializer.values() if node.op == "LookupTableImportV2"]
    assert [node.op for node in made.initializer.values()].count("Const") == 2
    assert made.initializer["t"] == made.nodes["t"]
    assert made.nodes["t"].attrs.keys() == {"key_dtype", "value_dtype"}
    assert filler.inputs[0] == Ref("t")
    return tuple(made.initializer[ref.node].value.numpy().tolist() for ref in filler.inputs[1:])


def from_file(text, kinds=KINDS, **attrs):
    nodes = [
        const("f", np.array(b"words.txt", object)),
        Node(
            "init", "InitializeTableFromTextFileV2", (Ref("t"), Ref("f")), {**FILE, **attrs},
        ),
    ]  # fmt: skip
    return fill_tables(graph(*nodes, kinds=kinds, assets=[("words.txt", text)]))


def test_from_tensors_that_are_computed():
    given = graph(
        const("k", strings(b"a", b"b")),
        const("v", np.int32([7, 8])),
        Node("wide", "Cast", (Ref("v"),), {"SrcT": "int32", "DstT": "int64"}),
        Node("init", "InitializeTableV2", (Ref("t"), Ref("k"), Ref("wide")), {}),
    )
    assert contents(fill_tables(given)) == ([b"a", b"b"], [7, 8])


@pytest.mark.parametrize(
    ("text", "attrs", "expected"),
    [
        (b"one\ntwo\n", {}, ([b"one", b"two"], [0, 1])),
        (b"one\r\ntwo", {"offset": 5}, ([b"one", b"two"], [5, 6])),
        ("ü\n\n".encode(), {}, (["ü".encode(), b""], [0, 1])),
        (b"a\nb\nc\n", {"vocab_size": 2}, ([b"a", b"b"], [0, 1])),
        (b"7,a\n-8,b", {"key_index": 1, "value_index": 0, "delimiter": b","},
         ([b"a", b"b"], [7, -8])),
        (b"", {}, ([], [])),
    ],
)  # fmt: skip
def test_from_a_file(text, attrs, expected):
    assert contents(from_file(text, **attrs)) == expected


def test_numbers_from_a_file():
    kinds = {"key_dtype": "int64", "value_dtype": "float32"}
    made = from_file(b"0.5\n1.5\n", kinds, key_index=-1, value_index=-2)
    assert contents(made) == ([0, 1], [0.5, 1.5])


@pytest.mark.parametrize(
    ("text", "attrs", "message"),
    [
        (b"a\n", {"vocab_size": 3}, "has 1 lines, the graph says 3"),
        (b"a\n", {"value_index": -2}, "is not the table"),
        (b"a\n", {"value_index": 4}, "is not the table"),
        (b"a\n", {"value_index": 0, "delimiter": b""}, "is not the table"),
    ],
)
def test_damaged_file(text, attrs, message):
    with pytest.raises(CorruptFileError, match=message):
        from_file(text, **attrs)


def test_missing_file():
    nodes = [
        const("f", np.array(b"words.txt", object)),
        Node("init", "InitializeTableFromTextFileV2", (Ref("t"), Ref("f")), FILE),
    ]
    with pytest.raises(CorruptFileError, match=r"'words\.txt' is missing"):
        fill_tables(graph(*nodes))


def test_computed_contents_are_refused():
    nodes = [
        const("k", strings(b"a")),
        Node("v", "RandomUniformInt", (Ref("k"),), {}),
        Node("init", "LookupTableImportV2", (Ref("t"), Ref("k"), Ref("v")), {}),
    ]
    with pytest.raises(UnsupportedModelError, match="initialised by a computation"):
        check(fill_tables(graph(*nodes)))


def test_tables_that_nobody_uses_are_dropped():
    nodes = [
        const("k", strings(b"a")),
        Node("other", "HashTableV2", (), dict(KINDS)),
        Node("init", "LookupTableImportV2", (Ref("other"), Ref("k"), Ref("k")), {}),
    ]
    assert fill_tables(graph(*nodes)).initializer == {}


def test_lookups_keep_the_shape_of_their_keys():
    made = shape_lookups(graph())
    assert made.nodes["y"].op == "Reshape"
    assert made.nodes["y/values"].inputs == (Ref("t"), Ref("y/keys"), Ref("d"))
    assert made.nodes["y/keys"].op == "Reshape"
    vector = graph(dims=(None,))
    assert shape_lookups(vector) == vector
