"""Keras models in memory: of Keras 3 on any backend, tf.keras, tf_keras, and Keras 2.

No Keras is imported: the model gives its config as JSON (``to_json()``) and its variables by
layer, trained ones first, in the order of HDF5 files (Keras 2.3 to 3.15). A variable is read with
its own ``numpy()``, or as an array.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from math import prod
from typing import Protocol, cast

import numpy as np

from tfjs_codec.errors import UnsupportedModelError, UsageError
from tfjs_codec.files import strict_json
from tfjs_codec.files.place import Place
from tfjs_codec.ir.loaded import KerasModel
from tfjs_codec.ir.tensors import Array, LazyTensor
from tfjs_codec.limits import Limits
from tfjs_codec.readers.architecture import read_architecture
from tfjs_codec.readers.h5_weights import assign, convert
from tfjs_codec.readers.input_shape import infer_input_shapes


class LiveModel(Protocol):
    """A model of any Keras, as far as it is looked at before it is known to be one."""

    def to_json(self) -> str:
        """Return the config of the model."""
        ...


class Variable(Protocol):
    """A variable of any Keras; it may also have ``numpy()``, and in Keras 3 ``path``."""

    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> Sequence[int]: ...
    @property
    def dtype(self) -> object: ...


class LiveLayer(Protocol):
    """A layer of any Keras."""

    @property
    def name(self) -> str: ...
    @property
    def trainable_weights(self) -> Sequence[Variable]: ...
    @property
    def non_trainable_weights(self) -> Sequence[Variable]: ...


class BuiltModel(LiveModel, Protocol):
    """A model that was found to be one."""

    @property
    def layers(self) -> Sequence[LiveLayer]: ...


class LiveTensor(LazyTensor):
    """A variable of a model, read when asked for: later changes are seen."""

    def __init__(self, name: str, variable: Variable) -> None:
        self.name = name
        self.shape = tuple(int(size) for size in variable.shape)
        self._variable = variable
        kind = str(getattr(variable.dtype, "name", variable.dtype)).rpartition(".")[2]
        self.dtype = np.dtype(np.float32) if kind == "bfloat16" else np.dtype(kind)

    def numpy(self) -> Array:
        read = getattr(self._variable, "numpy", None)
        array = np.asarray(self._variable if read is None else read())
        if array.size != prod(self.shape):
            raise UsageError(f"the variable {self.name} has changed its shape")
        return np.ascontiguousarray(array.astype(self.dtype, copy=False).reshape(self.shape))


def read(model: LiveModel, limits: Limits) -> KerasModel:
    """Return the live Keras *model*; its variables are read when they are written.

    Raises:
        UsageError: *model* is no Keras model, or has not been built yet.
        UnsupportedModelError: a subclassed model, which has no description of its layers.
    """
    path = f"<{type(model).__name__}>"
    if not all(hasattr(model, name) for name in ("to_json", "layers", "weights")):
        raise UsageError(f"{path} is not a Keras model", hint="Pass a keras.Model.")
    if getattr(model, "built", True) is False:
        raise UsageError(
            "the model has no weights yet", path=path, hint="Build it, or call it on some inputs."
        )
    try:
        text = model.to_json()
    except NotImplementedError as error:  # a subclass without get_config
        raise UnsupportedModelError(
            "a subclassed model holds no description of its layers",
            path=path,
            hint="Convert the SavedModel that model.export('dir') writes, or rebuild it with the "
            "functional API (keras.Model(inputs, outputs)).",
        ) from error
    config = strict_json.load_config(text, path=path, limits=limits)
    version = _version(model)
    found = read_architecture(config, path=path, keras_version=version, limits=limits, whole=True)
    live = {layer.name: layer for layer in cast("BuiltModel", model).layers}
    for layer in found.graph.layers:
        one = live.get(layer.name)
        variables = [] if one is None else [*one.trainable_weights, *one.non_trainable_weights]
        tensors: list[tuple[str, LazyTensor]] = [
            (name, LiveTensor(name, variable))
            for name, variable in ((_name(variable), variable) for variable in variables)
            if "seed_generator" not in name
        ]
        assign(layer, tensors, found.generation, Place(path, layer.name))
        convert(layer, found.python_class)
    warnings = [*found.warnings, *infer_input_shapes(found.graph, path)]
    return found.as_model("keras-live", warnings)


def _name(variable: Variable) -> str:
    """Return the name under which HDF5 files keep *variable*: Keras 3 calls it the path."""
    return str(getattr(variable, "path", None) or variable.name)


def _version(model: object) -> str | None:
    """Return the version of the package that a class of *model* comes from."""
    for kind in type(model).__mro__:
        package = kind.__module__.partition(".")[0]
        if package in ("keras", "tf_keras"):
            version = getattr(sys.modules.get(package), "__version__", None)
            return version if isinstance(version, str) else None
    return None
