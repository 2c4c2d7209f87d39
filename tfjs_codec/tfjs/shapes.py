"""Shapes of the outputs of tfjs 4.22's layers.

``None`` in a shape is a dimension known only at run time; index 0 is the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from tfjs_codec.ir.json_types import Config
from tfjs_codec.ir.shapes import Dims, resolve_axis
from tfjs_codec.ir.shapes import broadcast as broadcast_sizes

Shape = Dims
ShapeRule = Callable[[Config, Sequence[Shape]], list[Shape]]


class ShapeError(ValueError):
    """A layer cannot be applied to these shapes; the text is one clause for a message."""


class ToleratedError(ShapeError):
    """Keras refuses these shapes, or we do; tfjs computes something: an empty tensor, usually."""


# ------------------------------------------------------------------------------ shape arithmetic


def conv_length(
    size: int | None, kernel: int, stride: int, padding: str, dilation: int
) -> int | None:
    """Return the output length of a convolution or pooling along one axis."""
    if size is None:
        return None
    reach = (kernel - 1) * dilation + 1
    length = -(-size // stride) if padding == "same" else (size - reach) // stride + 1
    if length <= 0:
        kind = ToleratedError if length == 0 else ShapeError
        raise kind(f"a window of {reach} does not fit an axis of {size}")
    return length


def deconv_length(size: int | None, kernel: int, stride: int, padding: str) -> int | None:
    """Return tfjs's output length of a transposed convolution along one axis."""
    if size is None:
        return None
    return size * stride if padding == "same" else size * stride + max(kernel - stride, 0)


def known(shape: Shape, what: str = "shape") -> tuple[int, ...]:
    """Return *shape* without its batch axis, all of which must be known."""
    if any(size is None for size in shape[1:]):
        raise ShapeError(f"the {what} {list(shape)} must be known")
    return tuple(size for size in shape[1:] if size is not None)


def last(shape: Shape) -> int:
    """Return the size of the last axis, which must be known."""
    size = shape[-1]
    if size is None or len(shape) < 2:
        raise ShapeError(f"the last axis of {list(shape)} must be known")
    return size


def broadcast(shapes: Sequence[Shape]) -> Shape:
    """Return the shape of an element-wise merge; ranks differ by ones after the batch axis."""
    rank = max(len(shape) for shape in shapes)
    try:
        return broadcast_sizes(*((s[0], *(1,) * (rank - len(s)), *s[1:]) for s in shapes))
    except ValueError:
        raise ShapeError(f"shapes {[list(s) for s in shapes]} do not broadcast") from None


def spatial_axes(config: Config, shape: Shape) -> tuple[range, int]:
    """Return the spatial axes and the channel axis of a convolution-like input."""
    if config.get("data_format") == "channels_first":
        return range(2, len(shape)), 1
    return range(1, len(shape) - 1), len(shape) - 1


def channels(config: Config, shape: Shape) -> int:
    """Return the number of channels, which must be known."""
    size = shape[spatial_axes(config, shape)[1]]
    if size is None:
        raise ShapeError(f"the channel axis of {list(shape)} must be known")
    return size


def locate(axis: int, shape: Shape) -> int:
    """Return *axis* of *shape*, counted from 0."""
    try:
        return resolve_axis(axis, len(shape))
    except ValueError:
        raise ShapeError(f"there is no axis {axis} of {list(shape)}") from None


def _replace(shape: Shape, changes: dict[int, int | None]) -> Shape:
    return tuple(changes.get(axis, size) for axis, size in enumerate(shape))


# ----------------------------------------------------------------------------------- shape rules


def same(config: Config, shapes: Sequence[Shape]) -> list[Shape]:
    """Keep the shape."""
    return [shapes[0]]


def units(config: Config, shapes: Sequence[Shape]) -> list[Shape]:
    """Replace the last axis by the units."""
    last(shapes[0])
    return [(*shapes[0][:-1], config["units"])]


def conv(config: Config, shapes: Sequence[Shape]) -> list[Shape]:
    """Slide windows over the spatial axes; of a DepthwiseConv2D, each channel becomes several."""
    shape = shapes[0]
    spatial, channel = spatial_axes(config, shape)
    dilation = config.get("dilation_rate") or [1] * len(spatial)
    sizes: dict[int, int | None] = {
        axis: conv_length(
            shape[axis],
            config["kernel_size"][i],
            config["strides"][i],
            config["padding"],
            dilation[i],
        )
        for i, axis in enumerate(spatial)
    }
    filters = config.get("filters")
    if filters is None:  # depthwise
        filters = channels(config, shape) * config["depth_multiplier"]
    return [_replace(shape, {**sizes, channel: filters})]


def deconv(config: Config, shapes: Sequence[Shape]) -> list[Shape]:
    """Upsample the spatial axes by a transposed convolution."""
    shape = shapes[0]
    spatial, channel = spatial_axes(config, shape)
    sizes: dict[int, int | None] = {
        axis: deconv_length(
            shape[axis], config["kernel_size"][i], config["strides"][i], config["padding"]
        )
        for i, axis in enumerate(spatial)
    }
    return [_replace(shape, {**sizes, channel: config["filters"]})]


def pool(config: Config, shapes: Sequence[Shape]) -> list[Shape]:
    """Slide windows over the spatial axes."""
    shape = shapes[0]
    spatial, _ = spatial_axes(config, shape)
    sizes: dict[int, int | None] = {
        axis: conv_length(
            shape[axis], config["pool_size"][i], config["strides"][i], config["padding"], 1
        )
        for i, axis in enumerate(spatial)
    }
    return [_replace(shape, sizes)]


def global_pool(config: Config, shapes: Sequence[Shape]) -> list[Shape]:
    """Drop the spatial axes."""
    shape = shapes[0]
    return [(shape[0], shape[spatial_axes(config, shape)[1]])]


def flatten(config: Config, shapes: Sequence[Shape]) -> list[Shape]:
    """Join all axes after the batch."""
    return [(shapes[0][0], prod(known(shapes[0], "input shape of Flatten")))]


def reshape(config: Config, shapes: Sequence[Shape]) -> list[Shape]:
    """Take the target shape, one size of which may follow from the others."""
    shape, target = shapes[0], config["target_shape"]
    if not {-1, None} & set(target):
        if None not in shape[1:] and prod(known(shape)) != prod(target):
            raise ShapeError(f"cannot reshape {list(shape)} to {list(target)}")
        return [(shape[0], *target)]
    # tfjs leaves -1 unresolved as long as the batch size is open
    return [(shape[0], *(None if size == -1 else size for size in target))]


def permute(config: Config, shapes: Sequence[Shape]) -> list[Shape]:
    """Permute the axes after the batch."""
    shape = shapes[0]
    if sorted(config["dims"]) != list(range(1, len(shape))):
        raise ShapeError(f"dims {config['dims']} do not permute {list(shape)}")
    return [(shape[0], *(shape[axis] for axis in config["dims"]))]


def repeat(config: Config, shapes: Sequence[Shape]) -> list[Shape]:
    """Repeat vectors along a new time axis."""
    return [(shapes[0][0], config["n"], shapes[0][1])]


def embedding(config: Config, shapes: Sequence[Shape]) -> list[Shape]:
    """Add an axis for the vectors."""
    return [(*shapes[0], config["output_dim"])]


def merge(config: Config, shapes: Sequence[Shape]) -> list[Shape]:
    """Broadcast at least two inputs."""
    if len(shapes) < 2:
        raise ShapeError("a merge layer needs at least 2 inputs")
    return [broadcast(shapes)]


def concatenate(config: Config, shapes: Sequence[Shape]) -> list[Shape]:
    """Join the inputs along an axis."""
    axis, first = config["axis"], shapes[0]
    what = f"cannot concatenate {[list(shape) for shape in shapes]} on axis {axis}"
    if len(shapes) < 2 or not 0 <= axis < len(first):
        raise ShapeError(what)
    if len({(*shape[:axis], *shape[axis + 1 :]) for shape in shapes}) > 1:
        raise ShapeError(f"{what}: all other sizes must be equal, or unknown in each")
    if axis == 0:
        raise ToleratedError(what)
    sizes = [shape[axis] for shape in shapes]
    total = None if None in sizes else sum(size for size in sizes if size is not None)
    return [_replace(first, {axis: total})]


def dot(config: Config, shapes: Sequence[Shape]) -> list[Shape]:
    """Contract one axis of each of two inputs."""
    if len(shapes) != 2:
        raise ShapeError("Dot needs exactly 2 inputs")
    a, b = shapes
    axes = config["axes"]
    first, second = (axes, axes) if isinstance(axes, int) else axes
    first, second = locate(first, a), locate(second, b)
    if first == 0 or second == 0:
        raise ShapeError("the batch axis cannot be contracted")
    if a[first] != b[second]:  # tfjs does not take an unknown size for a known one
        raise ShapeError(f"{list(a)} and {list(b)} do not match on axes {[first, second]}")
    out = [size for i, size in enumerate(a) if i != first]
    out += [size for i, size in enumerate(b) if i not in (0, second)]
    return [tuple(out) if len(out) > 1 else (*out, 1)]


def _rnn_outputs(config: Config, shape: Shape, out: Shape, states: list[Shape]) -> list[Shape]:
    sequence = (shape[0], shape[1], *out) if config.get("return_sequences") else (shape[0], *out)
    return [sequence, *states] if config.get("return_state") else [sequence]


def rnn(states: int) -> ShapeRule:
    """Return the rule of a recurrent layer with this number of states."""

    def rule(config: Config, shapes: Sequence[Shape]) -> list[Shape]:
        shape, units = shapes[0], config["units"]
        last(shape)
        return _rnn_outputs(config, shape, (units,), [(shape[0], units)] * states)

    return rule


def conv_lstm(config: Config, shapes: Sequence[Shape]) -> list[Shape]:
    """Drop the time axis, unless sequences are returned; slide windows over the spatial axes."""
    shape = shapes[0]
    step = conv(config, [(shape[0], *shape[2:])])[0]
    return _rnn_outputs(config, shape, step[1:], [step, step])


def pad2d(config: Config, shapes: Sequence[Shape]) -> list[Shape]:
    """Pad both spatial axes."""
    return [_grow(config, shapes[0], config["padding"], 1)]


def crop2d(config: Config, shapes: Sequence[Shape]) -> list[Shape]:
    """Crop both spatial axes."""
    return [_grow(config, shapes[0], config["cropping"], -1)]


def _grow(config: Config, shape: Shape, pairs: list[list[int]], sign: int) -> Shape:
    spatial, _ = spatial_axes(config, shape)
    changes: dict[int, int | None] = {}
    for axis, pair in zip(spatial, pairs, strict=True):
        size = shape[axis]
        changes[axis] = None if size is None else size + sign * sum(pair)
        if size is not None and size + sign * sum(pair) <= 0:
            kind = ToleratedError if size + sign * sum(pair) == 0 else ShapeError
            raise kind(f"nothing is left of an axis of {size} after cropping {pair}")
    return _replace(shape, changes)


def upsample2d(config: Config, shapes: Sequence[Shape]) -> list[Shape]:
    """Repeat rows and columns."""
    shape = shapes[0]
    spatial, _ = spatial_axes(config, shape)
    changes: dict[int, int | None] = {}
    for axis, factor in zip(spatial, config["size"], strict=True):
        size = shape[axis]
        changes[axis] = None if size is None else size * factor
    return [_replace(shape, changes)]
