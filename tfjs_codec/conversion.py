"""What a model can become: one row for each kind of output, chosen by name or by suffix."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfjs_codec.errors import UnsupportedModelError, UsageError
from tfjs_codec.lowered import lowered, rename_layers
from tfjs_codec.options import ConvertOptions
from tfjs_codec.report import Report

if TYPE_CHECKING:
    from tfjs_codec.files.sink import Stage
    from tfjs_codec.ir.keras import KerasModel
    from tfjs_codec.ir.layers import TfjsModel
    from tfjs_codec.layers.engine.log import LoweringLog
    from tfjs_codec.writers.weights import Plan, Written

Source = Any  # str | os.PathLike[str] | bytes | BinaryIO, or a live Keras model
Progress = Callable[[int, int], None]
ZIP_MAGIC = b"PK"

# The first suffix that fits decides; any other destination is a directory for tfjs.
_SUFFIXES = (
    (".weights.h5", "weights-h5"),
    (".h5", "h5"),
    (".hdf5", "h5"),
    (".keras", "keras"),
    (".npz", "npz"),
)


@dataclass(frozen=True, slots=True)
class Job:
    """One conversion. ``destination`` is None if only its plan is wanted."""

    source: Source
    destination: Path | None
    options: ConvertOptions
    replacements: Mapping[str, Source]
    progress: Progress | None
    stack: ExitStack

    def open(self, source: Source, **how: Any) -> KerasModel:
        """Read *source*; its tensors stay readable until the job is done."""
        return open_source(self.stack, source, self.options, **how)


def open_source(
    stack: ExitStack, source: Source, options: ConvertOptions, **how: Any
) -> KerasModel:
    """Read *source* as *options* say; *how* are more arguments of ``readers.open_model``."""
    from tfjs_codec.readers import live_keras, open_model

    if hasattr(source, "to_json"):  # a model in memory, whatever Keras it is of
        return live_keras.read(source, options.limits)
    return stack.enter_context(open_model(source, **options.reading, **how))


def run(
    source: Source,
    destination: str | os.PathLike[str] | None,
    options: ConvertOptions,
    replacements: Mapping[str, Source],
    progress: Progress | None = None,
    *,
    dry: bool = False,
) -> Report:
    """Convert *source*, or with *dry* only say what would be written."""
    name = options.to or target_of(destination)
    with ExitStack() as stack:
        where = None if dry or destination is None else Path(destination)
        job = Job(source, where, options, replacements, progress, stack)
        return WRITERS[name](job)


def target_of(destination: str | os.PathLike[str] | None) -> str:
    """Return which target the suffix of *destination* asks for, "" for a tfjs directory."""
    name = "" if destination is None else os.fspath(destination).lower()
    return next((target for suffix, target in _SUFFIXES if name.endswith(suffix)), "")


# ---------------------------------------------------------------------------- tfjs directories


def _to_layers(job: Job) -> Report:
    """Write a tfjs directory; a tfjs model keeps its topology, also that of a graph model."""
    keras = job.open(job.source, as_stored=not (job.replacements or job.options.rename))
    if keras.tfjs is not None and keras.graph is None:
        if job.options.to == "layers" and keras.format == "tfjs-graph":
            raise UnsupportedModelError(
                "a graph model, whose operations are not the layers of a Layers model",
                path=keras.path,
                hint="Leave out --to layers, or convert the Keras model it was made from.",
            )
        model, dropped = _restored(keras.tfjs, job.options)
        return _write_tfjs(job, keras, model, None, dropped)
    model, log = _lowered(job, keras)
    return _write_tfjs(job, keras, model, log, ())


def _lowered(job: Job, keras: KerasModel) -> tuple[TfjsModel, LoweringLog]:
    return lowered(keras, job.options, job.replacements, job.open)


def _restored(model: TfjsModel, options: ConvertOptions) -> tuple[TfjsModel, Sequence[str]]:
    """Return the tfjs *model* as it is to be written again, and what it loses."""
    from tfjs_codec.writers.weights import CHECKSUMS

    dropped = []
    weights, training = model.weights, model.training_config
    if not options.training_config:
        weights = [weight for weight in weights if not weight.optimizer]
        if len(weights) != len(model.weights):
            dropped.append(f"{len(model.weights) - len(weights)} weights of the optimizer")
        if training is not None:
            dropped.append("the training config")
        training = None
    metadata = {**(model.metadata or {}), **(options.metadata or {})}
    metadata.pop(CHECKSUMS, None)  # of the old weight files
    return replace(model, weights=weights, training_config=training, metadata=metadata), dropped


def _write_tfjs(
    job: Job, keras: KerasModel, model: TfjsModel, log: LoweringLog | None, dropped: Sequence[str]
) -> Report:
    from tfjs_codec.writers import tfjs_layers

    planned = tfjs_layers.plan(model, job.options)
    written = _staged(job, lambda stage: tfjs_layers.write(model, planned, stage, job.progress))
    report = _report(job, keras.path, keras.format, planned, written)
    if log is None:
        return replace(report, dropped=tuple(dropped), warnings=(*keras.warnings, *report.warnings))
    return replace(
        report,
        lowered=tuple((name, kind, tuple(into)) for name, kind, into in log.lowered),
        renamed=tuple(log.renamed),
        dropped=(*dropped, *log.dropped),
        warnings=(*log.warnings, *report.warnings),
    )


def _staged(job: Job, write: Callable[[Stage], Written]) -> Written | None:
    """Write a tfjs directory at once, or nothing if only the plan is wanted."""
    from tfjs_codec.files.sink import check_destination, staged
    from tfjs_codec.writers.tfjs_layers import model_files

    if job.destination is None:
        return None
    target = check_destination(job.destination, model_files, force=job.options.force)
    with staged(target, model_files, force=job.options.force) as stage:
        return write(stage)


def _report(job: Job, path: str, kind: str, planned: Plan, written: Written | None) -> Report:
    return Report(
        source=path,
        destination=str(job.destination or ""),
        format=kind,
        files=tuple(written.files if written else ((s.name, s.nbytes) for s in planned.shards)),
        weights=len(planned.entries),
        warnings=planned.warnings,
        quantization=tuple(
            (loss.name, loss.dtype, loss.max_error, loss.step)
            for loss in (written.losses if written else ())
        ),
    )


def _to_graph(job: Job) -> Report:
    """Write the graph of a TensorFlow model as a tfjs graph model."""
    from tfjs_codec.graph.passes import convert
    from tfjs_codec.writers import tfjs_graph

    kind, graph = convert(job.source, job.options, job.stack)
    planned = tfjs_graph.plan(graph, job.options)

    def write(stage: Stage) -> Written:
        return tfjs_graph.write(graph, planned, stage, job.options, job.progress)

    report = _report(job, graph.path, kind, planned, _staged(job, write))
    return replace(report, warnings=(*graph.warnings, *report.warnings))


def _to_any(job: Job) -> Report:
    """Write layers if the model has them and they are exact, else its graph if it has one."""
    from tfjs_codec.files import source

    if hasattr(job.source, "to_json") or not source.graph_kind(source.open_source(job.source)):
        return _to_layers(job)
    try:
        return _to_layers(job)
    except UnsupportedModelError as error:
        refusal = error
    try:
        report = _to_graph(job)
    except UnsupportedModelError as error:
        if not refusal.problems:
            raise
        raise UnsupportedModelError(
            f"neither a Layers model ({refusal.what}) nor a graph model ({error.what})",
            path=error.path, hint=error.hint, problems=(*refusal.problems, *error.problems),
        ) from error  # fmt: skip
    reason = refusal.what if refusal.problems else "the source has no exact Keras layers"
    warning = f"a graph model (tf.loadGraphModel) and not a Layers model: {reason}"
    return replace(report, warnings=(warning, *report.warnings))


# ------------------------------------------------------------------------------- single files


def _to_npz(job: Job) -> Report:
    """Write the weights that ``load`` gives, under the same names."""
    from tfjs_codec.writers import npz

    keras = job.open(job.source, weights_only=True)
    tensors = keras.all_weights()
    report = Report(keras.path, "", keras.format, weights=len(tensors))
    report = replace(report, warnings=tuple(keras.warnings))
    return _write_file(job, report, (ZIP_MAGIC,), partial(npz.write, tensors))


def _to_keras(job: Job, target: str) -> Report:
    """Write the layers of tfjs, or those a Keras model was lowered to, for Keras."""
    from tfjs_codec.back.portable import make_portable
    from tfjs_codec.writers.keras_config import KEYS
    from tfjs_codec.writers.keras_files import KERAS_WRITERS

    source = job.open(job.source)
    keras, lowering = _as_layers(job, source)
    graph, log = make_portable(keras, frozenset(KEYS))
    report = Report(
        source.path,
        "",
        source.format,
        weights=sum(len(layer.weights) for layer in graph.walk()),
        lowered=tuple((name, kind, tuple(into)) for name, kind, into in lowering.lowered),
        renamed=(*lowering.renamed, *log.renamed),
        dropped=tuple(lowering.dropped),
        warnings=(*lowering.warnings, *log.warnings),
    )
    magic, write = KERAS_WRITERS[target]
    return _write_file(job, report, (magic,), partial(write, graph))


def _as_layers(job: Job, source: KerasModel) -> tuple[KerasModel, LoweringLog]:
    """Return *source* as a model of tfjs's layers."""
    from tfjs_codec.layers.engine.log import LoweringLog
    from tfjs_codec.readers.tfjs_layers import keras_model
    from tfjs_codec.tfjs.topology import model_topology

    if source.graph is None:
        what = {"tfjs-graph": "a graph model, which has operations and no layers"}
        raise UnsupportedModelError(
            what.get(source.format, "weights without an architecture"),
            path=source.path,
            hint="Its weights can be written as .npz.",
        )
    if source.tfjs is not None and not job.replacements:
        source = rename_layers(source, job.options.rename)
        log = LoweringLog()
        log.warnings.extend(source.warnings)
        if source.training_config is not None:
            log.dropped.append("the training config")
        return source, log
    model, log = _lowered(job, source)
    assert model.graph is not None  # noqa: S101  the source has one
    model = replace(model, topology=model_topology(model.graph))
    return keras_model(model, source.path, job.options.limits), log


def _write_file(
    job: Job, report: Report, magics: tuple[bytes, ...], write: Callable[[Stage, str], None]
) -> Report:
    """Publish the file that *write* creates; fill in what *report* does not know yet."""
    from tfjs_codec.files.sink import check_file_destination, staged_file

    if job.destination is None:
        return report
    if Path(os.path.realpath(job.destination)) == Path(os.path.realpath(report.source)):
        raise UsageError("is the source itself", path=job.destination, hint="Name another file.")
    force = job.options.force
    target = check_file_destination(job.destination, magics, force=force)
    with staged_file(target, magics, force=force) as stage:
        write(stage, target.name)
    files = ((target.name, target.stat().st_size),)
    return replace(report, destination=str(job.destination), files=files)


# By names of options.TARGETS.
WRITERS: dict[str, Callable[[Job], Report]] = {
    "": _to_any,
    "layers": _to_layers,
    "graph": _to_graph,
    **{name: partial(_to_keras, target=name) for name in ("h5", "weights-h5", "keras")},
    "npz": _to_npz,
}
