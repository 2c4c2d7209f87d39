"""The normalised Keras model: one dialect for every Keras generation.

Readers produce it, lowering consumes it. What differs between generations only in spelling is
gone (node formats, class aliases, dtype policies, tuples); what differs in meaning is told by
:attr:`tfjs_codec.ir.loaded.KerasModel.generation` or spelled out in the config.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeAlias

from tfjs_codec.ir import json_types
from tfjs_codec.ir.tensors import LazyTensor

Config: TypeAlias = json_types.Config


class Ref(NamedTuple):
    """Output *tensor* of the *call*-th call (from 0, in file order) of layer *layer*."""

    layer: str
    call: int
    tensor: int


@dataclass(slots=True)
class Call:
    """One application of a layer: Python-like arguments holding :class:`Ref` and constants.

    A layer's inputs are ``args[0]``: one Ref or a list of Refs. Constants are numbers, strings,
    None, lists, dicts, ``slice`` objects or numpy arrays.
    """

    args: tuple[object, ...] = ()
    kwargs: dict[str, object] = field(default_factory=dict)


class Recorded(NamedTuple):
    """Shape, with batch, and dtype of a tensor; the dtype is empty if the file does not say it."""

    shape: tuple[int | None, ...]
    dtype: str


@dataclass(slots=True)
class KerasLayer:
    """A layer, an operation node (``is_op``) or a nested model (``graph``).

    ``class_name`` is the Keras class without package prefix, or for an operation its canonical
    snake_case name (``multiply``, ``getitem``). ``children`` are the layers it owns, by
    attribute name (``layer``, ``cell``, ``forward_layer``, …); ``weights`` its own variables by
    role (``kernel``), in Keras order. ``recorded`` is what the file states of its outputs, by call
    and number of the tensor; ``replaced``, whether ``graph`` is the user's replacement for it.
    """

    name: str
    class_name: str
    config: Config = field(default_factory=dict)
    is_op: bool = False
    registered_name: str = ""
    calls: list[Call] = field(default_factory=list)
    children: dict[str, KerasLayer] = field(default_factory=dict)
    graph: KerasGraph | None = None
    weights: dict[str, LazyTensor] = field(default_factory=dict)
    recorded: dict[tuple[int, int], Recorded] = field(default_factory=dict)
    replaced: bool = False

    @property
    def trainable(self) -> bool:
        return bool(self.config.get("trainable", True))

    @property
    def inner(self) -> tuple[KerasLayer, ...]:
        """The layers it owns, and those of the model that it is."""
        return (*self.children.values(), *(self.graph.layers if self.graph else ()))

    def copy(self) -> KerasLayer:
        """Return a copy whose parts can be edited; tensors are shared."""
        return replace(
            self,
            config=dict(self.config),
            calls=[Call(call.args, dict(call.kwargs)) for call in self.calls],
            children={name: child.copy() for name, child in self.children.items()},
            graph=None if self.graph is None else self.graph.copy(),
            weights=dict(self.weights),
        )

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


@dataclass(slots=True)
class KerasGraph:
    """Layers, and which tensors go in and out.

    A Sequential model (``sequential``) is the same thing: its InputLayer and the calls of its
    chain are made explicit by the reader. ``inputs`` and ``outputs`` are flat, in the order in
    which Keras feeds and returns them; where they are dicts, ``input_keys`` and ``output_keys`` are
    the keys in that order.
    """

    name: str
    layers: list[KerasLayer]
    inputs: list[Ref]
    outputs: list[Ref]
    sequential: bool = False
    trainable: bool = True
    input_keys: tuple[str, ...] = ()
    output_keys: tuple[str, ...] = ()

    def copy(self) -> KerasGraph:
        """Return a copy whose layers can be edited; tensors are shared."""
        layers = [layer.copy() for layer in self.layers]
        return replace(self, layers=layers, inputs=list(self.inputs), outputs=list(self.outputs))

    def graphs(self) -> Iterator[KerasGraph]:
        """Yield this model and all models inside, outer ones first."""
        yield self
        for layer in self.walk():
            if layer.graph is not None:
                yield layer.graph

    def walk(self) -> Iterator[KerasLayer]:
        """Yield all layers of this model, then of the models and layers inside, by level."""
        level: list[KerasLayer] = list(self.layers)
        while level:
            yield from level
            level = [inner for layer in level for inner in layer.inner]

    def named_weights(self) -> dict[str, LazyTensor]:
        """Return all variables by ``layer/role``; inside nested models ``model/layer/role``."""
        found: dict[str, LazyTensor] = {}
        stack = [(layer, "") for layer in reversed(self.layers)]
        while stack:
            layer, before = stack.pop()
            path = f"{before}{layer.name}/"
            found.update((f"{path}{role}", tensor) for role, tensor in layer.weights.items())
            inner = layer.graph.layers if layer.graph else list(layer.children.values())
            stack.extend((child, path) for child in reversed(inner))
        return found
