"""Calls of models inside a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tfjs_codec.errors import count
from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.tracing.refusal import Refusal

_CAST = ("float", "bfloat")  # Keras casts what goes into an input of such a dtype


class Given(Protocol):
    """A tensor of any target."""

    @property
    def shape(self) -> tuple[int | None, ...]: ...
    @property
    def dtype(self) -> str: ...
    @property
    def poisoned(self) -> bool: ...


def check_inputs(layer: KerasLayer, given: Sequence[Given]) -> None:
    """Check the tensors that the model in *layer* is called on against its inputs.

    Raises:
        Refusal: Their number, their shapes or dtypes are others.
    """
    graph = layer.graph
    assert graph is not None
    if len(given) != len(graph.inputs):
        tensors, inputs = count(len(given), "tensor"), count(len(graph.inputs), "input")
        raise Refusal(f"it is called on {tensors} and has {inputs}")
    by_name = {one.name: one for one in graph.layers}
    for number, (ref, tensor) in enumerate(zip(graph.inputs, given, strict=True)):
        config = by_name[ref.layer].config
        shape, dtype = config.get("batch_shape"), str(config.get("dtype") or "float32")
        if tensor.poisoned or not isinstance(shape, list):
            continue
        pairs = list(zip(shape, tensor.shape, strict=False))[1:]
        if len(shape) != len(tensor.shape) or any(
            a != b for a, b in pairs if a is not None and b is not None
        ):
            raise Refusal(f"its input {number} has shape {shape}, it gets {list(tensor.shape)}")
        if tensor.dtype != dtype and not dtype.startswith(_CAST) and tensor.dtype.startswith(_CAST):
            raise Refusal(f"its input {number} is {dtype}, it gets {tensor.dtype}")
