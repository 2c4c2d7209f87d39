"""Decides how a model's weights are stored, and prepares them for it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import NamedTuple, TypeAlias, TypeVar

from tfjs_codec.graph.importing.tfjs_graph import parse
from tfjs_codec.ir.graph import Graph
from tfjs_codec.ir.layers import Weight
from tfjs_codec.ir.loaded import TfjsGraph, TfjsLayers, Weights
from tfjs_codec.ir.tensors import LazyTensor
from tfjs_codec.options import AUTO, ConvertOptions
from tfjs_codec.quantization import graph as of_graph
from tfjs_codec.quantization import layers as of_layers
from tfjs_codec.quantization.auto import resolve
from tfjs_codec.quantization.channels import Channels
from tfjs_codec.quantization.kernels import find_kernels
from tfjs_codec.quantization.norms import compensate
from tfjs_codec.quantization.rescale import Kernel, rescale
from tfjs_codec.writers.quantize_choice import Choice, choose_dtypes, needs_kernels
from tfjs_codec.writers.tfjs_graph import constants

_AFFINE = ("uint8", "uint16", AUTO)
Model: TypeAlias = TfjsLayers | TfjsGraph | Weights | Graph
M = TypeVar("M", Graph, TfjsLayers | TfjsGraph | Weights, Model)


class Prepared(NamedTuple):
    """The dtypes of the weights of a model, and those that get other values first, by name."""

    choice: Choice
    changed: Mapping[str, LazyTensor]


def prepare(model: Model, options: ConvertOptions, kept: Collection[str] = ()) -> Prepared:
    """Return how *model* is quantised, and the weights that change for it.

    *kept* are stored weights that stay quantised as they are, if nothing else is wanted of them.

    Raises:
        UsageError: The options contradict each other, or ``max_bytes`` cannot be kept.
    """
    weights = name_weights(model)
    by_default = needs_kernels(options.quantize)
    kernels = find_kernels(model) if by_default else frozenset[str]()
    choice = choose_dtypes(list(weights), options.quantize, kernels)
    if not choice.dtypes:
        return Prepared(choice, {})
    channels, changed = read_channels(model), dict[str, LazyTensor]()
    improves = options.rescale and by_default
    if improves and _is_affine(choice, kernels):
        changed = rescale_kernels(model, frozenset(kept) - choice.dtypes.keys())
    if AUTO in choice.dtypes.values():
        choice = resolve(choice, {**weights, **changed}, channels, options)
        changed = changed if _is_affine(choice, kernels) else {}
    if improves:
        dtypes = {name: choice.dtypes[name] for name in choice.rest}
        changed |= compensate(channels.norms, {**weights, **changed}, dtypes)
        choice = choice._replace(sums=find_sums(channels, weights, choice, kernels))
    return Prepared(choice, changed)


def find_sums(
    channels: Channels,
    weights: Mapping[str, LazyTensor],
    choice: Choice,
    kernels: Collection[str],
) -> dict[str, list[tuple[int, ...]]]:
    """Return the kernels whose rounding errors are to cancel out, with the axes they do so over."""
    return {
        name: sums
        for name in sorted(choice.rest & set(kernels))
        if choice.dtypes[name] == "uint8"
        and (sums := channels.sums(name, len(weights[name].shape)))
    }


def _is_affine(choice: Choice, kernels: Collection[str]) -> bool:
    """Tell whether some kernel gets steps of one size, for which rescaling matters."""
    return any(name in kernels and dtype in _AFFINE for name, dtype in choice.dtypes.items())


def rescale_kernels(model: Model, kept: Collection[str] = ()) -> dict[str, LazyTensor]:
    """Return the weights of *model* that change so that rounding its kernels loses less.

    The weights *kept* must not change.
    """
    if isinstance(model, Weights):
        return {}
    weights, channels = name_weights(model), read_channels(model)
    kernels = {
        name: Kernel(weights[name], channels.outputs.get(name, (len(weights[name].shape) - 1,)))
        for name in find_kernels(model)
        if name in weights and weights[name].dtype.kind == "f"
    }
    return rescale(channels.groups(weights.keys() - set(kept)), kernels, weights)


def change_values(model: M, changed: Mapping[str, LazyTensor]) -> M:
    """Return *model* with the values *changed*, by name."""
    if isinstance(model, Graph):
        return change_constants(model, changed)
    return change_weights(model, changed)


def change_weights(
    model: TfjsLayers | TfjsGraph | Weights, changed: Mapping[str, LazyTensor]
) -> TfjsLayers | TfjsGraph | Weights:
    """Return *model* with the values *changed*, by name."""
    weights = tuple(
        Weight(weight.name, changed[weight.name]) if weight.name in changed else weight
        for weight in model.weights
    )
    return replace(model, weights=weights)


def change_constants(graph: Graph, changed: Mapping[str, LazyTensor]) -> Graph:
    """Return *graph* with the values *changed*, by name."""
    nodes = {
        name: replace(node, attrs={**node.attrs, "value": changed[name]})
        for name, node in graph.nodes.items()
        if name in changed
    }
    return replace(graph, nodes={**graph.nodes, **nodes})


def name_weights(model: Model) -> dict[str, LazyTensor]:
    """Return the weights of *model*, or the constants of a graph, by name."""
    return constants(model) if isinstance(model, Graph) else model.named_weights()


def read_channels(model: Model) -> Channels:
    """Return the groups of channels in *model*, of mere weights none."""
    if isinstance(model, Weights):
        return Channels()
    if isinstance(model, TfjsLayers):
        return of_layers.read_channels(model)
    return of_graph.read_channels(parse(model) if isinstance(model, TfjsGraph) else model)
