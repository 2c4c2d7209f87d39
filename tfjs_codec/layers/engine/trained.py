"""What training needs of a layer: its regularisers and constraints, as tfjs has them.

Initialisers are not among them: tfjs runs them once, before it loads the weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tfjs_codec.ir.json_types import Json, JsonObject
from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.ir.layers import TfjsLayer

_KINDS = ("regularizer", "constraint")
_PENALTIES = ("L1L2", "L1", "L2", "L1L2Regularizer", "WeightRegularizer")  # Keras 1's come last
_CONSTRAINTS = {
    "MaxNorm": ("max_value", "axis"),
    "MinMaxNorm": ("min_value", "max_value", "rate", "axis"),
    "NonNeg": (),
    "UnitNorm": ("axis",),
}


def training_options(layer: KerasLayer, *variables: str) -> JsonObject:
    """Return tfjs's form of the regularisers and constraints of *variables*, without unknown ones.

    :func:`lost_options` finds those.
    """
    options: JsonObject = {}
    for kind in _KINDS:
        for key in (f"{variable}_{kind}" for variable in variables):
            value = layer.config.get(key)
            made = _regularizer(value) if kind == "regularizer" else _constraint(value)
            if made:
                options[key] = made
    return options


def lost_options(layer: KerasLayer, used: Iterable[TfjsLayer]) -> Iterator[str]:
    """Yield what none of the *used* tfjs layers says of the training of *layer*.

    tfjs reads activity regularisers, but does not apply them.
    """
    kept = {key for one in used for key in _keys(one)}
    for one in _with_children(layer):
        for key, value in one.config.items():
            if value and key.endswith(_KINDS) and key not in kept and _regularizer(value) != {}:
                name = _name(value) or value
                yield f"{key} {name} of {one.class_name} layers, which fit() in tfjs does without"


def _keys(layer: TfjsLayer) -> Iterator[str]:
    yield from layer.config
    for child in layer.children.values():
        for one in child if isinstance(child, list) else [child]:
            yield from _keys(one)
    for one in layer.graph.layers if layer.graph else ():
        yield from _keys(one)


def _with_children(layer: KerasLayer) -> Iterator[KerasLayer]:
    yield layer
    for child in layer.children.values():
        for one in child if isinstance(child, list) else [child]:
            yield from _with_children(one)


def _name(value: Json) -> str:
    """Return the class of a serialised object of Keras's own; "" for anything else."""
    if not isinstance(value, dict):
        return ""
    module = value.get("module", "keras.")
    own = isinstance(module, str) and module.startswith(("keras.", "tf_keras."))
    return str(value.get("class_name") or value.get("name")) if own else ""


def _settings(value: Json) -> JsonObject:
    """Return the settings of a serialised object; Keras 1 has them beside its name."""
    assert isinstance(value, dict)
    config = value.get("config", value)
    return config if isinstance(config, dict) else {}


def _regularizer(value: Json) -> JsonObject | None:
    """Return tfjs's form, {} of one without effect, None of one that it lacks."""
    if _name(value) not in _PENALTIES:
        return None
    settings, factors = _settings(value), {}
    for key in ("l1", "l2"):
        factor = settings.get(key) or 0
        if not isinstance(factor, int | float):
            return None
        factors[key] = float(factor)
    return {"class_name": "L1L2", "config": {**factors}} if any(factors.values()) else {}


def _constraint(value: Json) -> JsonObject | None:
    """Return tfjs's form, None of one that it lacks."""
    name = _name(value)
    if name not in _CONSTRAINTS:
        return None
    settings = _settings(value)
    kept = {key: settings.get(key) for key in _CONSTRAINTS[name]}
    if None in kept.values():  # tfjs would take its own default
        return None
    return {"class_name": name, "config": kept}
