"""Operations in a functional graph, whatever wrote them, as calls of ``keras.ops``.

Every operation layer leaves the readers like this, so that a lowering rule sees one form:

* ``KerasLayer.class_name`` is the name of the function in ``keras.ops`` (``multiply``, ``mean``,
  ``reshape``, ``concatenate``, ``getitem``, ``take``, ``true_divide``, …). An operation Keras 3
  does not have keeps its TensorFlow name in snake_case (``l2_normalize``, ``strided_slice``).
* ``Call.args`` holds the operands in the order of :mod:`tfjs_codec.keras.signatures`, each a Ref, a
  constant, or a list (``concatenate``, ``stack``): ``(x,)`` for most, ``(x1, x2)`` for binary
  ones, ``(x, key)`` for ``getitem``, ``(condition, x1, x2)`` for ``where``, ``(x, indices)`` for
  ``take``. An operand can be a constant on either side.
* ``Call.kwargs`` holds the options under their ``keras.ops`` names (``axis``, ``keepdims``,
  ``newshape``, ``axes``, ``negative_slope``, ``x_min``, ``x_max``, ``dtype``, …), **for every
  generation**. Keras 3 keeps most of them in the layer's config; they are there too.
  Options are given where TensorFlow's default is another one than Keras 3's (``gelu``:
  ``approximate``; ``take``, ``argmax``, ``cumsum``: ``axis``). ``matmul`` may have
  ``transpose_a`` and ``transpose_b``, which Keras 3 does not know.
* ``getitem``'s key is a list of ints, ``slice`` objects, None (new axis), Ellipsis or Refs; one
  that is not a list applies to the first axis.

Sources: ``TFOpLambda``/``SlicingOpLambda``/``ClassMethod`` of tf.keras 2.4 and later (the TF
function's name, operands by its parameter names), ``TensorFlowOpLayer`` of tf.keras 1.14 to 2.3 (a
NodeDef, constants by position), and the ``Operation`` classes of Keras 3.
"""

from __future__ import annotations

import re
from typing import Any

from tfjs_codec.files.place import Place
from tfjs_codec.ir.graph import MASKS
from tfjs_codec.ir.keras import Call, Config
from tfjs_codec.keras.names import snake_case
from tfjs_codec.keras.tf_functions import bind, function_call, function_name, parameters

# Operation classes of Keras 3 whose snake_case is not the name of the function.
_K3_CLASSES = {
    "get_item": "getitem",
    "batch_norm": "batch_normalization",
    "layer_norm": "layer_normalization",
    "rms_norm": "rms_normalization",
    "divide": "true_divide",
    "all_close": "allclose",
    "c_dist": "cdist",
    "is_in": "isin",
    "search_sorted": "searchsorted",
}
# NodeDef operations: (function, parameters of the inputs by position).
_NODE_DEFS: dict[str, tuple[str, tuple[str, ...]]] = {
    **{op: (name, ("x1", "x2")) for op, name in {
        "Mul": "multiply", "Add": "add", "AddV2": "add", "Sub": "subtract",
        "RealDiv": "true_divide", "Div": "true_divide", "FloorDiv": "floor_divide",
        "FloorMod": "mod", "Pow": "power", "Maximum": "maximum", "Minimum": "minimum",
        "SquaredDifference": "squared_difference", "MatMul": "matmul", "BatchMatMul": "matmul",
        "BatchMatMulV2": "matmul", "Equal": "equal", "NotEqual": "not_equal",
        "Greater": "greater", "GreaterEqual": "greater_equal", "Less": "less",
        "LessEqual": "less_equal", "LogicalAnd": "logical_and", "LogicalOr": "logical_or",
    }.items()},
    **{op: (name, ("x", "axis")) for op, name in {
        "Mean": "mean", "Sum": "sum", "Max": "max", "Min": "min", "Prod": "prod", "Any": "any",
        "All": "all", "ExpandDims": "expand_dims", "ArgMax": "argmax", "ArgMin": "argmin",
        "Cumsum": "cumsum", "ReverseV2": "flip",
    }.items()},
    "Neg": ("negative", ("x",)),
    "Abs": ("absolute", ("x",)),
    "Reshape": ("reshape", ("x", "newshape")),
    "Transpose": ("transpose", ("x", "axes")),
    "BiasAdd": ("bias_add", ("x", "bias")),
    "Pad": ("pad", ("x", "pad_width")),
    "PadV2": ("pad", ("x", "pad_width", "constant_values")),
    "Tile": ("tile", ("x", "repeats")),
    "GatherV2": ("take", ("x", "indices", "axis")),
    "Gather": ("take", ("x", "indices")),
    "Slice": ("slice", ("inputs", "start_indices", "shape")),
    "StridedSlice": ("getitem", ("x", "begin", "end", "strides")),
    "ClipByValue": ("clip", ("x", "x_min", "x_max")),
    "Split": ("split", ("axis", "x")),
    "SplitV": ("split", ("x", "indices_or_sections", "axis")),
    "Unpack": ("unstack", ("x",)),
    "Pack": ("stack", ("xs",)),
    "OneHot": ("one_hot", ("x", "num_classes", "on_value", "off_value")),
}  # fmt: skip
# Attributes of a NodeDef that only describe its operands.
_DESCRIPTIVE_ATTRS = frozenset((
    "T", "Tidx", "Tshape", "Tperm", "Tdim", "Tpaddings", "Tmultiples", "Tindices", "Tparams",
    "Taxis", "SrcT", "N", "Index", "DstType", "TI", "Truncate", "incompatible_shape_error",
    "_output_shapes", "_cloned", "_class",
))  # fmt: skip
_NODE_DEF_DTYPES = {
    "DT_FLOAT": "float32", "DT_DOUBLE": "float64", "DT_HALF": "float16", "DT_INT32": "int32",
    "DT_INT64": "int64", "DT_BOOL": "bool", "DT_UINT8": "uint8", "DT_BFLOAT16": "bfloat16",
}  # fmt: skip

TF_OP_CLASSES = frozenset(
    ("TFOpLambda", "SlicingOpLambda", "ClassMethod", "InstanceMethod", "InstanceProperty",
     "TensorFlowOpLayer")
)  # fmt: skip


# Layers of Keras 3 whose config is their own, without "trainable".
_OWN_CONFIG = frozenset(
    (
        *("Discretization", "HashedCrossing", "InputLayer", "Pipeline"),
        *("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"),
    )
)


# Where the config of an operation names its function.
_FUNCTION_KEYS = ("function", "method_name", "attr_name")


def is_op(entry: Config) -> bool:
    """Tell whether a layer entry is an operation node of Keras 3 rather than a layer.

    ``.keras`` files name the module. HDF5 files do not; there an operation is known by the missing
    ``trainable``, which every layer has but a few.
    """
    module = entry.get("module")
    if isinstance(module, str):
        return module.startswith(("keras.src.ops", "keras.ops"))
    config = entry.get("config")
    return (
        isinstance(config, dict)
        and not config.keys() & {"trainable", "layers", "batch_shape", "batch_input_shape"}
        and entry.get("class_name") not in _OWN_CONFIG
        and isinstance(nodes := entry.get("inbound_nodes"), list)
        and any(isinstance(node, dict) for node in nodes)
    )


def op_name(class_name: str, config: Config, place: Place) -> str:
    """Return the canonical name of an operation from its entry's class and config."""
    if class_name not in TF_OP_CLASSES:
        name = snake_case(class_name)
        return _K3_CLASSES.get(name, name)
    if class_name == "TensorFlowOpLayer":
        node_def = config.get("node_def")
        op = node_def.get("op") if isinstance(node_def, dict) else None
        if op is None:  # the binary form of some TF 1 versions: nothing is known about it
            return "tensor_flow_op_layer"
        op = place.at("config").at("node_def").at("op").text(op)
        return _NODE_DEFS[op][0] if op in _NODE_DEFS else function_name(op)
    for key in _FUNCTION_KEYS:
        if key in config:
            return function_name(place.at("config").at(key).text(config[key]))
    raise place.at("config").error("the operation has no function name")


def op_config(class_name: str, config: Config) -> Config:
    """Return an operation's options: Keras 3 keeps them in its config, TensorFlow does not."""
    if class_name in TF_OP_CLASSES:
        return {}
    return {key: value for key, value in config.items() if key not in ("name", "trainable")}


def op_call(name: str, class_name: str, config: Config, call: Call, place: Place) -> Call:
    """Return *call* of operation *name* in the form this module's docstring describes."""
    if class_name == "TensorFlowOpLayer":
        return _node_def_call(name, config, call, place)
    if class_name not in TF_OP_CLASSES:
        return Call(call.args, {**op_config(class_name, config), **call.kwargs})
    function = next((config[key] for key in _FUNCTION_KEYS if key in config), None)
    return function_call(name, function, call)


def _node_def_call(name: str, config: Config, call: Call, place: Place) -> Call:
    """Merge tensors and constants by position, and name them as the operation's parameters."""
    place = place.at("config")
    constants = place.at("constants").mapping(config.get("constants") or {})
    tensors = list(call.args[0] if isinstance(call.args[0], list) else call.args)
    by_position: dict[int, Any] = {}
    for key, value in constants.items():
        if not key.isdecimal() or int(key) >= len(tensors) + len(constants):
            raise place.at("constants").at(key).error("not the position of an input")
        by_position[int(key)] = value
    inputs = [
        by_position[i] if i in by_position else tensors.pop(0)
        for i in range(len(tensors) + len(constants))
    ]
    node_def = config.get("node_def")
    if not isinstance(node_def, dict) or node_def.get("op") is None:
        return Call(tuple(inputs), {})
    op, place = node_def["op"], place.at("node_def")
    options = _attrs(place.at("attr").mapping(node_def.get("attr") or {}))
    if op in ("ConcatV2", "Pack", "AddN", "Concat"):
        if not inputs:
            raise place.error(f"{op} has no inputs")
        if op == "ConcatV2":
            *inputs, options["axis"] = inputs
        elif op == "Concat":
            options["axis"], *inputs = inputs
        return Call((list(inputs),), options)
    operands = _NODE_DEFS.get(op, (name, ("x",)))[1]
    bound = dict(zip(operands, inputs, strict=False))
    surplus = tuple(inputs[len(operands) :])
    names = parameters(name)
    if op == "SplitV":
        options.pop("num_split", None)  # the number of the sizes
    bound.update((names.get(key, key), value) for key, value in options.items())
    if op == "StridedSlice":
        bound["key"] = _strided_key(bound, place.at("attr"))
    return bind(name, surplus, bound)


def _attrs(attrs: Config) -> Config:
    """Decode a NodeDef's attributes from protobuf's JSON form, without those about types."""
    decoded: Config = {}
    for key, value in attrs.items():
        if key in _DESCRIPTIVE_ATTRS or not isinstance(value, dict) or len(value) != 1:
            continue
        (kind, content), name = next(iter(value.items())), key
        if key == "DstT":
            name, content = "dtype", _NODE_DEF_DTYPES.get(str(content), str(content).lower())
        elif kind == "i":
            content = _integer(content)
        elif kind == "list" and isinstance(content, dict):
            items = content.get("i")
            content = [_integer(item) for item in items] if isinstance(items, list) else []
        decoded[name] = content
    return decoded


def _integer(text: Any) -> Any:
    """Protobuf's JSON form writes 64-bit integers as strings."""
    return int(text) if isinstance(text, str) and re.fullmatch(r"-?\d{1,19}", text) else text


def _strided_key(bound: Config, place: Place) -> Any:
    """Turn begin, end and strides with their bit masks into the key of a Python subscript."""
    begin, end, strides = (bound.pop(key, None) for key in ("begin", "end", "strides"))
    masks = {name: place.at(name).whole(bound.pop(name, None) or 0) for name in MASKS}
    lists = (begin, end, strides)
    if not all(isinstance(part, list) for part in lists) or len(set(map(len, lists))) != 1:
        return None
    key: list[Any] = []
    for i, (first, last, step) in enumerate(zip(*lists, strict=True)):
        bit = 1 << i
        if masks["ellipsis_mask"] & bit:
            key.append(Ellipsis)
        elif masks["new_axis_mask"] & bit:
            key.append(None)
        elif masks["shrink_axis_mask"] & bit:
            key.append(first)
        else:
            start = None if masks["begin_mask"] & bit else first
            stop = None if masks["end_mask"] & bit else last
            key.append(slice(start, stop, None if step == 1 else step))
    return key
