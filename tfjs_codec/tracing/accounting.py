"""Everything is accounted for: what a rule has not read of a layer must not matter.

Configs, and the arguments of calls, are handed to rules as dicts that note what is read. After
the rule, whatever was not read, is not the default, and is not listed in the class's row as
without effect, is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from tfjs_codec.errors import quote
from tfjs_codec.ir.json_types import Json
from tfjs_codec.ir.keras import Call, Config, KerasGraph, KerasLayer
from tfjs_codec.keras.classes import CLASSES, COMMON_KEYS, REQUIRED, KerasClass
from tfjs_codec.tracing.builder import CallBuilder
from tfjs_codec.tracing.refusal import Refusal
from tfjs_codec.tracing.registry import Entry, Registry

_INTEGERS = frozenset(
    ("bool", *(f"{sign}int{size}" for sign in ("", "u") for size in (8, 16, 32, 64)))
)
_FLOATS = ("float", "bfloat", "mixed_", "int8_from_", "int4_from_")


class Record(dict[str, Any]):
    """A dict that notes which of its keys are read: by index, ``get`` and ``in``.

    ``record | changes`` is another view of the same record; iterating is no reading.
    """

    __slots__ = ("read",)

    def __init__(self, items: Mapping[str, Any], read: set[str] | None = None) -> None:
        super().__init__(items)
        self.read: set[str] = set() if read is None else read

    def __getitem__(self, key: str) -> Any:
        self.read.add(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self.read.add(key)
        return super().get(key, default)

    def __contains__(self, key: object) -> bool:
        if isinstance(key, str):
            self.read.add(key)
        return super().__contains__(key)

    def __or__(self, changes: Mapping[str, Any]) -> Record:  # type: ignore[override]
        return Record({**self, **changes}, self.read)

    def unread(self) -> Iterator[tuple[str, Any]]:
        """Yield the entries that nobody has read."""
        return ((key, value) for key, value in self.items() if key not in self.read)


def record(graph: KerasGraph) -> KerasGraph:
    """Return a copy of *graph*, the configs of whose layers note what is read.

    Layers inside frozen ones are frozen themselves.
    """
    graph = graph.copy()
    for layer in graph.walk():  # outer ones first
        layer.config = Record(layer.config)
        for one in () if layer.trainable else layer.inner:
            one.config["trainable"] = False
    for layer in () if graph.trainable else graph.walk():
        layer.config["trainable"] = False
    return graph


def name_arguments(layer: KerasLayer, call: Call, generation: int) -> Call:
    """Return *call* with all arguments after the first by name, noting what is read.

    Raises:
        Refusal: There are more arguments than the class is known to take, or tensors by name.
    """
    row = CLASSES.get(layer.class_name)
    if row is None:  # a class of the user's; what it calls its arguments is not known
        return Call(call.args, Record(call.kwargs))
    if layer.graph is None and call.args and isinstance(call.args[0], dict):
        raise Refusal("it is called on a dict of tensors")
    names = row.call_in(generation)
    if len(call.args) > len(names):
        raise Refusal("positional arguments that the class is not known to take")
    named = {**dict(zip(names[1:], call.args[1:], strict=False)), **call.kwargs}
    return Call(call.args[:1], Record(named))


def check_call(entry: Entry, arguments: Mapping[str, Any], generation: int) -> None:
    """Refuse the first argument that has a value and was neither read nor is without effect.

    Keras 3 overrides ``training`` when it predicts.

    Raises:
        Refusal: There is one.
    """
    inert = entry.row.inert_arguments if entry.row else ()
    for name, value in arguments.unread() if isinstance(arguments, Record) else ():
        overridden = name == "training" and generation == 3
        if name not in inert and not overridden and not _is_nothing(value):
            raise Refusal(
                f"it is called with the argument {quote(name)}, which cannot be expressed here",
                "Build the model without the argument.",
            )


def _is_nothing(value: Any) -> bool:
    """Tell whether an argument says the same as leaving it out."""
    if isinstance(value, list | tuple):
        return all(map(_is_nothing, value))
    return value is None or value is False


def check_config(layer: KerasLayer) -> None:
    """Refuse the first option of *layer*, or of the layers it wraps, that was left out of account.

    Raises:
        Refusal: There is one.
    """
    row = CLASSES.get(layer.class_name)
    if row is None or layer.is_op or layer.graph is not None:
        return
    if isinstance(layer.config, Record):
        inert = _inert_keys(layer.class_name)
        for key, value in layer.config.unread():
            if key not in inert and not _is_without_effect(row, layer.config, key, value):
                raise Refusal(
                    f"the option {quote(key)} of {row.name}, which is {_show(value)}, "
                    "cannot be expressed here",
                    "Leave the option at its default, or register a rule "
                    "(tfjs_codec.register_rule).",
                )
    for child in layer.children.values():
        check_config(child)


def apply_activation_layer(
    registry: Registry, b: CallBuilder, x: object, activation: Json
) -> object:
    """Return what the rule of the layer that is given as an activation makes of *x*.

    Raises:
        Refusal: It is no layer, or its rule refuses it.
    """
    kind = activation.get("class_name") if isinstance(activation, Mapping) else None
    row = CLASSES.get(kind) if isinstance(kind, str) and kind in registry.layers else None
    if not isinstance(activation, Mapping) or row is None or row.layers:
        raise Refusal("the activation is a custom function", "Use one of Keras's own activations.")
    config = activation.get("config")
    options = Record(config if isinstance(config, Mapping) else {})
    layer = KerasLayer(b.layer.name, row.name, options)
    result: object = registry.layers[layer.class_name].function(b, layer, x)
    check_config(layer)
    return result


def check_cast(layer: KerasLayer, dtypes: Sequence[str], generation: int) -> None:
    """Refuse a layer of Keras 3 that casts floats among its inputs, of *dtypes*, to integers.

    So do the layers and cells inside it. Layers of preprocessing convert their inputs themselves;
    Keras 2 casts to floats only.

    Raises:
        Refusal: It does.
    """
    row = CLASSES.get(layer.class_name)
    if generation < 3 or row is None or layer.is_op or row.family == "preprocessing":
        return
    dtype = dict.get(layer.config, "dtype")
    if dtype in _INTEGERS and any(each.startswith("float") for each in dtypes):
        raise Refusal(
            f"the option {quote('dtype')} of {row.name}, which is {_show(dtype)}: it casts "
            "floating-point inputs to integers",
            "Leave the option at its default.",
        )
    for child in layer.children.values():
        check_cast(child, dtypes, generation)


@cache
def _inert_keys(class_name: str) -> frozenset[str]:
    """Return the keys of a class that have no effect here, whatever their value."""
    row = CLASSES[class_name]
    told = {variable.key for variable in row.variables}  # by the variable itself
    return (COMMON_KEYS - {"dtype"}).union(row.inert, row.layers, row.told, told)


def _is_without_effect(row: KerasClass, config: Config, key: str, value: Any) -> bool:
    default = row.config.get(key, REQUIRED)
    if value == default:
        return True
    if key == "dtype":
        return key not in row.config or str(value).startswith(_FLOATS)
    if key == "strides" and value == dict.get(config, "pool_size"):
        return True
    # a default for each axis
    return (
        isinstance(value, list)
        and default is not REQUIRED
        and all(item == default for item in value)
    )


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
