"""Masks on the way back: what a layer sees in tfjs, it must see in Keras 2 and in Keras 3.

tfjs hands a layer whose inputs carry no mask the last one that any layer saw, and passes masks
through fewer layers than Keras. Here the mask of every tensor is followed
through all three. Where a layer that uses masks sees none in tfjs, and one in a Keras, a
``Masking`` of a value that never comes goes in front: it masks nothing. Where it sees one in tfjs
and not the same in both Kerases, the model is refused. Of Bidirectional layers that see one, it is
told who sees the steps that the mask hides: :mod:`tfjs_codec.back.directions` needs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tfjs_codec.back.edit import insert_before
from tfjs_codec.back.log import RaisingLog
from tfjs_codec.ir.keras import KerasGraph, KerasLayer, Ref
from tfjs_codec.ir.references import calls_in_order, refs_in
from tfjs_codec.keras.classes import CLASSES, is_a
from tfjs_codec.tfjs.classes import TFJS_CLASSES

_NEVER = 3e38  # the value that lowering marks with; see layers.engine.masks

# They compute each step from that step alone, and hand the mask on in tfjs and both Kerases.
_BY_STEP = frozenset((
    "Dense", "Activation", "Dropout", "SpatialDropout1D", "GaussianNoise", "GaussianDropout",
    "AlphaDropout", "BatchNormalization", "ReLU", "PReLU",
))  # fmt: skip

Mask = object  # the layer that made it, _ALL or _MIXED
_ALL: Mask = "a mask that masks nothing"
_MIXED: Mask = "several masks"


@dataclass(frozen=True, slots=True)
class _Flow:
    """A tensor's mask in tfjs, Keras 2 and Keras 3, and the makers of masks before it.

    ``doubled`` are the masked Bidirectional layers that its mask may have come through.
    """

    masks: tuple[Mask | None, Mask | None, Mask | None] = (None, None, None)
    makers: frozenset[KerasLayer] = frozenset()
    doubled: frozenset[KerasLayer] = frozenset()


@dataclass(slots=True)
class Doubled:
    """Bidirectional layers that return sequences and see a mask, by the models they are in.

    Of those in ``shown``, something uses the steps that the mask hides; of those in ``needed``,
    something uses the mask.
    """

    homes: dict[KerasLayer, KerasGraph] = field(default_factory=dict)
    shown: set[KerasLayer] = field(default_factory=set)
    needed: set[KerasLayer] = field(default_factory=set)


def settle(graph: KerasGraph, log: RaisingLog) -> Doubled:
    """Make *graph*, and the models inside, agree about masks; record refusals in *log*."""
    makers = [layer for layer in graph.walk() if _makes(layer)]
    if not makers:
        return Doubled()
    follower = _Follower(len(makers), log)
    follower.run(graph, [_Flow() for _ in graph.inputs])
    for layer, home in follower.isolated.items():
        if layer in follower.masked:
            log.refuse(layer, "it is called with a mask and without one")
        insert_before(home, layer, unmasked(layer))
    return follower.doubled


def _passes(class_name: str) -> list[bool]:
    """Tell whether tfjs, Keras 2 and Keras 3 hand the mask of the first input on."""
    row, tfjs = CLASSES.get(class_name), TFJS_CLASSES.get(class_name)
    in_tfjs = class_name == "TimeDistributed" or (tfjs is not None and tfjs.passes_mask)
    return [in_tfjs, *(row is not None and row.mask_in(n) == "pass" for n in (2, 3))]


def _consumes(layer: KerasLayer) -> bool:
    kind = layer.class_name
    return is_a(kind, "recurrent") or kind in ("Softmax", "GlobalAveragePooling1D")


def _makes(layer: KerasLayer) -> bool:
    if layer.class_name == "Masking":
        return bool(layer.config["mask_value"] < _NEVER)
    return layer.class_name == "Embedding" and bool(layer.config.get("mask_zero"))


@dataclass(slots=True)
class _Follower:
    """Goes through the calls of a model; ``count`` is the number of makers in all of it."""

    count: int
    log: RaisingLog
    isolated: dict[KerasLayer, KerasGraph] = field(default_factory=dict)
    masked: set[KerasLayer] = field(default_factory=set)
    doubled: Doubled = field(default_factory=Doubled)

    def run(self, graph: KerasGraph, given: Sequence[_Flow]) -> list[_Flow]:
        """Follow the masks of *graph*, whose inputs have those of *given*."""
        flows: dict[Ref, _Flow] = dict(zip(graph.inputs, given, strict=True))
        for layer, number in calls_in_order(graph):
            inputs = [flows.get(ref, _Flow()) for ref in refs_in(layer.calls[number])]
            if _consumes(layer) and self._must_isolate(layer, inputs[0]):
                self.isolated[layer] = graph
                inputs[0] = replace(inputs[0], masks=(_ALL, _ALL, _ALL))
            through = self._follow_doubled(graph, layer, inputs)
            for tensor, flow in enumerate(self._call(layer, inputs)):
                through = flow.doubled if layer.graph is not None else through
                flows[Ref(layer.name, number, tensor)] = replace(flow, doubled=through)
        results = [flows.get(ref, _Flow()) for ref in graph.outputs]
        self.doubled.shown.update(*(flow.doubled for flow in results))
        return results

    def _follow_doubled(
        self, graph: KerasGraph, layer: KerasLayer, inputs: list[_Flow]
    ) -> frozenset[KerasLayer]:
        """Note who uses hidden steps and masks; return ``doubled`` of what *layer* returns."""
        before = frozenset[KerasLayer]().union(*(flow.doubled for flow in inputs))
        if layer.graph is not None:
            return before
        masked = _consumes(layer) and layer in self.masked and inputs[0].masks[0] is not _ALL
        if not masked:
            if layer.class_name not in _BY_STEP:
                self.doubled.shown |= before
            return before
        self.doubled.needed |= inputs[0].doubled
        self.doubled.shown.update(*(flow.doubled for flow in inputs[1:]))
        if not is_a(layer.class_name, "recurrent"):
            self.doubled.shown |= before
            return before
        inner = layer.children.get("forward_layer")
        if inner is None or not inner.config.get("return_sequences"):
            return frozenset()
        self.doubled.homes[layer] = graph
        if layer.config.get("merge_mode", "concat") is None:  # its second output is not followed
            self.doubled.shown.add(layer)
        return frozenset((layer,))

    def _call(self, layer: KerasLayer, inputs: list[_Flow]) -> list[_Flow]:
        before = frozenset(maker for flow in inputs for maker in flow.makers)
        if layer.graph is not None:
            return [
                replace(flow, masks=(None, *flow.masks[1:]))
                for flow in self.run(layer.graph, inputs)
            ]
        if _makes(layer):
            return [_Flow((layer, layer, layer), before | {layer})]
        if layer.class_name == "Masking":
            return [_Flow((_ALL, _ALL, _ALL), before)]
        if is_a(layer.class_name, "merge"):
            return [_Flow(_merge(layer, inputs), before)]
        first = inputs[0].masks
        passes = _passes(layer.class_name)
        if is_a(layer.class_name, "recurrent"):
            inner = layer.children.get("forward_layer", layer)
            passes = [bool(inner.config.get("return_sequences"))] * 3
        tfjs, keras2, keras3 = (
            mask if passed else None for mask, passed in zip(first, passes, strict=True)
        )
        return [_Flow((tfjs, keras2, keras3), before)]

    def _must_isolate(self, layer: KerasLayer, flow: _Flow) -> bool:
        """Tell whether *layer* must be kept from a mask; record what cannot be helped."""
        tfjs, *keras = flow.masks
        if layer.class_name == "GlobalAveragePooling1D":
            tfjs = _ALL
        elif tfjs is None:  # it sees the last mask of all, whosever that is
            tfjs = _MIXED
            if self.count == 1:
                tfjs = next(iter(flow.makers), _MIXED)
        if tfjs is _ALL:
            return any(mask not in (None, _ALL) for mask in keras)
        self.masked.add(layer)
        if tfjs is _MIXED or any(mask is not tfjs for mask in keras):
            self.log.refuse(
                layer,
                "tfjs passes it a different layer's mask than Keras",
                "Put a Masking layer directly before it.",
            )
        return False


def _merge(layer: KerasLayer, inputs: list[_Flow]) -> tuple[Mask | None, Mask | None, Mask | None]:
    """Return the masks behind a merge: tfjs's are of the wrong shape, Keras's are joined."""
    tfjs, keras2, keras3 = (
        next(iter(masks)) if len(masks) == 1 else _MIXED
        for masks in ({flow.masks[i] for flow in inputs} for i in range(3))
    )
    if layer.class_name == "Dot":
        return None if tfjs is None else _MIXED, None, None
    return None if tfjs is None else _MIXED, keras2, keras3


def unmasked(layer: KerasLayer) -> KerasLayer:
    """Return a Masking that masks nothing, to keep the mask of, or from, *layer*."""
    return KerasLayer(f"{layer.name}_unmasked", "Masking", {"mask_value": _NEVER})
