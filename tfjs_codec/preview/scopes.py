"""Layers and operations grouped by their names, so that large models can be shown folded."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from tfjs_codec.inspection.inspection import LayerInfo

SCOPE = "scope"  # the class of a group
_DEPTH = 12  # of scopes in scopes; names of graphs may have any number of parts
_BLOCK = re.compile(r"(.*?[0-9][a-z]?)_")


def group_by_scope(operations: Sequence[LayerInfo]) -> tuple[LayerInfo, ...]:
    """Return *operations* with those of one scope, ``a/b`` in ``a/b/MatMul``, inside one layer.

    Such a layer is of the class ``scope``. A scope that holds a single operation, or all of them,
    is none. Inputs are lifted: a scope takes what is taken inside from outside, and who takes the
    result of an operation inside takes the scope.
    """
    return _group([(one.name.split("/"), one) for one in operations], 0)


def group_by_block(layers: Sequence[LayerInfo]) -> tuple[LayerInfo, ...]:
    """Return *layers* with those of one block, ``block2a`` in ``block2a_conv``, inside one layer.

    It is as one of :func:`group_by_scope`.
    """
    blocks = [(_BLOCK.match(layer.name), layer) for layer in layers]
    return _group([([block[1], layer.name] if block else [layer.name], layer)
                   for block, layer in blocks], 0)  # fmt: skip


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
                sum(one.frozen for one in inner),
                inputs=tuple(inputs),
                layers=inner,
            )
        )
    return tuple(found)


def _key(parts: list[str], layer: LayerInfo, depth: int) -> str:
    """Return the name of the scope of *layer* at *depth*; a layer right there is by itself."""
    return "/".join(parts[: depth + 1]) if len(parts) > depth + 1 else layer.name
