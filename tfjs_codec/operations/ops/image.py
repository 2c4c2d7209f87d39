"""Images ``(batch, height, width, channels)``."""

from __future__ import annotations

from typing import Any

from tfjs_codec.operations.builder import Builder
from tfjs_codec.operations.ops import arithmetic as a
from tfjs_codec.operations.ops import functions as f
from tfjs_codec.operations.ops.linalg import einsum
from tfjs_codec.operations.ops.shapes import size_of
from tfjs_codec.operations.registry import operation
from tfjs_codec.operations.values import Operand, Value, is_float
from tfjs_codec.tracing.refusal import Refusal, StaticShapeNeeded, check_constant
from tfjs_codec.tracing.resampling import resize_matrix, rounded_by


def times(b: Builder, x: Value, axis: int, factor: int) -> Any:
    """Return a size of *x* times *factor*, as a number if it is known."""
    size = size_of(b, x, axis)
    return size * factor if isinstance(size, int) else a.multiply(b, size, factor)


def resize(b: Builder, x: Value, size: list[Any], method: str, *, antialias: bool = False) -> Value:
    """Resize the axes 1 and 2 of *x* to *size*: numbers, or scalars at run time."""
    dtype = x.dtype
    known = tuple(one if isinstance(one, int) else None for one in size)
    if known == x.shape[1:3] and None not in known:
        return x
    plain = not antialias or all(
        new is not None and old is not None and new >= old
        for new, old in zip(known, x.shape[1:3], strict=True)
    )
    if method == "nearest":
        y = _kernel(b, "ResizeNearestNeighbor", x, size, known)
    elif method == "bilinear" and plain:
        y = _kernel(b, "ResizeBilinear", f.real(b, x), size, known)
    else:
        y = f.real(b, x)
        for axis, equation in ((1, "bhwc,hx->bxwc"), (2, "bhwc,wx->bhxc")):
            new, old = known[axis - 1], y.shape[axis]
            if new is None or old is None:
                raise StaticShapeNeeded(f"its input shape {list(x.shape)} must be known")
            if new != old:
                y = einsum(b, equation, y, _matrix(b, old, new, method, antialias))
    return y if is_float(dtype) or y.dtype == dtype else a.saturate_cast(b, f.round_(b, y), dtype)


def _kernel(b: Builder, op: str, x: Value, size: list[Any], known: tuple[int | None, ...]) -> Value:
    return b.emit(
        op, x, b.value(size, "int32"), shape=(x.shape[0], *known, x.shape[3]), dtype=x.dtype,
        align_corners=False, half_pixel_centers=True,
    )  # fmt: skip


def _matrix(b: Builder, size: int, target: int, method: str, antialias: bool) -> Any:
    check_constant(size, target)
    if method != "bicubic" or antialias:
        return resize_matrix(size, target, method, antialias=antialias).numpy()
    if b.generation == 3 and rounded_by(size, target, 1024) > 1e-5:
        b.approximate("TensorFlow rounds the positions of bicubic resizing, JAX does not")
    return resize_matrix(size, target, method, grid=1024).numpy()


@operation("resize")
def resize_(
    b: Builder, images: Operand, size: Any, interpolation: str = "bilinear",
    antialias: Any = False, data_format: Any = None, crop_to_aspect_ratio: Any = False,
    pad_to_aspect_ratio: Any = False,
) -> Value:  # fmt: skip
    """Resize images."""
    x = b.value(images)
    if crop_to_aspect_ratio or pad_to_aspect_ratio or data_format == "channels_first":
        raise Refusal("resizing to an aspect ratio, or with channels first")
    if x.rank != 4:
        raise Refusal("resizing inputs that are not (batch, height, width, channels)")
    target = [int(one) for one in size]
    return resize(b, x, target, interpolation, antialias=bool(antialias))
