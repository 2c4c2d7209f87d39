"""The variables of a layer and of all layers inside, in Keras's order, for the weight readers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from tfjs_codec.ir.keras import KerasGraph, KerasLayer
from tfjs_codec.keras import keras1
from tfjs_codec.keras.classes import CLASSES, Variable

# Spellings of a role in files: Keras 3 calls a depthwise kernel just that.
# ConvNeXt's LayerScale does not name its variable.
SPELLINGS = {
    "depthwise_kernel": ("depthwise_kernel", "kernel"),
    "alpha": ("alpha", "alphas"),
    "gamma": ("gamma", "variable", "Variable"),
}
_QUANTISED = ("int8_from_", "int4_from_", "int4/")
# Blocks of rows with a scale and a zero each: "int4/128_from_float32". With -1 there are none.
_IN_BLOCKS = re.compile(r"int4/\d")


def own_variables(layer: KerasLayer, generation: int = 3) -> list[Variable] | None:
    """Return the variables *layer* itself has, or None for a class that is not Keras's.

    For generation 1 the roles are the ends of Keras 1's names; see
    :func:`tfjs_codec.keras.keras1.convert_weights`.
    """
    if layer.graph is not None or layer.is_op:
        return []
    if generation == 1 and (names := keras1.variable_names(layer)):
        stats = ("running_mean", "running_std")
        return [Variable(name, trainable=name not in stats) for name in names]
    kind = layer.class_name
    if kind not in CLASSES:
        return None
    found = [variable for variable in CLASSES[kind].variables if variable.is_in(layer.config)]
    policy = layer.config.get("dtype")
    if isinstance(policy, str) and policy.startswith(_QUANTISED) and kind in _QUANTISABLE:
        role = _QUANTISABLE[kind]
        in_blocks = (f"{role}_zero", "g_idx") if _IN_BLOCKS.match(policy) else ()
        found += [Variable(each, trainable=False) for each in (f"{role}_scale", *in_blocks)]
    if isinstance(policy, str) and policy.startswith("float8_from_") and kind in _OF_FLOAT8:
        found += [Variable(each, trainable=False) for each in _FLOAT8]
    return found


_OF_FLOAT8 = ("Dense", "EinsumDense")
_QUANTISABLE = {"Dense": "kernel", "EinsumDense": "kernel", "Embedding": "embeddings"}


# float8 as Keras trains with it, in the order of the variables.
_FLOAT8 = (
    "inputs_scale", "inputs_amax_history", "kernel_scale", "kernel_amax_history",
    "outputs_grad_scale", "outputs_grad_amax_history",
)  # fmt: skip


class Slot(NamedTuple):
    """A place for a tensor: variable *role* of *layer*.

    *owner* is the layer of the innermost graph it belongs to (its name is part of the names of
    variables in HDF5 files), "" if that is the layer whose group is read. *trained* tells whether
    the variable by itself is trained, *frozen* whether a layer around it has ``trainable: false``.
    """

    layer: KerasLayer
    role: str
    owner: str
    trained: bool
    frozen: bool

    @property
    def short_names(self) -> tuple[str, ...]:
        """Names the variable can have in a file, without the path before."""
        short = self.role.rpartition("/")[2]
        return SPELLINGS.get(short, (short,))


def slots(
    layer: KerasLayer, generation: int, *, owner: str = "", frozen: bool = False, skip: str = ""
) -> Iterator[Slot]:
    """Yield the slots of *layer* and all layers inside, own variables first, in Keras's order.

    A layer of unknown class yields one slot with the role ``*`` for whatever it has.
    """
    frozen = frozen or not layer.trainable
    if layer.graph is not None:
        yield from graph_slots(layer.graph, generation, frozen=frozen)
        return
    own = own_variables(layer, generation)
    if own is None:
        yield Slot(layer, "*", owner, True, frozen)
        return
    wrapped = None
    for variable in own:
        if layer.class_name == "SpectralNormalization" and variable.role == "kernel":
            # One variable with two owners: listed first, given to the wrapped layer.
            inner = list(slots(layer.children["layer"], generation, owner=owner, frozen=frozen))
            wrapped = inner[1:]
            yield from inner[:1]
        elif variable.role != skip:
            yield Slot(layer, variable.role, owner, variable.trainable, frozen)
    if wrapped is not None:
        yield from wrapped
        return
    for child in layer.children.values():
        yield from slots(child, generation, owner=owner, frozen=frozen)


def graph_slots(graph: KerasGraph, generation: int, *, frozen: bool = False) -> Iterator[Slot]:
    """Yield the slots of all layers of *graph* in order."""
    for layer in graph.layers:
        yield from slots(layer, generation, owner=layer.name, frozen=frozen)
