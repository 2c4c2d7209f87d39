"""Random inputs that suit a model: indices within their tables, words that it knows.

What an input means is seen from the operations that take its values: an index into a constant, a
class of a one-hot code, a key of a hash table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tfjs_codec.errors import UnsupportedModelError, quote
from tfjs_codec.ir.graph import Graph, Node, Ref, Tensor
from tfjs_codec.ir.tensors import Array
from tfjs_codec.tfjs.graph_ops import MOVING

_TEXT = frozenset(("StaticRegexReplace", "StringLower", "StringStrip", "StringSplit"))
_WORDS = ("alpha", "beta", "gamma", "delta", "unknown")
_KNOWN = 100  # keys of a table that are drawn from
_LENGTH = 5  # words of a sentence


@dataclass(slots=True)
class _Use:
    """What becomes of an input.

    Attributes:
        below: Its values are whole numbers below this, if set.
        keys: Keys of the tables where its values are looked up.
        split: Its texts are split into words.
    """

    below: int | None = None
    keys: list[Any] = field(default_factory=list)
    split: bool = False

    def bound(self, size: int) -> None:
        """Take note that values are below *size*."""
        size = max(size, 1)
        self.below = size if self.below is None else min(self.below, size)

    def join(self, other: _Use) -> None:
        """Take note of what becomes of the same values elsewhere."""
        if other.below is not None:
            self.bound(other.below)
        self.keys = self.keys or other.keys
        self.split |= other.split


class Sampler:
    """Draws inputs for a graph, which suit another one with the same inputs, too."""

    def __init__(self, graph: Graph, other: Graph) -> None:
        self._graph = graph
        self._uses = {key: _use(graph, tensor.ref) for key, tensor in graph.inputs.items()}
        if len(graph.inputs) == len(other.inputs):
            same = graph.inputs.keys() == other.inputs.keys()
            for key, name in zip(graph.inputs, graph.inputs if same else other.inputs, strict=True):
                self._uses[key].join(_use(other, other.inputs[name].ref))

    @property
    def bounds(self) -> dict[str, int]:
        """What the whole numbers of inputs are below, by key, where the graph tells."""
        return {key: use.below for key, use in self._uses.items() if use.below is not None}

    @property
    def has_open_sizes(self) -> bool:
        """Whether the graph leaves sizes open besides those of first axes."""
        return any(-1 in (tensor.shape.dims or ())[1:] for tensor in self._graph.inputs.values())

    @property
    def has_open_numbers(self) -> bool:
        """Whether nothing says how large the whole numbers of some input may be."""
        return any(
            tensor.dtype.startswith(("int", "uint")) and self._uses[key].below is None
            for key, tensor in self._graph.inputs.items()
        )

    def draw(self, count: int, size: int, below: int, seed: int) -> dict[str, Array]:
        """Return inputs whose open first axes are *count* and whose other open axes are *size*.

        Whole numbers that may be any are less than *below*.

        Raises:
            UnsupportedModelError: Not even the rank of an input is known.
        """
        random = np.random.default_rng(seed)
        return {
            key: _values(random, tensor, _shape(key, tensor, count, size), self._uses[key], below)
            for key, tensor in self._graph.inputs.items()
        }


def _shape(key: str, tensor: Tensor, count: int, size: int) -> tuple[int, ...]:
    dims = tensor.shape.dims
    if dims is None:
        raise UnsupportedModelError(f"the rank of input {quote(key)} is not known")
    open_sizes = (count, *(size for _ in dims[1:]))
    return tuple(
        chosen if known < 0 else known for known, chosen in zip(dims, open_sizes, strict=False)
    )


def _values(
    random: np.random.Generator, tensor: Tensor, shape: tuple[int, ...], use: _Use, below: int
) -> Array:
    if tensor.dtype == "string":
        return _texts(random, shape, use)
    dtype = np.dtype(np.float32 if tensor.dtype in ("", "bfloat16") else tensor.dtype)
    if use.keys:
        known = np.array([*use.keys, max(use.keys) + 1])
        return random.choice(known, shape).astype(dtype)
    if dtype.kind == "b":
        return random.integers(0, 2, shape).astype(dtype)
    if use.below is not None or dtype.kind in "iu":
        return random.integers(0, use.below or below, shape).astype(dtype)
    values = random.standard_normal(shape)
    if dtype.kind == "c":
        return (values + 1j * random.standard_normal(shape)).astype(dtype)
    return values.astype(dtype)


def _texts(random: np.random.Generator, shape: tuple[int, ...], use: _Use) -> Array:
    words = [*(key for key in use.keys if isinstance(key, bytes)), *(w.encode() for w in _WORDS)]
    texts = np.empty(int(np.prod(shape)), np.object_)
    for place in range(texts.size):
        length = int(random.integers(1, _LENGTH + 1)) if use.split else 1
        texts[place] = b" ".join(words[index] for index in random.integers(0, len(words), length))
    return texts.reshape(shape)


def _use(graph: Graph, start: Ref) -> _Use:
    """Follow the values of *start* to what they mean."""
    takers: dict[str, list[Node]] = {}
    for node in graph.nodes.values():
        for ref in node.inputs:
            takers.setdefault(ref.node, []).append(node)
    found, seen, waiting = _Use(), {start.node}, [start.node]
    while waiting:
        name = waiting.pop()
        for node in takers.get(name, ()):
            _read(graph, node, name, found)
            if node.op in MOVING | _TEXT and node.name not in seen:
                seen.add(node.name)
                waiting.append(node.name)
    return found


def _read(graph: Graph, node: Node, value: str, found: _Use) -> None:
    """Add to *found* what *node* says of the values of the node called *value*, an input of it."""
    places = [number for number, ref in enumerate(node.inputs) if ref.node == value]
    match node.op:
        case "GatherV2" | "Gather" if 1 in places and not node.attrs.get("batch_dims"):
            axis = _constant(graph, node.inputs[2]) if len(node.inputs) > 2 else 0
            shape = _known_shape(graph, node.inputs[0])
            if shape and axis is not None:
                found.bound(shape[int(axis)])
        case "OneHot" | "DenseBincount" | "Bincount" if 0 in places:
            size = _constant(graph, node.inputs[1])
            if size is not None:
                found.bound(int(size))
        case "LookupTableFind" | "LookupTableFindV2" if 1 in places:
            found.keys += _keys(graph, node.inputs[0].node)
        case "StringSplit":
            found.split = True


def _constant(graph: Graph, ref: Ref) -> Any:
    node = graph.nodes[ref.node]
    return node.value.numpy().item() if node.op == "Const" and node.value.size == 1 else None


def _known_shape(graph: Graph, ref: Ref) -> tuple[int, ...] | None:
    node = graph.nodes[ref.node]
    while node.op in ("Identity", "Enter", "Cast"):
        node = graph.nodes[node.inputs[0].node]
    return node.value.shape if node.op == "Const" else None


def _keys(graph: Graph, table: str) -> Iterable[Any]:
    nodes: Mapping[str, Node] = graph.initializer
    for node in nodes.values():
        if node.op.startswith("LookupTableImport") and node.inputs[0].node == table:
            keys = nodes[node.inputs[1].node]
            return list(keys.value.numpy().reshape(-1)[:_KNOWN].tolist())
    return ()
