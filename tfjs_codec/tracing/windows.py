"""Windows that slide over an axis: the padding Keras gives them, and how far they reach."""

from __future__ import annotations

from tfjs_codec.tracing.refusal import Refusal


def reach(size: int, window: int, stride: int) -> int:
    """Return how many elements the windows of 'same' padding span; beyond *size* they are zeros."""
    return (-(-size // stride) - 1) * stride + window


def same_padding(size: int | None, window: int, stride: int) -> tuple[int, int] | None:
    """Return the zeros that 'same' adds before and after, None if they depend on the size."""
    if size is not None:
        total = max(reach(size, window, stride) - size, 0)
    elif stride == 1 or window < 3:
        total = window - 1
    else:
        return None
    return total // 2, total - total // 2


def theano_padding(window: int) -> tuple[int, int]:
    """Return the zeros that Theano's 'same' convolution adds, whatever the stride."""
    return window // 2, (window - 1) // 2


def theano_pooling(size: int, window: int, stride: int, *, average: bool) -> tuple[int, int]:
    """Return how many elements Theano's 'same' pooling adds before an axis, and all it reaches.

    Every window that reaches over an edge holds the edge, so that repeating it keeps the maximum.

    Raises:
        Refusal: It is an average.
    """
    if average:
        raise Refusal(
            "the windows of Theano's 'same' average pooling start elsewhere than tfjs's",
            "Load the model with TensorFlow, check its predictions and save it again.",
        )
    before = window - 2 if window > 2 and window % 2 else window - 1
    return before, reach(size, window, stride)


def transposed_window(
    size: int, kernel: int, stride: int, padding: str, extra: int | None, *, theano: bool
) -> tuple[int, int]:
    """Return where the result starts in the full transposed convolution, and its size.

    *extra* is the layer's ``output_padding``.
    """
    same = padding == "same"
    full = (size - 1) * stride + kernel
    if extra is None and theano and same:
        return kernel // 2, size * stride
    if extra is None:
        wanted = size * stride if same else (size - 1) * stride + max(kernel, stride)
    else:
        wanted = full - (2 * (kernel // 2) if same else 0) + extra
    return (max(full - wanted, 0) // 2 if same else 0), wanted
