"""Variables of tfjs 4.22's layers, in its own order: their shapes, by its short names."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tfjs_codec.ir.json_types import Config
from tfjs_codec.tfjs.shapes import Shape, ShapeError, channels, last

# The variables that inputs are multiplied with, or that rows are looked up in.
KERNELS = frozenset(
    ("kernel", "recurrent_kernel", "depthwise_kernel", "pointwise_kernel", "embeddings")
)

WeightRule = Callable[[Config, Sequence[Shape]], dict[str, Shape]]


def nothing(config: Config, shapes: Sequence[Shape]) -> dict[str, Shape]:
    """No variables."""
    return {}


def _add_bias(kernel: dict[str, Shape], bias: Shape, config: Config) -> dict[str, Shape]:
    return {**kernel, "bias": bias} if config.get("use_bias", True) else kernel


def dense(config: Config, shapes: Sequence[Shape]) -> dict[str, Shape]:
    """A kernel from the last axis to the units."""
    units = config["units"]
    return _add_bias({"kernel": (last(shapes[0]), units)}, (units,), config)


def conv(config: Config, shapes: Sequence[Shape]) -> dict[str, Shape]:
    """A kernel for all channels."""
    filters = config["filters"]
    kernel = (*config["kernel_size"], channels(config, shapes[0]), filters)
    return _add_bias({"kernel": kernel}, (filters,), config)


def deconv(config: Config, shapes: Sequence[Shape]) -> dict[str, Shape]:
    """A kernel whose last axis is that of the input."""
    filters = config["filters"]
    kernel = (*config["kernel_size"], filters, channels(config, shapes[0]))
    return _add_bias({"kernel": kernel}, (filters,), config)


def depthwise(config: Config, shapes: Sequence[Shape]) -> dict[str, Shape]:
    """A kernel for each channel."""
    depth, multiplier = channels(config, shapes[0]), config["depth_multiplier"]
    kernel = (*config["kernel_size"], depth, multiplier)
    return _add_bias({"depthwise_kernel": kernel}, (depth * multiplier,), config)


def separable(config: Config, shapes: Sequence[Shape]) -> dict[str, Shape]:
    """A kernel for each channel, and one across the channels."""
    depth, multiplier = channels(config, shapes[0]), config["depth_multiplier"]
    size = config["kernel_size"]
    kernels: dict[str, Shape] = {
        "depthwise_kernel": (*size, depth, multiplier),
        "pointwise_kernel": (*(1,) * len(size), depth * multiplier, config["filters"]),
    }
    return _add_bias(kernels, (config["filters"],), config)


def embedding(config: Config, shapes: Sequence[Shape]) -> dict[str, Shape]:
    """A vector for each index."""
    return {"embeddings": (config["input_dim"], config["output_dim"])}


def batch_norm(config: Config, shapes: Sequence[Shape]) -> dict[str, Shape]:
    """Scale, centre and statistics of one axis."""
    size = shapes[0][config["axis"]]
    if size is None:
        raise ShapeError("the normalised axis must be known")
    names = [
        name for name, key in (("gamma", "scale"), ("beta", "center")) if config.get(key, True)
    ]
    return dict.fromkeys((*names, "moving_mean", "moving_variance"), (size,))


def layer_norm(config: Config, shapes: Sequence[Shape]) -> dict[str, Shape]:
    """Scale and centre of the normalised axes."""
    axes = config["axis"] if isinstance(config["axis"], list) else [config["axis"]]
    names = [
        name for name, key in (("gamma", "scale"), ("beta", "center")) if config.get(key, True)
    ]
    return {name: tuple(shapes[0][axis] for axis in axes) for name in names}


def prelu(config: Config, shapes: Sequence[Shape]) -> dict[str, Shape]:
    """A slope for each position, but along shared axes."""
    shared = config.get("shared_axes") or []
    shape = shapes[0]
    return {"alpha": tuple(1 if i in shared else shape[i] for i in range(1, len(shape)))}


def rnn(gates: int) -> WeightRule:
    """Return the rule of a recurrent layer with this number of gates."""

    def rule(config: Config, shapes: Sequence[Shape]) -> dict[str, Shape]:
        units = config["units"]
        kernels: dict[str, Shape] = {
            "kernel": (last(shapes[0]), gates * units),
            "recurrent_kernel": (units, gates * units),
        }
        return _add_bias(kernels, (gates * units,), config)

    return rule


def conv_lstm(config: Config, shapes: Sequence[Shape]) -> dict[str, Shape]:
    """Kernels of the four gates."""
    shape, filters = shapes[0], config["filters"]
    depth = channels(config, (shape[0], *shape[2:]))
    kernels: dict[str, Shape] = {
        "kernel": (*config["kernel_size"], depth, 4 * filters),
        "recurrent_kernel": (*config["kernel_size"], filters, 4 * filters),
    }
    return _add_bias(kernels, (4 * filters,), config)
