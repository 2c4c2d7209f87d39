"""Calls of layers in a functional graph: every generation's node format becomes `Call` and `Ref`.

Facts about the formats (Keras 1.2 to 3.15):

* Keras 1 and 2 write a call as a list of tensors ``[layer, node, tensor]`` (Keras 1) or ``[layer,
  node, tensor, kwargs]``, kwargs repeated on each. tf.keras writes a structure of them if the layer
  was called on one; for ``TFOpLambda`` the call is a single tensor, one list less. A constant first
  argument is ``["_CONSTANT_VALUE", -1, value, kwargs]``. Tensors in kwargs are ``[layer, node,
  tensor]``.
* Keras 3 writes ``{"args", "kwargs"}`` with ``__keras_tensor__`` objects.
* A node number counts a layer's calls, but a model's own graph is its node 0 where Keras
  counts it: for every nested model in Keras 1 and 2, and in the outputs (not in the calls) of
  Keras 3 for functional ones. A nested Sequential of tf.keras that was never built with an
  input does not count it; that is seen from a reference to node 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeGuard

import numpy as np

from tfjs_codec.errors import CorruptFileError, quote
from tfjs_codec.files.place import Place
from tfjs_codec.ir.json_types import Json
from tfjs_codec.ir.keras import Call, KerasGraph, KerasLayer, Ref
from tfjs_codec.ir.references import calls_in_order, is_input, map_call, refs_in
from tfjs_codec.keras.classes import CLASSES

_CONSTANT = "_CONSTANT_VALUE"
_NUMPY_KINDS = {"float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8",
                "uint16", "uint32", "uint64", "bool"}  # fmt: skip


def parse_call(node: Json, place: Place) -> Call:
    """Return the call a node describes; its Refs still hold the file's node numbers."""
    if isinstance(node, dict) and "args" in node:
        at, by_name = place.at("args"), place.at("kwargs")
        args, named = at.items(node["args"]), by_name.mapping(node.get("kwargs") or {})
        return Call(
            tuple([_revive(item, at.at(i)) for i, item in enumerate(args)]),
            {key: _revive(item, by_name.at(key)) for key, item in named.items()},
        )
    kwargs = dict[str, object]()
    argument = _tensors(node, kwargs, place)
    if isinstance(node, list) and len(node) == 1 and _is_tensor(node[0]):
        (argument,) = place.items(argument)
    return Call((argument,), kwargs)


def _is_tensor(value: object) -> TypeGuard[list[Json]]:
    """Tell whether *value* is a tensor as Keras 1 and 2 write it (``tf_utils`` decides so too)."""
    return isinstance(value, list) and len(value) in (3, 4) and isinstance(value[0], str)


def _tensors(node: Json, kwargs: dict[str, object], place: Place) -> object:
    """Return the structure of Refs of a Keras 1 or 2 node and collect its keyword arguments."""
    if isinstance(node, dict):
        if node.get("class_name") == "__tuple__":
            return _tensors(node.get("items", []), kwargs, place.at("items"))
        return {key: _tensors(item, kwargs, place.at(key)) for key, item in node.items()}
    if not _is_tensor(node):
        items = place.items(node)
        return [_tensors(item, kwargs, place.at(i)) for i, item in enumerate(items)]
    if len(node) == 4:
        for key, item in place.at(3).mapping(node[3] or {}).items():
            kwargs[key] = _revive_kwarg(item, place.at(3).at(key))
    if node[0] == _CONSTANT:
        return _revive_kwarg(node[2], place.at(2))
    return ref_of(node, place)


def ref_of(node: Json, place: Place) -> Ref:
    """Return the Ref of ``[layer, node, tensor]``, with the file's node number as its call."""
    items = place.items(node)
    if len(items) < 3:
        raise place.expect("a reference [layer, node, tensor]", node)
    layer = place.at(0).text(items[0])
    return Ref(layer, place.at(1).whole(items[1]), place.at(2).whole(items[2]))


def _revive_kwarg(value: Json, place: Place) -> object:
    """Return a keyword argument of Keras 2: tensors become Refs, the rest plain values."""
    if isinstance(value, list):
        is_ref = len(value) == 3 and isinstance(value[0], str)
        if is_ref and all(type(item) is int for item in value[1:]):
            return ref_of(value, place)
        return [_revive_kwarg(item, place.at(i)) for i, item in enumerate(value)]
    if isinstance(value, dict):
        if _reviver(value):
            return _revive(value, place)
        return {key: _revive_kwarg(item, place.at(key)) for key, item in value.items()}
    return value


def _revive(value: Json, place: Place) -> object:
    """Return an argument of Keras 3 as a Python value with Refs."""
    if isinstance(value, list):
        return [_revive(item, place.at(i)) for i, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    reviver = _reviver(value)
    if reviver is not None:
        config = value.get("config")
        return reviver(config if config is not None else value.get("items", {}), place.at("config"))
    return {key: _revive(item, place.at(key)) for key, item in value.items()}


def _reviver(value: Mapping[str, Json]) -> Callable[[Json, Place], object] | None:
    name = value.get("class_name")
    return _REVIVERS.get(name) if isinstance(name, str) else None


def _keras_tensor(config: Json, place: Place) -> Ref:
    history = place.mapping(config).get("keras_history")
    return ref_of(history, place.at("keras_history"))


def _slice(config: Json, place: Place) -> slice:
    parts = place.mapping(config)
    return slice(*(_revive(parts.get(key), place.at(key)) for key in ("start", "stop", "step")))


def _array(config: Json, place: Place) -> object:
    parts = place.mapping(config)
    dtype = place.at("dtype").text(parts.get("dtype", "float32"))
    if dtype not in _NUMPY_KINDS and dtype != "bfloat16":
        raise place.at("dtype").expect("a dtype", dtype)
    try:
        with np.errstate(all="ignore"):  # a number too large is infinite, as in Keras
            return np.array(parts.get("value"), dtype="float32" if dtype == "bfloat16" else dtype)
    except (ValueError, TypeError, OverflowError):
        raise place.at("value").error(f"not an array of {dtype}") from None


def _tuple(config: Json, place: Place) -> object:
    return _revive(place.items(config), place)


_REVIVERS: dict[str, Callable[[Json, Place], object]] = {
    "__keras_tensor__": _keras_tensor,
    "__slice__": _slice,
    "__numpy__": _array,
    "__tensor__": _array,
    "__tuple__": _tuple,
    "TensorShape": _tuple,
    "__ellipsis__": lambda config, place: Ellipsis,
}


def flat_refs(structure: Json, place: Place) -> list[Ref]:
    """Return a graph's inputs or outputs as a list: dict values by sorted key (tf.nest order)."""
    if isinstance(structure, dict):
        return [
            ref for key in sorted(structure) for ref in flat_refs(structure[key], place.at(key))
        ]
    items = place.items(structure)
    if len(items) == 3 and isinstance(items[0], str):
        return [ref_of(items, place)]
    return [ref for i, item in enumerate(items) for ref in flat_refs(item, place.at(i))]


@dataclass(slots=True)
class Linker:
    """Turns the file's node numbers into call ordinals, and checks that all references hold."""

    graph: KerasGraph
    generation: int
    place: Place
    by_name: dict[str, KerasLayer] = field(default_factory=dict)

    def link(self) -> None:
        """Resolve all Refs of the graph in place.

        Raises:
            CorruptFileError: a reference to a missing layer, call or output; a cycle.
        """
        graph = self.graph
        self.by_name = {layer.name: layer for layer in graph.layers}
        own_node = self._models_counting_themselves()
        outer = {
            layer.name
            for layer in graph.layers
            if self.generation == 3 and layer.class_name == "Functional" and layer.graph
        }
        for index, layer in enumerate(graph.layers):
            at = self.place.at("layers").at(index).at("inbound_nodes")
            for number, call in enumerate(layer.calls):
                if is_input(layer) and next(refs_in(call), None):
                    raise at.at(number).error("an InputLayer is called on a tensor")
                change = self._resolver(own_node, layer, at.at(number))
                layer.calls[number] = map_call(call, change)
        for key in ("input_layers", "output_layers"):
            change = self._resolver(own_node | outer, f"the model's {key}", self.place.at(key))
            refs = graph.inputs if key == "input_layers" else graph.outputs
            refs[:] = map(change, refs)
        self._check_order()

    def _models_counting_themselves(self) -> set[str]:
        """Names of the nested models whose own graph is their node 0 in the calls' numbering."""
        if self.generation == 3:
            return set()
        models = {layer.name for layer in self.graph.layers if layer.graph is not None}
        zero = {ref.layer for ref in self._all_refs() if ref.call == 0}
        return models - zero

    def _all_refs(self) -> Iterator[Ref]:
        yield from self.graph.inputs
        yield from self.graph.outputs
        for layer in self.graph.layers:
            for call in layer.calls:
                yield from refs_in(call)

    def _resolver(
        self, own_node: set[str], user: KerasLayer | str, place: Place
    ) -> Callable[[Ref], Ref]:
        def refuse(what: str) -> CorruptFileError:
            who = user if isinstance(user, str) else f"layer {quote(user.name)}"
            return place.error(f"{who} refers to {what}")

        def resolve(ref: Ref) -> Ref:
            layer = self.by_name.get(ref.layer)
            if layer is None:
                raise refuse(f"layer {quote(ref.layer)}, which does not exist")
            call, calls = ref.call - (ref.layer in own_node), len(layer.calls)
            if layer.class_name == "InputLayer":
                calls = max(1, calls)
            if not 0 <= call < calls:
                raise refuse(
                    f"node {ref.call} of layer {quote(ref.layer)}, which is called {calls} times"
                )
            count = output_count(layer)
            if count is not None and ref.tensor >= count:
                raise refuse(f"output {ref.tensor} of layer {quote(ref.layer)}, which has {count}")
            return Ref(ref.layer, call, ref.tensor)

        return resolve

    def _check_order(self) -> None:
        """Raise CorruptFileError if a call depends on itself; linear, without recursion."""
        if self._is_in_order():
            return
        done = {(layer.name, number) for layer, number in calls_in_order(self.graph)}
        stuck = {
            (layer.name, number)
            for layer in self.graph.layers
            if not is_input(layer)
            for number in range(len(layer.calls))
        } - done
        if stuck:
            raise self._cycle_error(stuck)

    def _is_in_order(self) -> bool:
        """Tell whether each call comes after those it depends on, as Keras lists them."""
        done: set[tuple[str, int]] = set()
        for layer in self.graph.layers:
            for number, call in enumerate(layer.calls):
                for ref in refs_in(call):
                    if ref[:2] not in done and not is_input(self.by_name[ref.layer]):
                        return False
                done.add((layer.name, number))
        return True

    def _cycle_error(self, stuck: set[tuple[str, int]]) -> Exception:
        """Walk back from any stuck call until one repeats: that one lies on a cycle."""
        key, seen = min(stuck), set[tuple[str, int]]()
        before = key
        while key not in seen:
            seen.add(key)
            call = self.by_name[key[0]].calls[key[1]]
            before = key
            key = next(
                (ref.layer, ref.call) for ref in refs_in(call) if (ref.layer, ref.call) in stuck
            )
        return self.place.at("layers").error(
            f"layers {quote(before[0])} and {quote(key[0])} depend on each other in a cycle"
        )


def output_count(layer: KerasLayer) -> int | None:
    """Return how many outputs a call of *layer* has, or None if that is not certain."""
    if layer.graph is not None:
        return len(layer.graph.outputs)
    row = None if layer.is_op else CLASSES.get(layer.class_name)
    return None if row is None else row.outputs
