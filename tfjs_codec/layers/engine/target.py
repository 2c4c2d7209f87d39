"""The Layers half of tracing: Keras models become tfjs models, through builders and rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tfjs_codec.errors import CorruptFileError
from tfjs_codec.ir.keras import Call, KerasGraph, KerasLayer, Ref
from tfjs_codec.ir.layers import LayersGraph, TfjsLayer
from tfjs_codec.ir.references import is_input
from tfjs_codec.layers.engine import masks
from tfjs_codec.layers.engine.builder import GraphBuilder, Nested, Scope
from tfjs_codec.layers.engine.session import Session
from tfjs_codec.layers.engine.symbolic import Mask, Tensor
from tfjs_codec.layers.engine.trained import lost_options
from tfjs_codec.tfjs.names import legal
from tfjs_codec.tfjs.shapes import Shape, ShapeError
from tfjs_codec.tracing.refusal import ShapeRefusal
from tfjs_codec.tracing.registry import Entry, Registry
from tfjs_codec.tracing.tracer import Tracer, bind, first_argument

# Operations on whole numbers whose results are whole numbers, too.
_WHOLE = frozenset(
    ("absolute", "add", "amax", "amin", "clip", "max", "maximum", "min", "minimum", "multiply",
     "negative", "rsub", "square", "squared_difference", "subtract", "sum")
)  # fmt: skip


class LayersTarget:
    """Traces Keras models into tfjs models; ``tracer`` holds what was refused."""

    def __init__(self, session: Session, registry: Registry) -> None:
        self.session = session
        model = session.model
        self.tracer = Tracer(
            registry, model.path, model.generation, model.version, Tensor, _stand_in
        )

    def model(self, keras: KerasGraph) -> LayersGraph:
        """Trace *keras* into a model of its own."""
        graph = GraphBuilder(self.session, legal(keras.name), keras)
        outputs = self._trace(graph, keras, self._inputs(graph, keras, ()))
        return graph.finish(outputs, sequential=keras.sequential)

    def _trace(
        self, graph: GraphBuilder, keras: KerasGraph, inputs: Mapping[Ref, Tensor]
    ) -> list[Tensor]:
        outputs = self.tracer.trace(
            keras, inputs, lambda entry, layer, call: self._apply(graph, entry, layer, call)
        )
        return self._outputs(graph, outputs, keras)

    def _inputs(
        self, graph: GraphBuilder, keras: KerasGraph, given: Sequence[Tensor]
    ) -> dict[Ref, Tensor]:
        """Add the inputs of *keras*; the tensors of its call refine their unknown sizes."""
        values: dict[Ref, Tensor] = {}
        by_ref = dict(zip(keras.inputs, given, strict=False))
        for layer in filter(is_input, keras.layers):
            ref = Ref(layer.name, 0, 0)
            tensor = by_ref.get(ref)
            declared, dtype = self.tracer.read_input(layer)
            shape = _refine(declared, tensor.shape if tensor else None)
            values[ref] = graph.input(self.session.names.base(layer), shape, dtype)
        missing = [ref.layer for ref in keras.inputs if ref not in values]
        if missing:
            raise CorruptFileError(
                f"the model's input '{missing[0]}' is not an InputLayer",
                path=self.session.model.path,
            )
        # tfjs feeds inputs in the model's order
        graph.inputs = [values[ref] for ref in keras.inputs]
        return values

    def _outputs(
        self, graph: GraphBuilder, outputs: Sequence[Tensor], keras: KerasGraph
    ) -> list[Tensor]:
        """Make outputs distinct: tfjs cannot return one tensor twice."""
        seen: set[Tensor] = set()
        result = []
        for tensor, ref in zip(outputs, keras.outputs, strict=True):
            if tensor in seen or tensor.layer is None:
                scope = Scope(graph, KerasLayer(f"{ref.layer}_output", "Output"), Call(), self)
                tensor = scope.add("Activation", tensor, {"activation": "linear"})  # noqa: PLW2901
                scope.finish_names([tensor])
            seen.add(tensor)
            result.append(tensor)
        return result

    # -------------------------------------------------------------------------------- one call

    def _apply(
        self, graph: GraphBuilder, entry: Entry, layer: KerasLayer, call: Call
    ) -> list[Tensor]:
        """Apply the rule *entry* and set the masks that Keras would set.

        Raises:
            Refusal: The call has no exact network.
        """
        inputs = list(self.tracer.values_in(call))
        scope = Scope(graph, layer, call, self, inputs)
        try:
            if layer.is_op:
                args, options = bind(entry, layer.class_name, call)
                made = entry.function(scope, *args, **options)
            else:
                made = entry.function(scope, layer, _first(scope))
            outputs = self.tracer.results(entry, made)
            if not layer.is_op and outputs and outputs[0] in inputs:  # keep the layer's name alive
                outputs[0] = scope.add("Activation", outputs[0], {"activation": "linear"})
        except ShapeError as error:
            raise ShapeRefusal(str(error)) from error
        becomes = entry.mask_in(self.session.model.generation)
        if becomes != "own":
            mask = scope.passed_mask if becomes == "pass" else None
            outputs = [replace(tensor, mask=mask) for tensor in outputs]
        arguments = (*call.args, *call.kwargs.values())
        if inputs and layer.is_op and layer.class_name in _WHOLE and _is_whole(arguments):
            outputs = [replace(tensor, dtype=inputs[0].dtype) for tensor in outputs]
        scope.finish_names(outputs)
        self._log(scope, outputs)
        return outputs

    def _log(self, scope: Scope, outputs: Sequence[Tensor]) -> None:
        layer, log = scope.layer, self.session.log
        place = self.tracer.place(layer)
        if not any(tensor.poisoned for tensor in outputs):
            log.shapes.setdefault(place, [tensor.shape for tensor in outputs])
        if scope.used_classes != [layer.class_name]:
            log.lowered.append((place, layer.class_name, scope.used_classes))
        for what in lost_options(layer, scope.used) if layer.graph is None else ():
            scope.dropped(what)

    # --------------------------------------------------------------------------- inner models

    def nested(self, layer: KerasLayer, given: Sequence[Tensor]) -> Nested:
        """Trace the nested model *layer* called on *given*, whose masks are 0s and 1s."""
        keras = layer.graph
        assert keras is not None
        graph = GraphBuilder(self.session, legal(keras.name), keras)
        with self.tracer.inside(layer):
            values = self._inputs(graph, keras, given)
            brought: dict[Mask, int] = {}
            for number, (ref, tensor) in enumerate(zip(keras.inputs, given, strict=False)):
                if tensor.mask is None:
                    continue
                wanted = f"{self.session.names.base(layer)}_{ref.layer}_mask"
                name = self.session.names.claim(graph.key, wanted, weighted=False)
                flags = graph.input(name, tensor.mask.args[0].shape, "float32")
                mask = Mask("flags", (flags,))
                brought[mask] = number
                values[ref] = replace(values[ref], mask=mask)
            outputs = self._trace(graph, keras, values)
            made = list(dict.fromkeys(t.mask for t in outputs if t.mask and t.mask not in brought))
            scope = Scope(graph, KerasLayer(f"{layer.name}_mask", "Output"), Call(), self)
            shown = [scope.copy(masks.compute(scope, mask)) for mask in made]
            scope.finish_names()
        takes = tuple(n for mask, n in brought.items() if not graph.drop_input(mask.args[0]))
        finished = graph.finish([*outputs, *shown], sequential=keras.sequential)
        class_name = "Sequential" if finished.sequential else "Functional"
        new = TfjsLayer("", class_name, graph=finished)
        return Nested(new, outputs, takes, brought, dict(zip(made, shown, strict=True)))

    def alone(self, layer: KerasLayer, shape: Shape, dtype: str) -> tuple[TfjsLayer, Tensor]:
        """Trace *layer* alone on an input of *shape*, for a wrapper.

        Returns the one tfjs layer it became, or a nested model of several, with its output.
        """
        graph = GraphBuilder(self.session, f"{self.session.names.base(layer)}_model")
        x = graph.input(f"{self.session.names.base(layer)}_input", shape, dtype)
        with self.tracer.inside(layer):
            outputs = self.tracer.call(
                layer, Call((x,)), lambda entry, layer, call: self._apply(graph, entry, layer, call)
            )
        finished = graph.finish(outputs[:1])
        layers = [one for one in finished.layers if one.class_name != "InputLayer"]
        if len(layers) == 1 and finished.outputs[0].tensor == 0:
            layers[0].calls = []
            return layers[0], outputs[0]
        return TfjsLayer(finished.name, "Functional", graph=finished), outputs[0]


def _is_whole(value: object) -> bool:
    """Tell whether an argument is whole numbers, or says how these are reduced."""
    if isinstance(value, Tensor):
        return value.dtype.startswith(("int", "uint"))
    if isinstance(value, list | tuple):
        return all(map(_is_whole, value))
    return value is None or isinstance(value, int)


def _first(scope: Scope) -> Any:
    """Return the first argument of a layer's call, with tensors in the place of constants."""
    first = first_argument(scope.call)
    if not isinstance(first, list):
        return first
    return [one if one is None or _nests(one) else scope.tensor(one) for one in first]


def _nests(value: Any) -> bool:
    """Tell whether *value* is a list that holds tensors."""
    return isinstance(value, list) and any(isinstance(v, Tensor) or _nests(v) for v in value)


def _refine(declared: Shape, given: Shape | None) -> Shape:
    """Fill unknown sizes of a nested model's input from the tensor it is called on."""
    if given is None or len(given) != len(declared):
        return declared
    return (
        declared[0],
        *(b if a is None else a for a, b in zip(declared[1:], given[1:], strict=True)),
    )


def _stand_in(tensors: Sequence[Tensor]) -> Tensor:
    shape = tensors[0].shape if tensors else (None, 1)
    dtype = tensors[0].dtype if tensors else "float32"
    return Tensor(shape, dtype, TfjsLayer("", "Refused"), poisoned=True)
