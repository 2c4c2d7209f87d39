"""The graph half of tracing: a Keras model becomes a graph of TensorFlow's operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from tfjs_codec.errors import CorruptFileError, UsageError, quote, suggest
from tfjs_codec.ir.graph import Graph, Names, Tensor
from tfjs_codec.ir.graph import Ref as NodeRef
from tfjs_codec.ir.keras import Call, KerasGraph, KerasLayer
from tfjs_codec.ir.loaded import KerasModel
from tfjs_codec.ir.references import is_input
from tfjs_codec.ir.tensors import LazyTensor
from tfjs_codec.limits import DEFAULT_LIMITS, Limits
from tfjs_codec.operations.builder import Builder, graph_shape, legal
from tfjs_codec.operations.catalogue import REGISTRY
from tfjs_codec.operations.scope import GraphScope
from tfjs_codec.operations.values import Value, graph_dtype
from tfjs_codec.tracing.accounting import record
from tfjs_codec.tracing.nested import check_inputs
from tfjs_codec.tracing.registry import Entry
from tfjs_codec.tracing.tracer import Tracer, bind, first_argument


class Traced(NamedTuple):
    """A graph of a Keras model, and how it relates to the layers.

    Attributes:
        graph: The graph.
        weights: The variables of layers that are Consts of the graph, by their names.
        shapes: The shapes of what layers are called on first, by their paths: one, or a list.
    """

    graph: Graph
    weights: Mapping[str, LazyTensor]
    shapes: Mapping[str, Any]


def build_graph(
    model: KerasModel,
    *,
    outputs: Sequence[str] = (),
    allow_approximate: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> Graph:
    """Express *model* by TensorFlow's operations.

    Args:
        model: What a reader returned, with an architecture.
        outputs: Names of layers whose outputs the graph returns, instead of the model's. A layer
            inside another one is named by its path (``encoder/conv``).
        allow_approximate: Accept formulas that are only nearly exact; each is a warning.
        limits: What the rules may still make.

    Raises:
        UnsupportedModelError: Lists every layer that no graph computes.
        UsageError: There is no such layer among *outputs*.
        CorruptFileError: Weights, shapes or configs that contradict each other.
    """
    traced = trace(model, outputs=outputs, allow_approximate=allow_approximate, limits=limits)
    return traced.graph


def trace(
    model: KerasModel,
    *,
    outputs: Sequence[str] = (),
    allow_approximate: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> Traced:
    """As :func:`build_graph`, with the relation of the graph to the layers."""
    model = replace(model, graph=record(REGISTRY.name_weights(model.graph)))
    target = GraphTarget(model, limits, allow_approximate=allow_approximate)
    inputs, signature = target.inputs(model.graph)
    with np.errstate(all="ignore"):  # configs may say any number
        results = target.model(model.graph, inputs)
    target.tracer.check()
    named = target.find_outputs(outputs) if outputs else _name_outputs(model.graph, results)
    builder = target.builder
    graph = Graph(
        builder.nodes,
        signature,
        {
            key: Tensor(v.ref, graph_dtype(v.dtype), graph_shape(v.shape))
            for key, v in named.items()
        },
        initializer=builder.initializer,
        path=model.path,
        version=f"keras {model.keras_version}" if model.keras_version else "",
        warnings=(*model.warnings, *builder.warnings),
        casts=True,
    )
    return Traced(graph, builder.weights, target.given)


def _name_outputs(keras: KerasGraph, results: Sequence[Value]) -> dict[str, Value]:
    """Name the outputs by their keys or after their layers; several of one layer are numbered."""
    if keras.output_keys:
        return dict(zip(keras.output_keys, results, strict=True))
    names = Names(())
    return {
        names.fresh(ref.layer): value for ref, value in zip(keras.outputs, results, strict=True)
    }


class GraphTarget:
    """Traces a Keras model into one graph; ``tracer`` holds what was refused.

    ``given`` are the shapes that layers are called on first, by their paths.
    """

    def __init__(
        self, model: KerasModel, limits: Limits, *, allow_approximate: bool = False
    ) -> None:
        self.builder = Builder(model, self, limits, allow_approximate=allow_approximate)
        self.tracer = Tracer(
            REGISTRY, model.path, model.generation, model.version, Value, _stand_in
        )
        self._calls: dict[str, int] = {}
        self._results: dict[str, list[Value]] = {}
        self.given: dict[str, Any] = {}

    def inputs(self, keras: KerasGraph) -> tuple[list[Value], dict[str, Tensor]]:
        """Add the inputs of the model in its order; return them, and the signature."""
        layers = {layer.name: layer for layer in keras.layers if is_input(layer)}
        values, signature = [], {}
        keys = keras.input_keys or [ref.layer for ref in keras.inputs]
        for key, ref in zip(keys, keras.inputs, strict=True):
            layer = layers.get(ref.layer)
            if layer is None:
                raise CorruptFileError(
                    f"the model's input '{ref.layer}' is not an InputLayer", path=self.tracer.path
                )
            value, tensor = self.builder.input(ref.layer, *self.tracer.read_input(layer))
            values.append(value)
            signature[key] = tensor
        self.builder.reserve([layer.name for layer in keras.layers if layer.name not in layers])
        return values, signature

    def find_outputs(self, names: Sequence[str]) -> dict[str, Value]:
        """Return the outputs of the layers called *names*."""
        found: dict[str, Value] = {}
        for name in names:
            if name not in self._results:
                raise UsageError(
                    f"there is no layer {quote(name)} to take the output of",
                    path=self.tracer.path,
                    hint=suggest(name, self._results),
                )
            for number, value in enumerate(self._results[name]):
                found[f"{name}_{number}" if number else name] = value
        return found

    def model(self, keras: KerasGraph, given: Sequence[Value]) -> list[Value]:
        """Run the layers of *keras* on *given*, its inputs, and return its outputs."""
        return self.tracer.trace(keras, dict(zip(keras.inputs, given, strict=True)), self._apply)

    def inner(self, layer: KerasLayer, *args: Any, **kwargs: Any) -> list[Value]:
        """Call *layer*, which another one owns."""
        return self.tracer.call(layer, Call(args, kwargs), self._apply)

    def nested(self, layer: KerasLayer, given: Sequence[Value]) -> list[Value]:
        """Run the model inside *layer*."""
        assert layer.graph is not None
        check_inputs(layer, given)
        with self.tracer.inside(layer):
            return self.model(layer.graph, given)

    def _apply(self, entry: Entry, layer: KerasLayer, call: Call) -> list[Value]:
        """Apply the rule *entry*, name its output, and set the masks that Keras would set.

        Raises:
            Refusal: No graph computes the call.
        """
        b, place = self.builder, self.tracer.place(layer)
        number = self._calls[place] = self._calls.get(place, -1) + 1
        since, before = len(b.nodes), (b.layer, b.call, b.scope)
        if not number:
            self.given[place] = _shapes(call.args[0] if call.args else None)
        becomes, mask = entry.mask_in(b.generation), None
        b.layer, b.call = layer, call
        b.enter(f"{layer.name}/call_{number}" if number else layer.name)
        try:
            if layer.is_op:
                args, options = bind(entry, layer.class_name, call)
                made = entry.function(b, *args, **options)
            else:
                scope = GraphScope(b) if entry.is_user else b
                made = entry.function(scope, layer, first_argument(call))
            if becomes == "pass":
                given = self.tracer.values_in(call)
                mask = b.passed_mask(given[0] if given else None)
        finally:
            b.layer, b.call, b.scope = before
        outputs = self.tracer.results(entry, made)
        if outputs and not number:
            outputs = b.name_results(outputs, legal(place), since)
        if becomes != "own":
            outputs = [
                value if value.mask is mask else replace(value, mask=mask) for value in outputs
            ]
        self._results.setdefault(place, outputs)
        return outputs


def _stand_in(given: Sequence[Value]) -> Value:
    shape, dtype = (given[0].shape, given[0].dtype) if given else ((None, 1), "float32")
    return Value(NodeRef(""), shape, dtype, poisoned=True)


def _shapes(argument: object) -> Any:
    """Return the shape of a value, or a list of the shapes of several."""
    if isinstance(argument, list | tuple):
        return [_shapes(each) for each in argument]
    return argument.shape if isinstance(argument, Value) else None
