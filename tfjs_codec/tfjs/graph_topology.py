"""What the ``model.json`` of a graph model says of nodes, inputs and outputs; without numpy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_SIZE_DIGITS = 19  # of an int64


def read_ends(
    content: Mapping[str, Any], end: str
) -> Iterator[tuple[str, str, tuple[int | None, ...]]]:
    """Yield key, dtype and shape of the ``inputs`` or ``outputs`` of a graph model's signature.

    *content* is the ``model.json``; what it does not say is "" or None.
    """
    signature = content.get("signature")
    tensors = signature.get(end) if isinstance(signature, Mapping) else None
    for key, tensor in tensors.items() if isinstance(tensors, Mapping) else ():
        known = tensor if isinstance(tensor, Mapping) else {}
        shape = known.get("tensorShape")
        dims = shape.get("dim") if isinstance(shape, Mapping) else None
        listed = dims if isinstance(dims, list) else []
        sizes = [dim.get("size") if isinstance(dim, Mapping) else None for dim in listed]
        dtype = str(known.get("dtype", "")).removeprefix("DT_").lower()
        yield key, dtype, tuple(map(_size, sizes))


def _size(value: object) -> int | None:
    """Return a size, which protobuf writes as text; None if it is unknown, or no number."""
    text = str(value)
    return int(text) if text.isdecimal() and len(text) <= _SIZE_DIGITS else None


def nodes_of(topology: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the nodes of a graph model's topology, those of its functions included."""
    library = topology.get("library")
    functions = library.get("function") if isinstance(library, Mapping) else None
    lists = [topology.get("node")]
    lists += [one.get("nodeDef") for one in functions or () if isinstance(one, Mapping)]
    for nodes in lists:
        if isinstance(nodes, list):
            yield from (item for item in nodes if isinstance(item, Mapping))
