"""Damage to model files that stays plausible: of bytes, of JSON trees, of members of containers."""

from __future__ import annotations

import copy
import io
import json
import random
import zipfile
from pathlib import Path
from typing import Any

import h5py

# What a value of a config may have become.
VALUES = (
    None, True, False, 0, 1, -1, 2, 0.5, -0.0, 1e308, 2**31, 2**63, 10**30, "", "x", "0", "linear",
    "\x00", "\ud83d\ude00", "../x", "__proto__", [], [None], [0], [[]], [-1, 2], [None, None, None],
    ["a", 0, 0], [["a", 0, 0]], {}, {"a": 1}, {"class_name": "Dense", "config": {}},
    {"class_name": "__keras_tensor__", "config": {"keras_history": ["a", 0, 0]}},
)  # fmt: skip
WORDS = tuple(
    number.to_bytes(size, "little", signed=True)
    for size in (1, 2, 4, 8)
    for number in (0, 1, -1, 0x7F, 1 << (size * 8 - 2), -(1 << (size * 8 - 1)))
)


def mutated_bytes(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """Return *data* with one to four wounds; *other* is tissue to transplant."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at, size = rng.randrange(len(out) + 1), rng.choice((1, 4, 16, 200))
        kind = rng.randrange(7)
        if kind == 0 and out:
            out[at % len(out)] ^= 1 << rng.randrange(8)
        elif kind == 1:
            word = rng.choice(WORDS)
            out[at : at + len(word)] = word
        elif kind == 2:
            out[at:at] = rng.randbytes(size)
        elif kind == 3:
            del out[at : at + size]
        elif kind == 4:
            out[at:at] = out[at : at + size]
        elif kind == 5 and other:
            start = rng.randrange(len(other))
            out[at : at + size] = other[start : start + size]
        elif kind == 6 and rng.randrange(4) == 0:
            del out[at:]
    return bytes(out)


def mutated_json(rng: random.Random, tree: Any) -> Any:
    """Return *tree* with one to three of its nodes exchanged, removed, doubled or renamed."""
    tree = json.loads(json.dumps(tree))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        places = list(_places(tree))
        if not places:
            return copy.deepcopy(rng.choice(VALUES))
        owner, key = rng.choice(places)
        kind = rng.randrange(7)
        if kind <= 2:
            owner[key] = copy.deepcopy(rng.choice(VALUES))
        elif kind == 3:
            source, other = rng.choice(places)
            owner[key] = json.loads(json.dumps(source[other]))
        elif kind == 4:
            del owner[key]
        elif kind == 5:
            owner[key] = [owner[key]] if rng.randrange(2) else {"config": owner[key]}
        elif isinstance(owner, list):
            owner.insert(key, json.loads(json.dumps(owner[key])))
        else:
            owner[rng.choice(("name", "class_name", "config", "x"))] = owner.pop(key)
    return tree


def _places(tree: Any) -> Any:
    """Yield (owner, key) of all nodes below the root."""
    stack = [tree]
    while stack:
        owner = stack.pop()
        keys = owner if isinstance(owner, dict) else range(len(owner))
        for key in keys:
            yield owner, key
            if isinstance(owner[key], dict | list):
                stack.append(owner[key])


def mutated_file(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """Return a damaged *data*: as bytes, or inside of the container it is."""
    if rng.randrange(4):
        if data.startswith(b"PK"):
            return _mutated_zip(rng, data, other)
        if data.startswith(b"\x89HDF"):
            return _mutated_hdf5(rng, data)
        if data.startswith(b"{"):
            return json.dumps(mutated_json(rng, json.loads(data))).encode()
    return _with_heaps(mutated_bytes(rng, data, other), data)


def _with_heaps(data: bytes, original: bytes) -> bytes:
    """Put HDF5's global heaps back: libhdf5 2.0 loops for ever over damaged ones."""
    if not original.startswith(b"\x89HDF"):
        return data
    out = bytearray(data)
    at = original.find(b"GCOL")
    while at >= 0:
        size = int.from_bytes(original[at + 8 : at + 16], "little")
        out[at : at + size] = original[at : at + size]
        at = original.find(b"GCOL", at + size)
    return bytes(out)


def _mutated_zip(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """Damage one member; the checksums are right again."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(sorted(members))
    members[name] = mutated_file(rng, members[name], other)
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return memory.getvalue()


def _mutated_hdf5(rng: random.Random, data: bytes) -> bytes:
    """Damage one attribute, or move, remove or replace one dataset."""
    memory = io.BytesIO(data)
    with h5py.File(memory, "r+") as file:
        objects: list[Any] = [file]
        file.visititems(lambda _, item: objects.append(item))
        owner = rng.choice(objects)
        if "model_config" in file.attrs and rng.randrange(2):
            owner = file
        if len(owner.attrs):
            key = rng.choice(sorted(owner.attrs))
            value = owner.attrs[key]
            if isinstance(value, str) and value.startswith("{"):
                owner.attrs[key] = json.dumps(mutated_json(rng, json.loads(value)))
            else:
                _replace_attribute(rng, owner, key, value)
        elif isinstance(owner, h5py.Dataset):
            _replace_dataset(rng, file, owner.name)
    return memory.getvalue()


def _replace_attribute(rng: random.Random, owner: Any, key: str, value: Any) -> None:
    kind = rng.randrange(5)
    if kind == 0:
        del owner.attrs[key]
    elif kind == 1:
        owner.attrs[key] = rng.choice((0, 1.5, "x", b"\xff", [1, 2], ["a", "b"], ""))
    elif kind == 2:
        owner.attrs[key] = h5py.Empty("f4")
    elif not isinstance(value, str) and value.shape and len(value):
        items = list(value)
        if kind == 3:
            items.pop(rng.randrange(len(items)))
        else:
            items.append(rng.choice(items))
        owner.attrs[key] = items


def _replace_dataset(rng: random.Random, file: Any, name: str) -> None:
    shape, kind = file[name].shape, rng.randrange(6)
    del file[name]
    if kind == 0:
        file.create_group(name)
    elif kind == 1:
        file.create_dataset(name, (*shape, 2), "f4", fillvalue=1)
    elif kind == 2:
        file.create_dataset(
            name, shape, rng.choice(("f2", "f8", ">f4", "i8", "u1", "S3", "c8", "?"))
        )
    elif kind == 3:
        file[name] = h5py.SoftLink("/")
    elif kind == 4:
        file[name] = 1.0


def seeds(paths: list[Path]) -> list[Path]:
    """Return the files below *paths* that are models, or parts of one in a directory."""
    suffixes = (".h5", ".keras", ".hdf5", ".pb", ".pbtxt", ".index", "model.json", ".bin")
    found = [
        file for path in paths for file in (sorted(path.rglob("*")) if path.is_dir() else [path])
    ]
    return [file for file in found if file.name.endswith(suffixes) and file.is_file()]
