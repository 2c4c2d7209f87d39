"""The way back: what tfjs computes, in layers that mean the same in Keras 2 and Keras 3.

A tfjs Layers model is nearly a Keras 2 model. What is not:

==========================  =====================================================================
GRU(reset_after) as an RNN  a GRU again (:mod:`tfjs_codec.back.gru`, when it is read)
Activation of a layer       that layer
ThresholdedReLU             ReLU(threshold), as Keras 3 has no such class
``hard_sigmoid``            Keras 3's is another function: see :mod:`tfjs_codec.back.activations`
masks                       see :mod:`tfjs_codec.back.masks`
a masked Bidirectional      two layers and a merge: see :mod:`tfjs_codec.back.directions`
layers in another order     sorted as Keras does: see :mod:`tfjs_codec.back.order`
names with ``/`` and ``.``  ``_``, as Keras 3 and its torch backend refuse them
==========================  =====================================================================
"""

from __future__ import annotations

from dataclasses import replace

from tfjs_codec.back import activations, masks, names, order
from tfjs_codec.back.directions import split_directions
from tfjs_codec.back.log import RaisingLog
from tfjs_codec.errors import UnsupportedModelError, count
from tfjs_codec.ir.keras import KerasGraph, KerasLayer
from tfjs_codec.ir.loaded import KerasModel
from tfjs_codec.ir.references import refs_in
from tfjs_codec.keras.classes import is_a


def make_portable(model: KerasModel, classes: frozenset[str]) -> tuple[KerasModel, RaisingLog]:
    """Return *model*, which was read from tfjs, as Keras has it, and what changed.

    *classes* are those that the writer knows.

    Raises:
        UnsupportedModelError: Keras has no counterpart; lists every reason.
    """
    main, log = model.graph.copy(), RaisingLog()
    _freeze_inside(main)
    for graph in main.graphs():
        for layer in list(graph.layers):
            activations.raise_layer(graph, layer, log)
    for layer in main.walk():
        _check(layer, classes, log)
    if not log.problems:
        split_directions(masks.settle(main, log), log)
    for graph in main.graphs():
        order.sort_layers(graph)
    log.renamed += names.make_legal(main.graphs())
    if log.problems:
        problems = tuple(dict.fromkeys(log.problems))
        layers = count(len(problems), "layer")
        raise UnsupportedModelError(
            f"{layers} cannot be expressed in Keras", path=model.path, problems=problems
        )
    return replace(model, graph=main), log


def _freeze_inside(graph: KerasGraph) -> None:
    """Freeze layers one by one, where models or wrappers are frozen: Kerases differ about those."""
    graph.trainable = True
    for layer in graph.walk():  # outer ones first
        if layer.graph is not None:
            layer.graph.trainable = True
        if not layer.trainable and (layer.graph or layer.children):
            layer.config["trainable"] = True
            for inner in layer.inner:
                inner.config["trainable"] = False


def _check(layer: KerasLayer, classes: frozenset[str], log: RaisingLog) -> None:
    """Refuse what Keras lacks, and what tfjs computes in another way under the same name."""
    kind, config = layer.class_name, layer.config
    if layer.graph is None and kind not in classes:
        log.refuse(layer, "Keras has no layer of this class")
    if kind == "RNN" and any(cell.graph for cell in _cells(layer)):
        log.refuse(layer, "its cell is a model, and not that of a GRU(reset_after=True)")
    if kind == "UpSampling2D" and config["interpolation"] != "nearest":
        log.refuse(layer, "tfjs interpolates at different sample points than Keras")
    if kind == "DepthwiseConv2D" and set(config["dilation_rate"]) != {1}:
        log.refuse(layer, "tfjs ignores the dilation of a depthwise convolution, Keras does not")
    if any(next(refs_in(call), None) is None for call in layer.calls):
        log.refuse(layer, "it is called on no tensor")
    elif is_a(kind, "recurrent") and any(isinstance(call.args[0], list) for call in layer.calls):
        log.warnings.append(
            f"layer '{layer.name}': with initial states, HDF5 files load in Keras 2 only; "
            "Keras 3 needs .keras"
        )
    if any(call.kwargs for call in layer.calls):
        log.refuse(layer, "it is called with keyword arguments")


def _cells(layer: KerasLayer) -> list[KerasLayer]:
    cell = layer.children.get("cell")
    return [] if cell is None else [cell, *cell.children.values()]
