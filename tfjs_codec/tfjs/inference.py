"""The output shapes and variables of a tfjs Layers model, as tfjs computes them from its topology.

It goes by :mod:`tfjs_codec.tfjs.classes`, so that what was written can be checked without what
wrote it. It needs no numpy. Topologies of other writers (Keras through the official converter,
tfjs itself) differ in spelling only: a scalar for a window, keys left out that have their default.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tfjs_codec.errors import CorruptFileError, quote
from tfjs_codec.files.place import Place
from tfjs_codec.ir.json_types import Config
from tfjs_codec.ir.layers import LayersGraph, TensorRef, TfjsLayer
from tfjs_codec.tfjs.classes import DEFAULTS, TFJS_CLASSES
from tfjs_codec.tfjs.shapes import (
    Shape,
    ShapeError,
    ToleratedError,
    concatenate,
    dot,
    locate,
    merge,
)

_NOWHERE = Place()  # what is wrong with a config is not said here
_WINDOWS = ("kernel_size", "strides", "pool_size", "dilation_rate", "size")
_PAIRS = {"ZeroPadding2D": "padding", "Cropping2D": "cropping"}
_COUNTS = ("filters", "units", "n", "depth_multiplier", "input_dim", "output_dim")
_LEAST_RANK = ("Dense", "Flatten")  # the others of several ranks look at the rank when called
_LAST_AXIS = ("BatchNormalization", "LayerNormalization", "Concatenate")


@dataclass(slots=True)
class Shapes:
    """What tfjs will compute and create.

    ``outputs`` are the output shapes of a layer's first call, ``variables`` the shapes of its own
    variables by short name; both by the layer's ``id`` and missing where they are not known.
    ``seen`` are the nested models that were looked into, ``failures`` what tfjs refuses.
    """

    outputs: dict[int, list[Shape]] = field(default_factory=dict)
    variables: dict[int, dict[str, Shape]] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)


def infer(graph: LayersGraph) -> Shapes:
    """Return the shapes of all layers of *graph* that can be told from their configs."""
    found = Shapes()
    _infer_graph(graph, [], found)
    return found


def _infer_graph(graph: LayersGraph, given: Sequence[Shape], found: Shapes) -> list[Shape] | None:
    """Infer all layers and return the output shapes; *given* are the inputs' if called."""
    if graph.sequential:
        shapes: list[Shape] | None = list(given) or None
        for layer in graph.layers:
            shapes = _apply(layer, shapes, found)
        return shapes
    inputs = dict(zip((ref.layer for ref in graph.inputs), given, strict=False))
    by_name = {layer.name: layer for layer in graph.layers}
    values: dict[tuple[str, int], list[Shape] | None] = {}

    def gather(refs: Sequence[TensorRef]) -> list[Shape] | None:
        shapes = []
        for ref in refs:
            place = _place(ref, by_name)
            known = values.get(place) if place else None
            if known is None or ref.tensor >= len(known):
                return None
            shapes.append(known[ref.tensor])
        return shapes or None

    for layer, number in calls_in_order(graph):
        call = layer.calls[number] if layer.calls else []
        shapes = [inputs[layer.name]] if layer.name in inputs else gather(call)
        values[layer.name, number] = _apply(layer, shapes, found)
    return gather(graph.outputs)


def _place(ref: TensorRef, by_name: Mapping[str, TfjsLayer]) -> tuple[str, int] | None:
    """Return the layer that *ref* is an output of, and the number of its call.

    Nodes count the layer's calls; node 0 of a model is its own graph, where the writer counts it.
    """
    layer = by_name.get(ref.layer)
    if layer is None:
        return None
    number = ref.call - (layer.graph is not None)
    return layer.name, min(max(number, 0), max(len(layer.calls) - 1, 0))


def calls_in_order(graph: LayersGraph) -> Iterator[tuple[TfjsLayer, int]]:
    """Yield each layer with the number of a call, all after those they depend on."""
    by_name = {layer.name: layer for layer in graph.layers}
    waiting: dict[tuple[int, int], int] = {}
    users: dict[tuple[str, int], list[tuple[TfjsLayer, int]]] = {}
    ready: deque[tuple[TfjsLayer, int]] = deque()
    for layer in graph.layers:
        for number in range(max(1, len(layer.calls))):
            call = layer.calls[number] if layer.calls else []
            needs = {place for ref in call if (place := _place(ref, by_name))}
            waiting[id(layer), number] = len(needs)
            for need in needs:
                users.setdefault(need, []).append((layer, number))
            if not needs:
                ready.append((layer, number))
    while ready:
        layer, number = ready.popleft()
        yield layer, number
        for user, call_number in users.pop((layer.name, number), ()):
            waiting[id(user), call_number] -= 1
            if not waiting[id(user), call_number]:
                ready.append((user, call_number))


def _apply(layer: TfjsLayer, shapes: list[Shape] | None, found: Shapes) -> list[Shape] | None:
    """Return the outputs of *layer*, None if unknown; what its first call shows is kept."""
    if id(layer) in found.outputs and shapes is None:
        return found.outputs[id(layer)]
    if layer.graph is not None:  # once: models of models are called more often than they are many
        if id(layer) in found.seen:
            return found.outputs.get(id(layer))
        found.seen.add(id(layer))
    try:
        if layer.graph is not None:
            outputs = _infer_graph(layer.graph, shapes or (), found)
        else:
            outputs = _outputs(layer, shapes or _declared_shape(layer), found)
    except ToleratedError:
        return None
    except ShapeError as error:
        found.failures.append(f"{_name(layer)}: {error}")
        return None
    except (CorruptFileError, ArithmeticError, LookupError, TypeError, ValueError):
        return None
    if outputs is not None:
        found.outputs.setdefault(id(layer), outputs)
    return outputs


def _declared_shape(layer: TfjsLayer) -> list[Shape] | None:
    shape = layer.config.get("batch_input_shape", layer.config.get("batch_shape"))
    return None if shape is None else [tuple(_NOWHERE.shape(shape))]


def _outputs(layer: TfjsLayer, shapes: list[Shape] | None, found: Shapes) -> list[Shape] | None:
    if shapes is None:
        return None
    wrapper = WRAPPERS.get(layer.class_name)
    if wrapper is not None:
        return wrapper.infer(layer, shapes, found)
    if layer.class_name not in TFJS_CLASSES:
        return None
    spec, shape = TFJS_CLASSES[layer.class_name], list(shapes[0])
    least, several = spec.ranks.start, len(spec.ranks) > 1
    refused = len(shape) < least if several else len(shape) != least
    if refused and (not several or layer.class_name in _LEAST_RANK):
        found.failures.append(
            f"{_name(layer)} does not take inputs of rank {len(shape)}, as {shape}"
        )
        return None
    if len(shapes) < 2 and spec.shape in (merge, concatenate, dot):
        found.failures.append(f"{_name(layer)} needs at least 2 inputs")
        return None
    stateful = layer.config.get("stateful") not in (None, False, 0, "")
    if spec.takes_states and stateful and shape[0] is None:
        found.failures.append(f"{_name(layer)} is stateful, and the batch size is not fixed")
    config = _normalise(layer, shapes[0])
    found.variables.setdefault(id(layer), spec.weights(config, shapes))
    return spec.shape(config, shapes)


def _name(layer: TfjsLayer) -> str:
    return f"layer {quote(layer.name)} ({quote(layer.class_name)})"


def _normalise(layer: TfjsLayer, shape: Shape) -> Config:
    """Return the config of *layer* with windows as lists, defaults filled in, numbers checked."""
    config = {**DEFAULTS, **{k: v for k, v in layer.config.items() if v is not None}}
    spatial = len(shape) - (3 if layer.class_name == "ConvLSTM2D" else 2)
    config.setdefault("strides", config["pool_size"] if "Pooling" in layer.class_name else 1)
    config.setdefault("dilation_rate", 1)
    for key in _COUNTS:
        if key in config:
            config[key] = _NOWHERE.whole(config[key])
    for key in _WINDOWS:
        if key in config:
            given = config[key] if isinstance(config[key], list) else [config[key]] * spatial
            config[key] = [_NOWHERE.whole(number, 1) for number in given]
    if layer.class_name in _LAST_AXIS:
        axis = config.get("axis", -1)
        if layer.class_name == "BatchNormalization" and isinstance(axis, list):
            axis = axis[0]
        axes = [locate(one, shape) for one in (axis if isinstance(axis, list) else [axis])]
        if len(set(axes)) < len(axes):
            raise ShapeError(f"the axes {axis} of {list(shape)} repeat")
        config["axis"] = axes if isinstance(axis, list) else axes[0]
    if layer.class_name in _PAIRS:
        key = _PAIRS[layer.class_name]
        given = 1 if config[key] == DEFAULTS.get(key) else config[key]
        pairs = given if isinstance(given, list) else [given] * 2
        config[key] = [pair if isinstance(pair, list) else [pair] * 2 for pair in pairs]
    return config


def _time_distributed(layer: TfjsLayer, shapes: list[Shape], found: Shapes) -> list[Shape] | None:
    inner = layer.children["layer"]
    if isinstance(inner, list):
        return None
    (batch, steps), rest = shapes[0][:2], shapes[0][2:]
    outputs = _apply(inner, [(batch, *rest)], found)
    return None if outputs is None else [(batch, steps, *one[1:]) for one in outputs]


def _bidirectional(layer: TfjsLayer, shapes: list[Shape], found: Shapes) -> list[Shape] | None:
    forward, backward = layer.children["forward_layer"], layer.children["backward_layer"]
    if isinstance(forward, list) or isinstance(backward, list):
        return None
    ahead, back = _apply(forward, shapes[:1], found), _apply(backward, shapes[:1], found)
    if ahead is None or back is None:
        return None
    states = [*ahead[1:], *back[1:]]
    mode = layer.config.get("merge_mode", "concat")
    if mode is None:
        return [ahead[0], back[0], *states]
    if mode == "concat":
        width = ahead[0][-1]
        return [(*ahead[0][:-1], None if width is None else 2 * width), *states]
    return [ahead[0], *states]


def _rnn(layer: TfjsLayer, shapes: list[Shape], found: Shapes) -> list[Shape] | None:
    """An RNN over one cell, a stack of cells, or a model of one step."""
    cell = layer.children["cell"]
    if isinstance(cell, list):
        return None
    stack = cell.children.get("cells", [cell])
    batch, steps = shapes[0][:2]
    step: Shape = (batch, *shapes[0][2:])
    states: list[Shape] = []
    for one in stack if isinstance(stack, list) else [stack]:
        outputs = _step(one, step, found)
        if outputs is None:
            return None
        step, states = outputs[0], [*states, *outputs[1:]]
    output = (batch, steps, *step[1:]) if layer.config.get("return_sequences") else step
    return [output, *states] if layer.config.get("return_state") else [output]


def _step(cell: TfjsLayer, shape: Shape, found: Shapes) -> list[Shape] | None:
    """Return the output and the new states of a cell, which has the variables of its layer."""
    if cell.graph is not None:  # the states follow the input
        return _infer_graph(cell.graph, [shape], found)
    config = _normalise(cell, shape)
    spec = TFJS_CLASSES[cell.class_name.removesuffix("Cell")]
    found.variables.setdefault(id(cell), spec.weights(config, [(shape[0], None, *shape[1:])]))
    return [(shape[0], config["units"])] * (3 if cell.class_name == "LSTMCell" else 2)


class Wrapper(NamedTuple):
    """A class that holds layers: the config keys it reads, and its output shapes."""

    keys: tuple[str, ...]
    infer: Callable[[TfjsLayer, list[Shape], Shapes], list[Shape] | None]


_FLAGS = ("return_sequences", "return_state", "go_backwards", "unroll", "stateful")
WRAPPERS = {
    "TimeDistributed": Wrapper(("trainable",), _time_distributed),
    "Bidirectional": Wrapper(("merge_mode",), _bidirectional),
    "RNN": Wrapper(_FLAGS, _rnn),
}
