"""Masked Bidirectional layers of tfjs as two layers, one for each direction.

With ``return_sequences`` and a mask, Keras 2 and Keras 3 yield zeros where the mask hides; tfjs
yields the step before once more. Two recurrent layers, the second reversed in time, and a merge
compute in both Kerases what tfjs does. The mask does not reach what follows them.
"""

from __future__ import annotations

import numpy as np

from tfjs_codec.back.edit import free_name
from tfjs_codec.back.log import RaisingLog
from tfjs_codec.back.masks import Doubled, unmasked
from tfjs_codec.ir.keras import Call, KerasGraph, KerasLayer, Ref
from tfjs_codec.ir.references import redirect
from tfjs_codec.ir.tensors import ArrayTensor

_MERGES = {"concat": "Concatenate", "sum": "Add", "ave": "Average", "mul": "Multiply"}
_WHAT = "where the mask hides, tfjs repeats the step before and Keras's Bidirectional yields zeros"


def split_directions(doubled: Doubled, log: RaisingLog) -> None:
    """Split all layers of *doubled* whose hidden steps are used; record refusals in *log*."""
    for layer in doubled.homes.keys() & doubled.shown:
        hint = ""
        if layer in doubled.needed:
            hint = "Use what it returns either with the mask or without it, not both."
        elif not _can_split(layer):
            hint = "It must be a merged LSTM, GRU or SimpleRNN without initial states."
        if hint:
            log.refuse(layer, _WHAT, hint)
        else:
            _split(doubled.homes[layer], layer)


def _can_split(layer: KerasLayer) -> bool:
    return (
        layer.config.get("merge_mode", "concat") in _MERGES
        and all(isinstance(call.args[0], Ref) for call in layer.calls)
        and all("units" in inner.config for inner in layer.children.values())
    )


def _split(graph: KerasGraph, layer: KerasLayer) -> None:
    """Replace *layer* in *graph*."""
    forward, backward = layer.children["forward_layer"], layer.children["backward_layer"]
    kind = _MERGES[layer.config.get("merge_mode", "concat")]
    numbers = range(len(layer.calls))

    def put(new: KerasLayer, *sources: KerasLayer) -> KerasLayer:
        """Add *new*, called on what *sources* return, or on what *layer* is called on."""
        free_name(graph, new)
        for number in numbers:
            refs: list[object] = [Ref(source.name, number, 0) for source in sources]
            given = refs if len(refs) > 1 else refs[0] if refs else layer.calls[number].args[0]
            new.calls.append(Call((given,)))
        graph.layers.insert(graph.layers.index(layer), new)
        return new

    ahead = put(unmasked(put(forward)), forward)
    behind = put(unmasked(put(backward)), backward)
    behind = put(_reversal(backward), behind)
    merged = put(
        KerasLayer(f"{layer.name}_merged", kind, {"axis": -1} if kind == "Concatenate" else {}),
        ahead,
        behind,
    )
    graph.layers.remove(layer)
    graph.sequential = False  # it is no chain any more
    states = 2 if forward.class_name == "LSTM" else 1

    def moved(ref: Ref) -> Ref:
        if ref.layer != layer.name:
            return ref
        if not ref.tensor:
            return ref._replace(layer=merged.name)
        source = forward if ref.tensor <= states else backward
        return Ref(source.name, ref.call, (ref.tensor - 1) % states + 1)

    redirect(graph, moved)


def _reversal(backward: KerasLayer) -> KerasLayer:
    """Return an RNN that copies the steps of *backward* from the last to the first."""
    units = backward.config["units"]
    config = {
        "units": units, "activation": "linear", "use_bias": False, "return_sequences": True,
        "go_backwards": True, "trainable": False,
    }  # fmt: skip
    copy, forget = np.eye(units, dtype=np.float32), np.zeros((units, units), np.float32)
    return KerasLayer(
        f"{backward.name}_reversed",
        "SimpleRNN",
        config,
        weights={
            "kernel": ArrayTensor("kernel", copy),
            "recurrent_kernel": ArrayTensor("recurrent_kernel", forget),
        },
    )
