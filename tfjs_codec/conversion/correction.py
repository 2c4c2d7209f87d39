"""Corrects the biases of a model whose kernels are rounded, for the samples of a job."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from tfjs_codec.conversion.expression import trace_graph
from tfjs_codec.conversion.job import Job
from tfjs_codec.errors import UsageError
from tfjs_codec.graph.importing.tfjs_graph import parse
from tfjs_codec.graph.passes import simplify
from tfjs_codec.ir.graph import Graph
from tfjs_codec.ir.loaded import TfjsGraph
from tfjs_codec.ir.tensors import ArrayTensor, LazyTensor, as_float32
from tfjs_codec.options import ConvertOptions
from tfjs_codec.quantization.bias import correct_biases, is_better
from tfjs_codec.quantization.prepare import Model, name_weights
from tfjs_codec.writers.quantize import Quantizer
from tfjs_codec.writers.quantize_choice import Choice


def correct(
    model: Model, choice: Choice, job: Job, kept: Collection[str] = ()
) -> dict[str, LazyTensor]:
    """Return the biases of *model* that change, by name, if its outputs then err less.

    *choice* says which weights are rounded; the weights *kept* must not change.
    """
    if not job.samples:  # what is restored is held in memory
        return {}
    weights = {name: one for name, one in name_weights(model).items() if name not in kept}
    rounded = dict(_restore(weights, choice.dtypes))
    if not rounded:
        return {}
    graph = trace(model, job)
    corrected = correct_biases(graph, weights, rounded, job.samples)
    useful = corrected and is_better(graph, weights, rounded, corrected, job.samples)
    return corrected if useful else {}


def trace(model: Model, job: Job) -> Graph:
    """Return *model* as a graph that numpy runs, with the tensors of its weights."""
    options = ConvertOptions(limits=job.options.limits, allow_approximate=True)
    plain = replace(job, options=options.begin(), replacements={})
    if isinstance(model, TfjsGraph):
        graph = parse(model)
    else:
        graph = model if isinstance(model, Graph) else trace_graph(plain.repair(model), plain)
    return simplify(graph, job.options.limits)


def _restore(
    weights: Mapping[str, LazyTensor], dtypes: Mapping[str, str]
) -> list[tuple[str, LazyTensor]]:
    """Return the weights that are rounded to *dtypes*, as they are restored."""
    found = list[tuple[str, LazyTensor]]()
    for name, dtype in dtypes.items():
        tensor = weights.get(name)
        if tensor is None or tensor.dtype.kind != "f" or not tensor.size:
            continue
        try:
            quantizer = Quantizer(name, as_float32(tensor), dtype)
        except UsageError:  # the type cannot hold it
            continue
        values = np.concatenate([restored for _, restored in quantizer.pairs()])
        restored = values.astype(np.float32).reshape(tensor.shape)
        found.append((name, ArrayTensor(name, restored)))
    return found
