"""A numpy interpreter of tfjs Layers models: what tfjs 4.22 computes for a ``model.json``.

Written from the sources of tfjs-layers (``engine/executor``, ``engine/container``, ``layers/*``),
not from our rules: a wrong sign in a rule fails here without Node. Everything is float32, as in
tfjs. Two of its habits matter and are kept:

* **One mask per execution.** The keyword arguments of a call live as long as the execution. A
  layer whose inputs have no mask gets that of the last layer whose inputs had one, and nested
  models inherit it. The order of execution is therefore tfjs's, tensor by tensor.
* **Names decide.** A reference counts calls in the order in which tfjs makes them; a nested model
  has call 0 before anyone calls it. Weights are found by name, and all must be used.

Unknown classes, activations and config values are refused (:class:`LookupError`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import layer_kernels as nn
import numpy as np

Array = np.ndarray
Config = dict[str, Any]
Keywords = dict[str, Any] | None


class Symbol(NamedTuple):
    """Output *index* of call *call* of *layer*."""

    layer: Layer
    call: int
    index: int

    @property
    def inputs(self) -> list[Symbol]:
        return self.layer.calls[self.call]


class Layer:
    """A layer with its weights by short name and the inputs of its calls.

    ``scope`` is the prefix of the weights' names.
    """

    supports_masking = False
    variables: tuple[str, ...] = ()

    def __init__(self, name: str, config: Config, weights: Weights, scope: str | None = None):
        self.name = name
        self.config = config
        self.calls: list[list[Symbol]] = []
        scope = name if scope is None else scope
        self.weights = {
            short: weights.take(f"{scope}/{short}") for short in self.variables if self.has(short)
        }

    def has(self, variable: str) -> bool:
        return bool(self.config.get("use_bias", True)) or variable != "bias"

    def apply(self, inputs: list[Array], keywords: Keywords) -> list[Array]:
        return self.call(inputs, {} if keywords is None else keywords)

    def call(self, inputs: list[Array], keywords: dict[str, Any]) -> list[Array]:
        raise NotImplementedError

    def compute_mask(self, inputs: list[Array], masks: list[Array | None]) -> Array | None:
        return masks[0]


class Weights:
    """The tensors of a weights manifest; each is taken at most once."""

    def __init__(self, files: Mapping[str, bytes], manifest: Sequence[Mapping[str, Any]]) -> None:
        self._left: dict[str, Array] = {}
        for group in manifest:
            data = b"".join(files[path] for path in group["paths"])
            for entry in group["weights"]:
                assert entry["name"] not in self._left, f"two weights {entry['name']}"
                self._left[entry["name"]], data = _read_weight(entry, data)
            assert not data, "a shard is longer than its weights"

    def take(self, name: str) -> Array:
        return self._left.pop(name)

    def names(self) -> list[str]:
        return list(self._left)


def _read_weight(entry: Mapping[str, Any], data: bytes) -> tuple[Array, bytes]:
    """Return the values of *entry*, dequantised, and the rest of *data*."""
    quantization = entry.get("quantization", {})
    dtype = np.dtype(quantization.get("dtype", entry["dtype"])).newbyteorder("<")
    end = int(np.prod(entry["shape"], dtype=np.int64)) * dtype.itemsize
    stored = np.frombuffer(data[:end], dtype).reshape(entry["shape"])
    values = stored.astype(entry["dtype"])
    if "scale" in quantization:
        values = np.float32(quantization["min"]) + values * np.float32(quantization["scale"])
    return values, data[end:]


# ----------------------------------------------------------------------------------- containers


class Model(Layer):
    """A Functional or Sequential model, as a whole or as a layer of another one."""

    def __init__(self, name: str, config: Config, weights: Weights, scope: str | None = None):
        self.name, self.config, self.weights = name, config, {}
        self.calls: list[list[Symbol]] = [[]]  # its own graph is call 0
        if "input_layers" in config:
            self._connect({entry["name"]: make(entry, weights) for entry in config["layers"]})
        else:
            self._chain([make(entry, weights) for entry in config["layers"]])

    def _chain(self, layers: list[Layer]) -> None:
        assert isinstance(layers[0], Input), "a Sequential model begins with an InputLayer"
        layers[0].calls.append([])
        self.inputs = last = [Symbol(layers[0], 0, 0)]
        for layer in layers[1:]:
            layer.calls.append(last)
            last = [Symbol(layer, len(layer.calls) - 1, 0)]
        self.outputs = last

    def _connect(self, layers: dict[str, Layer]) -> None:
        """Make the calls in tfjs's order: rounds over the layers, until none is left."""
        waiting = {entry["name"]: list(entry["inbound_nodes"]) for entry in self.config["layers"]}
        for layer in layers.values():
            if isinstance(layer, Input):
                layer.calls.append([])
        while any(waiting.values()):
            before = sum(map(len, waiting.values()))
            for name, nodes in waiting.items():
                waiting[name] = [node for node in nodes if not self._call(layers, name, node)]
            assert sum(map(len, waiting.values())) < before, f"tfjs hangs: {waiting}"
        self.inputs = [_symbol(layers, ref) for ref in self.config["input_layers"]]
        self.outputs = [_symbol(layers, ref) for ref in self.config["output_layers"]]

    def _call(self, layers: dict[str, Layer], name: str, node: list[list[Any]]) -> bool:
        if any(ref[1] >= len(layers[ref[0]].calls) for ref in node):
            return False
        assert not any(ref[3] for ref in node), f"{name}: keyword arguments {node}"
        layers[name].calls.append([_symbol(layers, ref) for ref in node])
        return True

    def call(self, inputs: list[Array], keywords: Keywords) -> list[Array]:
        """Run the layers in tfjs's order (``execute`` of ``engine/executor``)."""
        values: dict[Symbol, Array] = {}
        masks: dict[Symbol, Array | None] = {}
        for symbol, value in zip(self.inputs, inputs, strict=True):
            values[symbol] = value.astype(symbol.layer.config.get("dtype", "float32"))
        outputs: list[Array | None] = [values.get(symbol) for symbol in self.outputs]
        for symbol in _sorted(self.outputs, set(values)):
            layer = symbol.layer
            given = [values[each] for each in symbol.inputs]
            given_masks = [masks.get(each) for each in symbol.inputs]
            if any(mask is not None for mask in given_masks):
                keywords = {} if keywords is None else keywords
                keywords["mask"] = given_masks[0]
            results = layer.apply(given, keywords)
            mask = layer.compute_mask(given, given_masks) if layer.supports_masking else None
            for index, result in enumerate(results):
                each = Symbol(layer, symbol.call, index)
                if each not in values:
                    values[each], masks[each] = result.astype(np.float32, copy=False), mask
                if each in self.outputs:
                    outputs[self.outputs.index(each)] = result
        assert all(each is not None for each in outputs), "tfjs returns an output only once"
        return [each for each in outputs if each is not None]

    def predict(self, inputs: Sequence[Array]) -> list[Array]:
        """Return the outputs by position, as ``model.predict`` does."""
        with np.errstate(all="ignore"):
            return self.call(list(inputs), None)


def _symbol(layers: Mapping[str, Layer], ref: Sequence[Any]) -> Symbol:
    return Symbol(layers[ref[0]], ref[1], ref[2])


def _sorted(fetches: Sequence[Symbol], fed: set[Symbol]) -> list[Symbol]:
    """Return what has to be computed in tfjs's order: depth first, last input first."""
    order: dict[Symbol, None] = {}
    for fetch in fetches:
        visited = set(fed)
        stack, marks = [fetch], []
        while stack:
            top = stack[-1]
            if top in visited:
                stack.pop()
                continue
            marked = bool(marks) and marks[-1] == len(stack) - 1
            if marked or not top.inputs:
                stack.pop()
                order.setdefault(top)
                visited.add(top)
                if marked:
                    marks.pop()
            else:
                marks.append(len(stack) - 1)
                stack.extend(each for each in top.inputs if each not in visited)
    return list(order)


def load(source: Path | Mapping[str, bytes]) -> Model:
    """Return the model in a directory, or in files by name; every weight belongs to a layer."""
    if isinstance(source, Path):
        source = {path.name: path.read_bytes() for path in source.iterdir()}
    described = json.loads(source["model.json"])
    weights = Weights(source, described["weightsManifest"])
    topology = described["modelTopology"]
    model = make(topology.get("model_config", topology), weights)
    assert isinstance(model, Model)
    assert not weights.names(), f"no layer has {weights.names()}"
    return model


def make(entry: Mapping[str, Any], weights: Weights, scope: str | None = None) -> Layer:
    """Return the layer that a topology describes; *scope* replaces its name in weights' names."""
    config = entry["config"]
    return CLASSES[entry["class_name"]](config["name"], config, weights, scope)


class Input(Layer):
    """An input of a model."""


# --------------------------------------------------------------------- layers of one input


Function = Callable[[Layer, Array, dict[str, Any]], Array]
CLASSES: dict[str, type[Layer]] = {
    "InputLayer": Input, "Functional": Model, "Sequential": Model, "Model": Model,
}  # fmt: skip


def plain(
    *names: str, variables: tuple[str, ...] = (), masking: bool = False
) -> Callable[[Function], Function]:
    """Register a function of a layer, its input and its keywords as the call of classes."""

    def register(function: Function) -> Function:
        def call(self: Layer, inputs: list[Array], keywords: dict[str, Any]) -> list[Array]:
            (x,) = inputs
            return [function(self, x, keywords)]

        attributes = {"call": call, "variables": variables, "supports_masking": masking}
        CLASSES.update({name: type(name, (Layer,), dict(attributes)) for name in names})
        return function

    return register


@plain(
    "Dropout", "SpatialDropout1D", "GaussianNoise", "GaussianDropout", "AlphaDropout", masking=True
)  # fmt: skip
def _identity(layer: Layer, x: Array, _: Any) -> Array:
    return x


@plain("Dense", variables=("kernel", "bias"), masking=True)
def _dense(layer: Layer, x: Array, _: Any) -> Array:
    return _finish(layer, x @ layer.weights["kernel"])


@plain("Activation", masking=True)
def _activation(layer: Layer, x: Array, _: Any) -> Array:
    return nn.activation(layer.config["activation"])(x)


def _finish(layer: Layer, y: Array) -> Array:
    """Add the bias and apply the activation; channels are last."""
    y = y + layer.weights["bias"] if "bias" in layer.weights else y
    return nn.activation(layer.config.get("activation"))(y)


def _last(config: Config, x: Array) -> Array:
    """Move the channels of an image, wherever they are, to the end."""
    return np.moveaxis(x, 1, -1) if config.get("data_format") == "channels_first" else x


def _back(config: Config, x: Array) -> Array:
    return np.moveaxis(x, -1, 1) if config.get("data_format") == "channels_first" else x


@plain("Conv1D", "Conv2D", "Conv3D", variables=("kernel", "bias"))
def _convolution(layer: Layer, x: Array, _: Any) -> Array:
    config = layer.config
    y = nn.convolve(
        _last(config, x), layer.weights["kernel"], config["strides"], config["padding"],
        config["dilation_rate"],
    )  # fmt: skip
    return _back(config, _finish(layer, y))


@plain("DepthwiseConv2D", variables=("depthwise_kernel", "bias"))
def _depthwise(layer: Layer, x: Array, _: Any) -> Array:
    config = layer.config
    y = nn.convolve_depthwise(
        _last(config, x), layer.weights["depthwise_kernel"], config["strides"], config["padding"],
        config["dilation_rate"],
    )  # fmt: skip
    return _back(config, _finish(layer, y))


@plain("SeparableConv2D", variables=("depthwise_kernel", "pointwise_kernel", "bias"))
def _separable(layer: Layer, x: Array, _: Any) -> Array:
    config = layer.config
    y = nn.convolve_depthwise(
        _last(config, x), layer.weights["depthwise_kernel"], config["strides"], config["padding"],
        config["dilation_rate"],
    )  # fmt: skip
    return _back(config, _finish(layer, y @ layer.weights["pointwise_kernel"][0, 0]))


@plain("Conv2DTranspose", "Conv3DTranspose", variables=("kernel", "bias"))
def _transposed(layer: Layer, x: Array, _: Any) -> Array:
    config = layer.config
    y = nn.convolve_transposed(
        _last(config, x), layer.weights["kernel"], config["strides"], config["padding"]
    )
    return _back(config, _finish(layer, y))


@plain(*(f"{kind}Pooling{rank}D" for kind in ("Max", "Average") for rank in (1, 2, 3)))
def _pooling(layer: Layer, x: Array, _: Any) -> Array:
    config = layer.config
    pool = nn.pool_max if type(layer).__name__.startswith("Max") else nn.pool_average
    y = pool(_last(config, x), config["pool_size"], config["strides"], config["padding"])
    return _back(config, y)


@plain(*(f"Global{kind}Pooling{rank}D" for kind in ("Max", "Average") for rank in (1, 2)))
def _global_pooling(layer: Layer, x: Array, _: Any) -> Array:
    x = _last(layer.config if x.ndim == 4 else {}, x)  # the 1D layers do not read data_format
    axes = tuple(range(1, x.ndim - 1))
    return x.max(axes) if "Max" in type(layer).__name__ else x.mean(axes, dtype=np.float32)


@plain("Flatten")
def _flatten(layer: Layer, x: Array, _: Any) -> Array:
    return _last(layer.config, x).reshape(len(x), -1)


@plain("Reshape")
def _reshape(layer: Layer, x: Array, _: Any) -> Array:
    return x.reshape(len(x), *layer.config["target_shape"])


@plain("Permute")
def _permute(layer: Layer, x: Array, _: Any) -> Array:
    return x.transpose(0, *layer.config["dims"])


@plain("RepeatVector")
def _repeat(layer: Layer, x: Array, _: Any) -> Array:
    return np.repeat(x[:, None], layer.config["n"], 1)


@plain("ZeroPadding2D")
def _pad(layer: Layer, x: Array, _: Any) -> Array:
    widths = [(0, 0), *layer.config["padding"], (0, 0)]
    return _back(layer.config, np.pad(_last(layer.config, x), widths))


@plain("Cropping2D")
def _crop(layer: Layer, x: Array, _: Any) -> Array:
    (top, bottom), (left, right) = layer.config["cropping"]
    x = _last(layer.config, x)
    return _back(layer.config, x[:, top : x.shape[1] - bottom, left : x.shape[2] - right])


@plain("UpSampling2D")
def _upsample(layer: Layer, x: Array, _: Any) -> Array:
    assert layer.config["interpolation"] == "nearest"
    rows, columns = layer.config["size"]
    x = np.repeat(np.repeat(_last(layer.config, x), rows, 1), columns, 2)
    return _back(layer.config, x)


@plain("ReLU", masking=True)
def _relu(layer: Layer, x: Array, _: Any) -> Array:
    return nn.clip(x, 0, layer.config.get("max_value"))


@plain("LeakyReLU")
def _leaky_relu(layer: Layer, x: Array, _: Any) -> Array:
    return np.where(x < 0, np.float32(layer.config["alpha"]) * x, x)


@plain("PReLU", variables=("alpha",), masking=True)
def _prelu(layer: Layer, x: Array, _: Any) -> Array:
    return np.where(x < 0, layer.weights["alpha"] * x, x)


@plain("ELU")
def _elu(layer: Layer, x: Array, _: Any) -> Array:
    assert layer.config["alpha"] == 1
    return nn.activation("elu")(x)


@plain("ThresholdedReLU")
def _thresholded_relu(layer: Layer, x: Array, _: Any) -> Array:
    return x * (x > np.float32(layer.config["theta"]))


@plain("Softmax")
def _softmax(layer: Layer, x: Array, keywords: dict[str, Any]) -> Array:
    if keywords.get("mask") is not None:
        x = x + (1 - keywords["mask"].astype(np.float32)) * np.float32(-1e9)
    return nn.softmax(x, layer.config["axis"])


@plain("Rescaling")
def _rescale(layer: Layer, x: Array, _: Any) -> Array:
    scale, offset = np.float32(layer.config["scale"]), np.float32(layer.config["offset"])
    return x.astype(np.float32) * scale + offset


class Masking(Layer):
    """Zeroes the steps whose features all are the mask value, and masks them."""

    supports_masking = True

    def call(self, inputs: list[Array], keywords: dict[str, Any]) -> list[Array]:
        return [inputs[0] * self.compute_mask(inputs, [])[..., None]]

    def compute_mask(self, inputs: list[Array], masks: list[Array | None]) -> Array:
        return (inputs[0] != np.float32(self.config["mask_value"])).any(-1)


class Embedding(Layer):
    """Looks up rows; ids are cast to int32, those out of range are an error."""

    variables = ("embeddings",)

    @property
    def supports_masking(self) -> bool:  # type: ignore[override]
        return bool(self.config["mask_zero"])

    def call(self, inputs: list[Array], keywords: dict[str, Any]) -> list[Array]:
        ids = inputs[0].astype(np.int32)
        assert ids.min(initial=0) >= 0
        return [self.weights["embeddings"][ids]]

    def compute_mask(self, inputs: list[Array], masks: list[Array | None]) -> Array:
        return inputs[0] != 0


class BatchNormalization(Layer):
    """Normalises by recorded moments, along one axis."""

    supports_masking = True
    variables = ("gamma", "beta", "moving_mean", "moving_variance")

    def has(self, variable: str) -> bool:
        option = {"gamma": "scale", "beta": "center"}.get(variable)
        return option is None or bool(self.config[option])

    def call(self, inputs: list[Array], keywords: dict[str, Any]) -> list[Array]:
        (x,) = inputs
        assert x.ndim in (2, 3, 4), "tfjs normalises tensors of rank 2 to 4"
        shape = [1] * x.ndim
        shape[self.config["axis"]] = -1
        weights = {name: value.reshape(shape) for name, value in self.weights.items()}
        return [self.normalise(x, weights["moving_mean"], weights["moving_variance"], weights)]

    def normalise(
        self, x: Array, mean: Array, variance: Array, weights: Mapping[str, Array]
    ) -> Array:
        scaled = (x - mean) * weights.get("gamma", np.float32(1))
        scaled = scaled / np.sqrt(variance + np.float32(self.config["epsilon"]))
        return scaled + weights.get("beta", np.float32(0))


class LayerNormalization(BatchNormalization):
    """Normalises by the moments of the input over some axes."""

    variables = ("gamma", "beta")

    def call(self, inputs: list[Array], keywords: dict[str, Any]) -> list[Array]:
        (x,) = inputs
        assert x.ndim in (2, 3, 4), "tfjs normalises tensors of rank 2 to 4"
        axes = tuple(axis % x.ndim for axis in np.atleast_1d(self.config["axis"]).tolist())
        mean = x.mean(axes, keepdims=True, dtype=np.float32)
        variance = np.square(x - mean).mean(axes, keepdims=True, dtype=np.float32)
        shape = [size if axis in axes else 1 for axis, size in enumerate(x.shape)]
        weights = {name: value.reshape(shape) for name, value in self.weights.items()}
        return [self.normalise(x, mean, variance, weights)]


# ------------------------------------------------------------------------------------- merging


class Merge(Layer):
    """Element-wise merges; lower ranks get axes after the batch."""

    supports_masking = True

    def call(self, inputs: list[Array], keywords: dict[str, Any]) -> list[Array]:
        assert len(inputs) > 1
        rank = max(x.ndim for x in inputs)
        full = [x.reshape(len(x), *[1] * (rank - x.ndim), *x.shape[1:]) for x in inputs]
        return [self.merge(full)]

    def merge(self, inputs: list[Array]) -> Array:
        result = inputs[0]
        for each in inputs[1:]:
            result = MERGES[type(self).__name__](result, each)
        return result

    def compute_mask(self, inputs: list[Array], masks: list[Array | None]) -> Array | None:
        """As tfjs does it: the last mask does not count, and a leading axis is added."""
        if all(mask is None for mask in masks):
            return None
        full = [None if mask is None else mask[None] for mask in masks]
        result = full[0]
        for mask in full[1:-1]:
            assert result is not None
            assert mask is not None
            result = result & mask
        return result


MERGES = {
    "Add": np.add, "Multiply": np.multiply, "Maximum": np.maximum, "Minimum": np.minimum,
}  # fmt: skip


class Average(Merge):
    """The mean of the inputs."""

    def merge(self, inputs: list[Array]) -> Array:
        return sum(inputs[1:], inputs[0]) * np.float32(1 / len(inputs))


class Concatenate(Merge):
    """Joins along an axis; no broadcasting."""

    def call(self, inputs: list[Array], keywords: dict[str, Any]) -> list[Array]:
        return [np.concatenate(inputs, self.config["axis"])]

    def compute_mask(self, inputs: list[Array], masks: list[Array | None]) -> Array | None:
        if all(mask is None for mask in masks):
            return None
        full = []
        for x, mask in zip(inputs, masks, strict=True):
            whole = np.ones(x.shape, bool) if mask is None else mask
            full.append(whole[..., None] if whole.ndim < x.ndim else whole)
        return np.concatenate(full, self.config["axis"]).all(-1)


class Dot(Merge):
    """``batchDot`` of tensors of rank 2 and 3."""

    def call(self, inputs: list[Array], keywords: dict[str, Any]) -> list[Array]:
        axes = self.config["axes"]
        pair = [axes, axes] if isinstance(axes, int) else axes
        pair = [axis % x.ndim for axis, x in zip(pair, inputs, strict=True)]
        if self.config["normalize"]:
            inputs = [nn.normalise_l2(x, a) for x, a in zip(inputs, pair, strict=True)]
        return [nn.batch_dot(*inputs, *pair)]

    def compute_mask(self, inputs: list[Array], masks: list[Array | None]) -> None:
        return None


# ------------------------------------------------------------------------------------ recurrence


class Cell(Layer):
    """One step of a recurrent layer: input and states to output and states."""

    variables = ("kernel", "recurrent_kernel", "bias")
    states = 1

    def state_shapes(self, x: Array) -> list[tuple[int, ...]]:
        """Return the shapes of the zeros to start with, for one step *x* of the input."""
        return [(len(x), self.config["units"])] * self.states

    def call(self, inputs: list[Array], keywords: dict[str, Any]) -> list[Array]:
        x, *states = inputs
        return self.step(x, states)

    def step(self, x: Array, states: list[Array]) -> list[Array]:
        raise NotImplementedError

    def parts(self, name: str, count: int) -> list[Any]:
        """Split a weight into its gates; without bias they are zeros."""
        return np.split(self.weights[name], count, -1) if name in self.weights else [0] * count


class SimpleRNNCell(Cell):
    def step(self, x: Array, states: list[Array]) -> list[Array]:
        (kernel,), (recurrent,), (bias,) = (self.parts(name, 1) for name in self.variables)
        h = nn.activation(self.config["activation"])(x @ kernel + bias + states[0] @ recurrent)
        return [h, h]


class GRUCell(Cell):
    def step(self, x: Array, states: list[Array]) -> list[Array]:
        assert not self.config["reset_after"], "tfjs has no GRU(reset_after=True)"
        gate = nn.activation(self.config["recurrent_activation"])
        (h,) = states
        z, r, candidate = (
            x @ w + b for w, b in zip(self.parts("kernel", 3), self.parts("bias", 3), strict=True)
        )
        recurrent = self.parts("recurrent_kernel", 3)
        z = gate(z + h @ recurrent[0])
        r = gate(r + h @ recurrent[1])
        candidate = nn.activation(self.config["activation"])(candidate + (r * h) @ recurrent[2])
        h = z * h + (1 - z) * candidate
        return [h, h]


class LSTMCell(Cell):
    states = 2

    def step(self, x: Array, states: list[Array]) -> list[Array]:
        gate = nn.activation(self.config["recurrent_activation"])
        activation = nn.activation(self.config["activation"])
        h, c = states
        gates = zip(*(self.parts(name, 4) for name in self.variables), strict=True)
        i, f, new, o = (self.transform(x, h, *weights) for weights in gates)
        c = gate(f) * c + gate(i) * activation(new)
        h = gate(o) * activation(c)
        return [h, h, c]

    def transform(self, x: Array, h: Array, kernel: Array, recurrent: Array, bias: Any) -> Array:
        return x @ kernel + h @ recurrent + bias


class ConvLSTM2DCell(LSTMCell):
    def state_shapes(self, x: Array) -> list[tuple[int, ...]]:
        kernel = np.zeros((*self.config["kernel_size"], x.shape[-1], self.config["filters"]))
        return [self.convolve(x, kernel).shape] * 2

    def convolve(self, x: Array, kernel: Array) -> Array:
        assert self.config.get("data_format") != "channels_first"
        return nn.convolve(
            x, kernel, self.config["strides"], self.config["padding"], self.config["dilation_rate"]
        )

    def transform(self, x: Array, h: Array, kernel: Array, recurrent: Array, bias: Any) -> Array:
        return self.convolve(x, kernel) + nn.convolve(h, recurrent, [1, 1], "same", [1, 1]) + bias


class StackedRNNCells(Cell):
    """Cells one on the other; states are kept in reverse order. A model is a cell of one state."""

    variables = ()

    def __init__(self, name: str, config: Config, weights: Weights, scope: str | None = None):
        super().__init__(name, config, weights)
        self.cells = [
            make(entry, weights, f"{scope}/RNNCell_{number}")
            for number, entry in enumerate(config["cells"])
        ]
        self.counts = [cell.states if isinstance(cell, Cell) else 1 for cell in self.cells]

    def state_shapes(self, x: Array) -> list[tuple[int, ...]]:
        """A model says no size: its state starts as one column of zeros."""
        shapes: list[tuple[int, ...]] = []
        for cell in reversed(self.cells):
            shapes += cell.state_shapes(x) if isinstance(cell, Cell) else [(len(x), 1)]
        return shapes

    def step(self, x: Array, states: list[Array]) -> list[Array]:
        nested: list[list[Array]] = []
        for count in reversed(self.counts):
            nested.insert(0, states[:count])
            states = states[count:]
        updated: list[Array] = []
        for cell, own in zip(self.cells, nested, strict=True):
            x, *new = cell.call([x, *own], {})
            updated = new + updated
        return [x, *updated]


class RNN(Layer):
    """A loop over a cell."""

    supports_masking = True

    def __init__(self, name: str, config: Config, weights: Weights, scope: str | None = None):
        super().__init__(name, config, weights)
        assert not config.get("stateful")
        scope = name if scope is None else scope
        cell = config.get("cell") or {"class_name": f"{type(self).__name__}Cell", "config": config}
        self.cell = make(cell, weights, scope)

    def apply(self, inputs: list[Array], keywords: Keywords) -> list[Array]:
        keywords = {} if keywords is None else keywords
        assert keywords.get("initialState") is None, "tfjs: initial states of an earlier layer"
        x, *states = inputs
        if states:
            keywords["initialState"] = states  # which stays in the keywords of this execution
        return self.call([x], keywords)

    def call(self, inputs: list[Array], keywords: dict[str, Any]) -> list[Array]:
        assert isinstance(self.cell, Cell), "tfjs wants a cell with a state size"
        steps = inputs[0].swapaxes(0, 1)
        states = keywords.get("initialState")
        if states is None:
            shapes = self.cell.state_shapes(steps[0])
            states = [np.zeros(shape, np.float32) for shape in shapes]
        outputs = list(self._loop(steps, states, keywords.get("mask")))
        last, states = outputs[-1]
        if self.config.get("return_sequences"):
            last = np.stack([output for output, _ in outputs], 1)
        return [last, *states] if self.config.get("return_state") else [last]

    def _loop(
        self, steps: Array, states: list[Array], mask: Array | None
    ) -> Iterator[tuple[Array, list[Array]]]:
        """Yield output and states of each step; a masked step repeats *states*, as the output too.

        tfjs gives the first state as the output of a masked step, also of layers whose output is
        something else.
        """
        if mask is not None:
            mask = mask.astype(np.float32)
            mask = mask[..., None] if mask.ndim == steps.ndim - 1 else mask
            mask = mask.transpose(1, 0, *range(2, steps.ndim))
        order = range(len(steps))
        for t in reversed(order) if self.config.get("go_backwards") else order:
            output, *new = self.cell.call([steps[t], *states], {})
            if mask is not None:
                output = output * mask[t] + states[0] * (1 - mask[t])
                new = [a * mask[t] + b * (1 - mask[t]) for a, b in zip(new, states, strict=True)]
            states = new
            yield output, states

    def compute_mask(self, inputs: list[Array], masks: list[Array | None]) -> Array | None:
        return masks[0] if self.config.get("return_sequences") else None


class TimeDistributed(Layer):
    """Calls its layer step by step."""

    supports_masking = True

    def __init__(self, name: str, config: Config, weights: Weights, scope: str | None = None):
        super().__init__(name, config, weights)
        self.layer = make(config["layer"], weights, name if scope is None else scope)

    def call(self, inputs: list[Array], keywords: dict[str, Any]) -> list[Array]:
        steps = inputs[0].swapaxes(0, 1)
        return [np.stack([self.layer.call([step], keywords)[0] for step in steps], 1)]


class Bidirectional(RNN):
    """Two recurrent layers that share a config; the second runs backwards."""

    def __init__(self, name: str, config: Config, weights: Weights, scope: str | None = None):
        Layer.__init__(self, name, config, weights)
        scope = name if scope is None else scope
        layer = config["layer"]
        inner = layer["config"]
        back = {**inner, "go_backwards": not inner.get("go_backwards")}
        self.forward, self.backward = (
            make({**layer, "config": one}, weights, f"{scope}/{prefix}_{inner['name']}")
            for prefix, one in (("forward", inner), ("backward", back))
        )
        self.config = {
            **config,
            **{key: inner.get(key) for key in ("return_sequences", "return_state")},
        }

    def call(self, inputs: list[Array], keywords: dict[str, Any]) -> list[Array]:
        states = keywords.get("initialState")
        results = []
        for number, layer in enumerate((self.forward, self.backward)):
            if states is not None:
                half = len(states) // 2
                keywords["initialState"] = states[number * half : number * half + half]
            results.append(layer.call(inputs, keywords))
        (y, *first), (reverse, *second) = results
        reverse = reverse[:, ::-1] if self.config.get("return_sequences") else reverse
        return [*MERGE_MODES[self.config["merge_mode"]](y, reverse), *first, *second]


MERGE_MODES: dict[str | None, Callable[[Array, Array], list[Array]]] = {
    "concat": lambda a, b: [np.concatenate([a, b], -1)],
    "sum": lambda a, b: [a + b],
    "ave": lambda a, b: [np.float32(0.5) * (a + b)],
    "mul": lambda a, b: [a * b],
    None: lambda a, b: [a, b],
}

CLASSES |= {name: type(name, (Merge,), {}) for name in MERGES}
CLASSES |= {name: type(name, (RNN,), {}) for name in ("SimpleRNN", "GRU", "LSTM", "ConvLSTM2D")}
CLASSES |= {
    each.__name__: each
    for each in (
        Masking, Embedding, BatchNormalization, LayerNormalization, Average, Concatenate, Dot,
        SimpleRNNCell, GRUCell, LSTMCell, ConvLSTM2DCell, StackedRNNCells, RNN, TimeDistributed,
        Bidirectional,
    )
}  # fmt: skip
