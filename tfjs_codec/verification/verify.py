"""``verify``: checks a model against its source; a tfjs model against itself and tfjs, too."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tfjs_codec.conversion.expression import express_layers
from tfjs_codec.conversion.job import Job
from tfjs_codec.errors import (
    InputError,
    UnsupportedModelError,
    UsageError,
    VerificationError,
    count,
    quote,
    visible,
)
from tfjs_codec.files.remote import is_url, show
from tfjs_codec.files.source import AnySource, open_source, sha256
from tfjs_codec.ir.json_types import JsonObject
from tfjs_codec.ir.layers import Weight
from tfjs_codec.ir.loaded import KerasModel, Loaded, TensorFlowGraph, TfjsGraph, TfjsLayers, Weights
from tfjs_codec.ir.tensors import Array
from tfjs_codec.limits import Limits
from tfjs_codec.options import ConvertOptions
from tfjs_codec.progress import Progress
from tfjs_codec.readers import open_model
from tfjs_codec.tfjs.check import check_layers_model
from tfjs_codec.tfjs.graph_topology import nodes_of
from tfjs_codec.verification import node
from tfjs_codec.verification.expectation import (
    Expected,
    Tfjs,
    describe_difference,
    expect,
    is_balanced,
    match_names,
)
from tfjs_codec.verification.predictions import Sampling, check_predictions
from tfjs_codec.writers.weights import CHECKSUMS

_LISTED = 20  # failures in a message


@dataclass(frozen=True, slots=True)
class Verification:
    """What was checked, all of it without a failure.

    Attributes:
        path: The model as it was named.
        format: What it is, such as ``tfjs-layers``.
        checks: One sentence for each check.
        notes: What could not be checked, and why.
    """

    path: str
    format: str
    checks: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def to_json(self) -> JsonObject:
        """Return the verification as what JSON can express."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [f"{self.path}: {self.format}, verified"]
        lines += [f"  {check}" for check in self.checks]
        lines += [f"  not checked: {note}" for note in self.notes]
        return "\n".join(map(visible, lines))


@dataclass(slots=True)
class _Findings:
    checks: list[str]
    notes: list[str]
    failures: list[str]


def verify(
    web: str | os.PathLike[str],
    against: AnySource | None,
    options: ConvertOptions,
    replacements: Mapping[str, AnySource],
    predicting: node.Predicting | None,
    sampling: Sampling | None = None,
    progress: Progress | None = None,
    samples: Mapping[str, Array] | None = None,
) -> Verification:
    """Check the model *web*; see ``tfjs_codec.verify``."""
    found = _Findings([], [], [])
    path = os.fspath(web)
    shown = show(path)
    if predicting is not None and is_url(path):
        raise UsageError(
            "Node is given files of this machine only", path=shown, hint="Download the model."
        )
    with ExitStack() as stack:
        job = Job(options, stack, replacements, progress=progress, samples=samples or {})
        try:
            model = stack.enter_context(open_model(path, job.options))
        except InputError as error:
            raise VerificationError(
                error.what, path=error.path, where=error.where, hint=error.hint
            ) from error
        match model:
            case TfjsLayers() | TfjsGraph() | Weights(named_by="tfjs"):
                signature = model.fields.get("signature")
                weights = [weight for weight in model.weights if not weight.optimizer]
                files = count(len(model.weights), "weight")
                found.checks.append(f"the weight files hold exactly {files}")
                _check_checksums(path, model, options.limits, found)
                variables = _check_variables(model, weights, found)
                source = None if against is None else job.open(against)
                if source is not None:
                    expected = expect(model, source, job, variables)
                    naming = match_names(model, weights, expected.values, variables)
                    _check_values(weights, expected, naming, found, job)
            case KerasModel() | TensorFlowGraph() if against is not None and predicting is None:
                source = job.open(against)
                signature, weights = None, []
                _check_as_layers(model, source, found, job)
            case _:
                raise UsageError(
                    f"not a tfjs model but {model.format}", path=shown,
                    hint="Name the directory of a model.json; models of Keras and TensorFlow can "
                    "be verified --against what they were made of.",
                )  # fmt: skip
        if source is not None:
            if sampling is None:
                found.notes.append("predictions: none were asked for")
            elif not found.failures:
                check_predictions(
                    model, source, job, sampling,
                    quantized=any(weight.quantized for weight in weights),
                    checks=found.checks, notes=found.notes, failures=found.failures,
                )  # fmt: skip
    if predicting is not None and not found.failures:
        node.check(Path(path), signature, predicting, found.checks, found.failures)
    if found.failures:
        failed = len(found.failures)
        lines = found.failures[:_LISTED] + ["…"] * (failed > _LISTED)
        what = "\n  ".join([f"{count(failed, 'check')} failed", *lines])
        calibrated = any(weight.quantized for weight in weights) and against and not samples
        hint = (
            "If convert was given --calibrate, give verify the same inputs." if calibrated else ""
        )
        raise VerificationError(what, path=shown, hint=hint, failures=tuple(found.failures))
    return Verification(shown, model.format, tuple(found.checks), tuple(found.notes))


# ---------------------------------------------------------------------------------------- itself


def _check_checksums(path: str, model: Tfjs, limits: Limits, found: _Findings) -> None:
    """Compare the weight files with the SHA-256 that ``convert --checksums`` wrote down."""
    listed = (model.metadata or {}).get(CHECKSUMS)
    if not isinstance(listed, Mapping):
        return
    folder, where = open_source(path).folder, f"userDefinedMetadata.{CHECKSUMS}"
    assert folder is not None  # noqa: S101  paths and URLs have one
    for name, wanted in listed.items():
        with folder.find(name, path=model.path, where=where, limits=limits).open() as file:
            digest = sha256(file)
        if digest != wanted:
            found.failures.append(f"the SHA-256 of {quote(name)} does not match the recorded one")
    found.checks.append(f"SHA-256 verified for {count(len(listed), 'weight file')}")


def _check_variables(model: Tfjs, weights: Sequence[Weight], found: _Findings) -> Collection[str]:
    """Compare the manifest with what tfjs creates from the topology; return variables' names."""
    match model:
        case TfjsLayers():
            return _check_layers(model, weights, found)
        case TfjsGraph():
            parts = (model.topology, model.fields.get("modelInitializer"))
            _check_constants([part for part in parts if isinstance(part, Mapping)], weights, found)
        case Weights():
            found.notes.append("names of weights: there is no topology")
    return ()


def _check_layers(
    model: TfjsLayers, weights: Sequence[Weight], found: _Findings
) -> Collection[str]:
    shapes = {weight.name: weight.tensor.shape for weight in weights}
    checked = check_layers_model(model.topology, shapes, model.path)
    found.failures += [*checked.failures, *checked.foreign]
    found.notes += checked.notes
    variables = count(len(checked.variables), "variable")
    found.checks.append(f"names and shapes agree with {variables} that tfjs creates")
    return checked.variables


def _check_constants(
    graphs: Sequence[Mapping[str, Any]], weights: Sequence[Weight], found: _Findings
) -> None:
    """A graph model's Const nodes take their values from the weights of their names."""
    names = {weight.name for weight in weights}
    constants = {
        str(item.get("name"))
        for graph in graphs
        for item in nodes_of(graph)
        if item.get("op") == "Const"
    }
    missing, spare = sorted(constants - names), sorted(names - constants)
    found.failures += [f"there is no weight for the constant {quote(name)}" for name in missing]
    if spare:
        found.notes.append(f"{count(len(spare), 'weight')} without a constant")
    found.checks.append(f"weights found for {count(len(constants), 'constant')}")


# --------------------------------------------------------------------------------------- the source


def _check_as_layers(
    model: KerasModel | TensorFlowGraph, source: Loaded, found: _Findings, job: Job
) -> None:
    """Compare the values of *model* and *source*, both expressed in layers of tfjs."""
    plain = replace(job, options=replace(job.options, rename={}), replacements={})
    try:
        ours, theirs = express_layers(model, plain)[0], express_layers(source, job)[0]
    except UnsupportedModelError as error:
        found.notes.append(f"values: not both have layers that can be compared ({error.what})")
        return
    weights = [weight for weight in ours.weights if not weight.optimizer]
    others = [weight for weight in theirs.weights if not weight.optimizer]
    names = {one.name: other.name for one, other in zip(weights, others, strict=False)}
    if {weight.name for weight in weights} == {weight.name for weight in others} or [
        weight.tensor.shape for weight in weights
    ] != [weight.tensor.shape for weight in others]:
        names = {}  # else they were renamed, and stand in the same order
    expected = Expected({weight.name: weight.tensor for weight in others})
    _check_values(weights, expected, lambda name: names.get(name, name), found, job)


def _check_values(
    weights: Sequence[Weight],
    wanted: Expected,
    naming: Callable[[str], str],
    found: _Findings,
    job: Job,
) -> None:
    """Compare every value: equal, or within the step that its quantisation has."""
    expected = {naming(name): one for name, one in wanted.values.items()}
    sums = {naming(name): axes for name, axes in wanted.sums.items()}
    balanced = 0
    names = [naming(weight.name) for weight in weights]
    known = set(names)
    missing = [name for name in expected if name not in known]
    found.failures += [f"the weight {quote(name)} is missing" for name in missing]
    meter = job.measure(weight.tensor.nbytes for weight in weights)
    for name, weight in zip(names, weights, strict=True):
        source = expected.get(name)
        if source is None:
            found.failures.append(f"the source has no weight {quote(weight.name)}")
        elif source.shape != weight.tensor.shape:
            shapes = f"{list(weight.tensor.shape)}, in the source {list(source.shape)}"
            found.failures.append(f"{quote(weight.name)} has shape {shapes}")
        else:
            failure = describe_difference(weight, source)
            axes, calibrated = sums.get(name, ()), bool(job.samples)
            if failure and is_balanced(weight, source, axes, calibrated=calibrated):
                balanced += 1
            elif failure:
                found.failures.append(failure)
        next(meter, None)
    rounded = sum(weight.quantized is not None for weight in weights) - balanced
    rescaled = wanted.rescaled
    said = f", {rounded:,} within half a step of their quantisation" if rounded else ""
    said += f", {balanced:,} within a step, so that errors cancel out" if balanced else ""
    said += f", {rescaled:,} rescaled without effect on predictions" if rescaled else ""
    found.checks.append(f"the values of {count(len(weights), 'weight')} match the source{said}")
