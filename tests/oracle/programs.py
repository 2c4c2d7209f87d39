"""Models as programs for ``keras_oracle/server.py``, and the check that they convert exactly."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import layers_interpreter
import numpy as np
from compare import assert_close
from keras_server import KerasServer
from tfjs_node import TfjsNode

import tfjs_codec
from tfjs_codec.errors import UnsupportedModelError

Program = dict[str, Any]


def ref(number: int, item: int | None = None) -> dict[str, Any]:
    return {"ref": number} if item is None else {"ref": number, "item": item}


def layer(
    class_name: str, *args: Any, call: dict[str, Any] | None = None, **config: Any
) -> Program:
    """Return the step that calls a new layer on *args* (by default: on the value 0)."""
    return {
        "layer": class_name,
        "config": config,
        "args": list(args) or [ref(0)],
        "kwargs": call or {},
    }


def inner(class_name: str, **config: Any) -> Program:
    """Return a layer as an argument of another."""
    return {"layer": class_name, "config": config}


def op(name: str, *args: Any, **kwargs: Any) -> Program:
    return {"op": name, "args": list(args), "kwargs": kwargs}


def program(
    shapes: Sequence[Sequence[int | None]],
    *steps: Program,
    outputs: Sequence[Program] = (),
    dtype: str = "float32",
) -> Program:
    """Return a program with inputs of *shapes* (without batch); the last value is its output."""
    return {
        "inputs": [{"shape": list(shape), "dtype": dtype} for shape in shapes],
        "steps": list(steps),
        "outputs": list(outputs) or [ref(len(shapes) + len(steps) - 1)],
    }


def numbers(*shape: int, seed: int = 7) -> np.ndarray:
    """Return float32 values around 0 of an ordinary size."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


class Checker:
    """Converts what Keras made and compares tfjs with Keras."""

    def __init__(self, keras: KerasServer, tfjs: TfjsNode, directory: Path) -> None:
        self._keras = keras
        self._tfjs = tfjs
        self._directory = directory

    def __call__(
        self,
        model: Program,
        inputs: Sequence[np.ndarray],
        *,
        suffix: str = ".keras",
        backend: str = "wasm",
        atol: float = 1e-5,
        in_numpy: bool = False,
        **choices: Any,
    ) -> tfjs_codec.Report:
        """Fail unless *model* predicts in tfjs what it predicts in Keras, as layers and as a graph.

        With *in_numpy* so must its file, and its Layers model in the interpreter of Layers; that
        and the translation to graphs share nothing, and check each other. *choices* are options
        of the conversion to layers, which is then the only one.

        Raises:
            KerasError: Keras takes no such model.
            UnsupportedModelError: We do not take it as layers.
        """
        name = hashlib.sha256(json.dumps(model).encode()).hexdigest()[:16]
        source = self._directory / f"{name}{suffix}"
        want = self._keras.make(model, inputs, source)
        if in_numpy:
            with suppress(UnsupportedModelError):
                assert_close(_predict(source, inputs), want, atol=atol)
            with suppress(UnsupportedModelError):
                web = self._directory / f"{name}_graph"
                tfjs_codec.convert(source, web, to="graph")
                assert_close(self._tfjs.predict(web, inputs, backend), want, atol=atol)
        web = self._directory / name
        report = tfjs_codec.convert(source, web, **choices)
        source.unlink()
        assert_close(self._tfjs.predict(web, inputs, backend), want, atol=atol)
        if in_numpy:
            assert_close(layers_interpreter.load(web).predict(inputs), want, atol=atol)
            assert_close(_predict(web, inputs), want, atol=atol)
        return report


def _predict(source: Path, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    with tfjs_codec.load(source) as model:
        found = model.predict(inputs)
    if isinstance(found, dict):
        return list(found.values())
    return found if isinstance(found, list) else [found]
