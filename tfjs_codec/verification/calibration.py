"""What quantisation does to predictions: those of the written model beside those of its source.

Inputs come from an ``.npz`` file: ``in0``, ``in1``, … in the order of
the model, or by the names of its inputs. If it has ``out0``, … these are compared with, in the
place of what the source predicts.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tfjs_codec.conversion.convert import convert
from tfjs_codec.conversion.job import Job
from tfjs_codec.errors import UnsupportedModelError, UsageError
from tfjs_codec.files.source import AnySource
from tfjs_codec.ir.tensors import Array
from tfjs_codec.limits import Limits
from tfjs_codec.options import ConvertOptions
from tfjs_codec.prediction.files import read_inputs
from tfjs_codec.prediction.predictor import Predictor
from tfjs_codec.quantization.samples import list_numbered, run_all
from tfjs_codec.readers.live_keras import LiveModel
from tfjs_codec.verification.node import predict

_log = logging.getLogger(__name__)

_INPUT, _OUTPUT = re.compile(r"in(\d+)"), re.compile(r"out(\d+)")
_PATIENCE_S = 60.0  # for one model in numpy, if Node can be asked


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

    Both run in numpy. Node and tfjs run what numpy cannot, or not within a minute, if they are
    installed.

    Raises:
        UsageError: The arrays are not the inputs or outputs of the model.
        UnsupportedModelError: Neither numpy nor Node can run one of the two.
    """
    models = _Models(web, source, values, options, replacements)
    try:
        found, wanted = models.run_in_numpy(_PATIENCE_S)
    except (UnsupportedModelError, TimeoutError) as reason:
        answer = models.run_in_node()
        if not isinstance(answer, str):
            _log.info("predictions are computed in Node, %s", reason)
            found, wanted = answer
        elif isinstance(reason, TimeoutError):
            found, wanted = models.run_in_numpy(inf)
        else:
            hint = f"{reason.hint} Nor can Node run it: {answer}.".strip()
            raise UnsupportedModelError(
                reason.what, path=reason.path, where=reason.where, hint=hint,
                problems=reason.problems,
            ) from reason  # fmt: skip
    if [one.shape for one in found.values()] != [one.shape for one in wanted]:
        shapes = ", ".join(str(list(one.shape)) for one in found.values())
        raise UsageError(f"the recorded outputs have other shapes than the model's, {shapes}")
    return tuple(
        compare(name, one, other)
        for (name, one), other in zip(found.items(), wanted, strict=True)
        if one.dtype.kind == "f"
    )


@dataclass(frozen=True, slots=True)
class _Models:
    """The model *web* and the *source* it was made of, to be run for the inputs in *values*.

    Both ways give the outputs of *web* by name, and what they are to be compared with: the outputs
    that *values* has, else those of *source*.
    """

    web: AnySource
    source: AnySource | LiveModel
    values: Mapping[str, Array]
    options: ConvertOptions
    replacements: Mapping[str, AnySource]

    def run_in_numpy(self, patience: float) -> tuple[dict[str, Array], list[Array]]:
        """Run them in numpy.

        Raises:
            TimeoutError: A model would take more than *patience* seconds.
        """
        plain = ConvertOptions(limits=self.options.limits)
        with ExitStack() as stack:
            reading = Job(plain.begin(), stack)
            program = Predictor(reading.open(self.web), reading).program
            found = run_all(program, self.values, patience)
            if recorded := list_numbered(self.values, _OUTPUT):
                return found, recorded
            job = Job(self.options.begin(), stack, self.replacements)
            program = Predictor(job.open(self.source), job).program
            return found, list(run_all(program, self.values, patience).values())

    def run_in_node(self) -> tuple[dict[str, Array], list[Array]] | str:
        """Run them in Node, for which *source* is converted; or return why Node cannot."""
        if not isinstance(self.web, str | os.PathLike) or not Path(self.web).is_dir():
            return "it takes the directory of a tfjs model"
        inputs = {name: value for name, value in self.values.items() if _INPUT.fullmatch(name)}
        inputs = inputs or {
            f"in:{name}": value
            for name, value in self.values.items()
            if not _OUTPUT.fullmatch(name)
        }
        found = predict(Path(self.web), inputs)
        if isinstance(found, str):
            return found
        wanted: list[Array] | str = list_numbered(self.values, _OUTPUT)
        if not wanted:
            whole = replace(self.options, quantize={}, rescale=True, max_error=None, max_bytes=None)
            with TemporaryDirectory() as folder:
                convert(self.source, folder, whole, self.replacements)
                wanted = predict(Path(folder), inputs)
        if isinstance(wanted, str):
            return wanted
        return {f"out{number}": one for number, one in enumerate(found)}, wanted


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
