"""A loaded model as a model of each kind, and a report of what happened on the way.

``diff`` and ``verify`` use these functions, too.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tfjs_codec.conversion.job import Job
from tfjs_codec.conversion.replacements import rename_layers, replace_layers
from tfjs_codec.errors import TfjsCodecError, UnsupportedModelError, count
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
from tfjs_codec.report import Report

if TYPE_CHECKING:
    from tfjs_codec.ir.graph import Graph

A_GRAPH = "a graph model, which has operations and no layers"


def express_layers(model: Loaded, job: Job) -> tuple[Tfjs, Report]:
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
            return _lower(job.read_back(model), job)
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
            read = model if isinstance(model, KerasModel) else settle_masks(job.read_back(model))
            keras = replace_layers(rename_layers(read, job.options.rename), job)
            return build_graph(
                keras,
                outputs=job.options.outputs or (),
                allow_approximate=job.options.allow_approximate,
                limits=job.options.limits,
            )
        case TfjsGraph() | Weights():
            raise without_architecture(model)


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


def settle_masks(model: KerasModel) -> KerasModel:
    """Return *model*, which was read from tfjs, with layers for masks that Keras sets otherwise.

    Raises:
        UnsupportedModelError: Keras has none for them.
    """
    from tfjs_codec.back.log import RaisingLog
    from tfjs_codec.back.masks import settle

    graph, log = model.graph.copy(), RaisingLog()
    settle(graph, log)
    if log.problems:
        raise UnsupportedModelError(
            "masks that Keras does not set", path=model.path, problems=tuple(log.problems)
        )
    return replace(model, graph=graph)


def express_keras(model: Loaded, job: Job) -> tuple[KerasModel, Report]:
    """Return *model* in layers that mean the same in tfjs, Keras 2 and Keras 3.

    Raises:
        UnsupportedModelError: There are no layers, or tfjs or Keras has none that are the same.
        UsageError, CorruptFileError: As for :func:`express_layers`.
    """
    from tfjs_codec.back.portable import make_portable
    from tfjs_codec.writers.keras_config import KEYS

    if isinstance(model, TfjsGraph):
        raise UnsupportedModelError(
            A_GRAPH, path=model.path, hint="Its weights can be written as .npz."
        )
    if isinstance(model, Weights):
        raise without_architecture(model)
    if isinstance(model, TfjsLayers) and not job.replacements:
        _check_topology(model)
        keras, report = job.read_back(model), Report(model.path, "", model.format)
        keras = rename_layers(keras, job.options.rename)
        if model.training_config is not None:
            report = replace(report, dropped=("the training config",))
    else:
        layers, report = express_layers(model, job)
        assert isinstance(layers, TfjsLayers)  # noqa: S101  all others are refused above
        keras = job.read_back(layers)
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
    model, _ = lower(
        keras,
        allow_approximate=options.allow_approximate,
        keep_training_config=options.training_config,
        limits=options.limits,
        log=log,
    )
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


def _restore(model: Tfjs, options: ConvertOptions) -> tuple[Tfjs, Report]:
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
        weights = model.model_weights
        left = len(model.weights) - len(weights)
        dropped = [f"{count(left, 'weight')} of the optimizer"] if left else []
        dropped += [] if training is None else ["the training config"]
        training, report = None, replace(report, dropped=tuple(dropped))
    metadata = {**(model.metadata or {}), **(options.metadata or {})}
    metadata.pop(CHECKSUMS, None)  # of the old weight files
    return replace(model, weights=weights, training_config=training, metadata=metadata), report


def _check_topology(model: TfjsLayers) -> None:
    """Refuse to copy a model that tfjs cannot load."""
    from tfjs_codec.tfjs.check import check_layers_model

    shapes = {weight.name: weight.tensor.shape for weight in model.model_weights}
    failures = check_layers_model(model.topology, shapes, model.path).failures
    if failures:
        listed = "; ".join(failures[:3])
        more = f", and {len(failures) - 3} more" if len(failures) > 3 else ""
        raise UnsupportedModelError(
            f"tf.loadLayersModel cannot load this model, or misreads it: {listed}{more}",
            path=model.path,
            hint="Convert the file that it was made of; tfjs-codec verify lists all of it.",
        )


def without_architecture(model: Loaded) -> UnsupportedModelError:
    """Return the error that *model* are mere weights."""
    return UnsupportedModelError(
        "weights without an architecture", path=model.path,
        hint="Name it with --architecture FILE, the text of model.to_json().",
    )  # fmt: skip


def has_graph(model: Loaded, job: Job) -> bool:
    """Tell whether a Keras model has an exact graph."""
    if not isinstance(model, KerasModel | TfjsLayers):
        return False
    try:
        express_graph(model, job)
    except TfjsCodecError:
        return False
    return True
