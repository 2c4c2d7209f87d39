"""Weights of legacy Keras HDF5 files: tensors of a layer's group matched to variables.

A group lists the layer's weights as Keras's ``weights`` property gives them: trained ones first,
then the rest, through all models and wrappers inside; a frozen layer's count as not trained
(Keras 2.0 to 3.15). So a frozen layer within a nested model comes last, while a wholly frozen model
keeps the plain order. Whether a model was frozen is not always in its config, so several orders
are tried; names must agree. The last part of a name can be trusted (``kernel``); the path before
cannot: in files saved again in one session ``dense_2/kernel:0`` is normal for layer ``dense``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from tfjs_codec.errors import CorruptFileError, UnsupportedModelError, count, quote
from tfjs_codec.files.hdf5 import Group
from tfjs_codec.files.place import Place
from tfjs_codec.ir.keras import KerasGraph, KerasLayer
from tfjs_codec.ir.layers import short_name
from tfjs_codec.ir.tensors import Array, DerivedTensor, LazyTensor, map_float32
from tfjs_codec.keras import keras1
from tfjs_codec.keras.classes import CLASSES
from tfjs_codec.keras.variables import Slot, own_variables, slots

_SUFFIX = re.compile(r"_\d+$")
_SHOWN = 12
_T = TypeVar("_T")


def layer_names(group: Group) -> list[str]:
    """Return the names of the layers whose weights *group* holds, in order."""
    names = group.attr("layer_names")
    if not isinstance(names, list):
        raise _corrupt(group, "the attribute layer_names is missing or not a list")
    return names


def group_tensors(group: Group, name: str) -> list[tuple[str, LazyTensor]]:
    """Return ``(name in the file, tensor)`` of layer *name*, in the file's order."""
    inner = group.group(name)
    names = inner.attr("weight_names")
    if not isinstance(names, list):
        raise _corrupt(inner, "the attribute weight_names is missing or not a list")
    return [(weight, inner.tensor(weight)) for weight in names]


def load_weights(
    graph: KerasGraph, group: Group, generation: int, python_class: Mapping[KerasLayer, str]
) -> list[str]:
    """Give all layers of *graph* their weights from *group*; return warnings.

    Raises:
        CorruptFileError: tensors missing, left over, or impossible to tell apart.
        UnsupportedModelError: LoRA beside quantised weights.
    """
    listed = layer_names(group)
    if len(set(listed)) != len(listed):
        raise _corrupt(group, "layer_names names a layer twice")
    tensors = {name: group_tensors(group, name) for name in listed}
    tensors = {name: found for name, found in tensors.items() if found}
    layers = {layer.name: layer for layer in graph.layers}
    warnings: list[str] = []
    if tensors.keys() <= layers.keys():
        pairs = [(layer, tensors.get(layer.name, [])) for layer in graph.layers]
    else:
        pairs = _by_order(graph, tensors, generation, group)
        warnings.append(
            "the layer names in the file differ from the architecture's; "
            "weights were assigned by order"
        )
    for layer, found in pairs:
        names = (group.name, layer.name if layer.name in tensors else "")
        place = Place(group.file.path, group.file.place("/".join(filter(None, names))))
        assign(layer, found, generation, place)
        convert(layer, python_class)
    return warnings


def _by_order(
    graph: KerasGraph, tensors: Mapping[str, _T], generation: int, group: Group
) -> list[tuple[KerasLayer, _T]]:
    """Pair layers with groups as Keras does for weights of another session: in order."""
    owners = [layer for layer in graph.layers if any(slots(layer, generation))]
    if len(owners) != len(tensors):
        raise _corrupt(
            group,
            f"the file holds weights of {count(len(tensors), 'layer')} "
            f"({_some(list(tensors))}), the architecture has "
            f"{len(owners)} with weights ({_some([layer.name for layer in owners])})",
        )
    return list(zip(owners, tensors.values(), strict=True))


def assign(
    layer: KerasLayer, found: list[tuple[str, LazyTensor]], generation: int, place: Place
) -> None:
    """Give *layer* and the layers inside the tensors *found* in its group."""
    wanted = list(slots(layer, generation))
    adapted = [slot for slot in wanted if _is_adapted(slot)]
    wanted += [
        slot._replace(role=f"lora_{slot.role}_{part}", trained=True)
        for slot in adapted
        for part in "ab"
    ]
    if any(slot.role == "*" for slot in wanted):
        _assign_unknown(layer, wanted, found, place)
        return
    if len(wanted) != len(found):
        have = ", ".join(short_name(name) for name, _ in found[:_SHOWN])
        need = ", ".join(slot.role for slot in wanted[:_SHOWN])
        raise place.error(
            f"layer {quote(layer.name)}: the file holds {count(len(found), 'weight')} ({have}), "
            f"the config needs {len(wanted)} ({need})",
        )
    order = _order(wanted, [name for name, _ in found])
    if order is None:
        order = _by_name(wanted, [name for name, _ in found], layer, place)
    for slot, (_, tensor) in zip(order, found, strict=True):
        slot.layer.weights[slot.role] = tensor
    _restore_order(wanted)
    for slot in adapted:
        _merge_lora(slot.layer, slot.role, place)


def _is_adapted(slot: Slot) -> bool:
    """Tell whether LoRA adapts a variable: HDF5 files hold what it learned apart."""
    return bool(slot.layer.config.get("lora_rank")) and slot.role in ("kernel", "embeddings")


def _merge_lora(layer: KerasLayer, role: str, place: Place) -> None:
    """Add to a weight what LoRA learned apart from it, as ``.keras`` files have it."""
    low, high = (layer.weights.pop(f"lora_{role}_{part}") for part in "ab")
    weight = layer.weights[role]
    if f"{role}_scale" in layer.weights:
        raise UnsupportedModelError(
            f"layer {quote(layer.name)}: LoRA beside quantised weights", path=place.path,
            where=place.where, hint="Save the model as .keras, which merges them.",
        )  # fmt: skip
    rank, alpha = layer.config["lora_rank"], layer.config.get("lora_alpha")
    scale = np.float32((rank if alpha is None else alpha) / rank)
    layer.weights[role] = DerivedTensor(
        weight.name,
        weight.shape,
        lambda: weight.numpy() + scale * np.matmul(low.numpy(), high.numpy()),
    )


def _order(wanted: list[Slot], names: Sequence[str]) -> list[Slot] | None:
    """Return *wanted* in the file's order, or None if no order agrees with the names."""
    candidates = [
        sorted(wanted, key=lambda slot: not slot.trained or slot.frozen),
        sorted(wanted, key=lambda slot: not slot.trained),
        wanted,
    ]
    orders = [one for i, one in enumerate(candidates) if one not in candidates[:i]]
    agreeing = [order for order in orders if all(map(_same_short, order, names))]
    for order in agreeing:
        if all(map(_same_owner, order, names)):
            return order
    return agreeing[0] if agreeing else None


def _same_short(slot: Slot, name: str) -> bool:
    short = short_name(name)
    for wanted in slot.short_names:
        # Keras 1 has no slash: lstm_1_W_i; a suffix makes a repeated name unique.
        if short == wanted or _SUFFIX.sub("", short) == wanted or short.endswith(f"_{wanted}"):
            return True
    return False


def _same_owner(slot: Slot, name: str) -> bool:
    return not slot.owner or slot.owner in name.split("/") or f"/{slot.owner}/" in f"/{name}"


def _by_name(
    wanted: list[Slot], names: Sequence[str], layer: KerasLayer, place: Place
) -> list[Slot]:
    """Find for every name the one slot with its owner and short name."""
    order: list[Slot] = []
    rest = list(wanted)
    for name in names:
        fits = [slot for slot in rest if _same_short(slot, name) and _same_owner(slot, name)]
        if len(fits) != 1:
            have = ", ".join(map(short_name, names[:_SHOWN]))
            need = ", ".join(slot.role for slot in wanted[:_SHOWN])
            raise place.error(
                f"layer {quote(layer.name)}: the file holds the weights {have}, "
                f"the config needs {need}",
            )
        order.append(fits[0])
        rest.remove(fits[0])
    return order


def _assign_unknown(
    layer: KerasLayer, wanted: list[Slot], found: list[tuple[str, LazyTensor]], place: Place
) -> None:
    """Assign where a class is unknown: known variables by name, it gets what bears its name."""
    unknown = [slot for slot in wanted if slot.role == "*"]
    known = [slot for slot in wanted if slot.role != "*"]
    rest: list[tuple[str, LazyTensor]] = []
    for name, tensor in found:
        fits = [slot for slot in known if _same_short(slot, name) and _same_owner(slot, name)]
        if len(fits) == 1 and layer.graph is not None:
            fits[0].layer.weights[fits[0].role] = tensor
            known.remove(fits[0])
        else:
            rest.append((name, tensor))
    for name, tensor in rest:
        owners = [slot for slot in unknown if _same_owner(slot, name)]
        if len(owners) != 1:
            owners = unknown[:1] if len(unknown) == 1 or layer.graph is None else []
        if not owners:
            raise place.error(f"layer {quote(layer.name)}: no layer for weight {quote(name)}")
        weights = owners[0].layer.weights
        short = short_name(name)
        weights[short if short not in weights else name.partition(":")[0]] = tensor


def _restore_order(wanted: list[Slot]) -> None:
    """Put each layer's weights into the order of its variables."""
    for layer in {slot.layer for slot in wanted}:
        roles = [slot.role for slot in wanted if slot.layer is layer]
        layer.weights = {role: layer.weights[role] for role in roles}


def convert(layer: KerasLayer, python_class: Mapping[KerasLayer, str]) -> None:
    """Convert what other generations store otherwise: Keras 1 layouts, CuDNN kernels."""
    stack = [layer]
    while stack:
        item = stack.pop()
        stack += item.children.values()
        if item.graph is not None:
            stack += item.graph.layers
        if item.weights.keys() & {"W", "W_i", "W_z", "alphas", "running_mean"}:
            keras1.convert_weights(item)
        _convert_cudnn(item, python_class.get(item, "").startswith("CuDNN"))


def _convert_cudnn(layer: KerasLayer, is_cudnn: bool) -> None:
    """Turn weights of a CuDNN layer into those of the plain one.

    Keras also writes plain configs with CuDNN weights; the bias gives them away: it has both
    the input's and the recurrent one, LSTM ``[8u]``, GRU ``[6u]``.
    """
    row = CLASSES.get(layer.class_name)
    if row is None or row.gates is None or row.gates.number == 1:
        return
    gates = row.gates.number
    bias, recurrent = layer.weights.get("bias"), layer.weights.get("recurrent_kernel")
    if bias is None or recurrent is None or len(recurrent.shape) != 2:
        return
    units = recurrent.shape[0]
    if bias.shape != (2 * gates * units,):
        return
    kernel = layer.weights["kernel"]

    def by_gate(change: Callable[[Array], Array]) -> Callable[[Array], Array]:
        return lambda array: np.hstack([change(part) for part in np.hsplit(array, gates)])

    layer.weights["kernel"] = map_float32(
        kernel, kernel.shape, by_gate(lambda part: part.T.reshape(part.shape, order="F"))
    )
    layer.weights["recurrent_kernel"] = map_float32(
        recurrent, recurrent.shape, by_gate(lambda part: part.T)
    )
    if gates == 4:
        layer.weights["bias"] = map_float32(
            bias, (gates * units,), lambda array: array.reshape(2, -1).sum(axis=0)
        )
    elif is_cudnn or layer.config.get("reset_after"):
        layer.weights["bias"] = map_float32(
            bias, (2, gates * units), lambda array: array.reshape(2, -1)
        )


def flip_kernels(graph: KerasGraph) -> None:
    """Turn the kernels of true convolutions (Theano) into those of correlations."""
    for layer in graph.walk():
        for variable in own_variables(layer) or ():
            tensor = layer.weights.get(variable.role)
            if variable.convolves and tensor is not None:
                layer.weights[variable.role] = map_float32(tensor, tensor.shape, _flip)


def _flip(array: Array) -> Array:
    axes = tuple(range(array.ndim - 2))
    return np.flip(array, axes)


def _some(names: list[str]) -> str:
    return ", ".join(map(quote, names[:_SHOWN])) + (", …" if len(names) > _SHOWN else "")


def _corrupt(group: Group, what: str) -> CorruptFileError:
    file = group.file
    return CorruptFileError(what, path=file.path, where=file.place(group.name))
