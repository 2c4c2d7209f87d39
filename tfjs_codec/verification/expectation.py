"""What the weights of a tfjs model must be, if it was made of a source."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

import numpy as np

from tfjs_codec.comparison.compare import compare
from tfjs_codec.conversion.correction import trace
from tfjs_codec.conversion.expression import express_graph, express_layers
from tfjs_codec.conversion.job import Job
from tfjs_codec.errors import UsageError, quote
from tfjs_codec.ir.graph import Graph
from tfjs_codec.ir.json_types import JsonObject
from tfjs_codec.ir.layers import Weight
from tfjs_codec.ir.loaded import KerasModel, Loaded, TensorFlowGraph, TfjsGraph, TfjsLayers, Weights
from tfjs_codec.ir.tensors import LazyTensor, as_float32
from tfjs_codec.quantization.bias import correct_biases
from tfjs_codec.quantization.channels import Channels
from tfjs_codec.quantization.norms import compensate
from tfjs_codec.quantization.prepare import (
    change_values,
    name_weights,
    read_channels,
    rescale_kernels,
)
from tfjs_codec.tfjs.names import target_name
from tfjs_codec.writers.quantize import Quantizer
from tfjs_codec.writers.tfjs_graph import constants

_CALLS = re.compile(r"(?:(?:Stateful)?PartitionedCall(?:_[0-9]+)?/)+")

Tfjs: TypeAlias = TfjsLayers | TfjsGraph | Weights


class Expected(NamedTuple):
    """The weights that the source becomes, by name.

    Attributes:
        values: What they are before they are rounded.
        sums: Over which axes errors of rounding may cancel out.
        rescaled: How many have other values than the source.
    """

    values: Mapping[str, LazyTensor]
    sums: Mapping[str, Sequence[tuple[int, ...]]] = MappingProxyType({})
    rescaled: int = 0


def expect_weights(web: Tfjs, against: Loaded, job: Job) -> Mapping[str, LazyTensor]:
    """Return the weights that *against* becomes in a model of the kind of *web*, by name."""
    return expect(web, against, job, ()).values


def expect(web: Tfjs, against: Loaded, job: Job, variables: Collection[str]) -> Expected:
    """As ``expect_weights``, with what is to be known of how they were rounded."""
    source: Graph | Tfjs
    if isinstance(web, TfjsGraph) and isinstance(
        against, TensorFlowGraph | KerasModel | TfjsLayers
    ):
        source = express_graph(against, job)
        expected, entries = constants(source), dict[str, JsonObject]()
    else:
        source, _ = express_layers(against, job)
        expected = {one.name: one.tensor for one in source.weights if not one.optimizer}
        entries = {one.name: one.quantized.entry for one in source.weights if one.quantized}
    weights = [weight for weight in web.weights if not weight.optimizer]
    naming = match_names(web, weights, expected, variables)
    names = {naming(weight.name): weight for weight in weights}
    stored = {name: names[naming(name)] for name in expected if naming(name) in names}
    channels = read_channels(source)
    changed = _find_rescaled(
        stored, source, expected, entries, channels, calibrated=bool(job.samples)
    )
    corrected = _find_corrected(stored, source, changed, job) if job.samples else {}
    values = {**expected, **changed, **corrected}
    sums = {name: channels.sums(name, len(tensor.shape)) for name, tensor in values.items()}
    return Expected(values, sums, len(changed))


def _find_rescaled(
    stored: Mapping[str, Weight],
    source: Graph | Tfjs,
    expected: Mapping[str, LazyTensor],
    entries: Mapping[str, JsonObject],
    channels: Channels,
    *,
    calibrated: bool,
) -> Mapping[str, LazyTensor]:
    """Return the weights of *source* that ``convert`` changed before it quantised, if it did.

    It does so by the same computation; what *source* has quantised as it is stored stays. The
    smallest weight with other values tells, of a *calibrated* model the smallest kernel.
    """
    ours = {name: one.quantized.entry for name, one in stored.items() if one.quantized}
    kept = {name for name, entry in entries.items() if ours.get(name) == entry}
    dtypes = {name: str(entry["dtype"]) for name, entry in ours.items() if name not in kept}
    affine = any(dtype != "float16" for dtype in dtypes.values())
    rescaled = rescale_kernels(source, kept) if affine else {}
    for changed in (rescaled, {}):
        made_up = compensate(channels.norms, {**expected, **changed}, dtypes)
        for found in ({**changed, **made_up}, changed):
            if _tells(stored, expected, found, channels, calibrated=calibrated):
                return found
    return {}


def _tells(
    stored: Mapping[str, Weight],
    expected: Mapping[str, LazyTensor],
    changed: Mapping[str, LazyTensor],
    channels: Channels,
    *,
    calibrated: bool,
) -> bool:
    """Tell whether the smallest of *stored* that is not as *expected* is as it was *changed*."""
    for name in sorted(changed, key=lambda name: changed[name].size):
        weight = stored.get(name)
        if calibrated and weight is not None and weight.quantized is None:
            continue
        if weight is None or weight.tensor.shape != changed[name].shape:
            return False
        sums = channels.sums(name, len(changed[name].shape))
        if not _is_stored(weight, expected[name], sums, calibrated=calibrated):
            return _is_stored(weight, changed[name], sums, calibrated=calibrated)
    return False


def _is_stored(
    weight: Weight, source: LazyTensor, sums: Sequence[tuple[int, ...]], *, calibrated: bool
) -> bool:
    """Tell whether *weight* holds the values of *source*, to its quantisation."""
    if describe_difference(weight, source) is None:
        return True
    return is_balanced(weight, source, sums, calibrated=calibrated)


def is_balanced(
    weight: Weight, source: LazyTensor, sums: Sequence[tuple[int, ...]], *, calibrated: bool
) -> bool:
    """Tell whether *weight* is *source*, rounded so that errors cancel out over *sums*.

    In a *calibrated* model they may do so for its samples, and no value is off by over a step.
    """
    if weight.quantized is None or not sums:
        return False
    if calibrated and describe_difference(weight, source, steps=1) is None:
        return True
    dtype = str(weight.quantized.entry["dtype"])
    try:
        restored = Quantizer(weight.name, as_float32(source), dtype, sums).restore()
    except UsageError:  # the type cannot hold it
        return False
    return bool(np.array_equal(restored, weight.tensor.numpy()))


def _find_corrected(
    stored: Mapping[str, Weight],
    source: Graph | Tfjs,
    changed: Mapping[str, LazyTensor],
    job: Job,
) -> dict[str, LazyTensor]:
    """Return the biases of *stored* that ``convert`` corrected for the samples of *job*.

    The computation is the same, but machines round sums of float32 differently.
    """
    model = change_values(source, changed)
    weights = name_weights(model)
    rounded = {name: one.tensor for name, one in stored.items() if one.quantized}
    found = correct_biases(trace(model, job), weights, rounded, job.samples)
    return {
        name: stored[name].tensor
        for name, bias in found.items()
        if name in stored and _is_near(stored[name].tensor, bias, weights[name])
    }


def _is_near(stored: LazyTensor, corrected: LazyTensor, bias: LazyTensor) -> bool:
    if stored.shape != corrected.shape:
        return False
    ours, wanted, before = (
        one.numpy().astype(np.float64, copy=False) for one in (stored, corrected, bias)
    )
    shift = np.abs(wanted - before).max(initial=0.0)
    return bool(np.allclose(ours, wanted, rtol=2**-22, atol=shift * 1e-3))


def match_names(
    web: Tfjs, weights: Sequence[Weight], expected: Iterable[str], variables: Collection[str]
) -> Callable[[str], str]:
    """Return what a weight of *web* is called for comparing it.

    That is the name of tfjs's variable; for constants of graphs the name without the function
    calls that were inlined, which a SavedModel has and a graph of layers has not.
    """
    if not isinstance(web, TfjsGraph):
        return lambda name: target_name(name, variables) or name
    for names in ([weight.name for weight in weights], list(expected)):
        if len({_CALLS.sub("", name) for name in names}) < len(names):
            return str
    return lambda name: _CALLS.sub("", name)


def describe_difference(weight: Weight, source: LazyTensor, steps: float = 0.5) -> str | None:
    """Say how *weight* differs by more than so many *steps* from *source*, None if it does not."""
    entry = weight.quantized.entry if weight.quantized else {}
    bound, rounding = 0.0, weight.tensor.dtype if weight.tensor.dtype.kind != "O" else None
    if entry.get("dtype") == "float16":
        rounding = np.dtype(np.float16)
    elif entry:
        levels = int(np.iinfo(entry["dtype"]).max)
        bound = entry["scale"] * steps * 1.001
        bound += (abs(entry["min"]) + levels * entry["scale"]) * 2**-22  # rounding to float32
    difference = compare(source, weight.tensor, rounded_to=rounding)
    if difference.max <= bound:
        return None
    if bound:
        return (
            f"{quote(weight.name)} differs from the source by up to {difference.max:.3g}, "
            f"its quantisation allows {bound:.3g}"
        )
    return (
        f"{quote(weight.name)} differs from the source in {difference.count:,} of "
        f"{source.size:,} values, by up to {difference.max:.3g}"
    )
