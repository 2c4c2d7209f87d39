"""Under which names and in which order Keras keeps the variables of a model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tfjs_codec.ir.graph import Names
from tfjs_codec.ir.keras import KerasGraph, KerasLayer
from tfjs_codec.ir.tensors import LazyTensor
from tfjs_codec.keras.names import snake_case
from tfjs_codec.keras.variables import own_variables, slots


def group_weights(layer: KerasLayer) -> dict[str, LazyTensor]:
    """Return the weights of the top-level *layer* as an HDF5 file lists them.

    Trained ones come first, then the others, whatever models are inside; loaders go by order.
    """
    found = list(slots(layer, 2))
    found.sort(key=lambda slot: slot.frozen or not slot.trained)
    names, weights = Names(()), dict[str, LazyTensor]()
    for slot in found:
        path = [layer.name, *(n for n in (slot.owner, slot.layer.name) if n and n != layer.name)]
        name = names.fresh("/".join((*dict.fromkeys(path), slot.role)))
        weights[f"{name}:0"] = slot.layer.weights[slot.role]
    return weights


def tree_weights(graph: KerasGraph, path: str = "") -> Iterator[tuple[str, LazyTensor]]:
    """Yield (dataset, tensor) of all variables of *graph* as a ``.keras`` file has them."""
    count: dict[str, int] = defaultdict(int)
    for layer in graph.layers:
        snake = snake_case(layer.class_name)
        number = count[snake]
        count[snake] += 1
        name = f"{snake}_{number}" if number else snake
        yield from _layer_weights(layer, f"{path}layers/{name}")


def _layer_weights(layer: KerasLayer, path: str) -> Iterator[tuple[str, LazyTensor]]:
    if layer.graph is not None:
        yield from tree_weights(layer.graph, f"{path}/")
        return
    index: dict[str, int] = defaultdict(int)
    for variable in own_variables(layer) or ():
        home = f"{path}/{variable.path}" if variable.path else path
        yield f"{home}/vars/{index[home]}", layer.weights[variable.role]
        index[home] += 1
    count: dict[str, int] = defaultdict(int)
    for key, child in layer.children.items():
        name = key
        if key.startswith("cells/"):  # a list of layers is named as those of a model are
            snake = snake_case(child.class_name)
            name = f"cells/{snake}_{count[snake]}" if count[snake] else f"cells/{snake}"
            count[snake] += 1
        yield from _layer_weights(child, f"{path}/{name}")
