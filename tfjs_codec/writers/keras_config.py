"""A Keras model's config: one mapping for two dialects.

Dialect 3 is Keras 3's. Dialect 2 is Keras 2's, so that Keras 3 loads it, too, with what its
loader of Keras 2 configs gets wrong written another way:

- Layers, not models, carry ``module`` and ``registered_name``. Without, Keras 3 drops an ``axis``
  of several axes; Keras 2 below 2.13 ignores them.
- A nested model's k-th call is node k for Keras 3 and node k + 1 for Keras 2, which counts the
  model's own graph. Every call is written twice and referred to as node 2k + 1, which is the
  k-th call for both (for ``output_layers`` Keras 3 subtracts one, and hits it as well).
- In a Sequential or wrapper, a model's ``output_layers`` are one reference, not a list of one.
  Keras before 3.4 does not read that.
- ``alpha`` of LeakyReLU is read by both. An ``activation`` may be the dict of a layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tfjs_codec.ir.json_types import Config, Json, compact
from tfjs_codec.ir.keras import KerasGraph, KerasLayer, Ref
from tfjs_codec.ir.references import refs_in
from tfjs_codec.keras.classes import CLASSES, KerasClass, is_a
from tfjs_codec.keras.classes.row import training_keys
from tfjs_codec.tfjs.classes import TFJS_CLASSES

KERAS_2 = "2.15.0"  # the last version of Keras 2, and of tf_keras
Entry: TypeAlias = Config  # of a layer or model, as Keras writes it


# Keys that not every Keras 2 and Keras 3 takes, or that tfjs does not have.
_OWN = frozenset((
    "input_tensor", "optional", "ragged", "sparse", "lora_rank", "lora_alpha", "keepdims",
    "quantization_config", "input_length", "groups", "output_padding", "output_shape", "fused",
    "mode", "renorm", "renorm_clipping", "renorm_momentum", "synchronized", "virtual_batch_size",
    "rms_scaling", "consume_less", "implementation", "time_major", "zero_output_for_mask",
    "num_constants", "reverse_state_order",
))  # fmt: skip
_OWN_OF: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("Conv2DTranspose", "Conv3DTranspose"), ("dilation_rate",)),
    "SeparableConv2D": training_keys("kernel"),
}


def common_keys(row: KerasClass) -> tuple[str, ...]:
    """Return the keys of the class *row* that Keras 2 and Keras 3 both read, and tfjs writes."""
    own = {*_OWN, *_OWN_OF.get(row.name, ())}
    if row.name != "Dropout":
        own |= {"seed", "noise_shape"} if row.name != "SpatialDropout1D" else {"noise_shape"}
    return tuple(key for key in (*row.config, *row.inert) if key not in own)


# The keys that both Kerases read, per class. What is not here cannot be written.
KEYS: dict[str, tuple[str, ...]] = {
    name: common_keys(row)
    for name, row in CLASSES.items()
    if name in TFJS_CLASSES or name in ("Subtract", "StackedRNNCells") or row.layers or row.gates
}
_MODEL_MODULES = {"Sequential": "keras", "Functional": "keras.src.models.functional"}
# Spellings of dialect 2, of which Keras 3 reads the first.
_SPELLINGS = {
    ("LeakyReLU", "negative_slope"): "alpha",
    ("InputLayer", "batch_shape"): "batch_input_shape",
}
# What tfjs, and Keras 3.0 to 3.4, call otherwise than all versions of Keras.
_INITIALIZERS = {
    "LeCunNormal": "LecunNormal", "LeCunUniform": "LecunUniform",
    "OrthogonalInitializer": "Orthogonal", "IdentityInitializer": "Identity",
}  # fmt: skip
# TensorFlow 1 wrote a dtype and more, which Keras 3 does not take.
_INITIALIZER_KEYS = (
    *("value", "minval", "maxval", "mean", "stddev", "gain", "scale", "mode", "distribution"),
    "seed",
)


def model_config(graph: KerasGraph, dialect: int) -> str:
    """Return the JSON of *graph*, all of whose classes and keys must be in :data:`KEYS`."""
    return compact(model_entry(graph, dialect))


def model_entry(graph: KerasGraph, dialect: int) -> Entry:
    """Return class name and config of *graph*, as :func:`model_config` does."""
    return Writer(dialect).model(graph, graph.name)


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes entries of models and layers in one dialect."""

    dialect: int

    def model(self, graph: KerasGraph, name: str, *, in_chain: bool = False) -> Entry:
        """Return the entry of a model; *in_chain* tells that a Sequential holds it."""
        if graph.sequential:
            layers = [self.layer(one, in_chain=True) for one in graph.layers]
            config: Entry = {"name": name, "layers": layers}
            return self._model_entry("Sequential", config)
        by_name = {layer.name: layer for layer in graph.layers}
        config = {
            "name": name,
            "trainable": graph.trainable,
            "layers": [
                {
                    **self.layer(layer),
                    "name": layer.name,
                    "inbound_nodes": self._nodes(layer, by_name),
                }
                for layer in graph.layers
            ],
            "input_layers": [self._end(ref, by_name) for ref in graph.inputs],
            "output_layers": [self._end(ref, by_name) for ref in graph.outputs],
        }
        if in_chain:  # a list of one tensor would be handed to the next layer as such
            config["output_layers"] = config["output_layers"][0]
        return self._model_entry("Functional", config)

    def _model_entry(self, class_name: str, config: Entry) -> Entry:
        """Return the entry of a model; Keras 2 and 3 know its class by no common module."""
        if self.dialect == 2:
            return {"class_name": class_name, "config": config}
        return _entry(_MODEL_MODULES[class_name], class_name, config)

    def _nodes(self, layer: KerasLayer, by_name: dict[str, KerasLayer]) -> list[Json]:
        calls = [refs_in(call.args[0]) for call in layer.calls]
        if self.dialect == 3:
            return [_keras3_node(layer, list(refs)) for refs in calls]
        nodes: list[Json] = [[[*self._end(ref, by_name), {}] for ref in refs] for refs in calls]
        if layer.graph is not None:
            nodes = [node for node in nodes for _ in range(2)]
        return nodes

    def _end(self, ref: Ref, by_name: dict[str, KerasLayer]) -> list[Json]:
        """Return a reference as ``output_layers`` have it, and in dialect 2 all others."""
        inner = by_name[ref.layer].graph
        number = ref.call
        if inner is not None and self.dialect == 2:
            number = 2 * ref.call + 1
        elif inner is not None and not inner.sequential:
            number += 1
        return [ref.layer, number, ref.tensor]

    def keys(self, layer: KerasLayer) -> Sequence[str]:
        """Return the keys of *layer* that are written."""
        return KEYS[layer.class_name]

    def layer(self, layer: KerasLayer, *, in_chain: bool = False) -> Entry:
        """Return the entry of *layer* and the layers inside, without its calls."""
        if layer.graph is not None:
            return self.model(layer.graph, layer.name, in_chain=in_chain)
        kind, given = layer.class_name, layer.config
        config: Entry = {"name": layer.name}
        if kind != "InputLayer":
            config["dtype"] = "float32"
        if not layer.trainable and layer.weights:  # some classes of Keras 3 do not take the key
            config["trainable"] = False
        for key in self.keys(layer):
            if key in given:
                spelling = _SPELLINGS.get((kind, key), key) if self.dialect == 2 else key
                config[spelling] = self._value(key, given[key])
        if kind == "InputLayer" and "dtype" in given:
            config["dtype"] = given["dtype"]
        for key, child in layer.children.items():
            if key.startswith("cells/"):
                config.setdefault("cells", []).append(self.layer(child))
            elif key == "forward_layer":  # both Kerases make the backward one from it
                inner = self.layer(child)
                inner["config"]["name"] = child.name.removeprefix("forward_")
                config["layer"] = inner
            elif key != "backward_layer":
                config[key] = self._wrap(child)
        return _entry("keras.layers", kind, config)

    def _wrap(self, layer: KerasLayer) -> Entry:
        """Return the entry of a layer that TimeDistributed or RNN holds."""
        entry = self.layer(layer, in_chain=True)
        if layer.graph is not None and self.dialect == 2:  # here both need a module
            name = "Sequential" if layer.graph.sequential else "Model"
            entry |= {"module": "keras", "class_name": name, "registered_name": None}
        return entry

    def _value(self, key: str, value: Json) -> Json:
        if not isinstance(value, dict):
            return value
        if key in ("activation", "recurrent_activation"):
            kind, config = value["class_name"], value["config"]
            return self.layer(KerasLayer(config.get("name", key), kind, config))
        if not key.endswith("_initializer"):
            return value
        name = str(value.get("class_name"))
        config = value.get("config")
        given = config if isinstance(config, dict) else {}
        known = {key: given[key] for key in _INITIALIZER_KEYS if key in given}
        return {**value, "class_name": _INITIALIZERS.get(name, name), "config": known}


def _entry(module: str, class_name: str, config: Entry) -> Entry:
    return {"module": module, "class_name": class_name, "config": config, "registered_name": None}


def _keras3_node(layer: KerasLayer, refs: list[Ref]) -> Entry:
    """Return a call in Keras 3's form; it looks at nothing but the history of the tensors."""
    tensors = [
        {
            "class_name": "__keras_tensor__",
            "config": {
                "shape": [None],
                "dtype": "float32",
                "keras_history": [ref.layer, ref.call, ref.tensor],
            },
        }
        for ref in refs
    ]
    if is_a(layer.class_name, "recurrent") and len(tensors) > 1:  # initial states
        return {"args": tensors[:1], "kwargs": {"initial_state": tensors[1:]}}
    return {"args": [tensors if len(tensors) > 1 else tensors[0]], "kwargs": {}}
