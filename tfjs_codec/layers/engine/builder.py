"""The builder: rules add tfjs layers to a graph through it, one traced call at a time.

Shapes, weight shapes, names, sharing and masks are solved here once, for all rules.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import prod
from typing import Any, Protocol, TypeVar

from tfjs_codec.errors import CorruptFileError
from tfjs_codec.ir.keras import Call, Config, KerasGraph, KerasLayer
from tfjs_codec.ir.layers import LayersGraph, TensorRef, TfjsLayer, layer_weights
from tfjs_codec.ir.tensors import LazyTensor, as_float32
from tfjs_codec.layers.engine import constants, masks
from tfjs_codec.layers.engine.session import Session
from tfjs_codec.layers.engine.symbolic import Mask, Tensor
from tfjs_codec.tfjs.classes import TFJS_CLASSES, missing_keys
from tfjs_codec.tfjs.shapes import Shape, ShapeError
from tfjs_codec.tracing.builder import CallBuilder
from tfjs_codec.tracing.refusal import Refusal, StaticShapeNeeded

T = TypeVar("T")
_SAME_DTYPE = {
    "Activation", "Concatenate", "Cropping2D", "Dropout", "Flatten", "Permute", "RepeatVector",
    "Reshape", "ZeroPadding2D", "UpSampling2D",
}  # fmt: skip


class GraphBuilder:
    """A tfjs model under construction."""

    def __init__(self, session: Session, name: str, keras: KerasGraph | None = None) -> None:
        self.session = session
        self.name = name
        self.key: object = keras if keras is not None else self
        self.layers: list[TfjsLayer] = []
        self.inputs: list[Tensor] = []
        self._calls: dict[int, list[list[Tensor]]] = {}
        self.computed_masks: dict[Mask, Tensor] = {}

    def input(self, name: str, shape: Shape, dtype: str) -> Tensor:
        """Add an input of *shape* (with batch); *name* must have been claimed."""
        config = {"batch_input_shape": list(shape), "dtype": _input_dtype(dtype)}
        layer = TfjsLayer(name, "InputLayer", config)
        self.layers.append(layer)
        tensor = Tensor(shape, dtype, layer)
        self.inputs.append(tensor)
        return tensor

    def call(self, layer: TfjsLayer, inputs: list[Tensor]) -> int:
        """Record a call of *layer* and return its number."""
        calls = self._calls.setdefault(id(layer), [])
        calls.append(inputs)
        return len(calls) - 1

    def drop_input(self, tensor: Tensor) -> bool:
        """Drop an input if no layer uses it, and tell whether that is so."""
        if any(tensor in call for calls in self._calls.values() for call in calls):
            return False
        self.layers = [layer for layer in self.layers if layer is not tensor.layer]
        self.inputs = [other for other in self.inputs if other != tensor]
        return True

    def finish(self, outputs: Sequence[Tensor], *, sequential: bool = False) -> LayersGraph:
        """Return the finished model. *sequential* asks for a Sequential if it is a chain.

        All layers must have their names.
        """
        self._drop_unreached(outputs)
        for layer in self.layers:
            layer.calls = [[_ref(t) for t in call] for call in self._calls.get(id(layer), [])]
        inputs, ends = [_ref(t) for t in self.inputs], [_ref(t) for t in outputs]
        chain = sequential and _is_chain(self.layers, ends)
        return LayersGraph(self.name, self.layers, inputs, ends, chain)

    def _drop_unreached(self, outputs: Sequence[Tensor]) -> None:
        """Drop layers that no output depends on: tfjs drops them, and then misses their weights."""
        waiting, reached = list(outputs), set()
        while waiting:
            layer = waiting.pop().layer
            if id(layer) not in reached:
                reached.add(id(layer))
                waiting += [t for call in self._calls.get(id(layer), []) for t in call]
        self.layers = [
            layer for layer in self.layers
            if id(layer) in reached or layer.class_name == "InputLayer"
        ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Nested:
    """A nested model. Masks go in and out as further inputs and outputs.

    Attributes:
        layer: The tfjs model.
        outputs: The symbolic outputs that the Keras model has.
        takes: The numbers of those inputs whose masks it takes, in order.
        brought: The masks that came in, with the numbers of their inputs.
        made: The masks of outputs that it makes, in the order of its further outputs.
    """

    layer: TfjsLayer
    outputs: list[Tensor]
    takes: tuple[int, ...]
    brought: Mapping[Mask, int]
    made: Mapping[Mask, Tensor]


class Inner(Protocol):
    """Traces the layers inside a layer; see :mod:`tfjs_codec.layers.engine.target`."""

    def nested(self, layer: KerasLayer, given: Sequence[Tensor]) -> Nested:
        """Trace the nested model *layer* called on *given*, whose masks are 0s and 1s."""

    def alone(self, layer: KerasLayer, shape: Shape, dtype: str) -> tuple[TfjsLayer, Tensor]:
        """Trace *layer* alone on an input of *shape*, for a wrapper."""


class Scope(CallBuilder):
    """What a rule sees while one call of one Keras layer is traced.

    ``arguments`` are those of the call that ``call`` holds by name, ``tensors`` the tensors in all
    arguments; ``inner`` traces nested models and wrapped layers.
    """

    def __init__(
        self,
        graph: GraphBuilder,
        layer: KerasLayer,
        call: Call,
        inner: Inner,
        tensors: Sequence[Tensor] = (),
    ) -> None:
        session = graph.session
        super().__init__(
            session.model, layer, call, session.limits, session.log.warnings,
            allow_approximate=session.allow_approximate,
        )  # fmt: skip
        self.graph = graph
        self.session = session
        self.inner = inner
        self.tensors = tensors
        self.arguments = call.kwargs
        self._created: list[tuple[TfjsLayer, str]] = []
        self.used: list[TfjsLayer] = []
        self._parts: dict[str, int] = {}
        self._prefix = ""

    # -------------------------------------------------------------------------- adding layers

    def add(
        self,
        class_name: str,
        x: Tensor | Sequence[Tensor],
        config: Config | None = None,
        weights: Mapping[str, LazyTensor] | None = None,
        *,
        part: str = "",
    ) -> Tensor:
        """Add a layer of *class_name* and return its (first) output.

        Args:
            class_name: A class of ``TFJS_CLASSES``.
            x: Its input or inputs.
            config: Its config in snake_case; only keys that the class reads are allowed.
            weights: Its variables by tfjs's short names; cast to float32 and checked for shape.
            part: What the layer is within the recipe; the layer that yields the Keras layer's
                output takes the Keras name, every other one ``<keras name>/<part>``.

        Raises:
            ShapeError: The class cannot be applied to the inputs' shapes.
            CorruptFileError: A weight's shape is not what config and input shape need.
        """
        return self.add_multi(class_name, x, config, weights, part=part)[0]

    def add_multi(
        self,
        class_name: str,
        x: Tensor | Sequence[Tensor],
        config: Config | None = None,
        weights: Mapping[str, LazyTensor] | None = None,
        *,
        part: str = "",
    ) -> list[Tensor]:
        """Like :meth:`add`, returning all outputs."""
        spec, config = TFJS_CLASSES[class_name], dict(config or {})
        inputs = self._inputs(x)
        unknown = set(config) - set(spec.keys)
        if unknown:
            raise AssertionError(f"tfjs's {class_name} does not read {sorted(unknown)}")
        for key, value in config.items():
            numbers = value if isinstance(value, list) else [value]
            if not all(math.isfinite(one) for one in numbers if isinstance(one, float)):
                raise Refusal(f"the option {key} is not finite, which JSON cannot represent")
        if missing := missing_keys(class_name, config):
            raise AssertionError(f"tfjs's {class_name} needs {missing}")
        shapes = [tensor.shape for tensor in inputs]
        for shape in shapes[:1] if spec.takes_states else shapes:
            if len(shape) not in spec.ranks:
                raise ShapeError(f"tfjs's {class_name} does not take inputs of rank {len(shape)}")
        outputs = spec.shape(config, shapes)
        expected = spec.weights(config, shapes)
        values = self.check_weights(expected, weights or {}, self.layer.name)
        config.update({_initializer(name): "zeros" for name in expected})
        new = TfjsLayer("", class_name, config, values)
        return self._place(new, inputs, outputs, part)

    def pay(self, *shape: int | None) -> None:
        """Take a float32 constant of *shape* from the budget; call it before one is made.

        Raises:
            Refusal: All constants together would be too large.
        """
        self.spend_bytes(4 * prod(size or 0 for size in shape))

    def _pay_for_weights(self, new: TfjsLayer) -> None:
        """Pay for the constants that the layers have beside the weights of the Keras layer."""
        left = self.session.own_values
        count = left.pop(self.layer, None)
        count = (_values(self.layer) if count is None else count) - _values(new)
        if count < 0:
            self.pay(-count)
        left[self.layer] = max(count, 0)

    def add_wrapper(
        self,
        layer: TfjsLayer,
        x: Tensor | Sequence[Tensor],
        outputs: Sequence[Shape],
        *,
        part: str = "",
    ) -> list[Tensor]:
        """Add a layer that holds other layers or a model; the rule states its *outputs*."""
        inputs = self._inputs(x)
        return self._place(layer, inputs, list(outputs), part)

    def _inputs(self, x: Tensor | Sequence[Tensor]) -> list[Tensor]:
        inputs = [self.concrete(t) for t in ([x] if isinstance(x, Tensor) else x)]
        seen = set[Tensor]()
        result = []
        for tensor in inputs:
            result.append(self._again(tensor) if tensor in seen else tensor)
            seen.add(tensor)
        return result

    def copy(self, x: Tensor) -> Tensor:
        """Return *x* as the output of a layer of its own."""
        return self.add("Activation", x, {"activation": "linear"}, part="again")

    def _again(self, x: Tensor) -> Tensor:
        """Return a copy of *x* for a layer that takes it twice.

        tfjs counts such a layer once among the users of *x* but subtracts it twice, and disposes
        of *x* too early (tfjs-layers/src/engine/executor.ts).
        """
        if x.layer is not None and x.layer.class_name == "InputLayer":  # never disposed of
            return x
        return self.copy(x)

    def _place(
        self, new: TfjsLayer, inputs: list[Tensor], shapes: list[Shape], part: str
    ) -> list[Tensor]:
        tensors = len(inputs) + len(shapes)
        self.spend("references", tensors, "the number of tensors that its layers take and give")
        if not self.layer.trainable and new.graph is None and new.children:
            self.dropped("trainable: false, which tfjs does not read here; fit() trains it")
        elif new.weights and not (self.layer.trainable and _values(self.layer)):
            new.config["trainable"] = False  # constants of a layer without variables stay, too
        layer = self._share(new, self._prefix + (part or _snake(new.class_name)))
        call = self.graph.call(layer, inputs)
        self.used.append(layer)
        dtype = inputs[0].dtype if layer.class_name in _SAME_DTYPE else "float32"
        poisoned = any(tensor.poisoned for tensor in inputs)
        return [
            Tensor(shape, dtype, layer, call, i, poisoned=poisoned)
            for i, shape in enumerate(shapes)
        ]

    def _share(self, new: TfjsLayer, part: str) -> TfjsLayer:
        """Return the layer an earlier call of the same Keras layer made in this place, or *new*."""
        number = self._parts[part] = self._parts.get(part, -1) + 1
        part = f"{part}_{number}" if number else part
        key = (id(self.graph), self.layer, part)
        old: TfjsLayer | None = self.session.memo.get(key)
        if old is not None and _signature(old) == _signature(new):
            return old
        if old is not None and any(layer_weights(new)):
            raise Refusal(
                "the layer is shared between inputs whose shapes need different networks",
                "Give the inputs the same shape, or use two layers.",
            )
        self.spend("graph_nodes", 1, "the number of layers that it becomes")
        self._pay_for_weights(new)
        self.session.memo[key] = new
        self._created.append((new, part))
        self.graph.layers.append(new)
        return new

    def check_weights(
        self, expected: Mapping[str, Shape], weights: Mapping[str, LazyTensor], name: str
    ) -> dict[str, LazyTensor]:
        """Return *weights* as float32 in tfjs's order; their shapes must be as *expected*."""
        if expected.keys() != weights.keys():
            raise CorruptFileError(
                f"holds the weights {sorted(weights)}, its config needs {sorted(expected)}",
                path=self.source.path,
                where=f"layer '{name}'",
            )
        for key, shape in expected.items():
            if weights[key].shape != tuple(shape):
                raise CorruptFileError(
                    f"its shape is {weights[key].shape}, the config needs {tuple(shape)}",
                    path=self.source.path,
                    where=f"{name}/{key}",
                )
        return {key: as_float32(weights[key]) for key in expected}

    def finish_names(self, outputs: Iterable[Tensor] = ()) -> None:
        """Name the layers of this call; the one that yields *outputs* takes the Keras name."""
        names, memo = self.session.names, self.session.memo
        base = names.base(self.layer)
        final = next((t.layer for t in outputs if t.layer is not None), None)
        for layer, part in self._created:
            # a nested model's variables have names of their own
            weighted = layer.graph is None and next(layer_weights(layer), None) is not None
            key = ("named", id(self.graph), self.layer)
            if layer is final and memo.setdefault(key, layer) is layer:
                layer.name = names.take_base(self.graph.key, self.layer, weighted)
            else:
                wanted = base if layer is final else f"{base}/{part}"
                layer.name = names.claim(self.graph.key, wanted, weighted)
        self._created.clear()

    def model(self, outputs: Sequence[Tensor]) -> LayersGraph:
        """Name the layers added through this scope and return its graph as a finished model."""
        self.finish_names()
        return self.graph.finish(outputs)

    @property
    def used_classes(self) -> list[str]:
        """The tfjs classes this call went through, in order."""
        return [layer.class_name for layer in self.used]

    # ------------------------------------------------------------------------------- sub-models

    def subgraph(self, name: str) -> tuple[GraphBuilder, Scope]:
        """Return a new graph and a scope that adds to it on behalf of the same Keras layer."""
        graph = GraphBuilder(self.session, name)
        scope = Scope(graph, self.layer, self.call, self.inner, self.tensors)
        scope._prefix = self._prefix
        return graph, scope

    def beneath(self, inner: KerasLayer) -> Scope:
        """Return a view of this scope whose parts are kept apart by *inner*."""
        scope = copy(self)
        scope._prefix = f"{self._prefix}{inner.name}_"
        return scope

    def once(self, part: str, make: Callable[[], T]) -> T:
        """Return ``make()``, made once for all calls of the Keras layer."""
        key = ("once", id(self.graph), self.layer, self._prefix + part)
        if key not in self.session.memo:
            self.session.memo[key] = make()
        result: T = self.session.memo[key]
        return result

    # ----------------------------------------------------------------------------------- masks

    def concrete(self, tensor: Tensor) -> Tensor:
        """Return *tensor*, computing it as 0s and 1s if it is a mask so far."""
        if tensor.layer is not None or tensor.meaning is None:
            return tensor
        return masks.compute(self, tensor.meaning)

    @property
    def computed_masks(self) -> dict[Mask, Tensor]:
        """The masks that the graph has as numbers."""
        return self.graph.computed_masks

    @cached_property
    def mask(self) -> Mask | None:
        """The mask that the layer sees: the argument of that name, or that of its first input."""
        return None if self.hides_mask(Tensor) else self.passed_mask

    @cached_property
    def passed_mask(self) -> Mask | None:
        """The mask that the layer hands on, if it does.

        An argument ``mask=None`` hides the input's in Keras 2.
        """
        given = self.arguments.get("mask")
        if given is not None:
            return self.mask_from(given)
        if "mask" in self.arguments and self.generation < 3:
            return None
        return self.tensors[0].mask if self.tensors else None

    def mask_from(self, value: Any) -> Mask:
        """Return an argument, a tensor or a constant, as a mask."""
        if isinstance(value, Tensor):
            return value.meaning or Mask("not_equal", (value, 0))
        return Mask("flags", (self.tensor(constants.as_array(value) != 0),))

    def tensor(self, value: Any) -> Tensor:
        """Return an argument, a tensor or a constant, as a tensor."""
        if isinstance(value, Tensor):
            return value
        if not self.tensors:
            raise Refusal("a call on constants only", "Compute its result before the model.")
        return constants.fill(self, self.tensors[0], value)

    # -------------------------------------------------------------------------------- verdicts

    def dropped(self, what: str) -> None:
        """Record that state needed only for training was left out."""
        text = f"layer '{self.layer.name}': {what}"
        if text not in self.session.log.dropped:
            self.session.log.dropped.append(text)

    def static(self, x: Tensor, what: str = "input shape") -> tuple[int, ...]:
        """Return the shape of *x* without its batch axis; all of it must be known."""
        sizes = x.shape[1:]
        if any(size is None for size in sizes):
            raise StaticShapeNeeded(f"its {what} {_show(x.shape)} must be known")
        return tuple(size for size in sizes if size is not None)


def _values(layer: KerasLayer | TfjsLayer) -> int:
    """Return how many values *layer* and its children have; models inside pay for themselves."""
    inner = layer.owned if isinstance(layer, TfjsLayer) else layer.children.values()
    return sum(tensor.size for tensor in layer.weights.values()) + sum(map(_values, inner))


def _ref(tensor: Tensor) -> TensorRef:
    assert tensor.layer is not None
    return TensorRef(tensor.layer.name, tensor.call, tensor.index)


def _is_chain(layers: Sequence[TfjsLayer], outputs: list[TensorRef]) -> bool:
    """Tell whether a Sequential model of *layers* is the same network."""
    for before, layer in pairwise(layers):
        if layer.calls != [[TensorRef(before.name, 0, 0)]]:
            return False
    return layers[0].class_name == "InputLayer" and outputs == [TensorRef(layers[-1].name, 0, 0)]


def _signature(layer: TfjsLayer) -> tuple[Any, ...]:
    """What must agree for two layers of one Keras layer to be the same layer."""
    shapes = {name: tensor.shape for name, tensor in layer.weights.items()}
    children = {
        key: [_signature(c) for c in child] if isinstance(child, list) else _signature(child)
        for key, child in layer.children.items()
    }
    return (layer.class_name, layer.config, shapes, children, id(layer.graph))


def _initializer(weight: str) -> str:
    """The config key of a variable's initialiser. All are zeros: the file holds the values."""
    stem = weight.removesuffix("_kernel") if weight.endswith("_kernel") else weight
    return f"{stem}_initializer"


def _snake(class_name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", class_name).lower()


def _input_dtype(dtype: str) -> str:
    """The dtype tfjs gives an input."""
    if dtype in ("bool", "string"):
        return dtype
    return "int32" if dtype.startswith(("int", "uint")) else "float32"


def _show(shape: Shape) -> str:
    return "(" + ", ".join("?" if size is None else str(size) for size in shape) + ")"
