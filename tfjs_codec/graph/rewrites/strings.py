"""Strings: tfjs moves them in few operations, so their numbers are moved instead.

The strings of a tensor are numbered by a hash table from numbers to strings. What is constant
fills its table when the model is loaded, other strings fill one when the model runs: there,
LookupTableImportV2 passes on the table, so that a look-up waits for it.
"""

from __future__ import annotations

import re

import numpy as np

from tfjs_codec.graph.build import Build
from tfjs_codec.graph.rewrites.registry import WRONG, op, wrong_on
from tfjs_codec.ir.graph import Node, Ref
from tfjs_codec.tracing.refusal import Refusal

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
    return build.same(node.op, *numbers, T="int32")


@op(
    *("BatchToSpaceND", "BroadcastTo", "GatherNd", "GatherV2", "ReverseV2", "Roll", "SelectV2"),
    *("SpaceToBatchND", "Split", "SplitV", "StridedSlice", "Tile", "Transpose", "Unpack"),
    because=WRONG,
)
def move(build: Build, node: Node) -> list[Ref] | None:
    """Move the numbers of strings."""
    if build.dtype != "string" or (node.op == "StridedSlice" and _is_plain(build, node)):
        return None
    inputs, start, texts = list(node.inputs), build.scalar(0), []
    for place, x in enumerate(node.inputs):
        if build.type_of(x) != "string":
            continue
        texts.append(_flat(build, x, "string"))
        end = build.op("AddV2", start, build.op("Size", x), T="int32")
        numbers = build.op("Range", start, end, build.scalar(1), T="int32")
        shape = build.op("Shape", x)
        inputs[place] = build.op("Reshape", numbers, shape, T="int32")
        start = end
    attrs = {key: "int32" if value == "string" else value for key, value in node.attrs.items()}
    moved = build.op(node.op, *inputs, **{"T": "int32", **attrs})
    if len(texts) == 1:
        known = texts[0]
    elif all(build.nodes[text.node].op == "Const" for text in texts):
        known = build.const(np.concatenate([_strings(build, text) for text in texts]), "string")
    else:
        known = build.op("ConcatV2", *texts, build.scalar(0), N=len(texts))
    table = _table(build, known, "int32")
    empty = build.const(np.array(b"", object), "string")
    count = int(node.attrs.get("num_split") or node.attrs.get("num") or 1)
    return [
        _look_up(build, table, Ref(moved.node, number), empty, "int32", "string")
        for number in range(count)
    ]


def _is_plain(build: Build, node: Node) -> bool:
    """Tell whether a slice takes all strings between its bounds."""
    strides = build.numbers(node.inputs[3])
    return strides is not None and set(strides) <= {1}


_PART = re.compile(rb"(\\.|[A-Z]|\[|\])", re.DOTALL)
_NEGATED = {rb"\S": rb"[^\s]", rb"\W": rb"[^\w]", rb"\D": rb"[^\d]"}


@op("StaticRegexReplace", because=WRONG)
def spell(build: Build, node: Node) -> list[Ref] | None:
    r"""Write capitals by their codes, and groups as JavaScript does.

    tfjs makes both texts lower case, so that ``A`` would find ``a``, and ``\S`` what ``\s`` finds.
    """
    pattern, rewrite = (bytes(node.attrs[key]) for key in ("pattern", "rewrite"))
    spelled, inside = b"", False
    for part in _PART.split(pattern):
        if part in (b"[", b"]"):
            inside = part == b"["
        if len(part) == 1 and part.isupper():
            spelled += rb"\x%02x" % part[0]
        elif len(part) == 2 and part[:1] == b"\\" and part[1:].isupper():
            if inside or part not in _NEGATED:
                raise Refusal(f"'{part.decode()}' in a pattern, which tfjs lower-cases")
            spelled += _NEGATED[part]
        else:
            spelled += part
    made = re.sub(rb"\$|\\(.)", _javascript, rewrite)
    if made != made.lower():
        raise Refusal("a replacement with capital letters, which tfjs lower-cases")
    if spelled == pattern and made == rewrite:
        return None
    return build.same(node.op, *node.inputs, **{**node.attrs, "pattern": spelled, "rewrite": made})


def _javascript(found: re.Match[bytes]) -> bytes:
    """Return a reference to a group, or a dollar, as JavaScript writes it in a replacement."""
    text = found.group()
    if text == b"$":
        return b"$$"
    return b"$&" if text == rb"\0" else b"$" + text[1:] if text[1:].isdigit() else text[1:]


@op("StringNGrams", because=WRONG)
def keep_case(build: Build, node: Node) -> list[Ref] | None:
    """Refuse capitals in what joins words: tfjs takes it in lower case."""
    texts = (node.attrs[key] for key in ("separator", "left_pad", "right_pad"))
    if any(text != text.lower() for text in texts):
        build.refuse("capital letters between words, which tfjs lower-cases")
    return None


def _strings(build: Build, ref: Ref) -> np.ndarray:
    return build.nodes[ref.node].value.numpy().reshape(-1)


def _flat(build: Build, x: Ref, dtype: str) -> Ref:
    if build.nodes[x.node].op == "Const":
        return build.const(_strings(build, x), dtype)
    return build.op("Reshape", x, build.ints(-1), T=dtype)


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
    flat = build.op("Reshape", keys, build.ints(-1), T=given)
    found = build.op("LookupTableFindV2", table, flat, default, Tin=given, Tout=made)
    shape = build.op("Shape", keys, T=given)
    return build.op("Reshape", found, shape, T=made)
