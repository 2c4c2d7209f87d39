"""Corrects the biases of a model whose kernels are rounded, for the samples of a job."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tfjs_codec.conversion.expression import trace_graph
from tfjs_codec.conversion.job import Job
from tfjs_codec.errors import UnsupportedModelError, UsageError
from tfjs_codec.graph.importing.tfjs_graph import parse
from tfjs_codec.graph.interpreter import Program
from tfjs_codec.graph.passes import simplify
from tfjs_codec.ir.graph import Graph
from tfjs_codec.ir.loaded import TfjsGraph
from tfjs_codec.ir.tensors import Array, ArrayTensor, LazyTensor, as_float32
from tfjs_codec.options import ConvertOptions
from tfjs_codec.quantization.bias import correct_biases
from tfjs_codec.quantization.moments import round_kernels
from tfjs_codec.quantization.prepare import Model, change_values, name_weights
from tfjs_codec.quantization.samples import run_all, run_rows, split
from tfjs_codec.writers.quantize import Quantizer
from tfjs_codec.writers.quantize_choice import Choice

_log = logging.getLogger(__name__)


def runs(model: Model, job: Job) -> bool:
    """Tell whether numpy can run *model* for the samples of *job*: else nothing changes."""
    try:
        next(run_rows(Program(trace(model, job)), job.samples))
    except UnsupportedModelError as error:
        _log.info("nothing is corrected: %s", error)
        return False
    return True


def correct(
    model: Model, choice: Choice, job: Job, kept: Collection[str] = ()
) -> dict[str, LazyTensor]:
    """Return the biases of *model* that change, by name, if its outputs then err less.

    *choice* says which weights are rounded; the weights *kept* must not change. Biases
    corrected for a half of many samples are judged by the outputs of the others, too.
    """
    weights = {name: one for name, one in name_weights(model).items() if name not in kept}
    rounded = dict(_restore(weights, choice))
    if not rounded:
        return {}
    graph = trace(model, job)
    for some, others in split(graph, job.samples):
        corrected = correct_biases(graph, weights, rounded, some)
        if not corrected:
            return {}
        wanted = _predict(model, job, others)
        before = _predict(change_values(model, rounded), job, others)
        after = _predict(change_values(model, {**rounded, **corrected}), job, others)
        if _measure_error(after, wanted) >= _measure_error(before, wanted):
            return {}
    return corrected


def _predict(model: Model, job: Job, samples: Mapping[str, Array]) -> list[NDArray[np.float64]]:
    found = run_all(Program(trace(model, job)), samples).values()
    return [value.astype(np.float64) for value in found if value.dtype.kind == "f"]


def _measure_error(
    found: Iterable[NDArray[np.float64]], wanted: Iterable[NDArray[np.float64]]
) -> float:
    """Return the mean squared errors of all outputs."""
    pairs = zip(found, wanted, strict=True)
    return float(sum(np.mean(np.square(one - other)) for one, other in pairs if one.size))


def round_for_samples(model: Model, choice: Choice, job: Job, kept: Collection[str] = ()) -> Choice:
    """Return *choice* with the moves of kernels, if the outputs of *model* then err less.

    Moves for a half of many samples are judged by the outputs of the others, too.
    """
    weights = name_weights(model)
    kernels = {name: weights[name] for name in choice.sums if name not in kept}
    if not kernels:
        return choice
    graph, moved = trace(model, job), choice
    before = change_values(model, dict(_restore(weights, choice)))
    for some, others in split(graph, job.samples):
        moved = choice._replace(moves=round_kernels(graph, kernels, some))
        after = change_values(model, dict(_restore(weights, moved)))
        wanted = _predict(model, job, others)
        errors = [_measure_error(_predict(each, job, others), wanted) for each in (after, before)]
        if errors[0] >= errors[1]:
            return choice
    return moved


def trace(model: Model, job: Job) -> Graph:
    """Return *model* as a graph that numpy runs, with the tensors of its weights."""
    options = ConvertOptions(limits=job.options.limits, allow_approximate=True)
    plain = replace(job, options=options.begin(), replacements={})
    if isinstance(model, TfjsGraph):
        graph = parse(model)
    else:
        graph = model if isinstance(model, Graph) else trace_graph(plain.repair(model), plain)
    return simplify(graph, job.options.limits)


def _restore(weights: Mapping[str, LazyTensor], choice: Choice) -> list[tuple[str, LazyTensor]]:
    """Return the weights that *choice* rounds, as they are restored."""
    found = list[tuple[str, LazyTensor]]()
    for name, dtype in choice.dtypes.items():
        tensor = weights.get(name)
        if tensor is None or tensor.dtype.kind != "f" or not tensor.size:
            continue
        try:
            rounding = choice.sums.get(name, ()), choice.moves.get(name)
            restored = Quantizer(name, as_float32(tensor), dtype, *rounding).restore()
        except UsageError:  # the type cannot hold it
            continue
        found.append((name, ArrayTensor(name, restored)))
    return found
