"""What changes in a model whose weights are rounded, before it is written."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from tfjs_codec.writers.quantize_choice import Choice

if TYPE_CHECKING:
    from tfjs_codec.conversion.job import Job
    from tfjs_codec.ir.graph import Graph
    from tfjs_codec.ir.loaded import TfjsGraph, TfjsLayers, Weights

M = TypeVar("M", "Graph", "TfjsLayers | TfjsGraph | Weights")


class Rounding(NamedTuple):
    """Which weights are rounded, and the names of those that get other values for it."""

    choice: Choice
    rescaled: tuple[str, ...] = ()
    corrected: tuple[str, ...] = ()


def prepare_rounding(model: M, job: Job, kept: AbstractSet[str]) -> tuple[M, Rounding]:
    """Return *model* with the values that its weights have before they are rounded.

    *kept* are stored weights that stay quantised as they are, if nothing else is wanted of them.

    Raises:
        UsageError: The options contradict each other, or ``max_bytes`` cannot be kept; the samples
            of the job are not the inputs of the model.
    """
    if not job.options.quantize:  # what follows takes long to import
        return model, Rounding(Choice({}))
    from tfjs_codec.conversion.correction import correct, round_for_samples, runs
    from tfjs_codec.quantization.prepare import change_values, prepare

    choice, rescaled = prepare(model, job.options, kept)
    model = change_values(model, rescaled)
    if not job.samples or not runs(model, job):
        return model, Rounding(choice, tuple(rescaled))
    fixed = kept - choice.dtypes.keys()
    rounded = round_for_samples(model, choice, job, fixed)
    biases = correct(model, rounded, job, fixed)
    corrected = tuple(rounded.moves) + tuple(biases)
    return change_values(model, biases), Rounding(rounded, tuple(rescaled), corrected)
