"""What a source turned out to be: one type for each kind of model that can be read.

:data:`Loaded` is their union; whoever takes one matches on it. Values of tensors are read when
they are asked for, until the context in which the source was opened ends. ``path`` is the source
as it was named and ``format`` what it is, both for messages and reports only.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, TypeAlias

from tfjs_codec.errors import UnsupportedModelError
from tfjs_codec.ir.layers import Weight

if TYPE_CHECKING:
    from tfjs_codec.ir.graph import Graph
    from tfjs_codec.ir.json_types import JsonObject
    from tfjs_codec.ir.keras import KerasGraph
    from tfjs_codec.ir.tensors import LazyTensor

OUTPUT_KEYS = "structuredOutputKeys"  # in the metadata of a tfjs graph model


@dataclass(frozen=True, slots=True, eq=False)
class KerasModel:
    """A Keras model: its layers with their weights. ``generation`` is 1, 2 or 3."""

    path: str
    format: str
    graph: KerasGraph
    generation: int = 2
    keras_version: str | None = None
    backend: str | None = None
    training_config: JsonObject | None = None
    warnings: tuple[str, ...] = ()

    @property
    def version(self) -> tuple[int, int]:
        """The first two numbers of the Keras version; of an unknown one, the generation's last."""
        numbers = re.findall(r"\d+", self.keras_version or "")[:2]
        return (int(numbers[0]), int(numbers[1])) if len(numbers) == 2 else (self.generation, 99)

    def named_weights(self) -> dict[str, LazyTensor]:
        """Return all variables by ``layer/role``; inside nested models ``model/layer/role``."""
        return self.graph.named_weights()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Stored:
    """Named tensors, and what the ``model.json`` says beside the topology, if there is one.

    ``fields`` are all fields of the ``model.json`` (``format``, ``signature``, …) that have no
    place of their own here.
    """

    path: str
    weights: tuple[Weight, ...]
    training_config: JsonObject | None = None
    metadata: JsonObject | None = None
    generated_by: str | None = None
    fields: JsonObject = field(default_factory=dict)

    @property
    def model_weights(self) -> tuple[Weight, ...]:
        """The weights without those of an optimizer."""
        return tuple(weight for weight in self.weights if not weight.optimizer)

    def named_weights(self) -> dict[str, LazyTensor]:
        """Return all tensors by their names in the file."""
        return {weight.name: weight.tensor for weight in self.weights}


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TfjsLayers(_Stored):
    """A tfjs Layers model: the JSON of its topology, and its weights by tfjs's names."""

    format: ClassVar[str] = "tfjs-layers"

    topology: JsonObject

    @property
    def keras_version(self) -> str | None:
        """The version of Keras that described the layers, if the topology tells."""
        version = self.topology.get("keras_version")
        return version if isinstance(version, str) else None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TfjsGraph(_Stored):
    """A tfjs graph model: the JSON of its GraphDef, and the values of its constants."""

    format: ClassVar[str] = "tfjs-graph"
    keras_version: ClassVar[None] = None

    topology: JsonObject

    @property
    def output_keys(self) -> list[str] | None:
        """What outputs are called in the map that ``predict`` returns; None if it returns none."""
        keys = (self.metadata or {}).get(OUTPUT_KEYS)
        return list(map(str, keys)) if isinstance(keys, list) else None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Weights(_Stored):
    """Named tensors without an architecture.

    ``named_by`` tells whose names they are: those of Keras layers, keys of a TensorFlow checkpoint
    (which holds training state, too), or those of a tfjs manifest.
    """

    format: str
    keras_version: str | None = None
    warnings: tuple[str, ...] = ()
    named_by: Literal["keras", "checkpoint", "tfjs"] = "tfjs"


class TensorFlowGraph(NamedTuple):
    """A TensorFlow graph: a SavedModel, or a frozen GraphDef.

    It can be seen in several ways, each computed when it is asked for, from files read once.

    Attributes:
        graph: The graph of the signature or outputs that the options choose.
        layers: The Keras layers that it was saved with. Raises UnsupportedModelError with what
            is there instead, if there are none.
        weights: The variables by checkpoint key. Raises UnsupportedModelError if the file can
            have none.
        facts: ``(what, value)`` that the file says of itself.
    """

    path: str
    format: str
    graph: Callable[[], Graph]
    layers: Callable[[], KerasModel]
    weights: Callable[[], Weights]
    facts: Callable[[], tuple[tuple[str, str], ...]]

    def layers_or_weights(self) -> KerasModel | Weights:
        """Return the Keras layers or, where there are none, the variables."""
        try:
            return self.layers()
        except UnsupportedModelError:
            return self.weights()

    def layers_weights_or_constants(self) -> KerasModel | Weights:
        """As :meth:`layers_or_weights`; a graph without variables has its constants by node."""
        try:
            return self.layers_or_weights()
        except UnsupportedModelError:
            nodes = self.graph().nodes.values()
        found = tuple(Weight(node.name, node.value) for node in nodes if node.op == "Const")
        return Weights(path=self.path, format=self.format, weights=found, named_by="tfjs")


Tfjs: TypeAlias = TfjsLayers | TfjsGraph | Weights
Loaded: TypeAlias = KerasModel | TensorFlowGraph | Tfjs
