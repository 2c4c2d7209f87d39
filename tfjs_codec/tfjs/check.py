"""What tfjs 4.22's loader refuses in a Layers model, or would wait for for ever.

It goes by the sources of tfjs-layers 4.22: ``Container.fromConfig`` and ``loadWeights`` in
``engine/container``, the constructors of the layers, the registries of activations, initialisers,
regularisers and constraints. Classes that tfjs lacks are no failure: a page can register them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tfjs_codec.errors import quote
from tfjs_codec.files.place import Place
from tfjs_codec.ir.json_types import Json, JsonObject
from tfjs_codec.ir.layers import LayersGraph, scopes
from tfjs_codec.tfjs.classes import TFJS_CLASSES, missing_keys
from tfjs_codec.tfjs.inference import calls_in_order, infer
from tfjs_codec.tfjs.names import target_name
from tfjs_codec.tfjs.shapes import Shape
from tfjs_codec.tfjs.topology import MODELS, read_topology

_DTYPES = ("float32", "int32", "bool", "complex64", "string")
_ACTIVATIONS = frozenset(
    ("elu", "selu", "relu", "relu6", "linear", "sigmoid", "hard_sigmoid", "hardSigmoid",
     "softplus", "softsign", "tanh", "softmax", "log_softmax", "logSoftmax", "gelu", "gelu_new",
     "mish", "swish")
)  # fmt: skip
_OBJECTS = {
    "initializer": (
        "Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Identity",
        "LeCunNormal", "LeCunUniform", "Ones", "Orthogonal", "RandomNormal", "RandomUniform",
        "TruncatedNormal", "VarianceScaling", "Zeros",
    ),
    "regularizer": ("L1L2",),
    "constraint": ("MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"),
}  # fmt: skip
_DATA_FORMATS = ("channels_first", "channels_last")


@dataclass(slots=True)
class Findings:
    """What was found: why tfjs fails, what could not be checked, the variables tfjs creates."""

    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    variables: dict[str, Shape] = field(default_factory=dict)


def check_layers_model(topology: JsonObject, weights: Mapping[str, Shape], path: str) -> Findings:
    """Check the topology of a Layers model, and its *weights* by name against its variables.

    Raises:
        CorruptFileError: It is not the shape of a model.
    """
    found = Findings()
    entry = topology.get("model_config", topology)
    found.failures += _model(entry) if isinstance(entry, dict) else []
    graph = read_topology(topology, Place(path, "modelTopology"))
    if not graph.layers:
        found.failures.append("the model has no layers")
    if not graph.sequential:
        calls = sum(max(1, len(layer.calls)) for layer in graph.layers)
        if len(list(calls_in_order(graph))) != calls:
            found.failures.append("some layers depend on each other, and tfjs waits for ever")
    _check_weights(graph, weights, found)
    return found


def _check_weights(graph: LayersGraph, weights: Mapping[str, Shape], found: Findings) -> None:
    inferred = infer(graph)
    unknown: set[str] = set()
    for layer in graph.layers:
        for scope, owner in scopes(layer):
            variables = inferred.variables.get(id(owner))
            if variables is not None:
                named = {f"{scope}/{short}": shape for short, shape in variables.items()}
                repeated = named.keys() & found.variables.keys()
                found.failures += [f"two variables are called {quote(name)}" for name in repeated]
                found.variables.update(named)
            elif not owner.children:
                unknown.add(scope)
                known = owner.class_name in TFJS_CLASSES
                why = "its input shape is not known" if known else f"tfjs has no {owner.class_name}"
                found.notes.append(f"variables of layer {quote(scope)}: {why}")
    missing = dict(found.variables)
    for weight, given in weights.items():
        name = target_name(weight, found.variables)
        if name is None:
            if weight.rpartition("/")[0] not in unknown:
                found.failures.append(f"tfjs creates no variable {quote(weight)}")
            continue
        shape = missing.pop(name, None)
        if shape is None:
            found.failures.append(f"two weights are for the variable {quote(name)}")
        elif tuple(shape) != tuple(given):
            found.failures.append(
                f"{quote(name)} has shape {list(given)}, tfjs creates {list(shape)}"
            )
    found.failures += [f"there is no weight for the variable {quote(name)}" for name in missing]


# ---------------------------------------------------------------------------------- the topology


def _model(entry: JsonObject) -> Iterator[str]:
    """Yield what is wrong with a model and the models inside."""
    config = entry.get("config")
    layers = config.get("layers") if isinstance(config, dict) else config
    if not isinstance(layers, list):
        yield "a model has no list of layers"
        return
    entries = [layer for layer in layers if isinstance(layer, dict)]
    for layer in entries:
        yield from _layer(layer)
    if entry.get("class_name") == "Sequential" or not isinstance(config, dict):
        return
    counts = Counter(str(layer.get("name")) for layer in entries)
    yield from (f"{n} layers are called {quote(name)}" for name, n in counts.items() if n > 1)
    nodes = {str(layer.get("name")): _node_count(layer) for layer in entries}
    for layer in entries:
        calls = layer.get("inbound_nodes")
        if not isinstance(calls, list):
            yield f"layer {quote(layer.get('name'))} has no list of inbound_nodes"
            continue
        for call in calls:
            where = f"layer {quote(layer.get('name'))} is called"
            yield from _references(call, nodes, where)
    for key in ("input_layers", "output_layers"):
        yield from _references(config.get(key), nodes, f"{key} are")


def _node_count(layer: JsonObject) -> int:
    """Return how many nodes tfjs makes for *layer*: an input and a model have one of their own."""
    calls = layer.get("inbound_nodes")
    own = layer.get("class_name") in ("InputLayer", *MODELS)
    return own + (len(calls) if isinstance(calls, list) else 0)


def _references(refs: Json, nodes: Mapping[str, int], where: str) -> Iterator[str]:
    if not isinstance(refs, list) or not all(isinstance(ref, list) for ref in refs):
        yield f"{where} in another form than lists of [layer, node, tensor]"
        return
    for ref in refs:
        name, node = (*ref, None, None)[:2]
        if not isinstance(name, str) or name not in nodes:
            yield f"{where} on layer {quote(name)}, which does not exist"
        elif not isinstance(node, int) or not 0 <= node < nodes[name]:
            yield f"{where} on node {quote(node)} of layer {quote(name)}, which does not exist"


def _layer(entry: JsonObject) -> Iterator[str]:
    """Yield what is wrong with a layer and the layers inside."""
    class_name, config = entry.get("class_name"), entry.get("config")
    if class_name in MODELS:
        yield from _model(entry)
        return
    if not isinstance(config, dict) or not isinstance(class_name, str):
        return  # reading the topology tells
    who = f"layer {quote(config.get('name'))} ({quote(class_name)})"
    if class_name == "InputLayer" and config.get("input_shape") is not None:
        config = {**config, "batch_input_shape": config["input_shape"]}
    if class_name in TFJS_CLASSES:
        yield from (f"{who} has no {key}" for key in missing_keys(class_name, config))
    dtype = config.get("dtype")
    if dtype is not None and dtype not in _DTYPES:
        yield f"{who} has the dtype {quote(dtype)}"
    for key, value in config.items():
        yield from (f"{who}: {text}" for text in _value(class_name, key, value))
    inner = [config.get("layer"), config.get("cell")]
    inner += cells if isinstance(cells := config.get("cells"), list) else []
    for one in inner:
        if isinstance(one, dict):
            yield from _layer(one)


def _value(class_name: str, key: str, value: Json) -> Iterator[str]:
    if value is None:
        return
    if key in ("activation", "recurrent_activation"):
        kind = value.get("class_name") if isinstance(value, dict) else value
        if not isinstance(kind, str) or kind not in _ACTIVATIONS:
            yield f"tfjs has no {key} {quote(kind)}"
    elif key == "data_format" and value not in _DATA_FORMATS:
        yield f"tfjs has no data_format {quote(value)}"
    elif key == "padding" and class_name in TFJS_CLASSES and value == "causal":
        yield "tfjs has no padding 'causal'"
    elif (kind := key.rpartition("_")[2]) in _OBJECTS and isinstance(value, dict):
        name = value.get("class_name")
        known = isinstance(name, str) and name in _OBJECTS[kind]
        yield from () if known else (f"tfjs has no {kind} {quote(name)}",)
