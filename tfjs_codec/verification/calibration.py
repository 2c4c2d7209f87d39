"""What quantisation does to predictions: those of the written model beside those of its source.

Both are computed in numpy. Inputs come from an ``.npz`` file: ``in0``, ``in1``, … in the order of
the model, or by the names of its inputs. If it has ``out0``, … these are compared with, in the
place of what the source predicts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import ExitStack
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tfjs_codec.conversion.job import Job
from tfjs_codec.errors import UsageError
from tfjs_codec.files.source import AnySource
from tfjs_codec.ir.tensors import Array
from tfjs_codec.limits import Limits
from tfjs_codec.options import ConvertOptions
from tfjs_codec.prediction.files import read_inputs
from tfjs_codec.prediction.predictor import Predictor
from tfjs_codec.quantization.samples import list_numbered, run_all
from tfjs_codec.readers.live_keras import LiveModel

_OUTPUT = re.compile(r"out(\d+)")


class Agreement(NamedTuple):
    """How near the predictions of one output are.

    Attributes:
        output: Its name.
        samples: The number of rows.
        agreement: The part of rows whose largest value is at the same place; None if there is one
            value in a row.
        max_error: The largest absolute difference.
        mean_error: The mean absolute difference.
        divergence: The mean Kullback-Leibler divergence in nats, of rows that are probabilities;
            None if they are not.
    """

    output: str
    samples: int
    agreement: float | None
    max_error: float
    mean_error: float
    divergence: float | None


def read_samples(arrays: AnySource, limits: Limits) -> dict[str, Array]:
    """Return the arrays in the ``.npz`` file *arrays*, by name.

    Raises:
        UsageError: It is no such file.
    """
    given = read_inputs(arrays, limits)
    if not isinstance(given, Mapping):
        raise UsageError("calibration needs an .npz file of arrays", hint="numpy.savez(…, in0=x)")
    return {name: np.asarray(value) for name, value in given.items()}


def calibrate(
    web: AnySource,
    source: AnySource | LiveModel,
    values: Mapping[str, Array],
    options: ConvertOptions,
    replacements: Mapping[str, AnySource],
) -> tuple[Agreement, ...]:
    """Return how near the predictions of *web*, made of *source*, are for the inputs in *values*.

    Raises:
        UsageError: The arrays are not the inputs or outputs of the model.
        UnsupportedModelError: numpy cannot run one of the two.
    """
    wanted = list_numbered(values, _OUTPUT)
    plain = ConvertOptions(limits=options.limits)
    with ExitStack() as stack:
        reading = Job(plain.begin(), stack)
        ours = Predictor(reading.open(web), reading)
        found = run_all(ours.program, values)
        if not wanted:
            job = Job(options.begin(), stack, replacements)
            wanted = list(run_all(Predictor(job.open(source), job).program, values).values())
    if [one.shape for one in found.values()] != [one.shape for one in wanted]:
        shapes = ", ".join(str(list(one.shape)) for one in found.values())
        raise UsageError(f"the recorded outputs have other shapes than the model's, {shapes}")
    return tuple(
        compare(name, one, other)
        for (name, one), other in zip(found.items(), wanted, strict=True)
        if one.dtype.kind == "f"
    )


def compare(name: str, found: Array, expected: Array) -> Agreement:
    """Return how near *found* is to *expected*, whose last axis are the values of a row."""
    one, other = (each.astype(np.float64) for each in (found, expected))
    error = np.abs(one - other)
    several = one.ndim > 1 and one.shape[-1] > 1
    rows = max(1, len(one)) if one.ndim else 1
    agreement = float(np.mean(one.argmax(-1) == other.argmax(-1))) if several else None
    divergence = _diverge(one, other) if several else None
    largest, mean = (float(error.max()), float(error.mean())) if error.size else (0.0, 0.0)
    return Agreement(name, rows, agreement, largest, mean, divergence)


def _diverge(found: NDArray[np.float64], expected: NDArray[np.float64]) -> float | None:
    for each in (found, expected):
        if (each < 0).any() or not np.allclose(each.sum(-1), 1, atol=1e-3):
            return None
    least = np.finfo(np.float32).tiny
    ratio = np.log(np.maximum(expected, least)) - np.log(np.maximum(found, least))
    return float(np.mean(np.sum(expected * ratio, axis=-1)))
