"""Strings: tfjs moves them in few operations, so their numbers are moved instead.

The strings of a tensor are numbered by a hash table from numbers to strings. What is constant
fills its table when the model is loaded, other strings fill one when the model runs: there,
LookupTableImportV2 passes on the table, so that a look-up waits for it.
"""

from __future__ import annotations

import numpy as np

from tfjs_codec.graph.build import Build
from tfjs_codec.graph.rewrites.registry import WRONG, op, wrong_on
from tfjs_codec.ir.graph import Node, Ref

_NONE = -1  # the number of a string that is not in a table


@op("Equal", "NotEqual", because=wrong_on("wasm"))
def compare(build: Build, node: Node) -> list[Ref] | None:
    """Compare the numbers of strings; wasm compares whatever it finds in memory."""
    if build.dtype != "string":
        return None
    x, y = node.inputs
    if build.nodes[x.node].op == "Const":
        x, y = y, x
    table = _table(build, _flat(build, y, "string"), "string")
    none = build.scalar(_NONE)
    numbers = [_look_up(build, table, ref, none, "string", "int32") for ref in (x, y)]
    return build.same(node.op, *numbers, T="int32", incompatible_shape_error=True)


@op(
    *("BatchToSpaceND", "BroadcastTo", "GatherNd", "GatherV2", "ReverseV2", "Roll", "SelectV2"),
    *("SpaceToBatchND", "Split", "SplitV", "Tile", "Transpose", "Unpack"),
    because=WRONG,
)
def move(build: Build, node: Node) -> list[Ref] | None:
    """Move the numbers of strings."""
    if build.dtype != "string":
        return None
    inputs, start, texts = list(node.inputs), build.scalar(0), []
    for place, x in enumerate(node.inputs):
        if build.type_of(x) != "string":
            continue
        texts.append(_flat(build, x, "string"))
        end = build.op("AddV2", start, build.op("Size", x, out_type="int32"), T="int32")
        numbers = build.op("Range", start, end, build.scalar(1), T="int32", Tidx="int32")
        shape = build.op("Shape", x, out_type="int32")
        inputs[place] = build.op("Reshape", numbers, shape, T="int32", Tshape="int32")
        start = end
    attrs = {key: "int32" if value == "string" else value for key, value in node.attrs.items()}
    moved = build.op(node.op, *inputs, **{"T": "int32", **attrs})
    if len(texts) == 1:
        known = texts[0]
    elif all(build.nodes[text.node].op == "Const" for text in texts):
        known = build.const(np.concatenate([_strings(build, text) for text in texts]), "string")
    else:
        known = build.op("ConcatV2", *texts, build.scalar(0), N=len(texts), Tidx="int32")
    table = _table(build, known, "int32")
    empty = build.const(np.array(b"", object), "string")
    count = int(node.attrs.get("num_split") or node.attrs.get("num") or 1)
    return [
        _look_up(build, table, Ref(moved.node, number), empty, "int32", "string")
        for number in range(count)
    ]


def _strings(build: Build, ref: Ref) -> np.ndarray:
    return build.nodes[ref.node].value.numpy().reshape(-1)


def _flat(build: Build, x: Ref, dtype: str) -> Ref:
    if build.nodes[x.node].op == "Const":
        return build.const(_strings(build, x), dtype)
    return build.op("Reshape", x, build.ints(-1), T=dtype, Tshape="int32")


def _table(build: Build, texts: Ref, keys: str) -> Ref:
    """Return a table of the vector *texts*: their numbers to them, or them to their numbers.

    Of equal strings the last number counts.
    """
    values = "string" if keys == "int32" else "int32"
    kinds = {"key_dtype": keys, "value_dtype": values}
    fixed = build.nodes[texts.node].op == "Const"
    if fixed:
        numbers = np.arange(_strings(build, texts).size, dtype=np.int32)
        sides = {"string": _strings(build, texts), "int32": numbers}
        return build.table(sides[keys], sides[values], kinds)
    table = build.op("HashTableV2", **kinds)
    order = {"string": texts, "int32": build.enumerate(texts, "string")}
    return build.op("LookupTableImportV2", table, order[keys], order[values], Tin=keys, Tout=values)


def _look_up(build: Build, table: Ref, keys: Ref, default: Ref, given: str, made: str) -> Ref:
    """Look up *keys* of any shape; tfjs returns a vector."""
    flat = build.op("Reshape", keys, build.ints(-1), T=given, Tshape="int32")
    found = build.op("LookupTableFindV2", table, flat, default, Tin=given, Tout=made)
    shape = build.op("Shape", keys, T=given, out_type="int32")
    return build.op("Reshape", found, shape, T=made, Tshape="int32")
