"""Write ``tfjs_codec/tfjs/graph_ops.json`` from TensorFlow's registry and tfjs-converter's mappers.

    pip install tensorflow==2.19.*
    npm install @tensorflow/tfjs-converter@4.22.0
    python proto/graph_ops.py node_modules [output]

The table has the operations that tfjs executes and those that the passes over graphs name, so run
it again after a new rewrite.
:mod:`tfjs_codec.tfjs.graph_ops` says what its rows mean.
"""

from __future__ import annotations

import ast
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from tensorflow.core.framework.op_def_pb2 import OpDef, OpList
from tensorflow.python.client.pywrap_tf_session import TF_GetAllOpList, TF_GetBuffer
from tensorflow.python.framework.dtypes import as_dtype

PACKAGE = Path(__file__).resolve().parent.parent / "tfjs_codec"
OUTPUT = PACKAGE / "tfjs" / "graph_ops.json"
OPERATIONS = "@tensorflow/tfjs-converter/dist/operations"
# tfjs has them, TensorFlow does not.
OF_TFJS: dict[str, dict[str, Any]] = {
    "FusedDepthwiseConv2dNative": {
        "in": "input:T filter:T args:num_args*T",
        "out": "output:T",
        "attrs": {
            "T": "type",
            "strides": "list(int)",
            "padding": "string",
            "explicit_paddings": ["list(int)", []],
            "data_format": ["string", "NHWC"],
            "dilations": ["list(int)", [1, 1, 1, 1]],
            "num_args": "int",
            "fused_ops": ["list(string)", []],
            "epsilon": ["float", 0.0001],
            "leakyrelu_alpha": ["float", 0.2],
        },
    },
    "Prelu": {"in": "x:T alpha:T", "out": "y:T", "attrs": {"T": "type"}},
}


def make_table(node_modules: Path) -> str:
    """Return the table as JSON, one operation a line."""
    registry = {op.name: op for op in OpList.FromString(TF_GetBuffer(TF_GetAllOpList())).op}
    categories = dict(_categories(node_modules))
    named = {name for name in _strings(PACKAGE / "graph") if not name.startswith("_")}
    rows = []
    for name in sorted({*categories, *named} & {*registry, *OF_TFJS}):
        row = dict(OF_TFJS[name]) if name in OF_TFJS else _row(registry[name])
        if name in categories:
            row["tfjs"] = categories[name]
        rows.append(f"{json.dumps(name)}:{json.dumps(row, separators=(',', ':'))}")
    return "{\n" + ",\n".join(rows) + "\n}\n"


def _categories(node_modules: Path) -> Iterator[tuple[str, str]]:
    """Yield the operations of the mappers that tfjs imports, each with its category."""
    mapper = (node_modules / OPERATIONS / "operation_mapper.js").read_text()
    for category in re.findall(r"from '\./op_list/(\w+)'", mapper):
        text = (node_modules / OPERATIONS / "op_list" / f"{category}.js").read_text()
        for name in re.findall(r"'tfOpName': '(\w+)'", text):
            yield name, category


def _strings(package: Path) -> Iterator[str]:
    """Yield all strings in the code of *package*."""
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def _row(op: OpDef) -> dict[str, Any]:
    row: dict[str, Any] = {
        "in": " ".join(map(_arg, op.input_arg)),
        "out": " ".join(map(_arg, op.output_arg)),
        "attrs": {attr.name: _attr(attr) for attr in op.attr},
    }
    return {key: value for key, value in row.items() if value}


def _arg(arg: OpDef.ArgDef) -> str:
    if arg.type_list_attr:
        return f"{arg.name}:*{arg.type_list_attr}"
    dtype = arg.type_attr or f"={as_dtype(arg.type).base_dtype.name}"
    number = f"{arg.number_attr}*" if arg.number_attr else ""
    return f"{arg.name}:{number}{dtype}"


def _attr(attr: OpDef.AttrDef) -> Any:
    """Return the type, or ``[type, default]``."""
    if not attr.HasField("default_value"):
        return attr.type
    value = attr.default_value
    kind = value.WhichOneof("value")
    if kind == "list":
        items = [item for _, items in value.list.ListFields() for item in items]
        return [attr.type, [_plain(attr.type, item) for item in items]]
    return [attr.type, _plain(attr.type, getattr(value, kind))]


def _plain(kind: str, value: Any) -> Any:
    if "type" in kind:
        return as_dtype(value).name
    if "string" in kind:
        return value.decode()
    if isinstance(value, float):
        return float(str(np.float32(value)))  # as the registry's source has it
    return value if isinstance(value, int) else None


if __name__ == "__main__":
    output = Path(sys.argv[2]) if len(sys.argv) > 2 else OUTPUT
    output.write_text(make_table(Path(sys.argv[1])), encoding="utf-8")
