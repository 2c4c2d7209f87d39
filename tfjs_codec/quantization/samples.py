"""Runs a graph for samples of its inputs, a number of rows at a time.

Samples are arrays called ``in0``, ``in1``, … in the order of the model, or by the names of its
inputs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from math import inf
from time import monotonic

import numpy as np

from tfjs_codec.errors import UsageError, quote
from tfjs_codec.graph.interpreter import Program
from tfjs_codec.ir.graph import Graph
from tfjs_codec.ir.tensors import Array

_ROWS = 64  # predicted at a time
_MANY = 64  # rows of which a half says enough
_INPUT = re.compile(r"in(\d+)")


def run_rows(
    program: Program, values: Mapping[str, Array]
) -> Iterator[tuple[int, dict[str, Array]]]:
    """Yield numbers of rows of *values*, and the outputs of *program* for them, by name.

    All rows go at once through a program whose inputs do not share a first axis of any size.

    Raises:
        UsageError: *values* are not the inputs of the graph.
        UnsupportedModelError: An operation cannot be computed for them.
    """
    inputs = name_inputs(program.graph, values)
    count = _count_rows(program.graph, inputs)
    if count is None:
        yield 1, program.run(inputs)
        return
    for start in range(0, max(1, count), _ROWS):
        piece = {name: value[start : start + _ROWS] for name, value in inputs.items()}
        yield min(_ROWS, count - start), program.run(piece)


def _count_rows(graph: Graph, inputs: Mapping[str, Array]) -> int | None:
    """Return the number of rows, None if the inputs do not share a first axis of any size."""
    counts = {len(value) if value.ndim else 0 for value in inputs.values()}
    firsts = [(tensor.shape.dims or (0,))[:1] for tensor in graph.inputs.values()]
    return counts.pop() if len(counts) == 1 and set(firsts) == {(-1,)} else None


def split(
    graph: Graph, values: Mapping[str, Array]
) -> list[tuple[Mapping[str, Array], Mapping[str, Array]]]:
    """Return pairs of samples to learn from and to judge by: halves of many, then all twice.

    Raises:
        UsageError: *values* are not the inputs of the graph.
    """
    inputs = name_inputs(graph, values)
    if (_count_rows(graph, inputs) or 0) < _MANY:
        return [(inputs, inputs)]
    even, odd = ({name: rows[start::2] for name, rows in inputs.items()} for start in (0, 1))
    return [(even, odd), (inputs, inputs)]


def run_all(
    program: Program, values: Mapping[str, Array], patience: float = inf
) -> dict[str, Array]:
    """Return the outputs of *program* for all rows of *values*; raises as :func:`run_rows`.

    Raises:
        TimeoutError: It would take more than *patience* seconds.
    """
    rows = _count_rows(program.graph, name_inputs(program.graph, values)) or 1
    began, done = monotonic(), 0
    parts = list[dict[str, Array]]()
    for count, outputs in run_rows(program, values):
        parts.append(outputs)
        done += count
        if done < rows and (monotonic() - began) * rows / done > patience:
            raise TimeoutError(f"which numpy takes more than {patience:g} s for")
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def name_inputs(graph: Graph, values: Mapping[str, Array]) -> dict[str, Array]:
    """Return the inputs of *graph* among *values* by the names that the graph has for them.

    Raises:
        UsageError: One is missing.
    """
    names: Sequence[str] = list(graph.inputs)
    numbered = list_numbered(values, _INPUT)
    if len(numbered) == len(names):
        return dict(zip(names, numbered, strict=True))
    missing = [name for name in names if name not in values]
    if missing:
        raise UsageError(
            f"no array is called {quote(missing[0])}",
            hint=f"Name the inputs in0, in1, …, or {', '.join(map(quote, names))}.",
        )
    return {name: values[name] for name in names}


def list_numbered(values: Mapping[str, Array], pattern: re.Pattern[str]) -> list[Array]:
    """Return the arrays whose names match, in the order of their numbers."""
    found = {int(match[1]): name for name in values if (match := pattern.fullmatch(name))}
    return [values[found[number]] for number in sorted(found)]
