"""``verify``: checks a model against its source; a tfjs model against itself and tfjs, too."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from tfjs_codec.comparison.compare import compare
from tfjs_codec.conversion.correction import trace
from tfjs_codec.conversion.expression import express_graph, express_layers
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
from tfjs_codec.files.source import AnySource, open_source
from tfjs_codec.ir.graph import Graph
from tfjs_codec.ir.json_types import JsonObject
from tfjs_codec.ir.layers import Weight
from tfjs_codec.ir.loaded import KerasModel, Loaded, TensorFlowGraph, TfjsGraph, TfjsLayers, Weights
from tfjs_codec.ir.tensors import Array, LazyTensor
from tfjs_codec.limits import Limits
from tfjs_codec.options import ConvertOptions
from tfjs_codec.progress import Progress
from tfjs_codec.quantization.bias import correct_biases
from tfjs_codec.quantization.prepare import (
    Model,
    change_constants,
    change_weights,
    name_weights,
    rescale_kernels,
)
from tfjs_codec.readers import open_model
from tfjs_codec.tfjs.check import check_layers_model
from tfjs_codec.tfjs.names import target_name
from tfjs_codec.tfjs.topology import nodes_of
from tfjs_codec.verification import node
from tfjs_codec.verification.predictions import Sampling, check_predictions
from tfjs_codec.writers.tfjs_graph import constants
from tfjs_codec.writers.weights import CHECKSUMS

_LISTED = 20  # failures in a message
_CALLS = re.compile(r"(?:(?:Stateful)?PartitionedCall(?:_[0-9]+)?/)+")
_READ_BYTES = 1 << 20

Tfjs: TypeAlias = TfjsLayers | TfjsGraph | Weights


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
                    expected, changed = _expect(model, source, job, variables)
                    naming = _naming(model, weights, expected, variables)
                    _check_values(weights, expected, naming, found, job, len(changed))
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
        raise VerificationError(what, path=shown, failures=tuple(found.failures))
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
        digest = hashlib.sha256()
        with folder.find(name, path=model.path, where=where, limits=limits).open() as data:
            while piece := data.read(_READ_BYTES):
                digest.update(piece)
        if digest.hexdigest() != wanted:
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


# ------------------------------------------------------------------------------------ the source


def expect_weights(web: Tfjs, against: Loaded, job: Job) -> Mapping[str, LazyTensor]:
    """Return the weights that *against* becomes in a model of the kind of *web*, by name."""
    return _expect(web, against, job, ())[0]


def _expect(
    web: Tfjs, against: Loaded, job: Job, variables: Collection[str]
) -> tuple[dict[str, LazyTensor], Collection[str]]:
    """As ``expect_weights``; also return the names of those rescaled before rounding."""
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
    naming = _naming(web, weights, expected, variables)
    names = {naming(weight.name): weight for weight in weights}
    stored = {name: names[naming(name)] for name in expected if naming(name) in names}
    changed = _find_rescaled(stored, source, expected, entries, bool(job.samples))
    corrected = _find_corrected(stored, source, changed, job) if job.samples else {}
    return {**expected, **changed, **corrected}, changed.keys()


def _find_rescaled(
    stored: Mapping[str, Weight],
    source: Graph | Tfjs,
    expected: Mapping[str, LazyTensor],
    entries: Mapping[str, JsonObject],
    calibrated: bool,
) -> Mapping[str, LazyTensor]:
    """Return the weights of *source* that ``convert`` rescaled before it quantised, if it did.

    It does so by the same computation; what *source* has quantised as it is stored stays. The
    smallest weight with other values tells, of a *calibrated* model the smallest kernel.
    """
    ours = {name: one.quantized.entry for name, one in stored.items() if one.quantized}
    kept = {name for name, entry in entries.items() if ours.get(name) == entry}
    affine = any(entry["dtype"] != "float16" for entry in ours.values())
    changed = rescale_kernels(source, kept) if affine else {}
    for name in sorted(changed, key=lambda name: changed[name].size):
        weight = stored.get(name)
        if calibrated and weight is not None and weight.quantized is None:
            continue
        if weight is None or weight.tensor.shape != changed[name].shape:
            return {}
        if _value_failure(weight, expected[name]) is not None:
            return changed if _value_failure(weight, changed[name]) is None else {}
    return {}


def _find_corrected(
    stored: Mapping[str, Weight],
    source: Graph | Tfjs,
    changed: Mapping[str, LazyTensor],
    job: Job,
) -> dict[str, LazyTensor]:
    """Return the biases of *stored* that ``convert`` corrected for the samples of *job*.

    The computation is the same, but machines round sums of float32 differently.
    """
    if isinstance(source, Graph):
        model: Model = change_constants(source, changed)
    else:
        model = change_weights(source, changed)
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


def _naming(
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
    expected = {weight.name: weight.tensor for weight in others}
    _check_values(weights, expected, lambda name: names.get(name, name), found, job)


def _check_values(
    weights: Sequence[Weight],
    expected: Mapping[str, LazyTensor],
    naming: Callable[[str], str],
    found: _Findings,
    job: Job,
    rescaled: int = 0,
) -> None:
    """Compare every value: equal, or within the step that its quantisation has."""
    expected = {naming(name): one for name, one in expected.items()}
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
            failure = _value_failure(weight, source)
            found.failures += [failure] if failure else []
        next(meter, None)
    rounded = sum(weight.quantized is not None for weight in weights)
    said = f", {rounded:,} within half a step of their quantisation" if rounded else ""
    said += f", {rescaled:,} rescaled without effect on predictions" if rescaled else ""
    found.checks.append(f"the values of {count(len(weights), 'weight')} match the source{said}")


def _value_failure(weight: Weight, source: LazyTensor) -> str | None:
    """Say how the values of *weight* are not those of *source*, None if they are."""
    entry = weight.quantized.entry if weight.quantized else {}
    bound, rounding = 0.0, weight.tensor.dtype if weight.tensor.dtype.kind != "O" else None
    if entry.get("dtype") == "float16":
        rounding = np.dtype(np.float16)
    elif entry:
        levels = int(np.iinfo(entry["dtype"]).max)
        # half a step, and the rounding of the result to float32
        bound = entry["scale"] * 0.5005 + (abs(entry["min"]) + levels * entry["scale"]) * 2**-22
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
