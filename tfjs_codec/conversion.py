"""Conversion: what was read becomes what was asked for, and is written.

:func:`express_layers`, :func:`express_graph` and :func:`express_keras` turn a loaded model into a
model of each kind and say in a report what happened on the way; ``diff`` and ``verify`` use them
too. :func:`convert` reads, chooses by the target's name or the destination's suffix, and writes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from tfjs_codec.errors import TfjsCodecError, UnsupportedModelError, UsageError, quote
from tfjs_codec.files.source import AnySource, watch
from tfjs_codec.ir import references
from tfjs_codec.ir.loaded import (
    KerasModel,
    Loaded,
    TensorFlowGraph,
    TfjsGraph,
    TfjsLayers,
    Weights,
)
from tfjs_codec.options import ConvertOptions, no_effect
from tfjs_codec.readers import open_model
from tfjs_codec.report import Report

if TYPE_CHECKING:
    from tfjs_codec.files.memory import MemoryStage
    from tfjs_codec.files.sink import Stage
    from tfjs_codec.ir.graph import Graph
    from tfjs_codec.readers.live_keras import LiveModel
    from tfjs_codec.writers.weights import Plan, Written

Progress: TypeAlias = Callable[[int, int], None]

# The first suffix that fits decides; any other destination is a directory for tfjs.
_SUFFIXES = (
    (".weights.h5", "weights-h5"),
    (".h5", "h5"),
    (".hdf5", "h5"),
    (".keras", "keras"),
    (".npz", "npz"),
)
_ZIP_MAGIC = b"PK"

# Options by what heeds them.
_LAYERS = ("rename", "replace", "allow_approximate")
_KERAS_GRAPH = (*_LAYERS, "outputs")
_SHARDS = ("shard_size_bytes", "single_shard", "split_weights_by_layer", "quantize", "metadata",
           "checksums")  # fmt: skip
_TRANSFORMING = frozenset(
    (
        *_LAYERS,
        *_SHARDS,
        "training_config",
        "dequantize",
        "structured_outputs",
        "signature_name",
        "outputs",
    )
)


@dataclass(frozen=True, slots=True)
class Job:
    """One conversion: how to do it, and the stack that keeps its sources open."""

    options: ConvertOptions
    stack: ExitStack
    replacements: Mapping[str, AnySource] = field(default_factory=dict)
    destination: Path | MemoryStage | None = None  # None if only the plan is wanted
    progress: Progress | None = None
    check_sources: Callable[[], None] = lambda: None

    def open(self, source: AnySource | LiveModel, *, strict: bool = False) -> Loaded:
        """Read *source*; its tensors stay readable until the job is done."""
        return self.repair(
            self.stack.enter_context(open_model(source, self.options, strict=strict))
        )

    def repair(self, model: Loaded) -> Loaded:
        """Return *model*; of a Layers model in the dialect of Keras 3, the Keras model it was."""
        if isinstance(model, TfjsLayers):
            from tfjs_codec.readers.tfjs_repair import repair

            return repair(model, self.options.limits)
        return model

    def check_heeded(self, noun: str, *heeded: str) -> None:
        """Raise UsageError for an option that means nothing for *noun*, which heeds *heeded*."""
        chosen = self.options.chosen | ({"replace"} if self.replacements else set())
        for name in sorted((chosen & _TRANSFORMING) - set(heeded)):
            raise no_effect(name, noun)


def convert(
    source: AnySource | LiveModel,
    destination: str | os.PathLike[str] | MemoryStage | None,
    options: ConvertOptions,
    replacements: Mapping[str, AnySource],
    progress: Progress | None = None,
    *,
    dry: bool = False,
) -> Report:
    """Convert *source*, or with *dry* only say what would be written."""
    with ExitStack() as stack:
        where = None if dry else destination
        if isinstance(where, str | os.PathLike):
            where = Path(where)
        check = stack.enter_context(watch())
        job = Job(options.begin(), stack, replacements, where, progress, check)
        return _WRITERS[options.to or target_of(destination)](job, job.open(source, strict=True))


def target_of(destination: str | os.PathLike[str] | MemoryStage | None) -> str:
    """Return which target the suffix of *destination* asks for, "" for a tfjs model."""
    name = os.fspath(destination).lower() if isinstance(destination, str | os.PathLike) else ""
    return next((target for suffix, target in _SUFFIXES if name.endswith(suffix)), "")


# ------------------------------------------------------------------------------- transformations


def express_layers(model: Loaded, job: Job) -> tuple[TfjsLayers | TfjsGraph | Weights, Report]:
    """Return *model* in layers that tfjs has; a tfjs model of any kind stays what it is.

    Raises:
        UsageError: There is no such layer to rename or replace, or a replacement has no layers.
        UnsupportedModelError: tfjs has no such layers; ``problems`` lists every reason.
        CorruptFileError: Weights, shapes or configs contradict each other.
    """
    match model:
        case Weights(named_by="checkpoint"):
            raise UnsupportedModelError(
                "a TensorFlow checkpoint holds values of variables and no architecture",
                path=model.path,
                hint="Convert the SavedModel or Keras file; tfjs_codec.load(…).weights has the "
                "values.",
            )
        case TfjsLayers() if job.replacements or job.options.rename:
            return _lower(_read_back(model, job), job)
        case TfjsLayers() | TfjsGraph() | Weights():
            return _restore(model, job.options)
        case TensorFlowGraph():
            return _lower(model.layers(), job)
        case KerasModel():
            return _lower(model, job)


def trace_graph(model: Loaded, job: Job) -> Graph:
    """Return *model* as a graph of TensorFlow's operations, of which tfjs may lack some.

    Raises:
        UnsupportedModelError: It has neither a graph nor layers, or some that no graph computes.
        UsageError: The options name a signature or output that does not exist, or none where
            there are several.
        CorruptFileError: The graph or the layers make no sense.
    """
    from tfjs_codec.operations.target import build_graph

    if isinstance(model, TensorFlowGraph):
        model = with_signature(model, job.options)
    match model:
        case TensorFlowGraph():
            return model.graph()
        case KerasModel() | TfjsLayers():
            keras = model if isinstance(model, KerasModel) else _read_back(model, job)
            keras = replace_layers(rename_layers(keras, job.options.rename), job)
            return build_graph(
                keras,
                outputs=job.options.outputs or (),
                allow_approximate=job.options.allow_approximate,
                limits=job.options.limits,
            )
        case TfjsGraph() | Weights():
            raise UnsupportedModelError(
                "weights without an architecture, which a graph model needs", path=model.path
            )


def with_signature(model: TensorFlowGraph, options: ConvertOptions) -> TensorFlowGraph | KerasModel:
    """Return *model*, or its Keras layers if it has no signature that says what to compute."""
    try:
        model.graph()
    except UnsupportedModelError as error:
        if options.signature_name:
            raise
        try:
            return model.layers()
        except UnsupportedModelError:
            raise error from None
    return model


def express_graph(model: Loaded, job: Job) -> Graph:
    """Return *model* as a graph of operations that tfjs has.

    Raises:
        UnsupportedModelError: As for :func:`trace_graph`, or tfjs has no such operations.
        UsageError, CorruptFileError: As for :func:`trace_graph`.
        LimitExceededError: The graph grows without end.
    """
    from tfjs_codec.graph.passes import run

    return run(trace_graph(model, job), job.options.limits)


def express_keras(model: Loaded, job: Job) -> tuple[KerasModel, Report]:
    """Return *model* in layers that mean the same in tfjs, Keras 2 and Keras 3.

    Raises:
        UnsupportedModelError: There are no layers, or tfjs or Keras has none that are the same.
        UsageError, CorruptFileError: As for :func:`express_layers`.
    """
    from tfjs_codec.back.portable import make_portable
    from tfjs_codec.writers.keras_config import KEYS

    if isinstance(model, TfjsGraph | Weights):
        is_graph = isinstance(model, TfjsGraph)
        what = "a graph model, which has operations and no layers"
        raise UnsupportedModelError(
            what if is_graph else "weights without an architecture", path=model.path,
            hint="Its weights can be written as .npz.",
        )  # fmt: skip
    if isinstance(model, TfjsLayers) and not job.replacements:
        keras, report = _read_back(model, job), Report(model.path, "", model.format)
        keras = rename_layers(keras, job.options.rename)
        if model.training_config is not None:
            report = replace(report, dropped=("the training config",))
    else:
        layers, report = express_layers(model, job)
        assert isinstance(layers, TfjsLayers)  # noqa: S101  all others are refused above
        keras = _read_back(layers, job)
    keras, log = make_portable(keras, frozenset(KEYS))
    return keras, replace(
        report,
        weights=sum(len(layer.weights) for layer in keras.graph.walk()),
        renamed=(*report.renamed, *log.renamed),
        warnings=(*report.warnings, *log.warnings),
    )


def _lower(keras: KerasModel, job: Job) -> tuple[TfjsLayers, Report]:
    from tfjs_codec.layers.engine.log import LoweringLog
    from tfjs_codec.layers.lower import lower

    options = job.options
    keras = replace_layers(rename_layers(keras, options.rename), job)
    log = LoweringLog()
    try:
        model, _ = lower(
            keras,
            allow_approximate=options.allow_approximate,
            keep_training_config=options.training_config,
            limits=options.limits,
            log=log,
        )
    finally:  # what comes after a replacement of another shape may fail, but is not to blame
        _check_shapes(keras, {name: log.shapes.get(name, ()) for name in job.replacements})
    report = Report(
        keras.path,
        "",
        keras.format,
        lowered=tuple((name, kind, tuple(into)) for name, kind, into in log.lowered),
        renamed=tuple(log.renamed),
        dropped=tuple(log.dropped),
        warnings=tuple(log.warnings),
    )
    return replace(model, metadata=dict(options.metadata) if options.metadata else None), report


def _read_back(model: TfjsLayers, job: Job) -> KerasModel:
    from tfjs_codec.back.keras_model import read_keras_model

    return read_keras_model(model, job.options.limits)


def _restore(
    model: TfjsLayers | TfjsGraph | Weights, options: ConvertOptions
) -> tuple[TfjsLayers | TfjsGraph | Weights, Report]:
    """Return *model* as it is to be written again."""
    from tfjs_codec.writers.weights import CHECKSUMS

    if isinstance(model, TfjsLayers):
        _check_topology(model)
    report = Report(
        model.path,
        "",
        model.format,
        warnings=model.warnings if isinstance(model, Weights) else (),
    )
    weights, training = model.weights, model.training_config
    if not options.training_config:
        weights = tuple(weight for weight in weights if not weight.optimizer)
        left = len(model.weights) - len(weights)
        dropped = [f"{left} weights of the optimizer"] if left else []
        dropped += [] if training is None else ["the training config"]
        training, report = None, replace(report, dropped=tuple(dropped))
    metadata = {**(model.metadata or {}), **(options.metadata or {})}
    metadata.pop(CHECKSUMS, None)  # of the old weight files
    return replace(model, weights=weights, training_config=training, metadata=metadata), report


def _check_topology(model: TfjsLayers) -> None:
    """Refuse to copy a model that tfjs cannot load."""
    from tfjs_codec.tfjs.check import check_layers_model

    shapes = {weight.name: weight.tensor.shape for weight in model.weights if not weight.optimizer}
    failures = check_layers_model(model.topology, shapes, model.path).failures
    if failures:
        more = f", and {len(failures) - 3} more" if len(failures) > 3 else ""
        raise UnsupportedModelError(
            f"tf.loadLayersModel cannot load this model: {'; '.join(failures[:3])}{more}",
            path=model.path,
            hint="Convert the file that it was made of; tfjs-codec verify lists all of it.",
        )


def rename_layers(keras: KerasModel, new_names: Mapping[str, str]) -> KerasModel:
    """Return *keras* with layers renamed, at any depth.

    Raises:
        UsageError: There is no such layer, or one of the new name already.
    """
    if not new_names:
        return keras
    taken = {layer.name for model in keras.graph.graphs() for layer in model.layers}
    for old, new in new_names.items():
        if old not in taken:
            raise UsageError(f"there is no layer {quote(old)} to rename", path=keras.path)
        if new in taken:
            raise UsageError(f"there is a layer {quote(new)} already", path=keras.path)
        taken.add(new)
    graph = keras.graph.copy()
    for model in graph.graphs():
        references.rename(model, new_names)
    return replace(keras, graph=graph)


def replace_layers(keras: KerasModel, job: Job) -> KerasModel:
    """Return *keras* with the models that *job* names in the place of layers, at any depth.

    Raises:
        UsageError: There is no such layer, or a replacement has no layers.
    """
    models = {}
    for name, source in job.replacements.items():
        inner = job.open(source)
        if isinstance(inner, TensorFlowGraph):
            inner = inner.layers()
        elif isinstance(inner, TfjsLayers):
            inner = _read_back(inner, job)
        if not isinstance(inner, KerasModel):
            raise UsageError(
                "a replacement needs an architecture, not only weights", path=inner.path
            )
        if name not in {layer.name for layer in keras.graph.walk()}:
            raise UsageError(f"there is no layer '{name}' to replace", path=keras.path)
        _check_calls(keras, name, inner)
        models[name] = inner.graph
    return replace(keras, graph=references.replace_layers(keras.graph, models))


def _check_calls(keras: KerasModel, name: str, inner: KerasModel) -> None:
    """Check that *inner* has the inputs and outputs that layer *name* of *keras* has."""
    for graph in keras.graph.graphs():
        takes = {
            len(list(references.refs_in(call.args[:1])))
            for layer in graph.layers
            if layer.name == name
            for call in layer.calls
        }
        calls = [call for layer in graph.layers for call in layer.calls]
        used = [*graph.outputs, *(ref for call in calls for ref in references.refs_in(call))]
        gives = max((ref.tensor for ref in used if ref.layer == name), default=0)
        inputs, outputs = len(inner.graph.inputs), len(inner.graph.outputs)
        if takes - {inputs} or gives >= outputs:
            raise UsageError(
                f"the replacement of layer {quote(name)} has {inputs} inputs and {outputs} outputs;"
                f" the layer is called on {max(takes, default=0)} tensors, of its outputs number "
                f"{gives} is used",
                path=inner.path,
            )


def _check_shapes(keras: KerasModel, shapes: Mapping[str, Sequence[Sequence[int | None]]]) -> None:
    """Compare the shapes that the outputs of layers became with those that the file states."""
    for layer in keras.graph.walk():
        found = shapes.get(layer.name, ())
        for tensor, wanted in layer.recorded.items():
            if tensor >= len(found):
                continue
            pairs = list(zip(wanted, found[tensor], strict=False))[1:]
            if len(wanted) != len(found[tensor]) or any(
                a != b for a, b in pairs if a is not None and b is not None
            ):
                raise UsageError(
                    f"the replacement of layer {quote(layer.name)} yields shape "
                    f"{list(found[tensor])}, the layer {wanted}",
                    path=keras.path,
                )


# --------------------------------------------------------------------------------------- targets


def _to_layers(job: Job, model: Loaded) -> Report:
    if isinstance(model, TfjsGraph):
        raise UnsupportedModelError(
            "a graph model, which has operations and no layers",
            path=model.path,
            hint="Leave out --to layers, or convert the Keras model it was made from.",
        )
    return _write_layers(job, model)


def _write_layers(job: Job, model: Loaded) -> Report:
    match model:
        case TfjsLayers() if job.replacements or job.options.rename:
            job.check_heeded(
                "a tfjs model whose layers change", *_LAYERS, *_SHARDS, "training_config"
            )
        case TfjsLayers() | TfjsGraph() | Weights():
            job.check_heeded(
                "a model that stays as it is", *_SHARDS, "training_config", "dequantize"
            )
        case _:
            job.check_heeded("a Layers model", *_LAYERS, *_SHARDS, "training_config")
    try:
        expressed = express_layers(model, job)
    except UnsupportedModelError as error:
        if not error.problems or not _has_graph(model, job):
            raise
        raise UnsupportedModelError(
            error.what, path=error.path, where=error.where, problems=error.problems,
            hint=f"{error.hint} It can become a graph model: --to graph.".strip(),
        ) from error  # fmt: skip
    return _write_json(job, *expressed)


def _has_graph(model: Loaded, job: Job) -> bool:
    """Tell whether a Keras model has an exact graph."""
    if not isinstance(model, KerasModel | TfjsLayers):
        return False
    try:
        express_graph(model, job)
    except TfjsCodecError:
        return False
    return True


def _to_graph(job: Job, model: Loaded) -> Report:
    from tfjs_codec.writers import tfjs_graph

    if isinstance(model, TfjsGraph):
        return _write_layers(job, model)
    heeded = ("signature_name",) if isinstance(model, TensorFlowGraph) else _KERAS_GRAPH
    job.check_heeded("a graph model", *_SHARDS, "structured_outputs", *heeded)
    graph = express_graph(model, job)
    planned = tfjs_graph.plan(graph, job.options)

    def write(stage: Stage) -> Written:
        return tfjs_graph.write(graph, planned, stage, job.options, job.progress)

    report = Report(graph.path, "", model.format, warnings=graph.warnings)
    return _write_directory(job, report, planned, write)


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
        reason = "; ".join([refusal.what, *map(str, refusal.problems[:_SAID])])
    warning = f"written as a graph model (tf.loadGraphModel), not as a Layers model: {reason}"
    return replace(report, warnings=(warning, *report.warnings))


_SAID = 3  # problems that a warning repeats


def _to_npz(job: Job, model: Loaded) -> Report:
    """Write the weights that ``load`` gives, under the same names."""
    from tfjs_codec.writers import npz

    job.check_heeded("a file of weights")
    if isinstance(model, TensorFlowGraph):
        model = model.layers_or_weights()
    tensors = model.named_weights()
    warnings = model.warnings if isinstance(model, KerasModel | Weights) else ()
    report = Report(model.path, "", model.format, weights=len(tensors), warnings=warnings)
    return _write_file(job, report, (_ZIP_MAGIC,), partial(npz.write, tensors))


def _to_keras(job: Job, model: Loaded, target: str) -> Report:
    from tfjs_codec.writers.keras_files import KERAS_WRITERS

    job.check_heeded("a Keras file", *_LAYERS)
    keras, report = express_keras(model, job)
    magic, write = KERAS_WRITERS[target]
    return _write_file(job, report, (magic,), partial(write, keras.graph))


# By names of options.TARGETS.
_WRITERS: dict[str, Callable[[Job, Loaded], Report]] = {
    "": _to_tfjs,
    "auto": _to_auto,
    "layers": _to_layers,
    "graph": _to_graph,
    **{name: partial(_to_keras, target=name) for name in ("h5", "weights-h5", "keras")},
    "npz": _to_npz,
}


# --------------------------------------------------------------------------------------- writing


def _write_json(job: Job, model: TfjsLayers | TfjsGraph | Weights, report: Report) -> Report:
    from tfjs_codec.writers import tfjs_json

    planned = tfjs_json.plan(model, job.options)
    return _write_directory(
        job, report, planned, lambda stage: tfjs_json.write(model, planned, stage, job.progress)
    )


def _write_directory(
    job: Job, report: Report, planned: Plan, write: Callable[[Stage], Written]
) -> Report:
    """Publish the tfjs model that *write* writes; fill in what *report* does not know yet."""
    from tfjs_codec.files.sink import check_destination, staged
    from tfjs_codec.writers.tfjs_json import model_files

    written, force, destination = None, job.options.force, job.destination
    if isinstance(destination, Path) and destination.suffix.lower() == ".zip":

        def write_zip(stage: Stage, name: str) -> None:
            nonlocal written
            from tfjs_codec.files.zip_write import staged_zip

            written = write(stage)
            with staged_zip(stage, name) as archive:
                for file, _ in written.files:
                    archive.move(file)

        _write_file(job, report, (_ZIP_MAGIC,), write_zip)
    elif isinstance(destination, Path):
        _check_not_source(destination, report.source)
        names = [shard.name for shard in planned.shards]
        target = check_destination(destination, model_files, force=force, names=names)
        with staged(target, model_files, force=force) as stage:
            written = write(stage)
            stage.settle()
            job.check_sources()
    elif destination is not None:
        written = write(destination)
        job.check_sources()
    return replace(
        report,
        destination=str(destination or ""),
        files=tuple(written.files if written else ((s.name, s.nbytes) for s in planned.shards)),
        weights=len(planned.entries),
        warnings=(*report.warnings, *planned.warnings),
        quantization=tuple(
            (loss.name, loss.dtype, loss.max_error, loss.step)
            for loss in (written.losses if written else ())
        ),
    )


def _check_not_source(destination: Path, source: str) -> None:
    """Refuse to replace the source: what it holds would be lost, or lose its precision."""
    from tfjs_codec.files.source import INDEX

    target, origin = (Path(os.path.realpath(path)) for path in (destination, source))
    if target in (origin, origin.parent if origin.name == INDEX else origin):
        raise UsageError("is the source file", path=destination, hint="Name another one.")


def _write_file(
    job: Job, report: Report, magics: tuple[bytes, ...], write: Callable[[Stage, str], None]
) -> Report:
    """Publish the file that *write* creates; fill in what *report* does not know yet."""
    from tfjs_codec.files.sink import check_file_destination, staged_file

    destination = job.destination
    if destination is None:
        return report
    if not isinstance(destination, Path):
        suffix = next(suffix for suffix, target in _SUFFIXES if target == job.options.to)
        write(destination, f"model{suffix}")
        job.check_sources()
        files = tuple((name, len(data)) for name, data in destination.files().items())
        return replace(report, destination=str(destination), files=files)
    _check_not_source(destination, report.source)
    force = job.options.force
    target = check_file_destination(destination, magics, force=force)
    with staged_file(target, magics, force=force) as stage:
        write(stage, target.name)
        stage.settle()
        job.check_sources()
    files = ((target.name, target.stat().st_size),)
    return replace(report, destination=str(destination), files=files)
