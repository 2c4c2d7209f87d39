"""Compares what two models predict, in numpy, for random inputs that suit them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from tfjs_codec.conversion.job import Job
from tfjs_codec.errors import TfjsCodecError, UnsupportedModelError, UsageError, quote
from tfjs_codec.ir.loaded import Loaded, TensorFlowGraph
from tfjs_codec.ir.tensors import Array
from tfjs_codec.prediction.predictor import Predictor
from tfjs_codec.verification.outputs import compare_outputs
from tfjs_codec.verification.samples import Sampler

# What sizes that the model leaves open may be; networks halve images up to five times.
_SIZES = (32, 64, 16, 8, 128, 224, 4, 1)
# What whole numbers are below, if nothing in the model says it.
_NUMBERS = (10, 2, 1)
_LISTED = 4  # tensors in a sentence
_HALF = frozenset(("float16", "bfloat16"))
_HALF_TOLERANCE = 1e-2


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which random inputs to predict for.

    Attributes:
        count: Their number, the size of the first axis where the model leaves it open.
        seed: What they are drawn from.
        tolerance: By how much outputs may differ, relative to the largest value of an output or
            to 1 if that is greater.
    """

    count: int
    seed: int
    tolerance: float


def check_predictions(
    web: Loaded,
    source: Loaded,
    job: Job,
    how: Sampling,
    *,
    quantized: bool,
    checks: list[str],
    notes: list[str],
    failures: list[str],
) -> None:
    """Predict with *web* and with *source*; tell what was found in *checks* and *failures*.

    What numpy cannot run is told in *notes*. *quantized* weights predict other numbers: these are
    told, and are no failure.
    """
    try:
        ours = Predictor(web, job)
        theirs = _source(source, ours, job)
        inputs, expected = _first_that_runs(theirs, ours, how)
    except TfjsCodecError as error:
        reasons = "; ".join(map(str, getattr(error, "problems", ())[:3]))
        notes.append(f"predictions: {error.what}{': ' if reasons else ''}{reasons}")
        return
    what = f"{how.count} random inputs (seed {how.seed}: {_list(inputs)})"
    try:
        found = ours.program.run(_rename(inputs, ours.program.graph.inputs))
    except (UsageError, UnsupportedModelError) as error:
        failures.append(f"the source predicts for {what}, the model does not: {error.what}")
        return
    found = _rename(found, expected)
    half = any(
        _HALF & {value for value in node.attrs.values() if isinstance(value, str)}
        for node in theirs.program.graph.nodes.values()
    )
    tolerance = max(how.tolerance, _HALF_TOLERANCE) if half else how.tolerance
    difference = compare_outputs(found, expected, tolerance)
    outputs = _list(expected)
    if quantized:
        checks.append(
            f"predictions for {what} differ from those of the source by up to "
            f"{difference.largest:.3g}, weights are quantised: {outputs}"
        )
        return
    failures += [f"{failure}, for {what}" for failure in difference.failures]
    checks.append(
        f"predictions for {what} differ from those of the source by at most "
        f"{difference.largest:.3g}: {outputs}"
    )


def _source(source: Loaded, web: Predictor, job: Job) -> Predictor:
    """Prepare *source*; a SavedModel by its layers if its signature names other tensors."""
    found = Predictor(source, job)
    if isinstance(source, TensorFlowGraph) and not _match(found, web):
        try:
            return Predictor(source.layers(), job)
        except UnsupportedModelError:
            return found
    return found


def _match(one: Predictor, other: Predictor) -> bool:
    """Tell whether inputs and outputs have the same names, or there is one of each."""
    pairs = [
        (getattr(one.program.graph, kind), getattr(other.program.graph, kind))
        for kind in ("inputs", "outputs")
    ]
    return all(a.keys() == b.keys() or len(a) == len(b) == 1 for a, b in pairs)


def _rename(values: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """Return *values* by *names*: the same ones, or in their order."""
    if values.keys() == names.keys():
        return {name: values[name] for name in names}
    if len(values) != len(names):
        raise UsageError(f"{len(names)} tensors are expected, not {len(values)}")
    return dict(zip(names, values.values(), strict=True))


def _list(tensors: Mapping[str, Array]) -> str:
    """Return names, types and shapes of *tensors*, or of the first of them."""
    said = [
        f"{quote(name)} {'string' if value.dtype.kind == 'O' else value.dtype} {list(value.shape)}"
        for name, value in tensors.items()
    ]
    more = f" and {len(said) - _LISTED} more" if len(said) > _LISTED else ""
    return ", ".join(said[:_LISTED]) + more


def _first_that_runs(
    model: Predictor, other: Predictor, how: Sampling
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return inputs of the first sizes for which *model* predicts, and what it predicts.

    They suit *other*, too.
    """
    sampler = Sampler(model.program.graph, other.program.graph)
    refusal: UnsupportedModelError | None = None
    sizes = _SIZES if sampler.has_open_sizes else _SIZES[:1]
    numbers = _NUMBERS if sampler.has_open_numbers else _NUMBERS[:1]
    for size, below in product(sizes, numbers):
        inputs = sampler.draw(how.count, size, below, how.seed)
        try:
            return inputs, model.program.run(inputs)
        except UnsupportedModelError as error:
            refusal = refusal or error
    raise refusal or AssertionError
