"""Predictions in numpy, of any model that is read.

A Keras or Layers model becomes a graph of operations, a TensorFlow graph stays as it is as far as
numpy has its operations; :mod:`tfjs_codec.graph.interpreter` runs it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tfjs_codec.conversion.expression import trace_graph, with_signature
from tfjs_codec.conversion.job import Job
from tfjs_codec.errors import UsageError, count
from tfjs_codec.graph.importing.tfjs_graph import parse
from tfjs_codec.graph.interpreter import Program
from tfjs_codec.graph.passes import simplify
from tfjs_codec.ir.loaded import KerasModel, Loaded, TensorFlowGraph, TfjsGraph
from tfjs_codec.ir.tensors import Array

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Inputs: TypeAlias = "ArrayLike | Sequence[ArrayLike] | Mapping[str, ArrayLike]"
Outputs: TypeAlias = Array | list[Array] | dict[str, Array]


class Predictor:
    """A model that numpy can run.

    Attributes:
        program: What runs; its graph has the names, types and shapes of inputs and outputs.
        keys: What the outputs are called if they are returned in a dict.
    """

    def __init__(self, model: Loaded, job: Job) -> None:
        """Prepare *model*.

        Raises:
            UnsupportedModelError: It has no architecture, or layers or operations that neither a
                graph nor numpy can compute; ``problems`` lists them.
        """
        model = job.repair(model)
        if isinstance(model, TensorFlowGraph):
            model = with_signature(model, job.options)
        job = replace(job, options=replace(job.options, allow_approximate=True))
        graph = parse(model) if isinstance(model, TfjsGraph) else trace_graph(model, job)
        self.program = Program(simplify(graph, job.options.limits))
        self.keys = _keys(model, list(graph.outputs))

    def predict(self, inputs: Inputs) -> Outputs:
        """Return the outputs in the structure that the model has.

        Raises:
            UsageError: *inputs* are not those of the model.
            UnsupportedModelError: An operation cannot be computed for these inputs.
        """
        found = self.program.run(self._by_name(inputs))
        if self.keys is not None:
            return dict(zip(self.keys, found.values(), strict=True))
        return next(iter(found.values())) if len(found) == 1 else list(found.values())

    def _by_name(self, inputs: Inputs) -> Mapping[str, Any]:
        if isinstance(inputs, Mapping):
            return inputs
        names = list(self.program.graph.inputs)
        several = isinstance(inputs, list | tuple) and (
            len(names) > 1 or (len(inputs) > 0 and all(map(_is_array, inputs)))
        )
        values: Sequence[Any] = inputs if several else [inputs]  # type: ignore[assignment]
        if len(values) != len(names):
            raise UsageError(
                f"the model has {count(len(names), 'input')}, {len(values)} were passed",
                hint=f"Inputs: {names}.",
            )
        return dict(zip(names, values, strict=True))


def _is_array(value: object) -> bool:
    return hasattr(value, "__array__") and np.ndim(value) > 0


def _keys(model: Loaded, names: Sequence[str]) -> Sequence[str] | None:
    match model:
        case KerasModel():
            return model.graph.output_keys or None
        case TfjsGraph():
            return model.output_keys
        case TensorFlowGraph() if len(names) > 1:
            return names
    return None
