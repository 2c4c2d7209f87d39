"""TensorFlow's operations: arguments, results, attributes, defaults, and whether tfjs has them.

The table is ``graph_ops.json``, which maps an op to

* ``in`` and ``out``: its arguments and results, each ``name:attr`` (dtype is the value of the
  attribute), ``name:=dtype``, ``name:n*attr`` (n of them) or ``name:*attr`` (a list of dtypes);
* ``attrs``: an attribute's type, or ``[type, default]``;
* ``tfjs``: the category under which tfjs 4.22 executes it, if it does.

``proto/graph_ops.py`` made it of TensorFlow 2.19's registry and tfjs-converter's mappers (without
the ragged ops, which tfjs's Python list names and its runtime lacks). ``Prelu`` and
``FusedDepthwiseConv2dNative`` exist in tfjs only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from tfjs_codec import resources
from tfjs_codec.ir.graph import Attrs, Shape

_TABLE = "graph_ops.json"

# Operations whose results have the values of their inputs, in other places or types.
MOVING = frozenset(
    (
        *("BroadcastTo", "Cast", "ConcatV2", "EnsureShape", "Enter", "ExpandDims", "Identity"),
        *("Merge", "NextIteration", "Pack", "Reshape", "ReverseV2", "Slice", "Snapshot", "Split"),
        *("Squeeze", "StopGradient", "StridedSlice", "Switch", "TensorListFromTensor"),
        *("TensorListGetItem", "Tile", "Transpose", "Unpack"),
    )
)


@dataclass(frozen=True, slots=True)
class Arg:
    """An argument or result: how many tensors it stands for and where their dtypes come from."""

    name: str
    dtype: str = ""
    type_attr: str = ""
    number_attr: str = ""
    list_attr: str = ""

    def count(self, attrs: Attrs) -> int:
        """Return how many tensors it stands for, never less than none."""
        if self.list_attr:
            listed = attrs.get(self.list_attr)
            return len(listed) if isinstance(listed, tuple) else 0
        number = attrs.get(self.number_attr, 1) if self.number_attr else 1
        return max(0, number) if isinstance(number, int) else 1

    def dtypes(self, attrs: Attrs) -> tuple[str, ...]:
        """Return the dtypes of its tensors, "" for one that *attrs* do not tell.

        They are as many as :meth:`count` says, which a file may have made huge.
        """
        if self.list_attr:
            listed = attrs.get(self.list_attr)
            return listed if isinstance(listed, tuple) else ()
        one = self.dtype or attrs.get(self.type_attr)
        return (one if isinstance(one, str) else "",) * self.count(attrs)


@dataclass(frozen=True, slots=True)
class OpDef:
    """One operation; ``attrs`` maps its attributes to their types."""

    name: str
    inputs: tuple[Arg, ...] = ()
    outputs: tuple[Arg, ...] = ()
    attrs: Mapping[str, str] = field(default_factory=dict)
    defaults: Attrs = field(default_factory=dict)
    in_tfjs: bool = False

    def input_count(self, attrs: Attrs) -> int:
        """Return how many inputs a node with *attrs* takes."""
        return sum(arg.count(attrs) for arg in self.inputs)

    def output_count(self, attrs: Attrs) -> int:
        """Return how many results a node with *attrs* has."""
        return sum(arg.count(attrs) for arg in self.outputs)

    def output_dtypes(self, attrs: Attrs) -> tuple[str, ...]:
        """Return the dtypes of all results of a node with *attrs*."""
        return tuple(dtype for arg in self.outputs for dtype in arg.dtypes(attrs))

    def first_output(self, name: str, attrs: Attrs) -> int | None:
        """Return the flat number of the first tensor of the result called *name*."""
        start = 0
        for arg in self.outputs:
            if arg.name == name:
                return start
            start += arg.count(attrs)
        return None


@cache
def _table() -> Mapping[str, dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = json.loads(resources.read(__package__, _TABLE))
    return rows


def op_def(name: str) -> OpDef | None:
    """Return the definition of op *name*, if the table has it."""
    return _op_def(name) if name in _table() else None


def in_tfjs(name: str) -> bool:
    """Tell whether tfjs executes op *name*."""
    known = op_def(name)
    return known is not None and known.in_tfjs


@cache  # one by one: a model has few of them
def _op_def(name: str) -> OpDef:
    row = _table()[name]
    attrs, defaults = {}, {}
    for key, value in row.get("attrs", {}).items():
        kind, *default = value if isinstance(value, list) else (value,)
        attrs[key] = kind
        if default:
            defaults[key] = _default(kind, default[0])
    return OpDef(
        name,
        _args(row.get("in", "")),
        _args(row.get("out", "")),
        attrs,
        defaults,
        "tfjs" in row,
    )


def _args(text: str) -> tuple[Arg, ...]:
    return tuple(_arg(*one.split(":")) for one in text.split())


def _arg(name: str, kind: str) -> Arg:
    number, star, dtype = kind.rpartition("*")
    if star and not number:
        return Arg(name, list_attr=dtype)
    if dtype.startswith("="):
        return Arg(name, dtype=dtype[1:], number_attr=number)
    return Arg(name, type_attr=dtype, number_attr=number)


def _default(kind: str, value: Any) -> Any:
    if kind == "string":
        return value.encode()
    if kind == "shape":
        return Shape()
    return tuple(value) if isinstance(value, list) else value
