"""Mutations that know the structure of what they damage: configs, graphs, ``model.json``.

A mutant is still a model at most places: another class, size, reference, data type or attribute
stands where one belongs. Everything stays in memory, so that a million mutants take an hour.
"""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import h5py
import numpy as np
from mutations import VALUES, mutated_json

from tfjs_codec.keras.classes import CLASSES
from tfjs_codec.pb import messages
from tfjs_codec.tfjs import graph_ops
from tfjs_codec.tfjs.classes import TFJS_CLASSES

SIZES = (0, 1, 2, 3, 4, 5, 7, 8, 16, 100, 10**4, 10**6, 2**31 - 1, 2**31, 2**62, 2**63, -1, -2,
         -(2**31), -(2**63), 10**30)  # fmt: skip
NUMBERS = (0.0, -0.0, 0.5, 1e-45, 1e-8, 1e38, 1e308, -1e308, 3.5e38, float(2**53), 1.0, -1.0)
WORDS = (
    "valid", "same", "causal", "full", "channels_first", "channels_last", "linear", "relu", "gelu",
    "softmax", "elu", "nearest", "bilinear", "bicubic", "area", "lanczos3", "float16", "float32",
    "float64", "int32", "int64", "uint8", "bool", "string", "mixed_float16", "sum", "concat", "ave",
    "mul", "int", "one_hot", "multi_hot", "count", "tf_idf", "ij,jk->ik", "ab,abc->ac", "...a->a",
)  # fmt: skip
CLASS_NAMES = (*CLASSES, *TFJS_CLASSES, "Functional", "Model", "Sequential", "TFOpLambda", "X")
OPS = tuple(graph_ops._table())
MAX_SEED_BYTES = 60_000


# --- configs -----------------------------------------------------------------------------------


@dataclass
class Recorded:
    """A Keras model as ``save_keras_model`` takes it: a text and variables by layer."""

    text: str
    layers: list[Any] = field(default_factory=list)
    weights: tuple[()] = ()

    def to_json(self) -> str:
        return self.text


class Seed(NamedTuple):
    """A JSON tree to mutate.

    Attributes:
        tree: It; mutants share what they do not change.
        leaves: The paths of its leaves and of its lists of integers.
        names: The names of its layers.
        source: Where it comes from: the layers of a :class:`Recorded`, or a directory.
    """

    tree: Any
    leaves: list[tuple[Any, ...]]
    names: list[str]
    source: Any


def seed(tree: Any, source: Any) -> Seed:
    """Return *tree* with what every mutant of it needs to know."""
    return Seed(tree, list(_leaves(tree)), _names(tree), source)


def choose(rng: random.Random, seeds: Sequence[Any]) -> Any:
    """Return one of *seeds*, which begin with the small ones: mostly one of these."""
    return seeds[int(len(seeds) * rng.random() ** 3)]


def recorded_models(fixtures: Path) -> list[Seed]:
    """Return the configs of the HDF5 files of the Keras fixtures, small ones first."""
    found = []
    for path in sorted((fixtures / "keras").glob("*.zip")):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(".h5") and not name.endswith((".weights.h5", ".legacy.h5")):
                    found += _recorded(archive.read(name))
    return [seed(json.loads(text), layers) for text, layers in sorted(found, key=_by_size)]


def _by_size(found: tuple[str, Any]) -> tuple[int, str]:
    return len(found[0]), found[0]


def _recorded(data: bytes) -> list[tuple[str, list[Any]]]:
    with h5py.File(io.BytesIO(data)) as file:
        text = file.attrs.get("model_config")
        if text is None or len(text) > MAX_SEED_BYTES:
            return []
        layers = []
        for name, group in file["model_weights"].items():
            listed = np.asarray(group.attrs.get("weight_names", ())).tolist()
            names = [item.decode() if isinstance(item, bytes) else item for item in listed]
            variables = [
                SimpleNamespace(name=item, shape=group[item].shape, dtype="float32",
                                numpy=group[item][()].view)
                for item in names
            ]  # fmt: skip
            layers.append(
                SimpleNamespace(name=name, trainable_weights=variables, non_trainable_weights=[])
            )
    return [(str(text), layers)]


def mutated_config(rng: random.Random, given: Seed) -> Any:
    """Return the tree of *given*, a model's, with one to four changes that fit their places."""
    if rng.randrange(4) == 0:
        return mutated_json(rng, given.tree)
    tree = given.tree
    for _ in range(rng.choice((1, 1, 2, 4)) if given.leaves else 0):
        tree = _changed(rng, tree, rng.choice(given.leaves), given.names)
    return tree


def _changed(rng: random.Random, tree: Any, path: tuple[Any, ...], names: list[str]) -> Any:
    """Return *tree* with another value at *path*, sharing the rest; itself if there is no such."""
    key, rest = path[0], path[1:]
    there = key < len(tree) if isinstance(tree, list) and isinstance(key, int) else (
        isinstance(tree, dict) and key in tree)  # fmt: skip
    if not there:
        return tree
    copy = tree.copy()
    old = tree[key]
    copy[key] = _changed(rng, old, rest, names) if rest else _fitting(rng, key, old, names)
    return copy


def _leaves(tree: Any) -> Iterator[tuple[Any, ...]]:
    stack: list[tuple[Any, tuple[Any, ...]]] = [(tree, ())]
    while stack:
        owner, path = stack.pop()
        for key in owner if isinstance(owner, dict) else range(len(owner)):
            value = owner[key]
            if isinstance(value, dict | list) and value:
                stack.append((value, (*path, key)))
                if isinstance(value, list) and all(isinstance(item, int) for item in value):
                    yield (*path, key)
            else:
                yield (*path, key)


def _fitting(rng: random.Random, key: Any, value: Any, names: list[str]) -> Any:
    if key == "class_name":
        return rng.choice(CLASS_NAMES)
    if isinstance(value, bool):
        return rng.choice((not value, not value, None, 2))
    if isinstance(value, int):
        return rng.choice((*SIZES, value + 1, value - 1, -value, float(value)))
    if isinstance(value, float):
        return rng.choice(NUMBERS)
    if isinstance(value, str):
        return rng.choice(names) if names and rng.randrange(2) else rng.choice(WORDS)
    if isinstance(value, list):
        return rng.choice((value[1:], value * 2, value[::-1], [*value, 1], [rng.choice(SIZES)] * 4,
                           rng.choice(SIZES)))  # fmt: skip
    if value is None:
        return rng.choice((*SIZES, *NUMBERS, *WORDS, [1, 1], [None, 3], {}, True))
    return rng.choice(VALUES)


def _names(tree: Any) -> list[str]:
    config = tree.get("config") if isinstance(tree, dict) else None
    layers = config.get("layers") if isinstance(config, dict) else None
    configs = [
        each["config"]
        for each in (layers if isinstance(layers, list) else ())
        if isinstance(each, dict) and isinstance(each.get("config"), dict)
    ]
    return [str(each["name"]) for each in configs if "name" in each]


# --- graphs ------------------------------------------------------------------------------------


def graphs(fixtures: Path) -> list[tuple[Any, list[str]]]:
    """Return ``(GraphDef, outputs)`` of the frozen graphs of the fixtures, small ones first."""
    found = []
    for path in sorted(fixtures.glob("graph_*/model.pb")):
        if path.stat().st_size <= MAX_SEED_BYTES:
            outputs = json.loads((path.parent / "case.json").read_text())["outputs"]
            message = messages.GraphDef.FromString(path.read_bytes())
            found.append((message, outputs))
    return sorted(found, key=lambda each: each[0].ByteSize())


def mutated_graph(rng: random.Random, seed: Any) -> bytes:
    """Return the bytes of *seed* with one to four changes that fit their places."""
    message = type(seed)()
    message.CopyFrom(seed)
    for _ in range(rng.choice((1, 1, 2, 4))):
        lists = [message.node, *(f.node_def for f in message.library.function)]
        nodes = rng.choice([each for each in lists if len(each)] or [[]])
        if nodes:
            rng.choice(_CHANGES)(rng, nodes, rng.choice(nodes))
    data: bytes = message.SerializeToString()
    return data


def _change_op(rng: random.Random, nodes: Any, node: Any) -> None:
    node.op = rng.choice((rng.choice(nodes).op, rng.choice(OPS)))


def _change_input(rng: random.Random, nodes: Any, node: Any) -> None:
    other = rng.choice(nodes).name
    texts = (other, f"{other}:1", f"^{other}", f"{other}:-1", f"{other}:999999", "", ":", "none")
    kind = rng.randrange(4)
    if node.input and kind == 0:
        del node.input[rng.randrange(len(node.input))]
    elif node.input and kind == 1:
        node.input[rng.randrange(len(node.input))] = rng.choice(texts)
    elif kind == 2:
        node.input.append(rng.choice(texts[:3]))
    elif node.input:
        node.input.extend(list(node.input) * rng.choice((1, 3)))


def _change_attr(rng: random.Random, nodes: Any, node: Any) -> None:  # noqa: C901, PLR0912
    keys = sorted(node.attr)
    if not keys:
        return
    key = rng.choice(keys)
    attr = node.attr[key]
    kind = attr.WhichOneof("value")
    if rng.randrange(8) == 0:
        del node.attr[key]
    elif rng.randrange(8) == 0:
        node.attr[rng.choice(keys)].CopyFrom(attr)
    elif kind == "i":
        attr.i = max(-(2**63), min(2**63 - 1, rng.choice((*SIZES, attr.i + 1))))
    elif kind == "type":
        attr.type = rng.choice((*range(26), 101, 2**31 - 1))
    elif kind == "b":
        attr.b = not attr.b
    elif kind == "f":
        attr.f = rng.choice((0.0, -1.0, 1e38, float("nan"), float("inf")))
    elif kind == "s":
        attr.s = rng.choice((b"", b"VALID", b"SAME", b"NHWC", b"NCHW", b"EXPLICIT", b"\xff", b"ij"))
    elif kind == "shape":
        _change_shape(rng, attr.shape)
    elif kind == "tensor":
        _change_tensor(rng, attr.tensor)
    elif kind == "list":
        for name in ("i", "s", "type"):
            items = getattr(attr.list, name)
            if len(items):
                _change_list(rng, items, name)
    elif kind == "func":
        attr.func.name = rng.choice(("", "none", node.op, attr.func.name + "x"))


def _change_list(rng: random.Random, items: Any, kind: str) -> None:
    choice = rng.randrange(3)
    if choice == 0:
        del items[rng.randrange(len(items))]
    elif choice == 1:
        items.append(items[-1])
    elif kind == "i":
        items[rng.randrange(len(items))] = rng.choice([n for n in SIZES if abs(n) < 2**63])


def _change_shape(rng: random.Random, shape: Any) -> None:
    kind = rng.randrange(4)
    if kind == 0:
        shape.unknown_rank = not shape.unknown_rank
    elif kind == 1 and shape.dim:
        dim = shape.dim[rng.randrange(len(shape.dim))]
        dim.size = rng.choice([n for n in SIZES if abs(n) < 2**63])
    elif kind == 2 and shape.dim:
        del shape.dim[rng.randrange(len(shape.dim))]
    else:
        shape.dim.add(size=rng.choice((-1, 0, 1, 3)))


def _change_tensor(rng: random.Random, tensor: Any) -> None:
    kind = rng.randrange(5)
    if kind == 0:
        _change_shape(rng, tensor.tensor_shape)
    elif kind == 1:
        tensor.dtype = rng.choice((*range(26), 101))
    elif kind == 2 and tensor.tensor_content:
        data = bytearray(tensor.tensor_content)
        size = rng.choice((1, 4, 8))
        at = rng.randrange(len(data)) // size * size
        data[at : at + size] = rng.choice(SIZES).to_bytes(16, "little", signed=True)[:size]
        tensor.tensor_content = bytes(data)[: len(tensor.tensor_content)]
    elif kind == 3:
        tensor.tensor_content = tensor.tensor_content[:-1]
    else:
        for name in ("int_val", "int64_val", "float_val", "bool_val"):
            items = getattr(tensor, name)
            if len(items):
                items.append(items[-1])
                items[0] = rng.choice((0, 1, -1, 2**31 - 1)) if name != "bool_val" else True


def _change_nodes(rng: random.Random, nodes: Any, node: Any) -> None:
    kind = rng.randrange(3)
    if kind == 0 and len(nodes) > 1:
        nodes.remove(node)
    elif kind == 1:
        nodes.add().CopyFrom(node)
        nodes[-1].name += rng.choice(("", "x", "/y"))
    else:
        node.name = rng.choice((rng.choice(nodes).name, "", "\x00", "x" * 300, "a/b:c"))


_CHANGES: tuple[Callable[[random.Random, Any, Any], None], ...] = (
    *(_change_op, _change_nodes),
    *(_change_input,) * 2,
    *(_change_attr,) * 3,
)
