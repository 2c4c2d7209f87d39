"""The TensorFlow.js Layers model: only classes tfjs has, final names, lazy float32 weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from tfjs_codec.ir.json_types import Config

if TYPE_CHECKING:  # reading a topology needs no numpy
    from tfjs_codec.ir.tensors import LazyTensor


class TensorRef(NamedTuple):
    """Output *tensor* of the *call*-th call (from 0) of the layer named *layer*."""

    layer: str
    call: int
    tensor: int


@dataclass(slots=True)
class TfjsLayer:
    """A layer of tfjs.

    ``config`` holds its own keys without ``name``; inner layers (``layer``, ``cell``,
    ``cells``) are in ``children`` and join the config when it is written; ``graph`` is set for
    a nested model. ``weights`` maps the short variable name (``kernel``) to its values.
    """

    name: str
    class_name: str
    config: Config = field(default_factory=dict)
    weights: dict[str, LazyTensor] = field(default_factory=dict)
    children: dict[str, TfjsLayer | list[TfjsLayer]] = field(default_factory=dict)
    graph: LayersGraph | None = None
    calls: list[list[TensorRef]] = field(default_factory=list)

    @property
    def owned(self) -> Iterator[TfjsLayer]:
        """The layers in ``children``, in order."""
        for child in self.children.values():
            yield from child if isinstance(child, list) else [child]


@dataclass(slots=True)
class LayersGraph:
    """A model: layers, and references to what goes in and out, in order."""

    name: str
    layers: list[TfjsLayer]
    inputs: list[TensorRef]
    outputs: list[TensorRef]
    sequential: bool = False


def short_name(weight: str) -> str:
    """Return what the name *weight* calls its variable: ``kernel`` of ``a/b/kernel:0``."""
    return weight.rpartition("/")[2].partition(":")[0]


class Quantized(NamedTuple):
    """How a weight is stored: the quantised tensor, and the entry's ``quantization`` object."""

    tensor: LazyTensor
    entry: Config


class Weight(NamedTuple):
    """A named tensor of the manifest.

    ``tensor`` has the values tfjs computes with; ``quantized`` is how they are stored, if so.
    ``optimizer`` marks the state of an optimizer, which no layer has.
    """

    name: str
    tensor: LazyTensor
    quantized: Quantized | None = None
    optimizer: bool = False


def scopes(layer: TfjsLayer) -> Iterator[tuple[str, TfjsLayer]]:
    """Yield each layer in *layer* that may own variables, after the scope of their names.

    Names are dumped from models loaded by tfjs 4.22: a nested model adds
    no prefix, TimeDistributed drops its inner layer's name, Bidirectional keeps it with a
    ``forward_``/``backward_`` prefix, RNN drops a single cell's name.
    """
    yield from _scoped(layer, layer.name)


def _scoped(layer: TfjsLayer, scope: str) -> Iterator[tuple[str, TfjsLayer]]:
    """As :func:`scopes` of a layer (or wrapper) whose name scope is *scope*."""
    if layer.graph is not None:
        for inner in layer.graph.layers:
            yield from scopes(inner)
        return
    yield scope, layer
    for key, child in layer.children.items():
        if isinstance(child, list):  # StackedRNNCells
            for index, cell in enumerate(child):
                yield from _scoped(cell, f"{scope}/RNNCell_{index}")
        elif key in ("forward_layer", "backward_layer"):  # Bidirectional
            yield from _scoped(child, f"{scope}/{child.name}")
        else:  # TimeDistributed.layer, RNN.cell
            yield from _scoped(child, scope)


def layer_weights(layer: TfjsLayer) -> Iterator[tuple[str, LazyTensor]]:
    """Yield ``(name, tensor)`` of all variables of *layer* under the names tfjs gives them."""
    for scope, owner in scopes(layer):
        for short, tensor in owner.weights.items():
            yield f"{scope}/{short}", tensor


def graph_weights(graph: LayersGraph) -> Iterator[tuple[str, LazyTensor]]:
    """Yield ``(name, tensor)`` of all variables of *graph* in layer order."""
    for layer in graph.layers:
        yield from layer_weights(layer)
