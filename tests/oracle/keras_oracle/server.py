"""Keras as a server: builds small models, gives them random weights, saves and predicts.

``KERAS_MODULE`` names it: ``keras`` (3, the default) or ``tf_keras``.

One JSON request per line on stdin, one JSON reply per line on stdout. Runs in an environment of
its own (``requirements.txt``), so it shares only ``json_lines`` with the tests.

Request: ``{"program": ..., "seed": int, "path": where to save, "inputs": [tensor, ...]}``. A
program is ``{"inputs": [keras.Input's arguments, ...], "steps": [step, ...], "outputs": [ref,
...]}`` or ``{"application": name, "config": {...}}``, and ``"quantize": mode`` in either. Values
are numbered: the inputs, then one for each step. A step is ``{"layer": class, "config", "args",
"kwargs"}``, ``{"again": number of a layer's step, "args"}`` to share that layer, ``{"op":
"keras.ops name", "args", "kwargs"}`` or ``{"model": {"inputs", "steps", "outputs"}, "args"}`` for
a nested model. Among the arguments, ``{"ref": n}`` is a value, ``{"ref": n, "item": i}`` one of
several, ``{"slice": [start, stop, step]}`` and ``{"ellipsis": true}`` index, ``{"layer": class,
"config": {...}}`` is a layer, ``{"array": [...]}`` a constant (float32 unless ``"dtype"`` says
otherwise) and ``{"tuple": [...]}`` a tuple.

Reply: ``{"outputs": [tensor, ...]}``, or ``{"error": text}`` if Keras takes no such model.

The request ``{"options": class}`` asks for the names of the arguments that make such a layer:
``{"options": [name, ...]}``, empty if Keras has no such class. ``{"signatures": [name, ...]}`` asks
what functions of ``keras.ops`` take: ``{"signatures": {name: [[parameter, default as repr, null if
it has none], ...]}}``, without those that Keras does not have.
"""

from __future__ import annotations

import importlib
import inspect
import json
import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))
os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from json_lines import decode, encode

keras: Any = importlib.import_module(os.environ.get("KERAS_MODULE", "keras"))


def build(program: dict[str, Any]) -> keras.Model:
    """Return the model that *program* describes."""
    if "application" in program:
        make = getattr(keras.applications, program["application"])
        return make(weights=None, **program.get("config", {}))
    values: list[Any] = [keras.Input(**spec) for spec in program["inputs"]]
    inputs = list(values)
    made: dict[int, Any] = {}
    for step in program["steps"]:
        args, kwargs = (argument(step.get(key, empty), values) for key, empty in _CALL)
        if "op" in step:
            values.append(operation(step["op"])(*args, **kwargs))
            continue
        if "again" in step:
            layer = made[step["again"]]
        else:
            layer = build(step["model"]) if "model" in step else argument(step, values)
        made[len(values)] = layer
        values.append(layer(*args, **kwargs))
    outputs = [argument(ref, values) for ref in program["outputs"]]
    return keras.Model(inputs, outputs[0] if len(outputs) == 1 else outputs)


_CALL = (("args", []), ("kwargs", {}))


def operation(name: str) -> Any:
    """Return ``keras.ops.<name>``, or indexing."""
    if name == "getitem":
        return lambda x, key: x[tuple(key) if isinstance(key, list) else key]
    found: Any = keras.ops
    for part in name.split("."):
        found = getattr(found, part)
    return found


def argument(value: Any, values: list[Any]) -> Any:
    """Return *value* with references and written-out objects replaced by what they stand for."""
    if isinstance(value, list):
        return [argument(item, values) for item in value]
    if not isinstance(value, dict):
        return value
    if "ref" in value:
        found = values[value["ref"]]
        return found[value["item"]] if "item" in value else found
    if isinstance(value.get("layer"), str):
        make = getattr(keras.layers, value["layer"])
        return make(**argument(value.get("config", {}), values))
    if "slice" in value:
        return slice(*value["slice"])
    if "ellipsis" in value:
        return Ellipsis
    if "array" in value:
        return np.array(value["array"], value.get("dtype", "float32"))
    if "tuple" in value:
        return tuple(argument(value["tuple"], values))
    return {key: argument(item, values) for key, item in value.items()}


def randomise(model: keras.Model, seed: int) -> None:
    """Give every weight values of an ordinary size; variances and the like stay positive."""
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        dtype = getattr(variable.dtype, "name", variable.dtype)
        if not str(dtype).startswith(("float", "bfloat")):
            continue
        shape, name = tuple(variable.shape), variable.name.rpartition("/")[2].partition(":")[0]
        if "variance" in name or name in ("gamma", "scale"):
            values = rng.uniform(0.5, 1.5, shape)
        else:
            fan_in = int(np.prod(shape[:-1])) if len(shape) > 1 else 4
            values = rng.normal(0, 1 / np.sqrt(max(fan_in, 1)), shape)
        variable.assign(values.astype("float32"))


def options(class_name: str) -> list[str]:
    """Return the names of the arguments of a layer's ``__init__``."""
    found = getattr(keras.layers, class_name, None)
    if found is None:
        return []
    parameters = inspect.signature(found.__init__).parameters.values()
    named = [each.name for each in parameters if each.kind == each.POSITIONAL_OR_KEYWORD]
    return [name for name in named if name != "self"]


def signatures(names: list[str]) -> dict[str, list[tuple[str, str | None]]]:
    """Return the parameters of functions, activations included, with their defaults."""
    homes = (keras.activations, keras.ops.image, keras.ops.linalg, keras.ops.nn, keras.ops)
    functions = {
        each: getattr(home, each) for home in homes for each in names if hasattr(home, each)
    }
    return {
        name: [
            (each.name, None if each.default is each.empty else repr(each.default))
            for each in inspect.signature(function).parameters.values()
        ]
        for name, function in functions.items()
    }


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Return the reply to *request*."""
    if "options" in request:
        return {"options": options(request["options"])}
    if "signatures" in request:
        return {"signatures": signatures(request["signatures"])}
    keras.backend.clear_session()
    try:
        model = build(request["program"])
        randomise(model, request["seed"])
        if "quantize" in request["program"]:
            model.quantize(request["program"]["quantize"])
        inputs = [decode(value) for value in request["inputs"]]
        outputs = model(inputs, training=False)
        listed = outputs if isinstance(outputs, list | tuple) else [outputs]
        reply = {"outputs": [encode(np.asarray(value)) for value in listed]}
        model.save(request["path"])
    except Exception as error:  # noqa: BLE001  whatever Keras raises, the test decides
        return {"error": f"{type(error).__name__}: {error}"[:2000]}
    return reply


def main() -> None:
    """Answer requests until stdin ends."""
    warnings.simplefilter("ignore")
    logging.disable()
    replies, sys.stdout = sys.stdout, sys.stderr  # Keras prints
    for line in sys.stdin:
        replies.write(json.dumps(answer(json.loads(line))) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
