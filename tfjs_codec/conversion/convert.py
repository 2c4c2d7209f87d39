"""Reads, chooses by the target's name or the destination's suffix, and writes."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from tfjs_codec.conversion.destinations import publish_directory, publish_file, resolve
from tfjs_codec.conversion.expression import (
    A_GRAPH,
    express_graph,
    express_keras,
    express_layers,
    has_graph,
)
from tfjs_codec.conversion.job import KERAS_GRAPH, LAYERS, SHARDS, Job
from tfjs_codec.errors import UnsupportedModelError
from tfjs_codec.files.remote import show
from tfjs_codec.files.source import AnySource, watch
from tfjs_codec.ir.loaded import (
    KerasModel,
    Loaded,
    TensorFlowGraph,
    Tfjs,
    TfjsGraph,
    TfjsLayers,
    Weights,
)
from tfjs_codec.options import ConvertOptions
from tfjs_codec.outputs import FILES, FileOutput
from tfjs_codec.progress import Progress
from tfjs_codec.report import Report

if TYPE_CHECKING:
    from pathlib import Path

    from tfjs_codec.files.memory import MemoryStage
    from tfjs_codec.files.remote import Place
    from tfjs_codec.files.stage import Stage
    from tfjs_codec.ir.keras import KerasGraph
    from tfjs_codec.ir.tensors import Array, LazyTensor
    from tfjs_codec.readers.live_keras import LiveModel
    from tfjs_codec.writers.weights import Written


_log = logging.getLogger(__name__)


class FileWriter(Protocol):
    """What a module of ``writers`` that writes single files holds."""

    MAGIC: bytes  # how its files begin

    def write(
        self,
        content: KerasGraph | Mapping[str, LazyTensor],
        stage: Stage,
        name: str,
        progress: Progress | None,
    ) -> None:
        """Write *content*, which the row of the output says, into the file *name* of *stage*."""
        ...


def convert(
    source: AnySource | LiveModel,
    destination: str | os.PathLike[str] | MemoryStage | None,
    options: ConvertOptions,
    replacements: Mapping[str, AnySource],
    progress: Progress | None = None,
    *,
    dry: bool = False,
    samples: Mapping[str, Array] | None = None,
) -> Report:
    """Convert *source*, or with *dry* only say what would be written.

    For *samples* of inputs the biases after rounded kernels are corrected.
    """
    with ExitStack() as stack:
        where: Path | Place | MemoryStage | None = None
        if not dry:
            where = (
                resolve(destination) if isinstance(destination, str | os.PathLike) else destination
            )
        check = stack.enter_context(watch())
        job = Job(options.begin(), stack, replacements, where, progress, samples or {}, check)
        target = options.to or target_of(destination)
        model = job.open(source, strict=True)
        output = next((row for row in FILES if row.name == target), None)
        report = _to_file(job, model, output) if output else _DIRECTORIES[target](job, model)
    _tell(report)
    return report


def _tell(report: Report) -> None:
    """Log what was decided."""
    for name, kind, into in report.lowered:
        _log.info("layer %s: %s became %s", name, kind, ", ".join(into))
    for old, new in report.renamed:
        _log.info("layer %s was renamed to %s", old, new)
    for what in (*report.dropped, *report.warnings):
        _log.info("%s", what)
    _log.info("%s: %d bytes in %d files", report.destination, report.nbytes, len(report.files))


def target_of(destination: str | os.PathLike[str] | MemoryStage | None) -> str:
    """Return which target the suffix of *destination* asks for, "" for a tfjs model."""
    name = os.fspath(destination) if isinstance(destination, str | os.PathLike) else ""
    name = show(name).lower()
    return next((row.name for row in FILES if name.endswith(row.suffixes)), "")


def _to_layers(job: Job, model: Loaded) -> Report:
    if isinstance(model, TfjsGraph):
        raise UnsupportedModelError(
            A_GRAPH,
            path=model.path,
            hint="Leave out --to layers, or convert the Keras model it was made from.",
        )
    return _write_layers(job, model)


def _write_layers(job: Job, model: Loaded) -> Report:
    match model:
        case TfjsLayers() if job.replacements or job.options.rename:
            job.check_heeded(
                "a tfjs model whose layers change", *LAYERS, *SHARDS, "training_config"
            )
        case TfjsLayers() | TfjsGraph() | Weights():
            job.check_heeded(
                "a model that stays as it is", *SHARDS, "training_config", "dequantize"
            )
        case _:
            job.check_heeded("a Layers model", *LAYERS, *SHARDS, "training_config")
    try:
        expressed = express_layers(model, job)
    except UnsupportedModelError as error:
        if not error.problems or not has_graph(model, job):
            raise
        raise UnsupportedModelError(
            error.what, path=error.path, where=error.where, problems=error.problems,
            hint=f"{error.hint} It can become a graph model: --to graph.".strip(),
        ) from error  # fmt: skip
    return _write_json(job, *expressed)


def _to_graph(job: Job, model: Loaded) -> Report:
    from tfjs_codec.conversion.rounding import prepare_rounding
    from tfjs_codec.writers import tfjs_graph

    if isinstance(model, TfjsGraph):
        return _write_layers(job, model)
    heeded = ("signature_name",) if isinstance(model, TensorFlowGraph) else KERAS_GRAPH
    source = model.weights if isinstance(model, TfjsLayers) else ()
    if any(weight.quantized for weight in source):
        heeded = (*heeded, "dequantize")
    job.check_heeded("a graph model", *SHARDS, "structured_outputs", *heeded)
    graph = express_graph(model, job)
    stored = {id(weight.tensor) for weight in source if weight.quantized}
    constants = tfjs_graph.constants(graph) if stored else {}
    kept = {name for name, tensor in constants.items() if id(tensor) in stored}
    graph, rounding = prepare_rounding(graph, job, kept)
    planned = tfjs_graph.plan(graph, job.options, rounding.choice, source)

    def write(stage: Stage) -> Written:
        return tfjs_graph.write(graph, planned, stage, job.options, job.progress)

    report = Report(
        graph.path, "", model.format, warnings=graph.warnings,
        rescaled=rounding.rescaled, corrected=rounding.corrected,
    )  # fmt: skip
    return publish_directory(job, report, planned, write)


def _to_tfjs(job: Job, model: Loaded) -> Report:
    """Write layers if the model has them and they are exact, else its graph if it has one."""
    if isinstance(model, TensorFlowGraph):
        return _to_auto(job, model)
    return _write_layers(job, model)


def _to_auto(job: Job, model: Loaded) -> Report:
    """Write layers if they are exact, else a graph."""
    if isinstance(model, TfjsGraph | Weights):
        return _write_layers(job, model)
    try:
        return _write_json(job, *express_layers(model, job))
    except UnsupportedModelError as error:
        refusal = error
    try:
        report = _to_graph(job, model)
    except UnsupportedModelError as error:
        if not refusal.problems:
            raise
        raise UnsupportedModelError(
            f"neither a Layers model ({refusal.what}) nor a graph model ({error.what})",
            path=error.path, hint=error.hint, problems=(*refusal.problems, *error.problems),
        ) from error  # fmt: skip
    reason = "the source has no Keras layers that can be converted exactly"
    if refusal.problems:
        reason = refusal.summary()
    warning = f"written as a graph model (tf.loadGraphModel), not as a Layers model: {reason}"
    return replace(report, warnings=(warning, *report.warnings))


def _to_file(job: Job, model: Loaded, output: FileOutput) -> Report:
    """Write the file that *output* describes."""
    writer = cast("FileWriter", import_module(f"tfjs_codec.writers.{output.module}"))
    content: KerasGraph | Mapping[str, LazyTensor]
    if output.holds == "layers":
        job.check_heeded(output.noun, *LAYERS)
        keras, report = express_keras(model, job)
        content = keras.graph
    else:  # what load() gives, under the same names
        job.check_heeded(output.noun)
        if isinstance(model, TensorFlowGraph):
            model = model.layers_or_weights()
        content = model.named_weights()
        warnings = model.warnings if isinstance(model, KerasModel | Weights) else ()
        report = Report(model.path, "", model.format, weights=len(content), warnings=warnings)
    write = partial(writer.write, content, progress=job.progress)
    return publish_file(job, report, output.suffixes[0], (writer.MAGIC,), write)


def _to_saved_model(job: Job, model: Loaded) -> Report:
    from tfjs_codec.conversion.saved_model import write_saved_model

    return write_saved_model(job, model)


def _write_json(job: Job, model: Tfjs, report: Report) -> Report:
    from tfjs_codec.conversion.rounding import prepare_rounding
    from tfjs_codec.writers import tfjs_json

    quantized = {weight.name for weight in model.weights if weight.quantized}
    kept = set[str]() if job.options.dequantize else quantized
    written, rounding = prepare_rounding(model, job, kept)
    planned = tfjs_json.plan(written, job.options, rounding.choice)
    return publish_directory(
        job,
        replace(report, rescaled=rounding.rescaled, corrected=rounding.corrected),
        planned,
        lambda stage: tfjs_json.write(written, planned, stage, job.progress),
    )


_DIRECTORIES: dict[str, Callable[[Job, Loaded], Report]] = {
    "": _to_tfjs,
    "auto": _to_auto,
    "layers": _to_layers,
    "graph": _to_graph,
    "savedmodel": _to_saved_model,
}
