"""GraphDefs and FunctionDefs to nodes of the IR.

Inside a function an input is ``argument`` or ``node:result:number``, in a GraphDef ``node`` or
``node:number``; ``^node`` is a control input in both. Files written by TensorFlow 2 leave out
attributes that have their default value: they come from the op table or from the ops that the file
itself describes (``stripped_op_list``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from tfjs_codec.errors import CorruptFileError, quote
from tfjs_codec.files.tensor_proto import proto_tensor
from tfjs_codec.files.tf_dtypes import REF, dtype_name
from tfjs_codec.ir.graph import ARGUMENT, Func, Function, Node, Ref, Shape
from tfjs_codec.ir.tensors import LazyTensor
from tfjs_codec.limits import DEFAULT_LIMITS, Limits
from tfjs_codec.pb import messages
from tfjs_codec.tfjs.graph_ops import Arg, OpDef, op_def

_REFERENCE = "^"
_SHAPES = "_output_shapes"
_KINDS: dict[str, type] = {
    "type": str, "int": int, "float": float, "bool": bool, "string": bytes,
    "shape": Shape, "func": Func, "tensor": LazyTensor,
}  # fmt: skip

_AMBIGUOUS_SCALARS = 21  # the last version of graphs


class GraphReader:
    """Turns the messages of one file into nodes. *ops* is its own list of OpDefs, if it has one."""

    def __init__(
        self, path: object, ops: Iterable[messages.OpDef] = (), limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self._path = path
        self._limits = limits
        self._own = {op.name: op for op in ops}
        self._read: dict[str, OpDef | None] = {}

    def nodes(self, graph: messages.GraphDef) -> dict[str, Node]:
        """Return the nodes of a GraphDef by name.

        Old graphs do not tell scalar Placeholders from those of unknown shape, so TensorFlow takes
        all of them for the latter.

        Raises:
            CorruptFileError: Names repeat, or an input names no output that exists.
            LimitExceededError: ``graph_nodes``, ``references``, or a limit on a Const.
        """
        nodes = self._nodes(graph.node, {}, lambda text, _: self._graph_ref(text), "")
        if graph.versions.producer > _AMBIGUOUS_SCALARS:
            return nodes
        return {name: _unknown_shape(node) for name, node in nodes.items()}

    def function(self, message: messages.FunctionDef) -> Function:
        """Return a FunctionDef of the library; raises as :meth:`nodes` does."""
        signature = message.signature
        where = f"function {quote(signature.name)}: "
        arguments = {
            arg.name: Node(arg.name, ARGUMENT, attrs={"T": dtype_name(arg.type)})
            for arg in signature.input_arg
        }
        nodes = self._nodes(message.node_def, dict(arguments), self._function_ref, where)
        returns = []
        for arg in signature.output_arg:
            if arg.name not in message.ret:
                raise self._corrupt(f"its result {quote(arg.name)} is missing", where)
            returns.append(self._function_ref(message.ret[arg.name], nodes))
        self._check(returns, nodes, where)
        controls = tuple(name for name in message.control_ret.values() if name in nodes)
        return Function(signature.name, tuple(arguments), tuple(returns), nodes, controls)

    def functions(self, library: messages.FunctionDefLibrary) -> dict[str, Function]:
        """Return the functions of a FunctionDefLibrary by name.

        A node may have a function's name as its op: the signature is an OpDef.
        """
        self._own.update((each.signature.name, each.signature) for each in library.function)
        return {each.signature.name: self.function(each) for each in library.function}

    def _nodes(
        self,
        described: Sequence[messages.NodeDef],
        nodes: dict[str, Node],
        resolve: Callable[[str, Mapping[str, Node]], Ref],
        where: str,
    ) -> dict[str, Node]:
        count = len(described)
        self._limits.check("graph_nodes", count, "the number of nodes", path=self._path)
        for message in described:
            if message.name in nodes or not message.name:
                text = f"two nodes are called {quote(message.name)}"
                raise self._corrupt(text if message.name else "a node has no name", where)
            attrs, shapes = self._attrs(message, where), self._shapes(message)
            known = self._op(message.op)
            tensors = len(message.input) + (known.output_count(attrs) if known else 0)
            what = "the number of inputs and results of all nodes"
            self._limits.spend("references", tensors, what, path=self._path)
            nodes[message.name] = Node(message.name, message.op, attrs=attrs, shapes=shapes)
        for message in described:
            node = nodes[message.name]
            data = tuple(
                resolve(text, nodes) for text in message.input if not text.startswith(_REFERENCE)
            )
            self._check(data, nodes, f"{where}node {quote(message.name)}")
            controls = tuple(text[1:] for text in message.input if text.startswith(_REFERENCE))
            if any(name not in nodes for name in controls):
                raise self._corrupt("waits for a node that is missing", f"node {quote(node.name)}")
            self._check_arity(node, len(data), where)
            nodes[message.name] = replace(node, inputs=data, controls=controls)
        return nodes

    def _check(self, refs: Iterable[Ref], nodes: Mapping[str, Node], where: str) -> None:
        for ref in refs:
            if ref.node not in nodes:
                raise self._corrupt(f"its input {quote(str(ref))} is missing", where)
            node = nodes[ref.node]
            known = None if node.op == ARGUMENT else self._op(node.op)
            if known and ref.output >= known.output_count(node.attrs):
                raise self._corrupt(f"its input {quote(str(ref))} does not exist", where)

    def _check_arity(self, node: Node, given: int, where: str) -> None:
        """Check that *node* has all its inputs, so that passes can rely on it."""
        known = self._op(node.op)
        wanted = known.input_count(node.attrs) if known else given
        if wanted != given:
            text = f"takes {wanted} inputs and has {given}"
            raise self._corrupt(text, f"{where}node {quote(node.name)} ({node.op})")

    def _graph_ref(self, text: str) -> Ref:
        name, colon, number = text.rpartition(":")
        if colon and number.isascii() and number.isdigit() and len(number) < 7:
            return Ref(name, int(number))
        return Ref(text)

    def _function_ref(self, text: str, nodes: Mapping[str, Node]) -> Ref:
        name, *rest = text.split(":")
        node = nodes.get(name)
        if not rest or node is None:
            return Ref(name)
        known = self._op(node.op)
        start = known.first_output(rest[0], node.attrs) if known else None
        number = rest[1] if len(rest) > 1 else "0"
        offset = int(number) if number.isascii() and number.isdigit() and len(number) < 7 else 0
        return Ref(name, (start or 0) + offset)

    def _attrs(self, message: messages.NodeDef, where: str) -> dict[str, object]:
        where = f"{where}node {quote(message.name)}"
        known = self._op(message.op)
        attrs = dict(known.defaults) if known else {}
        for key in sorted(message.attr):
            if not key.startswith("_"):
                value = self._attr(message.attr[key], where)
                if value is not None:
                    attrs[key] = value
        for key, kind in known.attrs.items() if known else ():
            if not _is_kind(attrs.get(key), kind):
                text = f"its attribute {quote(key)} is missing or no {kind}"
                raise self._corrupt(text, f"{where} ({message.op})")
        return attrs

    def _shapes(self, message: messages.NodeDef) -> tuple[Shape, ...]:
        """Return what TensorFlow knew of the shapes of the results when it wrote the file."""
        if _SHAPES not in message.attr:
            return ()
        return tuple(map(shape_of, message.attr[_SHAPES].list.shape))

    def _attr(self, message: messages.AttrValue, where: str) -> object:
        """Return an AttrValue as a Python value, see :mod:`tfjs_codec.ir.graph`."""
        kind = message.WhichOneof("value")
        if kind is None or kind == "placeholder":
            return None
        value = getattr(message, kind)
        if kind == "list":
            for field, items in value.ListFields():
                return tuple(self._value(field.name, item, where) for item in items)
            return ()
        return self._value(kind, value, where)

    def _value(self, kind: str, value: object, where: str) -> object:
        if kind == "type" and isinstance(value, int):
            if not 0 <= value < 2 * REF:
                raise self._corrupt(f"there is no data type number {value}", where)
            return dtype_name(value)
        if isinstance(value, messages.TensorShapeProto):
            return shape_of(value)
        if isinstance(value, messages.NameAttrList):
            return Func(value.name)
        if isinstance(value, messages.TensorProto):
            return proto_tensor(value, path=self._path, where=where, limits=self._limits)
        return value

    def _op(self, name: str) -> OpDef | None:
        known = op_def(name)
        if known is None and name in self._own:
            known = self._read.get(name)
            if known is None:
                known = self._read[name] = self._op_def(self._own[name])
        return known

    def _op_def(self, message: messages.OpDef) -> OpDef:
        """Return an OpDef that the file describes."""
        defaults = {}
        for attr in message.attr:
            value = self._attr(attr.default_value, f"op {quote(message.name)}")
            if value is not None:
                defaults[attr.name] = value
        return OpDef(
            message.name,
            tuple(map(_arg, message.input_arg)),
            tuple(map(_arg, message.output_arg)),
            {attr.name: attr.type for attr in message.attr},
            defaults,
        )

    def _corrupt(self, what: str, where: str) -> CorruptFileError:
        return CorruptFileError(what, path=self._path, where=where.removesuffix(": "))


def _unknown_shape(node: Node) -> Node:
    if node.op != "Placeholder" or node.attrs["shape"] != Shape(()):
        return node
    return replace(node, attrs={**node.attrs, "shape": Shape()})


def _is_kind(value: object, kind: str) -> bool:
    """Tell whether *value* is what an OpDef calls *kind*, such as ``list(int)``."""
    inner = kind.removeprefix("list(").removesuffix(")")
    if inner == kind:
        return isinstance(value, _KINDS[kind])
    return isinstance(value, tuple) and all(isinstance(item, _KINDS[inner]) for item in value)


def shape_of(message: messages.TensorShapeProto) -> Shape:
    """Return a TensorShapeProto."""
    return Shape(None if message.unknown_rank else tuple(dim.size for dim in message.dim))


def _arg(message: messages.OpDef.ArgDef) -> Arg:
    dtype = dtype_name(message.type) if message.type else ""
    attrs = message.type_attr, message.number_attr, message.type_list_attr
    return Arg(message.name, dtype, *attrs)
