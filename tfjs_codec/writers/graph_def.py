"""Writes graphs as TensorFlow's GraphDef and FunctionDef messages.

Inside a function an output is called ``node:result:number``, by the name of the result in the
operation's definition; an argument just by its name. In a GraphDef it is ``node:number``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from tfjs_codec.errors import UnsupportedModelError
from tfjs_codec.files.tensor_proto import fill_tensor
from tfjs_codec.files.tf_dtypes import dtype_number
from tfjs_codec.ir.graph import ARGUMENT, CALLS, Func, Names, Node, Ref, Shape
from tfjs_codec.ir.tensors import LazyTensor
from tfjs_codec.pb import messages
from tfjs_codec.tfjs.graph_ops import op_def

_ILLEGAL = re.compile(r"[^A-Za-z0-9_.\\/>-]")  # tensorflow/core/framework/node_def_util.cc
_ARGUMENT_ILLEGAL = re.compile(r"[^a-z0-9_]")
# The fields by Python type; bool comes before int.
_SCALARS = ((bool, "b"), (int, "i"), (float, "f"), (bytes, "s"))


def legal_names(nodes: Iterable[Node]) -> dict[str, str]:
    """Return names that TensorFlow takes for *nodes*, by the names that they have.

    Arguments of a function may have lower-case letters, digits and underscores only.
    """
    names, found = Names(()), {}
    for node in nodes:
        if node.op == ARGUMENT:
            name = _ARGUMENT_ILLEGAL.sub("_", node.name.lower())
            name = name if name[:1].isalpha() else f"arg_{name}"
        else:
            name = _ILLEGAL.sub("_", node.name)
            name = name if name[:1].isalnum() or name[:1] == "." else f".{name}"
        found[node.name] = names.fresh(name)
    return found


def fill_node(message: messages.NodeDef, node: Node, inputs: Sequence[str], name: str = "") -> None:
    """Make the NodeDef *message* describe *node*, whose inputs are called *inputs*.

    Attributes that the operation does not have, which tfjs takes no notice of, are left out.
    """
    message.name, message.op = name or node.name, node.op
    message.input.extend(inputs)
    definition = op_def(node.op)
    for key in sorted(node.attrs):
        value = node.attrs[key]
        if definition is not None:
            if key not in definition.attrs or (
                key in definition.defaults and definition.defaults[key] == value
            ):
                continue
            if definition.attrs[key] == "float":
                value = float(value)
        fill_attr(message.attr[key], value, node)


def fill_attr(message: messages.AttrValue, value: object, node: Node | None = None) -> None:
    """Make the AttrValue *message* hold *value*, see :mod:`tfjs_codec.ir.graph`."""
    if isinstance(value, tuple) and not isinstance(value, Ref):
        message.list.SetInParent()
        for item in value:
            _append(message.list, item)
    elif isinstance(value, Shape):
        fill_shape(message.shape, value)
    elif isinstance(value, Func):
        message.func.name = value.name
    elif isinstance(value, LazyTensor):
        assert node is not None  # noqa: S101  the Const
        fill_tensor(message.tensor, value, str(node.attrs["dtype"]))
    else:
        setattr(message, *_scalar(value))


def _append(message: messages.AttrValue.ListValue, item: object) -> None:
    """Append *item* to a list of attributes."""
    if isinstance(item, Shape):
        fill_shape(message.shape.add(), item)
    else:
        field, value = _scalar(item)
        getattr(message, field).append(value)


def _scalar(value: object) -> tuple[str, object]:
    """Return the field of an AttrValue that holds *value*, and what it holds."""
    if isinstance(value, str):
        return "type", dtype_number(value)
    return next((field, value) for kind, field in _SCALARS if isinstance(value, kind))


def fill_shape(message: messages.TensorShapeProto, shape: Shape) -> None:
    """Make the TensorShapeProto *message* say *shape*."""
    message.SetInParent()
    message.unknown_rank = shape.dims is None
    for size in shape.dims or ():
        message.dim.add(size=size)


def function_def(
    name: str,
    nodes: Sequence[Node],
    returns: Mapping[str, tuple[Ref, str]],
    *,
    path: str = "",
) -> messages.FunctionDef:
    """Return the function *name* of *nodes*, sorted, of which those of op ``_Arg`` are arguments.

    Args:
        name: Its name in the library.
        nodes: The body. An argument's ``T`` is its type.
        returns: The results in order by name: which, and of what type.
        path: The source, for messages.

    Raises:
        UnsupportedModelError: An operation whose results are not known.
    """
    message = messages.FunctionDef()
    message.signature.name = name
    message.signature.is_stateful = True  # it reads variables
    names = legal_names(nodes)
    by_name = {node.name: node for node in nodes}

    def text(ref: Ref) -> str:
        node = by_name[ref.node]
        if node.op == ARGUMENT:
            return names[ref.node]
        return f"{names[ref.node]}:{_result(node, ref.output, path)}"

    for node in nodes:
        if node.op == ARGUMENT:
            arg = message.signature.input_arg.add(name=names[node.name])
            arg.type = dtype_number(node.attrs["T"])
            continue
        inputs = [*map(text, node.inputs), *(f"^{names[each]}" for each in node.controls)]
        fill_node(message.node_def.add(), node, inputs, names[node.name])
    for key, (ref, dtype) in returns.items():
        message.signature.output_arg.add(name=key, type=dtype_number(dtype))
        message.ret[key] = text(ref)
    return message


def _result(node: Node, number: int, path: str) -> str:
    """Return how a function calls result *number* of *node*."""
    if node.op in CALLS:
        return f"output:{number}"
    definition, start = op_def(node.op), 0
    for arg in definition.outputs if definition else ():
        count = arg.count(node.attrs)
        if number < start + count:
            return f"{arg.name}:{number - start}"
        start += count
    raise UnsupportedModelError(
        f"the results of operation {node.op} are not known", path=path, where=f"node '{node.name}'"
    )
