"""What each step of a recurrence does to its own slice of a tensor is done to all slices at once.

An unrolled recurrent layer multiplies each step of its input by a matrix and adds a bias. None of
that waits for the step before, so it becomes one product over all steps, of which each takes its
slice. A bias that is added behind the state is added to the slice instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tfjs_codec.graph.build import Build
from tfjs_codec.ir.graph import Graph, Node, Ref, prune, redirect

_FEWEST = 3  # slices for which it pays
_LINEAR = frozenset({"Conv2D", "DepthwiseConv2dNative", "MatMul"})
_SUMS = frozenset({"Add", "AddV2", "BiasAdd"})
_BROADCASTING = _SUMS | {"Maximum", "Minimum", "Mul", "RealDiv", "Sub"}
_UNARY = frozenset({"Cast", "Elu", "Neg", "Relu", "Relu6", "Selu", "Sigmoid", "Softplus", "Tanh"})
_SPLITS = {"Split": 0, "SplitV": 2}  # where the axis is


@dataclass(frozen=True, slots=True)
class _Slices:
    """Tensors ``(batch, *sizes)`` that *rows* ``(steps · batch, *sizes)`` holds one after another.

    ``old`` says that they are what the graph had, and need not be cut out of *rows*.
    """

    rows: Ref
    sizes: tuple[int, ...]
    slices: Sequence[Ref]
    dtype: str
    old: bool = False


def batch_steps(graph: Graph) -> Graph:
    """Return *graph* with operations common to all slices of a tensor moved before the slicing."""
    unpacks = [node for node in graph.nodes.values() if node.op == "Unpack"]
    wanted = [node for node in unpacks if not node.attrs["axis"] and node.attrs["num"] >= _FEWEST]
    if not wanted:
        return graph
    work = _Batching(graph)
    for node in wanted:
        work.batch(node)
    if not work.moved:
        return graph
    return prune(redirect(replace(graph, nodes=work.build.nodes), work.moved))


class _Batching:
    def __init__(self, graph: Graph) -> None:
        self.build = Build(graph)
        self.moved: dict[Ref, Ref] = {}
        self._users: dict[Ref, list[Node]] = {}
        for node in graph.nodes.values():
            for ref in dict.fromkeys(node.inputs):
                self._users.setdefault(ref, []).append(node)
        self._outputs = {tensor.ref for tensor in graph.outputs.values()}
        self._sums: set[str] = set()  # whose bias was moved

    def batch(self, unpack: Node) -> None:
        """Move operations before *unpack* where possible."""
        build, count, dtype = self.build, int(unpack.attrs["num"]), str(unpack.attrs["T"])
        sizes = _sizes(build.shape(unpack.inputs[0]), 2)
        if sizes is None:
            return
        build.begin(unpack)
        rows = build.op("Reshape", unpack.inputs[0], build.ints(-1, *sizes), T=dtype)
        slices = [Ref(unpack.name, number) for number in range(count)]
        pending = [_Slices(rows, sizes, slices, dtype, old=True)]
        while pending:
            pending += self._advance(pending.pop())

    def _advance(self, given: _Slices) -> Iterator[_Slices]:
        """Yield what all users of *given* make of it; cut it for the others."""
        done: set[str] = set()
        for users in self._alike(given):
            made = self._apply(given, users)
            if made is None:
                made = self._move_bias(given, users)
            if made is not None:
                yield from made
                done.update(user.name for user in users)
        others = any(
            ref in self._outputs or any(user.name not in done for user in self._users.get(ref, ()))
            for ref in given.slices
        )
        if others and not given.old:
            self.moved.update(zip(given.slices, self._cut(given), strict=True))

    def _alike(self, given: _Slices) -> list[list[Node]]:
        """Return the operations that every one of *given* goes through, one for each."""
        found: dict[object, list[Node]] = {}
        for place, ref in enumerate(given.slices):
            for user in self._users.get(ref, ()):
                key = (user.op, *sorted(user.attrs.items()), user.inputs.index(ref))
                users = found.setdefault(key, [])
                if len(users) == place:
                    users.append(user)
        return [users for users in found.values() if len(users) == len(given.slices)]

    def _apply(self, given: _Slices, users: Sequence[Node]) -> list[_Slices] | None:
        """Return what *users* make of *given* if it is one operation with the same constants."""
        first, build = users[0], self.build
        others = {tuple(ref for ref in user.inputs if ref not in given.slices) for user in users}
        place = first.inputs.index(given.slices[0])
        if len(others) > 1 or not self._is_rowwise(first, place, len(given.sizes)):
            return None
        inputs = tuple(given.rows if at == place else ref for at, ref in enumerate(first.inputs))
        made = build.copy(replace(first, shapes=()), f"{first.name}/steps", inputs)
        sizes = _sizes(build.shape(made), 1)
        if sizes is None:
            return None
        count = int(first.attrs["num_split"]) if first.op in _SPLITS else 1
        results = [Ref(made.node, number) for number in range(count)]
        kinds = [build.type_of(ref) for ref in results]
        shapes = [_sizes(build.shape(ref), 1) for ref in results]
        return [
            _Slices(ref, shape, [Ref(user.name, number) for user in users], kind)
            for number, (ref, shape, kind) in enumerate(zip(results, shapes, kinds, strict=True))
            if shape is not None
        ]

    def _is_rowwise(self, node: Node, place: int, axes: int) -> bool:
        """Tell whether *node* computes each row of input *place* by itself, from constants."""
        constants = [
            self.build.nodes[ref.node] for at, ref in enumerate(node.inputs) if at != place
        ]
        if any(each.op != "Const" for each in constants):
            return False
        if node.attrs.get("data_format", b"NHWC") != b"NHWC":
            return False
        if node.op in _UNARY:
            return True
        if node.op in _LINEAR:
            return not place and not node.attrs.get("transpose_a")
        if node.op in _BROADCASTING:
            (other,) = constants
            return len(other.value.shape) <= axes
        if node.op == "Split":
            axis = int(constants[0].value.numpy().item())
            return axis > 0 or -axes <= axis < 0
        return False

    def _move_bias(self, given: _Slices, users: Sequence[Node]) -> list[_Slices] | None:
        """Add to *given* the constant that is added to the sums *users*, whose term it is."""
        if users[0].op not in ("Add", "AddV2") or users[0].attrs["T"] != "float32":
            return None
        after = []
        for user in users:
            found = self._users.get(Ref(user.name), [])
            shared = len(found) != 1 or Ref(user.name) in self._outputs
            if shared or user.name in self._sums or len(set(user.inputs)) != 2:
                return None
            after.append(found[0])
        first = after[0]
        biases = {tuple(ref for ref in node.inputs if ref.node != user.name)
                  for node, user in zip(after, users, strict=True)}  # fmt: skip
        if first.op not in _SUMS or {node.op for node in after} != {first.op} or len(biases) > 1:
            return None
        place = 0 if first.inputs[0].node == users[0].name else 1
        if not self._is_rowwise(first, place, len(given.sizes)):
            return None
        inputs = tuple(given.rows if at == place else ref for at, ref in enumerate(first.inputs))
        made = self.build.copy(replace(first, shapes=()), f"{first.name}/steps", inputs)
        if _sizes(self.build.shape(made), 1) != given.sizes:
            return None
        cut = self._cut(replace(given, rows=made))
        for user, node, old, new in zip(users, after, given.slices, cut, strict=True):
            terms = tuple(new if ref == old else ref for ref in user.inputs)
            self.build.nodes[user.name] = replace(user, inputs=terms)
            self.moved[Ref(node.name)] = Ref(user.name)
            self._sums.add(user.name)
        return []

    def _cut(self, given: _Slices) -> list[Ref]:
        """Return the slices of the rows of *given*."""
        build, count = self.build, len(given.slices)
        build.begin(replace(build.nodes[given.rows.node], op=""))
        target = build.ints(count, -1, *given.sizes)
        stack = build.op("Reshape", given.rows, target, T=given.dtype)
        made = build.op("Unpack", stack, T=given.dtype, num=count, axis=0)
        return [Ref(made.node, number) for number in range(count)]


def _sizes(shape: Sequence[int | None] | None, first: int) -> tuple[int, ...] | None:
    """Return the sizes from axis *first* on, if all are known and there are any."""
    if shape is None or len(shape) <= first:
        return None
    sizes: list[Any] = list(shape[first:])
    return None if None in sizes or 0 in sizes else tuple(sizes)
