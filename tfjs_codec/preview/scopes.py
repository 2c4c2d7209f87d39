"""Operations grouped by the scopes of their names, ``a/b`` in ``a/b/MatMul``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tfjs_codec.inspection.inspection import LayerInfo

SCOPE = "scope"  # the class of a group
_DEPTH = 12  # of scopes in scopes; names of graphs may have any number of parts


def group_by_scope(layers: Sequence[LayerInfo]) -> tuple[LayerInfo, ...]:
    """Return *layers* with those of one scope as the inside of one layer of the class ``scope``.

    A scope that holds a single layer, or all of them, is no group. Inputs are lifted: a group takes
    what its layers take from outside, and who takes the result of a layer inside takes the group.
    """
    return _group([(layer.name.split("/"), layer) for layer in layers], 0)


_Named = tuple[list[str], LayerInfo]


def _group(layers: Sequence[_Named], depth: int) -> tuple[LayerInfo, ...]:
    groups: dict[str, list[_Named]] = {}
    for parts, layer in layers:
        groups.setdefault(_key(parts, layer, depth), []).append((parts, layer))
    if len(groups) == 1 and len(layers) > 1 and depth < _DEPTH:
        return _group(layers, depth + 1)
    if len(groups) == len(layers) or depth >= _DEPTH:
        return tuple(layer for _, layer in layers)
    home = {layer.name: key if len(group) > 1 else layer.name
            for key, group in groups.items() for _, layer in group}  # fmt: skip
    found = []
    for key, group in groups.items():
        inputs = dict.fromkeys(
            home[name] for _, layer in group for name in layer.inputs if name in home
        )
        if len(group) == 1:
            found.append(replace(group[0][1], inputs=tuple(inputs)))
            continue
        inner = _group(group, depth + 1)
        inputs.pop(key, None)
        found.append(
            LayerInfo(
                key,
                SCOPE,
                inner[-1].shapes,
                sum(one.parameters for one in inner),
                inputs=tuple(inputs),
                layers=inner,
            )
        )
    return tuple(found)


def _key(parts: list[str], layer: LayerInfo, depth: int) -> str:
    """Return the name of the scope of *layer* at *depth*; a layer right there is by itself."""
    return "/".join(parts[: depth + 1]) if len(parts) > depth + 1 else layer.name
