"""Write ``tfjs_codec/operations/functions.pyi``: what rule writers may call as ``b.ops.NAME``.

    python proto/functions.py

The functions are registered and found by name at run time; type checkers and editors read the stub.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from tfjs_codec.operations.catalogue import REGISTRY

OUTPUT = Path(__file__).resolve().parents[1] / "tfjs_codec" / "operations" / "functions.pyi"
HEAD = """\
# The functions of keras.ops, for type checkers. Made by proto/functions.py.
# ruff: noqa: A002, E501, N803
# fmt: off

from collections.abc import Sequence
from typing import Any

from tfjs_codec.operations.builder import Builder
from tfjs_codec.operations.values import GraphValue, Operand

class Functions:
    def __init__(self, _builder: Builder) -> None: ...
"""


def make_stub() -> str:
    """Return the text of the stub: a method for each registered function, without its builder."""
    return HEAD + "".join(map(_method, sorted(REGISTRY.ops)))


def _method(name: str) -> str:
    found = inspect.signature(REGISTRY.ops[name].function)
    builder, *rest = found.parameters.values()
    receiver = builder.replace(name="self", annotation=inspect.Parameter.empty)
    method = str(found.replace(parameters=[receiver, *rest]))
    method = re.sub(r"(: |-> )'([^']*)'", r"\1\2", method).replace("Value", "GraphValue")
    method = method.replace("'", '"')
    return f"    def {name}{method}: ...\n"


if __name__ == "__main__":
    OUTPUT.write_text(make_stub(), encoding="utf-8")
