"""Einsum as matrix products.

tfjs has the operation on some backends only (not on wasm) and computes it by products as large as
all its dimensions together. An equation of two operands becomes ``[batch, left, shared] ·
[batch, shared, right]``, with transpositions and reshapes where the labels are in another order or
several take one place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from tfjs_codec.errors import quote
from tfjs_codec.graph.build import Build
from tfjs_codec.graph.rewrites.registry import op, wrong_on
from tfjs_codec.ir.graph import Node, Ref

_FLOATS = frozenset({"float16", "bfloat16", "float32", "float64"})


@op("Einsum", because=wrong_on("wasm"))
def einsum(build: Build, node: Node) -> list[Ref] | None:
    """Return the value of *node* by matrix products.

    None if its type is no float or the sizes it would need cannot be told: it stays for the
    backends that have Einsum. Equations that these do not know are refused.
    """
    operands, output = _parse(node)
    lowered = _Einsum(build, _sizes(build, node, operands))
    values = list(map(_Operand, node.inputs, operands))
    floats = build.dtype in _FLOATS
    result = lowered.plain_product(values, output) if floats else None
    if result is None and not _is_plain(operands, output):
        build.refuse(f"tfjs cannot compute the equation {quote(_text(node))}")
    elif result is None and floats:
        result = lowered.result(values, output)
        if result is None:
            inferred = _sizes(build, node, operands, inferred=True)
            result = _Einsum(build, inferred).result(values, output)
    return None if result is None else [result]


def _text(node: Node) -> str:
    return bytes(node.attrs["equation"]).decode("ascii", "replace")


def _parse(node: Node) -> tuple[list[str], str]:
    """Return the labels of the operands and of the result, with ``.`` for an ellipsis."""
    left, arrow, output = _text(node).replace(" ", "").replace("...", ".").partition("->")
    if not arrow:
        output = "".join(sorted(label for label in set(left) - {","} if left.count(label) == 1))
    return left.split(","), output


def _is_plain(operands: Sequence[str], output: str) -> bool:
    """Tell whether tfjs can read the equation: letters, none of them twice in one tensor."""
    return (
        len(operands) <= 2
        and (labels := "".join(operands)).isalpha()
        and set(output) <= set(labels)
        and all(len(set(each)) == len(each) for each in (*operands, output))
    )


def _sizes(
    build: Build, node: Node, operands: Sequence[str], *, inferred: bool = False
) -> dict[str, int]:
    """Return the sizes of labels, as far as constant operands tell them, or all that are known."""
    sizes: dict[str, int] = {}
    for ref, labels in zip(node.inputs, operands, strict=True):
        source = build.nodes[ref.node]
        shape = (
            source.value.shape if source.op == "Const" else build.shape(ref) if inferred else None
        )
        if shape is not None and len(shape) == len(labels) and "." not in labels:
            pairs = zip(labels, shape, strict=True)
            sizes.update((label, size) for label, size in pairs if size is not None and size >= 0)
    return sizes


@dataclass(frozen=True, slots=True)
class _Operand:
    """A tensor, and the label of each of its dimensions."""

    ref: Ref
    labels: str


@dataclass(frozen=True, slots=True)
class _Einsum:
    """Makes the nodes for one equation; *sizes* are those that are known."""

    build: Build
    sizes: Mapping[str, int]

    def plain_product(self, operands: list[_Operand], output: str) -> Ref | None:
        """Return ``…xi · ij = …xj``, which is one node whatever the leading dimensions."""
        for left, right in (operands, operands[::-1]) if len(operands) == 2 else ():
            inner, column = left.labels[-1:], output[-1:]
            others = left.labels[:-1]
            if others and "." not in right.labels and output == others + column:
                for labels, flipped in ((inner + column, False), (column + inner, True)):
                    if right.labels == labels and inner != column and column not in others:
                        return self.build.op(
                            "BatchMatMulV2", left.ref, right.ref, adj_x=False, adj_y=flipped
                        )
        return None

    def result(self, operands: list[_Operand], output: str) -> Ref | None:
        """Return the value of the equation, None if it cannot be told how to reshape for it."""
        others = [set(output).union(*(o.labels for o in operands if o is not x)) for x in operands]
        operands = [self._sum(x, keep) for x, keep in zip(operands, others, strict=True)]
        if len(operands) == 1:
            return self._transpose(operands[0], output).ref
        left, right = operands
        shared = set(left.labels) & set(right.labels)
        free = [label for label in output if label not in shared]
        if free and free[0] in right.labels:
            left, right = right, left
        return self._product(left, right, output)

    def _product(self, left: _Operand, right: _Operand, output: str) -> Ref | None:
        both = set(left.labels) & set(right.labels)
        batch = "".join(label for label in output if label in both)
        inner = "".join(label for label in left.labels if label in both and label not in output)
        rows = "".join(label for label in output if label not in right.labels)
        columns = "".join(label for label in output if label not in left.labels)
        left = self._order(left, batch, rows, inner)
        right = self._order(right, batch, inner, columns)
        flip_left = left.labels != batch + rows + inner
        flip_right = right.labels != batch + inner + columns
        x = self._group(left, [*batch, *((inner, rows) if flip_left else (rows, inner))])
        y = self._group(right, [*batch, *((columns, inner) if flip_right else (inner, columns))])
        if x is None or y is None:
            return None
        product = self.build.op("BatchMatMul", x, y, adj_x=flip_left, adj_y=flip_right)
        made = batch + rows + columns
        if len(rows) != 1 or len(columns) != 1:
            shape = self._shape(list(made), [left, right])
            if shape is None:
                return None
            product = self.build.op("Reshape", product, shape)
        return self._transpose(_Operand(product, made), output).ref

    def _sum(self, operand: _Operand, keep: set[str]) -> _Operand:
        """Return *operand* summed over the labels that nobody else has."""
        axes = [axis for axis, label in enumerate(operand.labels) if label not in keep]
        if not axes:
            return operand
        over = self.build.ints(*axes)
        ref = self.build.op("Sum", operand.ref, over)
        return _Operand(ref, "".join(label for label in operand.labels if label in keep))

    def _order(self, operand: _Operand, batch: str, first: str, second: str) -> _Operand:
        """Return *operand* with the batch first; a product can swap the other two for nothing."""
        if operand.labels == batch + second + first:
            return operand
        return self._transpose(operand, batch + first + second)

    def _transpose(self, operand: _Operand, labels: str) -> _Operand:
        if operand.labels == labels:
            return operand
        order = self.build.ints(*(operand.labels.index(label) for label in labels))
        return _Operand(self.build.op("Transpose", operand.ref, order), labels)

    def _group(self, operand: _Operand, groups: list[str]) -> Ref | None:
        """Return *operand* with one dimension for each of *groups* of labels."""
        if list(operand.labels) == groups:
            return operand.ref
        shape = self._shape(groups, [operand])
        return shape and self.build.op("Reshape", operand.ref, shape)

    def _shape(self, groups: list[str], sources: list[_Operand]) -> Ref | None:
        """Return a vector of the sizes of *groups*; unknown ones, of *sources*, at run time."""
        known = [
            prod(self.sizes[label] for label in group) if set(group) <= set(self.sizes) else -1
            for group in groups
        ]
        if known.count(-1) <= 1:
            return self.build.ints(*known)
        merged = [at for at, group in enumerate(groups) if known[at] < 0 and len(group) > 1]
        if len(merged) > 1:
            return None
        pieces: list[tuple[_Operand | None, list[int]]] = []  # numbers, or axes of an operand
        for at, group in enumerate(groups):
            source = next((each for each in sources if group in each.labels), None)
            source = None if known[at] >= 0 or at in merged else source
            number = known[at] if source is None else source.labels.index(group)
            if pieces and pieces[-1][0] is source and _continues(pieces[-1], number):
                pieces[-1][1].append(number)
            else:
                pieces.append((source, [number]))
        parts = [self._sizes_of(source, numbers) for source, numbers in pieces]
        return self.build.concat(*parts)

    def _sizes_of(self, source: _Operand | None, numbers: list[int]) -> Ref:
        """Return *numbers* themselves, or the sizes of these consecutive axes of *source*."""
        if source is None:
            return self.build.ints(*numbers)
        return self.build.sizes(source.ref, numbers[0], len(numbers))


def _continues(piece: tuple[_Operand | None, list[int]], number: int) -> bool:
    return piece[0] is None or piece[1][-1] + 1 == number
