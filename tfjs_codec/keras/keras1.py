"""Keras 1 as Keras 2: configs, variables and their values (Keras 1.2.2; no backend is recorded).

The values' layouts follow what Keras 2 itself did when it loaded Keras 1 files
(``preprocess_weights_for_loading``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tfjs_codec.files.place import Place
from tfjs_codec.ir.json_types import Json
from tfjs_codec.ir.keras import Config, KerasLayer
from tfjs_codec.ir.tensors import DerivedTensor, LazyTensor, map_float32
from tfjs_codec.keras.classes import CLASSES, canonical
from tfjs_codec.keras.dialect import plain

# Keys of layer configs that only Keras 1 writes, and such that it never writes.
MARKERS = frozenset((
    "nb_filter", "border_mode", "W_regularizer", "inner_activation", "dim_ordering",
    "input_dtype", "mode_type", "subsample_length", "pool_length",
))  # fmt: skip
NOT_MARKERS = frozenset(("kernel_initializer", "use_bias", "data_format"))

_RENAMES = {
    "bias": "use_bias",
    "border_mode": "padding",
    "nb_filter": "filters",
    "filter_length": "kernel_size",
    "subsample": "strides",
    "subsample_length": "strides",
    "atrous_rate": "dilation_rate",
    "pool_length": "pool_size",
    "stride": "strides",
    "inner_activation": "recurrent_activation",
    "dropout_W": "dropout",
    "dropout_U": "recurrent_dropout",
    "p": "rate",
    "sigma": "stddev",
    "length": "size",
}
_KERNEL_KEYS = (("nb_row", "nb_col"), ("kernel_dim1", "kernel_dim2", "kernel_dim3"))
_DROPPED = frozenset((
    "init", "inner_init", "forget_bias_init", "W_regularizer", "U_regularizer", "b_regularizer",
    "W_constraint", "b_constraint", "activity_regularizer", "gamma_regularizer",
    "beta_regularizer", "input_dtype", "cache_enabled", "custom_name",
    "W_learning_rate_multiplier", "b_learning_rate_multiplier",
))  # fmt: skip
_MERGES = {
    "sum": "Add",
    "mul": "Multiply",
    "concat": "Concatenate",
    "ave": "Average",
    "max": "Maximum",
    "dot": "Dot",
    "cos": "Dot",
}
_ORDERINGS = {"tf": "channels_last", "th": "channels_first"}


def convert_entry(entry: Config, place: Place) -> Config:
    """Return a layer's entry as Keras 2 would have written it.

    Classes that Keras 2 does not have keep their names; nothing will know them.
    """
    config = entry.get("config")
    name = entry.get("class_name")
    if not isinstance(config, dict) or not isinstance(name, str) or "layers" in config:
        return entry
    if name == "TimeDistributedDense":
        inner = {"class_name": "Dense", "config": {**config, "name": f"{config.get('name')}_inner"}}
        outer = {"name": config.get("name"), "trainable": config.get("trainable", True)}
        return {**entry, "class_name": "TimeDistributed", "config": {**outer, "layer": inner}}
    if name == "Merge":
        return _convert_merge(entry, config)
    if name == "BatchNormalization" and config.get("mode", 0) != 0:
        # Modes 1 and 2 normalise every sample or batch by itself: another layer altogether.
        return {**entry, "class_name": f"keras1>BatchNormalization_mode_{config.get('mode')}"}
    new = {_RENAMES.get(key, key): plain(value) for key, value in config.items()
           if key not in _DROPPED}  # fmt: skip
    kind = canonical(name)
    if kind == "InputLayer":
        new["dtype"] = config.get("input_dtype") or "float32"
    if "output_dim" in new and kind in CLASSES and "units" in CLASSES[kind].config:
        new["units"] = new.pop("output_dim")
        new.pop("input_dim", None)
        new.pop("input_length", None)
    if kind == "Embedding":
        new.pop("dropout", None)
    for keys in _KERNEL_KEYS:
        if all(key in new for key in keys):
            new["kernel_size"] = [new.pop(key) for key in keys]
    if "dim_ordering" in new:
        ordering = new.pop("dim_ordering")
        new["data_format"] = _ORDERINGS.get(str(ordering))
    if kind.startswith("ZeroPadding"):
        new["padding"] = _convert_padding(new.get("padding"), place.at("config").at("padding"))
    return {**entry, "config": new}


def _convert_padding(value: Any, place: Place) -> Any:
    """``[rows, cols]`` pads both sides alike; four numbers are top, bottom, left, right."""
    if not isinstance(value, list) or any(isinstance(item, list) for item in value):
        return value
    if len(value) == 4:
        return [value[:2], value[2:]]
    if len(value) == 2 and place.where.endswith("1D"):
        return value
    return [[item, item] for item in value]


def _convert_merge(entry: Config, config: Config) -> Config:
    """Return the merge layer for a ``Merge``; one with a Python function stays what it is."""
    mode = config.get("mode")
    if not isinstance(mode, str) or mode not in _MERGES:
        return entry
    new: Config = {"name": config.get("name"), "trainable": True}
    if mode == "concat":
        new["axis"] = config.get("concat_axis", -1)
    if mode in ("dot", "cos"):
        axes = plain(config.get("dot_axes", -1))
        if isinstance(axes, list):
            axes = [axis[0] if isinstance(axis, list) and axis else axis for axis in axes]
        new.update(axes=axes, normalize=mode == "cos")
    return {**entry, "class_name": _MERGES[mode], "config": new}


def is_tower_merge(entry: Any) -> bool:
    """Tell whether a Sequential's first entry merges several models, its towers."""
    if not isinstance(entry, dict) or entry.get("class_name") != "Merge":
        return False
    config = entry.get("config")
    return isinstance(config, dict) and isinstance(config.get("layers"), list)


def towers_to_functional(entries: list[Any], name: str, place: Place) -> Config:
    """Return the functional config of a Sequential that begins with a merge of towers."""
    merge = dict(place.at(0).mapping(entries[0]))
    config = dict(place.at(0).at("config").mapping(merge["config"]))
    towers = place.at(0).at("config").at("layers").items(config.pop("layers"))
    merge_name = str(config.setdefault("name", "merge_1"))
    layers: list[Config] = []
    ends: list[list[Json]] = []
    for index, tower in enumerate(towers):
        at = place.at(0).at("config").at("layers").at(index)
        entry = dict(at.mapping(tower))
        inner = entry.get("config")
        first = at.items(inner)[0] if isinstance(inner, list) and inner else entry
        outermost = at.mapping(at.mapping(first).get("config"))
        shape = outermost.get("batch_input_shape")
        if shape is None:
            raise at.error("the input shape of this tower is unknown")
        tower_name = f"{merge_name}_tower_{index}"
        if isinstance(inner, dict) and isinstance(inner.get("name"), str):
            tower_name = inner["name"]
        source = f"{tower_name}_input"
        dtype = outermost.get("input_dtype") or "float32"
        layers.append({
            "class_name": "InputLayer", "name": source, "inbound_nodes": [],
            "config": {"name": source, "batch_input_shape": shape, "input_dtype": dtype},
        })  # fmt: skip
        layers.append({**entry, "name": tower_name, "inbound_nodes": [[[source, 0, 0]]]})
        ends.append([tower_name, 1 if isinstance(inner, list) else 0, 0])
    layers.append({**merge, "config": config, "name": merge_name, "inbound_nodes": [ends]})
    previous: list[Json] = [merge_name, 0, 0]
    for index, item in enumerate(entries[1:], 1):
        entry = dict(place.at(index).mapping(item))
        inner = entry.get("config")
        own = inner.get("name") if isinstance(inner, dict) else None
        entry["name"] = own or f"{name}_{index}"
        entry["inbound_nodes"] = [[previous]]
        layers.append(entry)
        previous = [entry["name"], 1 if isinstance(inner, list) else 0, 0]
    inputs = [[layer["name"], 0, 0] for layer in layers if layer["class_name"] == "InputLayer"]
    return {"layers": layers, "input_layers": inputs, "output_layers": [previous]}


# The order of the gates in Keras 1, by their number: LSTM, GRU.
_GATES = {4: "icfo", 3: "zrh"}
_ROLES = {
    "W": "kernel",
    "U": "recurrent_kernel",
    "b": "bias",
    "running_mean": "moving_mean",
    "running_std": "moving_variance",  # the name lies: Keras 1 stores the variance
    "alphas": "alpha",
}


def variable_names(layer: KerasLayer) -> tuple[str, ...]:
    """Return the ends of the names of *layer*'s own variables in a Keras 1 file, in order."""
    row = CLASSES.get(layer.class_name)
    if row is None or layer.graph is not None:
        return ()
    old = {role: name for name, role in _roles(layer).items()}
    names = tuple(old.get(v.role, v.role) for v in row.variables if v.is_in(layer.config))
    count = row.gates.number if row.gates else 1
    if count == 1 or layer.config.get("consume_less") == "gpu":
        return names
    return tuple(f"{name}_{gate}" for gate in _GATES[count] for name in names)


def _roles(layer: KerasLayer) -> dict[str, str]:
    """Return what Keras 2 calls the variables of Keras 1."""
    return {**_ROLES, "W": "embeddings"} if layer.class_name == "Embedding" else _ROLES


def convert_weights(layer: KerasLayer) -> None:
    """Give *layer*, whose weights are named as in Keras 1, the variables of Keras 2."""
    old = layer.weights
    kind = layer.class_name
    if "U_z" in old or "U_i" in old:
        order = "zrh" if "U_z" in old else "ifco"
        layer.weights = {
            _ROLES[part]: _concatenate([old[f"{part}_{gate}"] for gate in order])
            for part in ("W", "U", "b")
        }
        return
    roles = _roles(layer)
    layer.weights = {roles.get(name, name): tensor for name, tensor in old.items()}
    if kind == "PReLU":
        # Keras 1 does not save shared_axes; an axis of size 1 behaves the same shared or not.
        shape = layer.weights["alpha"].shape
        layer.config["shared_axes"] = [i + 1 for i, size in enumerate(shape) if size == 1] or None
    kernel = layer.weights.get("kernel")
    if kernel is not None and (permuted := _kernel_axes(layer, kernel.shape)) is not None:
        axes, squeeze = permuted
        shape = tuple(kernel.shape[axis] for axis in axes)
        layer.weights["kernel"] = map_float32(
            kernel,
            (shape[0], *shape[2:]) if squeeze else shape,
            lambda array: array.transpose(axes)[:, 0] if squeeze else array.transpose(axes),
        )


def _kernel_axes(layer: KerasLayer, shape: tuple[int, ...]) -> tuple[tuple[int, ...], bool] | None:
    """Return how to permute a convolution's kernel, and whether to drop the second axis then."""
    kind, first = layer.class_name, layer.config.get("data_format") == "channels_first"
    if kind == "Conv1D" and len(shape) == 4:
        is_new = shape[:2] == (layer.config["kernel_size"][0], 1)
        return ((0, 1, 2, 3) if is_new else (2, 3, 1, 0)), True
    if kind == "Conv2D" and first and len(shape) == 4:
        return (2, 3, 1, 0), False
    if kind == "Conv3D" and first and len(shape) == 5:
        return (2, 3, 4, 1, 0), False
    if kind == "Conv2DTranspose" and len(shape) == 4:
        return ((2, 3, 0, 1) if first else (0, 1, 3, 2)), False
    return None


def _concatenate(parts: list[LazyTensor]) -> LazyTensor:
    """Return the gates' arrays side by side along the last axis."""
    shape = (*parts[0].shape[:-1], sum(part.shape[-1] for part in parts))
    name = parts[0].name
    return DerivedTensor(name, shape, lambda: np.concatenate([p.numpy() for p in parts], axis=-1))
