"""Builds a graph node by node, with the shapes and dtypes of all results.

Nodes are named after the Keras layer on whose behalf they are made (``block/conv/Conv2D``); the
node that yields a layer's output has the layer's own name, so that it can be asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import count, islice
from math import prod
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tfjs_codec.errors import CorruptFileError, LimitExceededError
from tfjs_codec.ir.graph import Names, Node, Ref, Shape, Tensor
from tfjs_codec.ir.keras import Call, KerasLayer
from tfjs_codec.ir.loaded import KerasModel
from tfjs_codec.ir.shapes import Dims, broadcast
from tfjs_codec.ir.tensors import Array, ArrayTensor, LazyTensor, as_float32, formula, map_float32
from tfjs_codec.limits import Limits
from tfjs_codec.operations.values import Operand, Value, graph_dtype
from tfjs_codec.tfjs.graph_ops import Arg, op_def
from tfjs_codec.tracing.builder import CallBuilder
from tfjs_codec.tracing.refusal import Refusal

_HELD_BYTES = 8 << 20  # of a constant that is no formula: computing it takes several times as much
_SHARED = 256  # elements of a constant that is made once, whoever asks for it


class Caller(Protocol):
    """Calls layers that other layers own; it is the target, see there."""

    def inner(self, layer: KerasLayer, *args: Any, **kwargs: Any) -> list[Value]: ...

    def nested(self, layer: KerasLayer, given: Sequence[Value]) -> list[Value]: ...


class Builder(CallBuilder):
    """The graph so far, and the layer whose rule runs.

    Attributes:
        scope: What names of nodes begin with.
        nodes: The nodes made so far.
        shapes: The shapes of all their results.
        caller: Calls the layers inside.
        weights: The variables of layers that became Consts, by the names of these.
    """

    def __init__(
        self, model: KerasModel, caller: Caller, limits: Limits, *, allow_approximate: bool = False
    ) -> None:
        super().__init__(
            model, KerasLayer("", ""), Call(), limits, [], allow_approximate=allow_approximate
        )
        self.caller = caller
        self.scope = ""
        self.nodes: dict[str, Node] = {}
        self.shapes: dict[Ref, Dims] = {}
        self.weights: dict[str, LazyTensor] = {}
        self.initializer: dict[str, Node] = {}
        self._names = Names(())
        self._layers: set[str] = set()
        self._reserved: set[str] = set()
        self._constants: dict[tuple[str, Dims, bytes], Value] = {}
        self._weights: dict[int, Value] = {}
        self._derived: dict[tuple[int, str], Value] = {}

    # ------------------------------------------------------------------------------------ facts

    def argument(self, name: str) -> Any:
        """Return an argument of the call after the first, None if it is not given."""
        return self.call.kwargs.get(name)

    def seen_mask(self, x: Value | None) -> Value | None:
        """Return the mask that a layer sees when it is called on *x* first."""
        return None if self.hides_mask(Value) else self.passed_mask(x)

    def passed_mask(self, x: Value | None) -> Value | None:
        """Return the mask that a layer hands on when it is called on *x* first, if it does.

        An argument ``mask=None`` hides the input's in Keras 2.
        """
        given = self.argument("mask")
        if given is not None:
            return self.value(self.value(given), "bool")
        if "mask" in self.call.kwargs and self.generation < 3:
            return None
        return None if x is None else x.mask

    # ------------------------------------------------------------------------------------ nodes

    def emit(
        self, op: str, *inputs: Value, shape: Dims | None = None, dtype: str = "", **attrs: Any
    ) -> Value:
        """Add a node of *op* and return its (first) result.

        Args:
            op: A TensorFlow operation.
            inputs: Its operands.
            shape: The shape of the result; by default the inputs' shapes broadcast together.
            dtype: The Keras dtype of the result; by default that of the first input.
            attrs: Its attributes. Types and numbers follow from the inputs, and what has a default
                value need not be given.
        """
        shape = broadcast(*(x.shape for x in inputs)) if shape is None else shape
        return self.emit_many(op, *inputs, results=[(shape, dtype or inputs[0].dtype)], **attrs)[0]

    def emit_many(
        self, op: str, *inputs: Value, results: Sequence[tuple[Dims, str]], **attrs: Any
    ) -> list[Value]:
        """Like :meth:`emit`, returning all results, whose shapes and dtypes are *results*."""
        definition = op_def(op)
        assert definition is not None, op
        found = {**_usual_attrs(op, tuple([graph_dtype(x.dtype) for x in inputs])), **attrs}
        for arg, (_, dtype) in zip(definition.outputs, results, strict=False):
            if arg.type_attr:
                found.setdefault(arg.type_attr, graph_dtype(dtype))
        assert found.keys() >= definition.attrs.keys(), f"{op} with {sorted(found)}"
        self.spend("graph_nodes", 1, "the number of nodes that it becomes")
        tensors = len(inputs) + len(results)
        self.spend("references", tensors, "the number of tensors that its nodes take and give")
        name = self._name(op)
        shapes = tuple([graph_shape(shape) for shape, _ in results])
        self.nodes[name] = Node(name, op, tuple([x.ref for x in inputs]), found, shapes=shapes)
        made = [Value(Ref(name, i), shape, dtype) for i, (shape, dtype) in enumerate(results)]
        for value in made:
            self.shapes[value.ref] = value.shape
        return made

    def constant(
        self, content: Any, dtype: str = "", *, name: str = "Const", shared: bool = True
    ) -> Value:
        """Return a constant; *dtype* defaults to what Keras makes of *content*.

        Unless *shared* is false, a small one may be that of another call.
        """
        array = np.asarray(content)
        self.spend_bytes(array.nbytes)
        dtype = dtype or _dtype_of(array)
        kind = graph_dtype(dtype)
        if kind == "string":
            array = np.asarray(list(map(_encode, array.ravel().tolist())), object).reshape(
                array.shape
            )
        elif array.dtype != kind:
            cast = array.astype(kind)
            if kind == "float32" and np.isinf(cast).sum() != np.isinf(array).sum():
                raise Refusal("a number beyond float32")
            array = cast
        small = shared and array.size <= _SHARED
        key = (dtype, array.shape, _bytes(array) if small else b"")
        if small and key in self._constants:
            return self._constants[key]
        ref = self._add_const(ArrayTensor(name, array), kind, name)
        if not small:
            return Value(ref, array.shape, dtype)
        whole = kind.startswith("int") and array.ndim < 2
        sizes = tuple(int(i) for i in array.ravel()) if whole else None
        value = Value(ref, array.shape, dtype, constant=array, sizes=sizes)
        self._constants[key] = value
        return value

    def formula(
        self, shape: tuple[int, ...], element: Callable[..., Any], dtype: str = "float32"
    ) -> Value:
        """Return the constant whose elements are ``element(i, j, …)``; large ones stay formulas.

        Raises:
            Refusal: All constants together would be too large.
        """
        return self.computed(formula(shape, element, graph_dtype(dtype)), dtype)

    def computed(self, tensor: LazyTensor, dtype: str = "float32") -> Value:
        """Return a constant that the rules compute, after it is paid for."""
        if tensor.size <= _SHARED:
            return self.constant(tensor.numpy(), dtype)
        self.spend_bytes(tensor.nbytes)
        return self.lazy(tensor, dtype)

    def hold(self, *shape: int | None) -> None:
        """Pay for a constant of *shape* that is made in memory; call it before that.

        Raises:
            Refusal: It would be too large, or all constants together.
        """
        nbytes = 4 * prod(size or 0 for size in shape)
        if nbytes > _HELD_BYTES:
            raise Refusal(f"it would need a constant of {nbytes:,} bytes", "Use smaller sizes.")
        self.spend_bytes(nbytes)

    def check_nodes(self, count: int) -> None:
        """Refuse to plan *count* nodes or more if that is more than a graph may have."""
        self._check("graph_nodes", count, "the number of nodes that it becomes")

    def check_references(self, count: int) -> None:
        """Refuse to plan *count* tensors or more if that is more than a graph may have."""
        self._check("references", count, "the number of tensors that its nodes take and give")

    def _check(self, limit: str, amount: int, what: str) -> None:
        try:
            self._limits.check(limit, amount, what)
        except LimitExceededError as error:
            raise Refusal(error.what, error.hint) from None

    def lazy(self, tensor: LazyTensor, dtype: str = "float32", *, name: str = "Const") -> Value:
        """Return a constant whose content is read when it is written; its dtype is *dtype*."""
        return Value(self._add_const(tensor, graph_dtype(dtype), name), tensor.shape, dtype)

    def _add_const(self, tensor: LazyTensor, kind: str, name: str) -> Ref:
        name = self._name(name)
        self.nodes[name] = Node(name, "Const", attrs={"dtype": kind, "value": tensor})
        ref = Ref(name)
        self.shapes[ref] = tensor.shape
        return ref

    def _name(self, name: str) -> str:
        return self._names.fresh(f"{self.scope}/{name}" if self.scope else name)

    def _tensor(self, layer: KerasLayer, role: str) -> LazyTensor:
        tensor = layer.weights.get(role)
        if tensor is None:
            raise CorruptFileError(
                f"the file holds no variable '{role}'",
                path=self.source.path,
                where=f"layer '{layer.name}'",
            )
        return tensor

    def content(self, layer: KerasLayer, role: str) -> NDArray[np.float32]:
        """Return the values of a small variable as float32, for constants computed of them."""
        tensor = self._tensor(layer, role)
        self.spend_bytes(4 * prod(tensor.shape))
        return np.asarray(as_float32(tensor).numpy(), np.float32)

    def weight(self, layer: KerasLayer, role: str) -> Value:
        """Return the variable *role* of *layer*; it is one constant, however often it is used."""
        tensor = self._tensor(layer, role)
        if id(tensor) not in self._weights:
            made = self._weights[id(tensor)] = self.lazy(as_float32(tensor), name=role)
            self.weights[made.ref.node] = tensor
        return self._weights[id(tensor)]

    def derive(
        self,
        tensor: LazyTensor,
        key: str,
        shape: tuple[int, ...],
        compute: Callable[[Array], Array],
    ) -> Value:
        """Return ``compute(tensor)`` of *shape* as a constant, made once for each *key*."""
        known = self._derived.get((id(tensor), key))
        if known is None:
            name = legal(tensor.name.split("/")[-1])
            known = self.lazy(map_float32(tensor, shape, compute), name=name)
            self._derived[id(tensor), key] = known
        return known

    def input(self, name: str, shape: Dims, dtype: str) -> tuple[Value, Tensor]:
        """Add an input of the model, and return how the signature describes it."""
        name, kind = self._names.fresh(legal(name)), graph_dtype(dtype)
        dims = graph_shape(shape)
        self.nodes[name] = Node(name, "Placeholder", attrs={"dtype": kind, "shape": dims})
        self.shapes[Ref(name)] = shape
        return Value(Ref(name), shape, dtype), Tensor(Ref(name), kind, dims)

    # ---------------------------------------------------------------------------------- values

    def value(self, x: Operand, dtype: str = "") -> Value:
        """Return *x* as a value: a number or array becomes a constant. Cast it to *dtype*."""
        if not isinstance(x, Value):
            if isinstance(x, (list, tuple)) and any(isinstance(item, Value) for item in x):
                return self._pack(x, dtype)
            return self.constant(x, dtype)
        if not dtype or x.dtype == dtype:
            return x
        given, wanted = graph_dtype(x.dtype), graph_dtype(dtype)
        if given == wanted:
            return replace(x, dtype=dtype)
        if x.constant is not None:
            return self.constant(x.constant, dtype)
        return replace(
            self.emit("Cast", x, dtype=dtype, SrcT=given, DstT=wanted), mask=x.mask, sizes=x.sizes
        )

    def _pack(self, items: Sequence[Operand], dtype: str) -> Value:
        """Return a vector of scalars, some of them values: mostly a shape."""
        dtype = dtype or next(item.dtype for item in items if isinstance(item, Value))
        scalars = [self.value(item, dtype) for item in items]
        sizes = tuple(size for item in scalars for size in item.sizes or (None,))
        packed = self.emit("Pack", *scalars, shape=(len(scalars),), N=len(scalars), axis=0)
        return replace(packed, sizes=sizes)

    # ---------------------------------------------------------------------------------- scopes

    def enter(self, name: str) -> None:
        """Name the nodes that follow after *name*, below the present scope."""
        self.scope = f"{self.scope}/{legal(name)}" if self.scope else legal(name)

    def reserve(self, names: Sequence[str]) -> None:
        """Keep *names*, which belong to layers, from being given to other nodes."""
        self._reserved.update(self._names.fresh(legal(name)) for name in names)

    def name_results(self, results: list[Value], name: str, since: int) -> list[Value]:
        """Give the reserved *name* to the node that yields the first of *results*.

        It must be one of those made after *since* nodes were there, and have no layer's name yet.
        """
        old, first = results[0].ref.node, results[0].ref
        recent = list(islice(reversed(self.nodes), len(self.nodes) - since))
        fixed = old not in recent or self.nodes[old].op in ("Const", "Placeholder")
        if fixed or first.output or old in self._layers or name in self.nodes:
            return results
        if name not in self._reserved and self._names.fresh(name) != name:
            return results
        for each in recent[recent.index(old) :: -1]:
            node, called = self.nodes.pop(each), name if each == old else each
            inputs = tuple([Ref(name, r.output) if r.node == old else r for r in node.inputs])
            self.nodes[called] = Node(
                called, node.op, inputs, node.attrs, node.controls, node.shapes
            )
        self._layers.add(name)
        for number in count():
            if (shape := self.shapes.get(Ref(old, number))) is None:
                break
            self.shapes[Ref(name, number)] = shape
        return [_redirect(value, old, name) for value in results]


def graph_shape(shape: Dims) -> Shape:
    """Return *shape* as graphs have it."""
    return Shape(tuple([-1 if size is None else size for size in shape]))


def _redirect(value: Value, old: str, name: str) -> Value:
    if value.ref.node != old and value.mask is None:
        return value
    mask = None if value.mask is None else _redirect(value.mask, old, name)
    ref = Ref(name, value.ref.output) if value.ref.node == old else value.ref
    return Value(ref, value.shape, value.dtype, mask, value.constant, value.sizes, value.poisoned)


def legal(name: str) -> str:
    """Return *name* as tfjs takes it for a node: a colon would end it."""
    return name.replace(":", "_").lstrip("^") or "_"


@lru_cache(256)  # a model has few kinds of nodes, and many of each
def _usual_attrs(op: str, kinds: tuple[str, ...]) -> Mapping[str, Any]:
    """Return the attributes of *op* that have a default, or follow from the dtypes of inputs."""
    definition = op_def(op)
    assert definition is not None, op
    return {**definition.defaults, **_infer_attrs(definition.inputs, kinds)}


def _infer_attrs(args: Sequence[Arg], kinds: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    waiting, rest = list(kinds), len(args)
    for arg in args:
        rest -= 1
        count = 1 if not (arg.number_attr or arg.list_attr) else len(waiting) - rest
        mine, waiting = waiting[:count], waiting[count:]
        if arg.number_attr:
            found.setdefault(arg.number_attr, count)
        if arg.list_attr:
            found[arg.list_attr] = tuple(mine)
        elif arg.type_attr and mine:
            found.setdefault(arg.type_attr, mine[0])
    return found


def _bytes(array: Array) -> bytes:
    """Return what tells *array* from others of its shape and dtype."""
    return repr(array.tolist()).encode() if array.dtype == object else array.tobytes()


def _encode(text: object) -> bytes:
    if isinstance(text, str):
        return text.encode()
    if isinstance(text, bytes):
        return text
    raise ValueError("a constant of other things than strings or numbers")


def _dtype_of(array: Array) -> str:
    """Return the dtype Keras gives to Python numbers and to arrays."""
    if array.dtype.kind in "SUO":
        return "string"
    if array.dtype.kind == "b":
        return "bool"
    if array.dtype.kind in "iu":
        return "int32"
    return "complex64" if array.dtype.kind == "c" else "float32"
