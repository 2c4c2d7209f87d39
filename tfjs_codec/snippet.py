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
from typing import NamedTuple

from tfjs_codec.errors import UsageError
from tfjs_codec.files import strict_json
from tfjs_codec.files.place import Place
from tfjs_codec.files.source import PAGE_MARK, AnySource, open_source
from tfjs_codec.ir.json_types import Json, JsonObject
from tfjs_codec.ir.layers import TfjsLayer
from tfjs_codec.options import ConvertOptions
from tfjs_codec.readers import open_index
from tfjs_codec.tfjs.topology import read_topology

TFJS = "https://cdn.jsdelivr.net/npm/@tensorflow/tfjs@4.22.0/dist/tf.min.js"

_ASYNC = frozenset(
    ("Switch", "Merge", "Enter", "Exit", "NextIteration", "StatelessIf", "StatelessWhile", "If",
     "While", "NonMaxSuppressionV2", "NonMaxSuppressionV3", "NonMaxSuppressionV4",
     "NonMaxSuppressionV5", "Where", "HashTable", "HashTableV2", "LookupTableImport",
     "LookupTableImportV2", "LookupTableFind", "LookupTableFindV2", "LookupTableSize",
     "LookupTableSizeV2")
)  # fmt: skip
_UNKNOWN_SIZE = {4: 64}  # of a dimension that is known at run time only, by rank; images
_OTHER_SIZE = 10


class _Input(NamedTuple):
    name: str
    shape: tuple[int | None, ...]
    dtype: str


def write_page(source: AnySource, options: ConvertOptions, *, model: str = "model.json") -> str:
    """Return a page that loads the tfjs model *source* from the URL *model* and predicts.

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
        data = index.read("json_bytes", options.limits)
        content = strict_json.loads(data, path=index.path, limits=options.limits)
    topology = content.get("modelTopology") if isinstance(content, dict) else None
    if not isinstance(content, dict) or not isinstance(topology, dict):
        raise UsageError("mere weights, which are no model", path=index.path)
    is_graph = "node" in topology
    inputs = _graph_inputs(content) if is_graph else _layer_inputs(topology, index.path)
    labels = _labels(content.get("userDefinedMetadata"))
    is_async = _needs_async(topology)
    return _page(inputs, labels, model, is_graph=is_graph, is_async=is_async)


def _page(
    inputs: list[_Input], labels: list[str], model: str, *, is_graph: bool, is_async: bool
) -> str:
    lines = [f"    {_tensor(one)},  // {_comment(one)}" for one in inputs]
    run = "await model.executeAsync(inputs)" if is_async else "model.predict(inputs)"
    given = "inputs.length > 1 ? inputs : inputs[0]"
    run = run.replace("(inputs)", f"({given})")
    named = f"\n  const labels = {_js(list(labels))};" if labels else ""
    best = " + `\\nbest: ${labels[tf.tidy(() => t.flatten().argMax().dataSync()[0])]}`"
    title = escape(model.rpartition("/")[0] or "A TensorFlow.js model")
    return f"""<!doctype html>
{PAGE_MARK}
<meta charset="utf-8">
<title>{title}</title>
<script src="{TFJS}"></script>
<pre id="out">loading …</pre>
<script type="module">
  const out = document.getElementById('out');
  if (!window.tf) throw out.textContent = 'TensorFlow.js did not load: is the net up?';{named}
  const model = await tf.load{"Graph" if is_graph else "Layers"}Model({_js(model)});
  const inputs = [
{chr(10).join(lines)}
  ];
  const result = {run};
  const tensors = result instanceof tf.Tensor ? [result] : Object.values(result);
  out.textContent = tensors.map(t => t.toString(){best if labels else ""}).join('\\n');
</script>
"""


def _tensor(one: _Input) -> str:
    """Return JavaScript for zeros, or empty texts, of the shape of *one* with a batch of 1."""
    unknown = _UNKNOWN_SIZE.get(len(one.shape), _OTHER_SIZE)
    sizes = [
        (1 if axis == 0 else unknown) if size is None or size < 0 else size
        for axis, size in enumerate(one.shape)
    ]
    if one.dtype == "string":
        return f"tf.fill({sizes}, '', 'string')"
    return f"tf.zeros({sizes}, {_js(one.dtype)})"


def _comment(one: _Input) -> str:
    shape = ", ".join("?" if size is None or size < 0 else str(size) for size in one.shape)
    return f"{_js(one.name)}: {one.dtype} [{shape}]"


def _js(value: Json) -> str:
    """Return *value* as JavaScript inside a script element, which no text can end."""
    return json.dumps(value).replace("<", "\\u003c")


def _layer_inputs(topology: JsonObject, path: str) -> list[_Input]:
    graph = read_topology(topology, Place(path).at("modelTopology"))
    layers = {layer.name: layer for layer in graph.layers}
    first = [layers[ref.layer] for ref in graph.inputs if ref.layer in layers] or graph.layers[:1]
    return [_layer_input(layer) for layer in first]


def _layer_input(layer: TfjsLayer) -> _Input:
    """Return the input of *layer*, the first of a model, however deep its shape is stated."""
    while layer.graph is not None and layer.graph.layers:
        layer = layer.graph.layers[0]
    shape = layer.config.get("batch_input_shape") or layer.config.get("batchInputShape") or [None]
    dtype = layer.config.get("dtype")
    if layer.class_name == "Embedding":
        dtype = "int32"
    return _Input(layer.name, tuple(shape), dtype if isinstance(dtype, str) else "float32")


def _needs_async(topology: JsonObject) -> bool:
    nodes = topology.get("node")
    listed = nodes if isinstance(nodes, list) else []
    return any(isinstance(node, dict) and node.get("op") in _ASYNC for node in listed)


def _labels(metadata: Json) -> list[str]:
    """Return the class names that the metadata holds, as Teachable Machine writes them."""
    for key in ("labels", "classes", "classNames", "class_names"):
        value = metadata.get(key) if isinstance(metadata, dict) else None
        if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
            return [str(one) for one in value]
    return []


def _graph_inputs(content: JsonObject) -> list[_Input]:
    signature = content.get("signature")
    inputs = signature.get("inputs") if isinstance(signature, dict) else None
    found = []
    for name, tensor in inputs.items() if isinstance(inputs, dict) else ():
        known = tensor if isinstance(tensor, dict) else {}
        shape = known.get("tensorShape")
        dims = shape.get("dim") if isinstance(shape, dict) else None
        sizes = tuple(
            int(str(dim.get("size", -1))) if isinstance(dim, dict) else None
            for dim in (dims if isinstance(dims, list) else ())
        )
        kind = str(known.get("dtype", "")).removeprefix("DT_").lower()
        dtype = {"float": "float32", "int64": "int32"}.get(kind, kind or "float32")
        found.append(_Input(name, sizes, dtype))
    return found
