"""Calls of models inside a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias

from tfjs_codec.errors import UsageError, count, quote
from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.tracing.refusal import Refusal

_CAST = ("float", "bfloat")  # Keras casts what goes into an input of such a dtype
Shape: TypeAlias = "Sequence[int | None]"


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
        if not _agree(shape, tensor.shape):
            raise Refusal(f"its input {number} has shape {shape}, it gets {list(tensor.shape)}")
        if tensor.dtype != dtype and not dtype.startswith(_CAST) and tensor.dtype.startswith(_CAST):
            raise Refusal(f"its input {number} is {dtype}, it gets {tensor.dtype}")


def check_outputs(layer: KerasLayer, call: int, made: Sequence[Given], path: str) -> None:
    """Check what the user's replacement of *layer* yields against what the file states.

    Widths of dtypes do not matter: tfjs has one float dtype.

    Raises:
        UsageError: An output has another shape, or a dtype of another kind.
    """
    for number, tensor in enumerate(made):
        wanted = layer.recorded.get((call, number))
        if wanted is None or tensor.poisoned:
            continue
        name = quote(layer.name)
        if not _agree(wanted.shape, tensor.shape):
            raise UsageError(
                f"the replacement of layer {name} yields shape {list(tensor.shape)}, "
                f"the layer {list(wanted.shape)}",
                path=path,
            )
        if wanted.dtype and _kind(tensor.dtype) != _kind(wanted.dtype):
            raise UsageError(
                f"the replacement of layer {name} yields {tensor.dtype}, the layer {wanted.dtype}",
                path=path,
            )


def _agree(one: Shape, other: Shape) -> bool:
    """Tell whether two shapes may be the same, whatever their batch."""
    return len(one) == len(other) and all(
        a == b or a is None or b is None for a, b in zip(one[1:], other[1:], strict=True)
    )


def _kind(dtype: str) -> str:
    return next((kind for kind in ("float", "int", "bool", "string") if kind in dtype), dtype)
