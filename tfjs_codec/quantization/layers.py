"""The groups of channels in a tfjs Layers model, by a rule for each class of layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from tfjs_codec.files.place import Place
from tfjs_codec.ir.json_types import Config
from tfjs_codec.ir.layers import LayersGraph, TensorRef, TfjsLayer, scopes
from tfjs_codec.ir.loaded import TfjsLayers
from tfjs_codec.keras.classes.recurrent import PLAIN
from tfjs_codec.quantization.channels import Channels, Flow
from tfjs_codec.quantization.norms import Norm
from tfjs_codec.tfjs.classes import DEFAULTS, DEFAULTS_OF
from tfjs_codec.tfjs.inference import calls_in_order, infer
from tfjs_codec.tfjs.names import target_name
from tfjs_codec.tfjs.shapes import Shape
from tfjs_codec.tfjs.topology import read_topology

_HOMOGENEOUS = (None, "linear", "relu")  # activations f with f(c x) = c f(x) for c > 0


def read_channels(model: TfjsLayers) -> Channels:
    """Return the groups of channels in *model*."""
    graph = read_topology(model.topology, Place(model.path, "modelTopology"))
    reader = _Reader(graph, [weight.name for weight in model.weights])
    reader.read(graph)
    return reader.channels


class _Reader:
    """Follows the tensors of a model from layer to layer."""

    def __init__(self, graph: LayersGraph, weights: Sequence[str]) -> None:
        self.channels = Channels()
        self._inferred = infer(graph)
        variables = {
            f"{scope}/{short}"
            for layer in graph.layers
            for scope, owner in scopes(layer)
            for short in self._inferred.variables.get(id(owner), ())
        }
        self._names = {target_name(name, variables) or name: name for name in weights}

    def read(self, graph: LayersGraph) -> None:
        """Read the layers of *graph*; nobody scales its inputs and outputs."""
        flows: dict[str, Flow | None] = {}
        if graph.sequential:
            flow = None
            for layer in graph.layers:
                flow = self._apply(layer, [flow])
            self.channels.fix(flow)
            return
        for layer, number in calls_in_order(graph):
            call = layer.calls[number] if layer.calls else []
            found = [_of(ref, flows) for ref in call]
            once = len(layer.calls) == 1
            flows[layer.name] = self._apply(layer, found) if once else self.channels.fix(*found)
        self.channels.fix(*(_of(ref, flows) for ref in graph.outputs))

    def _apply(self, layer: TfjsLayer, flows: list[Flow | None]) -> Flow | None:
        if layer.graph is not None:
            self.read(layer.graph)
        rule = _RULES.get(layer.class_name) if layer.graph is None else None
        known = id(layer) in self._inferred.outputs
        config = {**DEFAULTS, **DEFAULTS_OF.get(layer.class_name, {})}
        config |= {key: value for key, value in layer.config.items() if value is not None}
        if rule is None or not known or not flows or config["data_format"] != "channels_last":
            return self.channels.fix(*flows)
        return rule(self, layer, config, flows)

    def name(self, layer: TfjsLayer, variable: str) -> str:
        """Return the name of the weight for a variable of *layer*."""
        full = f"{layer.name}/{variable}"
        return self._names.get(full, full)

    def shapes(self, layer: TfjsLayer) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the variables of *layer*."""
        known = self._inferred.variables.get(id(layer), {})
        return {short: tuple(size or 0 for size in shape) for short, shape in known.items()}

    def output(self, layer: TfjsLayer) -> Shape:
        """Return the shape of the first output of *layer*."""
        return self._inferred.outputs[id(layer)][0]

    def linear(
        self,
        layer: TfjsLayer,
        flow: Flow | None,
        kernel: str = "kernel",
        into: tuple[int, ...] = (-2,),
        out: tuple[int, ...] = (-1,),
    ) -> Flow:
        """Return the product of *flow* with a kernel whose axes *into* and *out* are channels."""
        return self.multiply(flow, f"{layer.name}/{kernel}", self.shapes(layer)[kernel], into, out)

    def multiply(
        self,
        flow: Flow | None,
        variable: str,
        shape: tuple[int, ...],
        into: tuple[int, ...] = (-2,),
        out: tuple[int, ...] = (-1,),
    ) -> Flow:
        """Return the product of *flow* with the weight for *variable*."""
        name = self._names.get(variable, variable)
        self.channels.divide(flow, name, shape, into)
        return self.channels.multiply(name, shape, out)

    def finish(self, layer: TfjsLayer, config: Config, flow: Flow) -> Flow | None:
        """Return *flow* after the bias and the activation of *layer*."""
        bias = self.shapes(layer).get("bias")
        if bias is not None:
            self.channels.shift(flow, self.name(layer, "bias"), bias)
        return flow if config["activation"] in _HOMOGENEOUS else self.channels.fix(flow)


def _of(ref: TensorRef, flows: Mapping[str, Flow | None]) -> Flow | None:
    return flows.get(ref.layer)


_Rule: TypeAlias = "Callable[[_Reader, TfjsLayer, Config, list[Flow | None]], Flow | None]"


def _product(into: int = -2, out: tuple[int, ...] = (-1,), kernel: str = "kernel") -> _Rule:
    def rule(
        reader: _Reader, layer: TfjsLayer, config: Config, flows: list[Flow | None]
    ) -> Flow | None:
        product = reader.linear(layer, flows[0], kernel, (into,), out)
        return reader.finish(layer, config, product)

    return rule


def _separable(
    reader: _Reader, layer: TfjsLayer, config: Config, flows: list[Flow | None]
) -> Flow | None:
    inner = reader.linear(layer, flows[0], "depthwise_kernel", (-2,), (-2, -1))
    return reader.finish(layer, config, reader.linear(layer, inner, "pointwise_kernel"))


def _embedding(
    reader: _Reader, layer: TfjsLayer, _config: Config, flows: list[Flow | None]
) -> Flow | None:
    reader.channels.fix(*flows)
    shape = reader.shapes(layer)["embeddings"]
    return reader.channels.multiply(reader.name(layer, "embeddings"), shape, (-1,))


def _recurrent(
    reader: _Reader, layer: TfjsLayer, _config: Config, flows: list[Flow | None]
) -> Flow | None:
    """A kernel takes up the factors of the input; gates end them."""
    reader.channels.fix(reader.linear(layer, flows[0]), *flows[1:])
    return None


def _bidirectional(
    reader: _Reader, layer: TfjsLayer, _config: Config, flows: list[Flow | None]
) -> Flow | None:
    """The kernels of both directions take up the factors of the input."""
    inner = [(scope, owner) for scope, owner in scopes(layer) if owner is not layer]
    if any(owner.class_name not in PLAIN for _, owner in inner):
        return reader.channels.fix(*flows)
    for scope, owner in inner:
        product = reader.multiply(flows[0], f"{scope}/kernel", reader.shapes(owner)["kernel"])
        reader.channels.fix(product)
    return reader.channels.fix(*flows[1:])


def _concatenate(
    reader: _Reader, layer: TfjsLayer, config: Config, flows: list[Flow | None]
) -> Flow | None:
    rank = len(reader.output(layer))
    if config["axis"] % rank != rank - 1:
        return reader.channels.fix(*flows)
    return reader.channels.join(flows)


def _batch_norm(
    reader: _Reader, layer: TfjsLayer, config: Config, flows: list[Flow | None]
) -> Flow | None:
    shapes, channels = reader.shapes(layer), reader.channels
    axis, rank = config["axis"], len(reader.output(layer))
    axis = axis[0] if isinstance(axis, list) else axis
    if axis % rank != rank - 1:
        return channels.fix(*flows)
    shape = shapes["moving_mean"]
    gamma, beta = (reader.name(layer, key) if key in shapes else "" for key in ("gamma", "beta"))
    mean, variance = (reader.name(layer, f"moving_{key}") for key in ("mean", "variance"))
    channels.norms.append(Norm(gamma, beta, mean, variance, config["epsilon"]))
    channels.shift(flows[0], mean, shape)
    if not gamma:
        channels.vary(flows[0], variance, shape, config["epsilon"])
        return None
    channels.divide(flows[0], gamma, shape, (-1,))
    return _after_gain(reader, layer)


def _layer_norm(
    reader: _Reader, layer: TfjsLayer, config: Config, flows: list[Flow | None]
) -> Flow | None:
    reader.channels.fix(*flows)
    axis, rank = config["axis"], len(reader.output(layer))
    axes = axis if isinstance(axis, list) else [axis]
    if [each % rank for each in axes] != [rank - 1] or "gamma" not in reader.shapes(layer):
        return None
    return _after_gain(reader, layer)


def _after_gain(reader: _Reader, layer: TfjsLayer) -> Flow | None:
    shapes = reader.shapes(layer)
    flow = reader.channels.multiply(reader.name(layer, "gamma"), shapes["gamma"], (-1,))
    if "beta" in shapes:
        reader.channels.shift(flow, reader.name(layer, "beta"), shapes["beta"])
    return flow


def _same(reader: _Reader, _: TfjsLayer, _config: Config, flows: list[Flow | None]) -> Flow | None:
    return reader.channels.tie(flows)


def _activation(
    reader: _Reader, _: TfjsLayer, config: Config, flows: list[Flow | None]
) -> Flow | None:
    linear = config["activation"] in _HOMOGENEOUS and config.get("max_value") is None
    return reader.channels.tie(flows) if linear else reader.channels.fix(*flows)


def _reshape(
    reader: _Reader, layer: TfjsLayer, _config: Config, flows: list[Flow | None]
) -> Flow | None:
    return reader.channels.reshape(flows[0], reader.output(layer)[-1] or 0)


_SAME = (
    *("Dropout", "SpatialDropout1D", "GaussianNoise", "GaussianDropout", "AlphaDropout"),
    *("LeakyReLU", "PReLU", "Add", "Average", "Maximum", "Minimum"),
    *("ZeroPadding2D", "Cropping2D", "UpSampling2D"),
    *(f"{kind}Pooling{rank}D" for kind in ("Max", "Average") for rank in (1, 2, 3)),
    *(f"Global{kind}Pooling{rank}D" for kind in ("Max", "Average") for rank in (1, 2)),
)
_RULES: dict[str, _Rule] = {
    **dict.fromkeys(("Dense", "Conv1D", "Conv2D", "Conv3D"), _product()),
    **dict.fromkeys(("Conv2DTranspose", "Conv3DTranspose"), _product(-1, (-2,))),
    "DepthwiseConv2D": _product(-2, (-2, -1), "depthwise_kernel"),
    "SeparableConv2D": _separable,
    "Embedding": _embedding,
    **dict.fromkeys(PLAIN, _recurrent),
    "Bidirectional": _bidirectional,
    "Concatenate": _concatenate,
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    **dict.fromkeys(_SAME, _same),
    **dict.fromkeys(("Activation", "ReLU"), _activation),
    **dict.fromkeys(("Flatten", "Reshape"), _reshape),
}
