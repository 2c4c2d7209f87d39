"""``snippet``: a page of a few lines that loads and runs one tfjs model.

What it says of the inputs is read from the ``model.json``. ``model.execute`` does not run control
flow, hash tables and operations whose result has a size that depends on values (tfjs-converter,
``graph_executor.ts`` and ``executors/graph_executor.ts``: CONTROL_FLOW_OPS, DYNAMIC_SHAPE_OPS,
HASH_TABLE_OPS): such graphs are run with ``executeAsync``.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from html import escape
from math import prod
from typing import NamedTuple

from tfjs_codec.errors import UsageError, quote
from tfjs_codec.files import strict_json
from tfjs_codec.files.place import Place
from tfjs_codec.files.source import AnySource, open_source
from tfjs_codec.ir.json_types import Json, JsonObject
from tfjs_codec.ir.layers import LayersGraph, TensorRef, TfjsLayer
from tfjs_codec.options import ConvertOptions
from tfjs_codec.readers import open_index
from tfjs_codec.tfjs.graph_topology import nodes_of, read_ends
from tfjs_codec.tfjs.topology import read_topology
from tfjs_codec.writers.tfjs_files import sign_page

TFJS_PACKAGE = "https://cdn.jsdelivr.net/npm/@tensorflow/tfjs@4.22.0"
TFJS = f"{TFJS_PACKAGE}/dist/tf.min.js"

_ASYNC = frozenset(
    ("Switch", "Merge", "Enter", "Exit", "NextIteration", "StatelessIf", "StatelessWhile", "If",
     "While", "NonMaxSuppressionV2", "NonMaxSuppressionV3", "NonMaxSuppressionV4",
     "NonMaxSuppressionV5", "Where", "HashTable", "HashTableV2", "LookupTableImport",
     "LookupTableImportV2", "LookupTableFind", "LookupTableFindV2", "LookupTableSize",
     "LookupTableSizeV2")
)  # fmt: skip
_UNKNOWN_SIZE = {4: 64}  # of a dimension that is known at run time only, by rank; images
_OTHER_SIZE = 10


class ModelInput(NamedTuple):
    """An input of a tfjs model; ``below`` bounds its values if they are indices."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    below: int | None = None


class Interface(NamedTuple):
    """How a tfjs model is fed and run.

    ``outputs`` are names of layers, or keys of the signature; ``labels`` are the class names that
    the metadata holds.
    """

    inputs: list[ModelInput]
    outputs: list[str]
    labels: list[str]
    is_graph: bool
    is_async: bool


def write_page(
    source: AnySource, options: ConvertOptions, *, model: str = "model.json", tfjs: str = TFJS
) -> str:
    """Return a page that loads the tfjs model *source* from the URL *model* and predicts.

    Its TensorFlow.js is the script at the URL *tfjs*. (tfjs looks for the weights of a bare
    ``model.json`` at the root of the server: ``parseUrl`` in tfjs-core, ``io/http.ts``.)

    Raises:
        UsageError: *source* is no tfjs model, or mere weights.
        InputError: It is damaged.
    """
    with ExitStack() as stack:
        opened = open_source(source)
        index = open_index(opened, options, stack)
        if index is None:
            raise UsageError(
                "not a tfjs model", path=opened.path, hint="Convert it first: tfjs-codec convert."
            )
        content = strict_json.read(index, options.limits)
    url = model if "/" in model else f"./{model}"
    return _page(read_interface(content, index.path), url, tfjs)


def read_interface(content: Json, path: str) -> Interface:
    """Return how the model is run whose ``model.json``, at *path*, holds *content*.

    Raises:
        UsageError: It holds mere weights.
        CorruptFileError: The layers make no sense.
    """
    topology = content.get("modelTopology") if isinstance(content, dict) else None
    if not isinstance(content, dict) or not isinstance(topology, dict):
        raise UsageError("mere weights, which are no model", path=path)
    labels = _labels(content.get("userDefinedMetadata"))
    if "node" in topology:
        inputs, outputs = (_signature(content, end) for end in ("inputs", "outputs"))
        names = [one.name for one in outputs]
        return Interface(inputs, names, labels, is_graph=True, is_async=_needs_async(topology))
    graph = read_topology(topology, Place(path).at("modelTopology"))
    last = [TensorRef(layer.name, 0, 0) for layer in graph.layers[-1:]]
    names = [ref.layer for ref in graph.outputs or last]
    return Interface(_layer_inputs(graph), names, labels, is_graph=False, is_async=False)


def _page(how: Interface, model: str, tfjs: str) -> str:
    inputs, _, labels, is_graph, is_async = how
    lines = [f"      {_tensor(one)},  // {_comment(one)}" for one in inputs]
    run = "await model.executeAsync(inputs)" if is_async else "model.predict(inputs)"
    given = "inputs.length > 1 ? inputs : inputs[0]"
    run = run.replace("(inputs)", f"({given})")
    named = f"\n    const labels = {_js(list(labels))};" if labels else ""
    best = " + `\\nbest: ${labels[t.dataSync().indexOf(Math.max(...t.dataSync()))]}`"
    advice = "is the net up?" if "//" in tfjs else "is the file there?"
    title = escape(model.removeprefix("./").rpartition("/")[0] or "A TensorFlow.js model")
    return sign_page(f"""<!doctype html>
<meta charset="utf-8">
<title>{title}</title>
<script src="{escape(tfjs)}"></script>
<pre id="out">loading …</pre>
<script type="module">
  const out = document.getElementById('out');
  try {{
    if (!window.tf) throw 'TensorFlow.js did not load: {advice}';{named}
    const model = await tf.load{"Graph" if is_graph else "Layers"}Model({_js(model)});
    const inputs = [
{chr(10).join(lines)}
    ];
    const result = {run};
    const tensors = result instanceof tf.Tensor ? [result] : Object.values(result);
    out.textContent = tensors.map(t => t.toString(){best if labels else ""}).join('\\n');
  }} catch (error) {{ throw out.textContent = error; }}
</script>
""")


def _tensor(one: ModelInput) -> str:
    """Return JavaScript for zeros, or empty texts, of the shape of *one* with a batch of 1."""
    unknown = _UNKNOWN_SIZE.get(len(one.shape), _OTHER_SIZE)
    sizes = [
        (1 if axis == 0 else unknown) if size is None or size < 0 else size
        for axis, size in enumerate(one.shape)
    ]
    if one.dtype == "string":
        return f"tf.tensor(Array({prod(sizes)}).fill(''), {sizes}, 'string')"
    return f"tf.zeros({sizes}, {_js(one.dtype)})"


def _comment(one: ModelInput) -> str:
    shape = ", ".join("?" if size is None or size < 0 else str(size) for size in one.shape)
    return f"{_js(one.name)}: {one.dtype} [{shape}]"


def _js(value: Json) -> str:
    """Return *value* as JavaScript inside a script element, which no text can end."""
    return json.dumps(value).replace("<", "\\u003c")


def _layer_inputs(graph: LayersGraph) -> list[ModelInput]:
    layers = {layer.name: layer for layer in graph.layers}
    first = [layers[ref.layer] for ref in graph.inputs if ref.layer in layers] or graph.layers[:1]
    tables = [layer for layer in graph.layers if layer.class_name == "Embedding"]
    sizes = {ref.layer: table.config.get("input_dim") for table in tables
             for call in table.calls for ref in call}  # fmt: skip
    if graph.sequential and tables and tables[0] in graph.layers[:2]:
        sizes[graph.layers[0].name] = tables[0].config.get("input_dim")
    found = [(_layer_input(layer), sizes.get(layer.name)) for layer in first]
    return [one._replace(below=size if isinstance(size, int) else None) for one, size in found]


def _layer_input(layer: TfjsLayer) -> ModelInput:
    """Return the input of *layer*, the first of a model, however deep its shape is stated."""
    while layer.graph is not None and layer.graph.layers:
        layer = layer.graph.layers[0]
    given = layer.config.get("batch_input_shape") or layer.config.get("batchInputShape") or [None]
    shape = Place(start=f"layer {quote(layer.name)}").shape(given)
    dtype = layer.config.get("dtype")
    if layer.class_name == "Embedding":
        dtype = "int32"
    return ModelInput(layer.name, tuple(shape), dtype if isinstance(dtype, str) else "float32")


def _needs_async(topology: JsonObject) -> bool:
    nodes = topology.get("node")
    return any(node.get("op") in _ASYNC for node in nodes_of({"node": nodes}))


def _labels(metadata: Json) -> list[str]:
    """Return the class names that the metadata holds, as Teachable Machine writes them."""
    for key in ("labels", "classes", "classNames", "class_names"):
        value = metadata.get(key) if isinstance(metadata, dict) else None
        if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
            return [str(one) for one in value]
    return []


def _signature(content: JsonObject, end: str) -> list[ModelInput]:
    kinds = {"": "float32", "float": "float32", "int64": "int32"}
    return [
        ModelInput(key, sizes, kinds.get(dtype, dtype))
        for key, dtype, sizes in read_ends(content, end)
    ]
