"""Lowering: tracing a Keras model's calls through the rules, call by call."""

from __future__ import annotations

import inspect
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tfjs_codec.errors import CorruptFileError, Problem, TfjsCodecError, UnsupportedModelError
from tfjs_codec.ir.keras import Call, KerasGraph, KerasLayer, KerasModel, Ref
from tfjs_codec.ir.layers import TfjsGraph, TfjsLayer, TfjsModel, Weight, graph_weights
from tfjs_codec.ir.tensors import as_float32
from tfjs_codec.layers import lookup as registry
from tfjs_codec.layers.engine.builder import GraphBuilder, Scope, Session
from tfjs_codec.layers.engine.log import LoweringLog
from tfjs_codec.layers.engine.registry import Entry
from tfjs_codec.layers.engine.symbolic import Mask, Refusal, StaticShapeNeeded, Tensor
from tfjs_codec.layers.training import training_config
from tfjs_codec.tfjs.classes import Shape, ShapeError
from tfjs_codec.tfjs.names import legal


def lower(
    model: KerasModel,
    *,
    allow_approximate: bool = False,
    keep_training_config: bool = False,
    replacements: Mapping[str, KerasGraph] | None = None,
    log: LoweringLog | None = None,
) -> tuple[TfjsModel, LoweringLog]:
    """Express *model* with layers that tfjs has.

    Args:
        model: What a reader returned; weights-only models stay bare weights.
        allow_approximate: Accept lowerings that are not exact; each is a warning in the log.
        keep_training_config: Translate the training config too, if tfjs can express it.
        replacements: Models to put in the place of layers, by layer name.
        log: What to record in, for callers that want the record even of what is refused.

    Raises:
        UnsupportedModelError: Lists every layer that has no counterpart.
        CorruptFileError: Weights, shapes or configs that contradict each other.
    """
    session = Session(
        model.path,
        model.generation,
        _version(model),
        allow_approximate,
        model.backend or "tensorflow",
        log=log or LoweringLog(),
    )
    session.log.warnings.extend(model.warnings)
    if model.graph is None:
        weights = [Weight(name, as_float32(t)) for name, t in model.loose_weights.items()]
        return TfjsModel(None, weights), session.log
    for layer in model.graph.walk():
        if layer.name in (replacements or {}):
            layer.graph = (replacements or {})[layer.name]
            layer.class_name, layer.children = "Functional", {}
    session.masked = any(_makes_mask(layer) for layer in model.graph.walk())
    session.flat_sizes = _flat_sizes(model.graph)
    session.log.renamed.extend(session.names.reserve(model.graph))
    tracer = Tracer(session)
    try:
        graph, _ = tracer.graph(model.graph)
    except Refusal as refusal:
        tracer.problems.append(_problem(model.graph.name, "model", refusal))
    if tracer.problems:
        problems = tuple(dict.fromkeys(tracer.problems))
        count = "1 layer" if len(problems) == 1 else f"{len(problems)} layers"
        raise UnsupportedModelError(
            f"{count} cannot be expressed exactly in tfjs", path=model.path, problems=problems
        )
    training = None
    if keep_training_config:
        training, warnings = training_config(model.training_config)
        session.log.warnings.extend(warnings)
    weights = [Weight(name, tensor) for name, tensor in graph_weights(graph)]
    version = f"keras v{model.keras_version}" if model.keras_version else None
    return TfjsModel(graph, weights, training, None, version), session.log


def _version(model: KerasModel) -> tuple[int, int]:
    """Return the first two numbers of the Keras version; the generation's last if unknown."""
    numbers = re.findall(r"\d+", model.keras_version or "")[:2]
    return (int(numbers[0]), int(numbers[1])) if len(numbers) == 2 else (model.generation, 99)


def _flat_sizes(graph: KerasGraph) -> dict[KerasLayer, int]:
    """Return, for each Flatten on the way to a Dense, how many values it must yield."""
    sizes: dict[str, int] = {}
    found: dict[KerasLayer, int] = {}
    for layer in reversed(graph.layers):
        size = sizes.get(layer.name)
        kernel = layer.weights.get("kernel")
        if layer.class_name == "Dense" and kernel is not None and kernel.shape:
            size = kernel.shape[0]
        elif layer.class_name == "Flatten" and size is not None:
            found[layer] = size
        elif layer.class_name not in _KEEPS_SIZE:
            size = None
        if size is not None and layer.class_name != "Flatten":
            sizes.update((ref.layer, size) for call in layer.calls for ref in _refs(call.args))
        if layer.graph is not None:
            found.update(_flat_sizes(layer.graph))
    return found


_KEEPS_SIZE = {"Activation", "BatchNormalization", "Dropout", "LeakyReLU", "ReLU"}


def _makes_mask(layer: KerasLayer) -> bool:
    mask_zero = bool(layer.config.get("mask_zero"))
    return (
        layer.class_name == "Masking" or mask_zero or any("mask" in c.kwargs for c in layer.calls)
    )


def _problem(path: str, class_name: str, refusal: Refusal) -> Problem:
    return Problem(path, class_name, refusal.reason, refusal.hint)


class Tracer:
    """Runs rules over graphs and collects what they refuse."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.problems: list[Problem] = []
        self._path: list[str] = []

    def graph(
        self, keras: KerasGraph, given: Sequence[Tensor | None] = ()
    ) -> tuple[TfjsGraph, list[Tensor]]:
        """Trace *keras* into a model of its own and return it with its symbolic outputs.

        *given* are the tensors of the call (for a nested model): they refine unknown input
        sizes and tell which inputs bring a mask.
        """
        graph = GraphBuilder(self.session, self._graph_name(keras), keras)
        values = self._inputs(graph, keras, given)
        for layer, call, number in _in_order(keras):
            args = _resolve((call.args, call.kwargs), values)
            outputs = self.call(graph, layer, Call(*args))
            for index, tensor in enumerate(outputs):
                values[Ref(layer.name, number, index)] = tensor
        outputs = self._outputs(graph, [values.get(ref) for ref in keras.outputs], keras)
        return graph.finish(outputs, sequential=keras.sequential), outputs

    def _graph_name(self, keras: KerasGraph) -> str:
        return legal(keras.name)

    def _inputs(
        self, graph: GraphBuilder, keras: KerasGraph, given: Sequence[Tensor | None]
    ) -> dict[Ref, Tensor]:
        values: dict[Ref, Tensor] = {}
        by_ref = dict(zip(keras.inputs, given, strict=False))
        for layer in keras.layers:
            if layer.class_name != "InputLayer" or layer.is_op:
                continue
            ref = Ref(layer.name, 0, 0)
            tensor = by_ref.get(ref)
            shape = _refine(_input_shape(self.session, layer), tensor.shape if tensor else None)
            mask = None
            if tensor is not None and tensor.mask is not None:
                mask = Mask("outer", (keras.inputs.index(ref),))
            name = self.session.names.base(layer)
            if layer.config.get("sparse") or layer.config.get("ragged"):
                self._refuse(layer, Refusal("sparse and ragged inputs do not exist in tfjs"))
            values[ref] = graph.input(name, shape, layer.config.get("dtype") or "float32", mask)
        missing = [ref.layer for ref in keras.inputs if ref not in values]
        if missing:
            raise CorruptFileError(
                f"the model's input '{missing[0]}' is not an InputLayer", path=self.session.path
            )
        # tfjs feeds inputs in the model's order
        graph.inputs = [values[ref] for ref in keras.inputs]
        return values

    def _outputs(
        self, graph: GraphBuilder, outputs: Sequence[Tensor | None], keras: KerasGraph
    ) -> list[Tensor]:
        """Make outputs distinct: tfjs cannot return one tensor twice."""
        seen: set[Tensor] = set()
        result = []
        for tensor, ref in zip(outputs, keras.outputs, strict=True):
            if tensor is None:
                raise CorruptFileError(
                    f"the model's output '{ref.layer}' ({ref.call}, {ref.tensor}) does not exist",
                    path=self.session.path,
                )
            if tensor in seen or tensor.layer is None:
                scope = Scope(graph, KerasLayer(f"{ref.layer}_output", "Output"), Call())
                tensor = scope.add("Activation", tensor, {"activation": "linear"})  # noqa: PLW2901
                scope.finish_names([tensor])
            seen.add(tensor)
            result.append(tensor)
        return result

    # -------------------------------------------------------------------------------- one call

    def call(self, graph: GraphBuilder, layer: KerasLayer, call: Call) -> list[Tensor]:
        """Trace one call of *layer* in *graph*; on refusal note it and return stand-ins."""
        scope = Scope(graph, layer, call)
        tensors = list(_tensors((call.args, call.kwargs)))
        poisoned = any(tensor.poisoned for tensor in tensors)
        entry = registry.find(layer)
        try:
            if entry is None:
                raise registry.verdict(layer)
            outputs = self._apply(scope, entry, layer, call)
            outputs = self._finish(scope, entry, layer, tensors, outputs)
        except (Refusal, ShapeError) as refusal:
            if not poisoned or (isinstance(refusal, Refusal) and not _about_shape(refusal)):
                verdict = refusal if isinstance(refusal, Refusal) else Refusal(str(refusal))
                self._refuse(layer, verdict)
            return [_stand_in(tensors)] * 8
        except (TfjsCodecError, RecursionError):
            if poisoned:
                return [_stand_in(tensors)] * 8
            raise
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            if poisoned:
                return [_stand_in(tensors)] * 8
            raise CorruptFileError(
                f"its config or arguments make no sense ({type(error).__name__}: {error})",
                path=self.session.path,
                where=f"layer '{layer.name}' ({layer.class_name})",
            ) from error
        return outputs

    def _apply(self, scope: Scope, entry: Entry, layer: KerasLayer, call: Call) -> list[Tensor]:
        scope.tracer = self
        if layer.is_op:
            args, options = _bind(entry, call)
            outputs = entry.function(scope, layer, *args, **options)
        else:
            outputs = entry.function(scope, layer, call.args[0] if call.args else [])
        return [outputs] if isinstance(outputs, Tensor) else list(outputs)

    def _finish(
        self,
        scope: Scope,
        entry: Entry,
        layer: KerasLayer,
        inputs: list[Tensor],
        outputs: list[Tensor],
    ) -> list[Tensor]:
        """Set the masks Keras would set, keep the layer's name alive, and log the lowering."""
        if not layer.is_op and outputs and outputs[0] in inputs:
            outputs[0] = scope.add("Activation", outputs[0], {"activation": "linear"})
        scope.finish_names(outputs)
        if entry.mask == "pass":
            mask = inputs[0].mask if inputs else None
            outputs = [replace(tensor, mask=mask) for tensor in outputs]
        elif entry.mask == "drop":
            outputs = [replace(tensor, mask=None) for tensor in outputs]
        name = "/".join([*self._path, layer.name])
        if not any(tensor.poisoned for tensor in outputs):
            self.session.log.shapes.setdefault(name, [tensor.shape for tensor in outputs])
        if scope.used_classes != [layer.class_name]:
            self.session.log.lowered.append((name, layer.class_name, scope.used_classes))
        return outputs

    def _refuse(self, layer: KerasLayer, refusal: Refusal) -> None:
        path = "/".join([*self._path, layer.name])
        self.problems.append(_problem(path, layer.registered_name or layer.class_name, refusal))

    # --------------------------------------------------------------------------- inner models

    def nested(self, layer: KerasLayer, given: Sequence[Tensor]) -> tuple[TfjsLayer, list[Tensor]]:
        """Trace the nested model *layer* called on *given*; names of problems get its prefix."""
        assert layer.graph is not None
        self._path.append(layer.name)
        try:
            graph, outputs = self.graph(layer.graph, given)
        finally:
            self._path.pop()
        class_name = "Sequential" if graph.sequential else "Functional"
        return TfjsLayer("", class_name, graph=graph), outputs

    def inner(self, layer: KerasLayer, shape: Shape, dtype: str) -> tuple[TfjsLayer, Tensor]:
        """Trace *layer* alone on an input of *shape*, for a wrapper.

        Returns the one tfjs layer it became, or a nested model of several, with its output.
        """
        graph = GraphBuilder(self.session, f"{self.session.names.base(layer)}_model")
        x = graph.input(f"{self.session.names.base(layer)}_input", shape, dtype)
        self._path.append(layer.name)
        try:
            outputs = self.call(graph, layer, Call((x,)))
        finally:
            self._path.pop()
        finished = graph.finish(outputs[:1])
        layers = [one for one in finished.layers if one.class_name != "InputLayer"]
        if len(layers) == 1 and finished.outputs[0].tensor == 0:
            layers[0].calls = []
            return layers[0], outputs[0]
        return TfjsLayer(finished.name, "Functional", graph=finished), outputs[0]


# ------------------------------------------------------------------------------------- helpers


def _in_order(keras: KerasGraph) -> Iterator[tuple[KerasLayer, Call, int]]:
    """Yield all calls such that each comes after the calls it depends on."""
    waiting: dict[tuple[str, int], int] = {}
    users: dict[tuple[str, int], list[tuple[KerasLayer, Call, int]]] = {}
    ready: deque[tuple[KerasLayer, Call, int]] = deque()
    inputs = {layer.name for layer in keras.layers if layer.class_name == "InputLayer"}
    for layer in keras.layers:
        if layer.class_name == "InputLayer" and not layer.is_op:
            continue
        for number, call in enumerate(layer.calls):
            needs = {
                (r.layer, r.call) for r in _refs((call.args, call.kwargs)) if r.layer not in inputs
            }
            waiting[layer.name, number] = len(needs)
            for need in needs:
                users.setdefault(need, []).append((layer, call, number))
            if not needs:
                ready.append((layer, call, number))
    while ready:
        item = ready.popleft()
        yield item
        for layer, call, number in users.get((item[0].name, item[2]), ()):
            waiting[layer.name, number] -= 1
            if not waiting[layer.name, number]:
                ready.append((layer, call, number))


def _refs(value: Any) -> Iterator[Ref]:
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _refs(item)
    elif isinstance(value, dict):
        yield from _refs(list(value.values()))
    elif isinstance(value, slice):
        yield from _refs([value.start, value.stop, value.step])


def _resolve(value: Any, values: Mapping[Ref, Tensor]) -> Any:
    if isinstance(value, Ref):
        return values[value]
    if isinstance(value, (list, tuple)):
        return type(value)(_resolve(item, values) for item in value)
    if isinstance(value, dict):
        return {key: _resolve(item, values) for key, item in value.items()}
    return value


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))


def _bind(entry: Entry, call: Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Match an operation's arguments to its rule's parameters."""
    names = list(inspect.signature(entry.function).parameters)[2:]
    for key, value in call.kwargs.items():
        if key not in (*names, "name", "training", "dtype") and value not in (None, False):
            raise Refusal(f"the option '{key}' of this operation")
    if len(call.args) > len(names):
        raise Refusal("more operands than this operation is known to have")
    return call.args, {key: value for key, value in call.kwargs.items() if key in names}


def _input_shape(session: Session, layer: KerasLayer) -> Shape:
    shape = layer.config.get("batch_shape")
    if not isinstance(shape, list) or not shape:
        raise CorruptFileError(
            "an InputLayer without a shape", path=session.path, where=f"layer '{layer.name}'"
        )
    return tuple(shape)


def _refine(declared: Shape, given: Shape | None) -> Shape:
    """Fill unknown sizes of a nested model's input from the tensor it is called on."""
    if given is None or len(given) != len(declared):
        return declared
    return (
        declared[0],
        *(b if a is None else a for a, b in zip(declared[1:], given[1:], strict=True)),
    )


def _about_shape(refusal: Refusal) -> bool:
    return isinstance(refusal, StaticShapeNeeded)


def _stand_in(tensors: Sequence[Tensor]) -> Tensor:
    """A tensor to go on with after a refusal, so that later layers are looked at, too."""
    shape = tensors[0].shape if tensors else (None, 1)
    dtype = tensors[0].dtype if tensors else "float32"
    return Tensor(shape, dtype, TfjsLayer("", "Refused"), poisoned=True)
