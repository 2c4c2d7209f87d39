"""Lowering: a Keras model becomes one of layers that tfjs has."""

from __future__ import annotations

import numpy as np

from tfjs_codec.errors import Problem
from tfjs_codec.ir.json_types import JsonObject
from tfjs_codec.ir.keras import KerasGraph, KerasLayer
from tfjs_codec.ir.layers import Weight, graph_weights
from tfjs_codec.ir.loaded import KerasModel, TfjsLayers
from tfjs_codec.ir.references import refs_in
from tfjs_codec.keras.classes import is_pointwise
from tfjs_codec.layers.catalogue import REGISTRY
from tfjs_codec.layers.engine.log import LoweringLog
from tfjs_codec.layers.engine.session import Session
from tfjs_codec.layers.engine.target import LayersTarget
from tfjs_codec.layers.engine.trained import has_initializers
from tfjs_codec.layers.training import training_config
from tfjs_codec.limits import DEFAULT_LIMITS, Limits
from tfjs_codec.tfjs.topology import write_topology
from tfjs_codec.tracing.accounting import record
from tfjs_codec.tracing.refusal import Refusal


def lower(
    model: KerasModel,
    *,
    allow_approximate: bool = False,
    keep_training_config: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    log: LoweringLog | None = None,
) -> tuple[TfjsLayers, LoweringLog]:
    """Express *model* with layers that tfjs has.

    Args:
        model: What a reader returned.
        allow_approximate: Accept lowerings that are not exact; each is a warning in the log.
        keep_training_config: Translate the training config too, if tfjs can express it.
        limits: What the rules may still make.
        log: What to record in, for callers that want the record even of what is refused.

    Raises:
        UnsupportedModelError: Lists every layer that has no counterpart.
        CorruptFileError: Weights, shapes or configs that contradict each other.
    """
    session = Session(model, allow_approximate, limits, log=log or LoweringLog())
    session.log.warnings.extend(model.warnings)
    keras = record(REGISTRY.name_weights(model.graph))
    session.flat_sizes = _flat_sizes(keras)
    session.log.renamed.extend(session.names.reserve(keras))
    target = LayersTarget(session, REGISTRY)
    try:
        with np.errstate(all="ignore"):  # configs may say any number
            graph = target.model(keras)
    except Refusal as refusal:
        problem = Problem(keras.name, "model", refusal.reason, refusal.hint)
        target.tracer.problems.append(problem)
    target.tracer.check()
    if has_initializers(keras):
        session.log.dropped.append("the initialisers: training in tfjs starts from the weights")
    training = None
    if keep_training_config:
        training, warnings = training_config(model.training_config)
        session.log.warnings.extend(warnings)
    topology: JsonObject = {"model_config": write_topology(graph)}
    if model.keras_version:
        topology = {"keras_version": model.keras_version, "backend": "tensorflow", **topology}
    layers = TfjsLayers(
        path=model.path,
        topology=topology,
        weights=tuple(Weight(name, tensor) for name, tensor in graph_weights(graph)),
        training_config=training,
        generated_by=f"keras v{model.keras_version}" if model.keras_version else None,
    )
    return layers, session.log


def _flat_sizes(graph: KerasGraph) -> dict[KerasLayer, int]:
    """Return, for each Flatten on the way to a Dense, how many values it must yield."""
    sizes: dict[str, int] = {}
    found: dict[KerasLayer, int] = {}
    for layer in reversed(graph.layers):
        size = sizes.get(layer.name)
        kernel = layer.weights.get("kernel")
        if layer.class_name == "Dense" and kernel is not None and kernel.shape:
            size = kernel.shape[0]
        elif layer.class_name == "Flatten" and size is not None:
            found[layer] = size
        elif not (is_pointwise(layer) or layer.class_name == "BatchNormalization"):
            size = None
        if size is not None and layer.class_name != "Flatten":
            sizes.update((ref.layer, size) for call in layer.calls for ref in refs_in(call))
        if layer.graph is not None:
            found.update(_flat_sizes(layer.graph))
    return found
