"""GRU(reset_after=True), which tfjs lacks, from the network that stands for it.

Lowering writes it as an RNN over StackedRNNCells over one Functional model, followed by Reshapes
(see :mod:`tfjs_codec.layers.rules.cells`); no Keras can load such a cell. Where the cell computes

    s = state + zeros(step);  z = g(xz + sz);  r = g(xr + sr);  h = f(xh + r * sh)
    z * s + (1 - z) * h

with Dense layers ``xz, xr, xh`` of the step and ``sz, sr, sh`` of s, it is that GRU, whatever its
layers are called. Anything else is left as it is.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tfjs_codec.ir.keras import KerasGraph, KerasLayer, Ref
from tfjs_codec.ir.references import redirect, refs_in
from tfjs_codec.ir.tensors import DerivedTensor, LazyTensor

_FLAGS = ("return_sequences", "return_state", "go_backwards", "stateful", "trainable", "dtype")
_GATE_SCALE = 5 / 6  # of Keras 3's hard_sigmoid by way of tfjs's


class _OtherError(Exception):
    """The cell is something else."""


class _Line(NamedTuple):
    """A Dense layer that ``f`` or ``g`` sees scaled by *scale*."""

    layer: KerasLayer
    scale: float


def restore_grus(graph: KerasGraph) -> None:
    """Replace all such RNNs in *graph* and the models inside, and the Reshapes after them."""
    for one in list(graph.graphs()):
        for layer in list(one.layers):
            cell = _functional_cell(layer)
            if cell is None:
                continue
            try:
                parts = _Cell(cell).match()
            except _OtherError:
                continue
            _become_gru(layer, *parts)
            _drop_reshapes(one, layer)


def _functional_cell(layer: KerasLayer) -> KerasGraph | None:
    cells = layer.children.get("cell")
    if layer.class_name != "RNN" or cells is None or cells.class_name != "StackedRNNCells":
        return None
    inner = list(cells.children.values())
    return inner[0].graph if len(inner) == 1 else None


class _Cell:
    """The cell's model, read from its outputs to its inputs."""

    def __init__(self, graph: KerasGraph) -> None:
        self.graph = graph
        self.by_name = {layer.name: layer for layer in graph.layers}

    def match(self) -> tuple[str, str, list[_Line], list[_Line]]:
        """Return the gates' and the step's activations, the lines of step and of state.

        Raises:
            _OtherError: it is no GRU.
        """
        step, state = self.graph.inputs
        new, again = self.graph.outputs
        _require(self._unary(again, "Activation", activation="linear") == new)
        for kept, fresh in self._pairs(new, "Add"):
            for z, s in self._pairs(kept, "Multiply", strict=False):
                for rest, h in self._pairs(fresh, "Multiply", strict=False):
                    if self._is_one_minus(rest, z):
                        return self._gates(step, state, z, s, h)
        raise _OtherError

    def _gates(
        self, step: Ref, state: Ref, z: Ref, s: Ref, h: Ref
    ) -> tuple[str, str, list[_Line], list[_Line]]:
        self._check_state(s, step, state)
        z_sum, gate, z_scale = self._activation(z)
        h_sum, act, h_scale = self._activation(h)
        xz, sz = self._lines(z_sum, step, s)
        for xh, product in self._pairs(h_sum, "Add"):
            for r, sh in self._pairs(product, "Multiply", strict=False):
                try:
                    r_sum, r_gate, r_scale = self._activation(r)
                    xr, sr = self._lines(r_sum, step, s)
                    lines = self._dense(xh, step), self._dense(sh, s)
                except _OtherError:
                    continue
                _require(r_gate == gate and r_scale == z_scale)
                scales = (z_scale, r_scale, h_scale)
                return (
                    gate,
                    act,
                    [_Line(*pair) for pair in zip((xz, xr, lines[0]), scales, strict=True)],
                    [_Line(*pair) for pair in zip((sz, sr, lines[1]), scales, strict=True)],
                )
        raise _OtherError

    def _check_state(self, s: Ref, step: Ref, state: Ref) -> None:
        """The state is widened by adding a Dense of zeros to it."""
        for one, zeros in self._pairs(s, "Add"):
            if one == state:
                dense = self._dense(zeros, step)
                _require(list(dense.weights) == ["kernel"])
                _require(not dense.weights["kernel"].numpy().any())
                return
        raise _OtherError

    def _activation(self, ref: Ref) -> tuple[Ref, str, float]:
        """Return what an activation is applied to, its name, and a scaling before it."""
        layer = self._layer(ref, "Activation")
        name = layer.config["activation"]
        _require(isinstance(name, str))
        before = self._inputs(layer)[0]
        source = self.by_name[before.layer]
        if source.class_name == "Rescaling" and name == "hard_sigmoid":
            _require(source.config["offset"] == 0)
            _require(source.config["scale"] == _GATE_SCALE)
            return self._inputs(source)[0], name, _GATE_SCALE
        return before, name, 1.0

    def _lines(self, total: Ref, step: Ref, s: Ref) -> tuple[KerasLayer, KerasLayer]:
        for one, other in self._pairs(total, "Add"):
            if self._is_dense(one, step):
                return self._dense(one, step), self._dense(other, s)
        raise _OtherError

    def _is_dense(self, ref: Ref, source: Ref) -> bool:
        layer = self.by_name[ref.layer]
        return layer.class_name == "Dense" and self._inputs(layer) == [source]

    def _dense(self, ref: Ref, source: Ref) -> KerasLayer:
        layer = self._layer(ref, "Dense")
        _require(self._inputs(layer) == [source] and layer.config["activation"] == "linear")
        return layer

    def _is_one_minus(self, ref: Ref, z: Ref) -> bool:
        layer = self.by_name[ref.layer]
        return (
            layer.class_name == "Rescaling"
            and layer.config["scale"] == -1
            and layer.config["offset"] == 1
            and self._inputs(layer) == [z]
        )

    def _unary(self, ref: Ref, kind: str, **config: Any) -> Ref:
        layer = self._layer(ref, kind)
        _require(all(layer.config[key] == value for key, value in config.items()))
        return self._inputs(layer)[0]

    def _pairs(self, ref: Ref, kind: str, *, strict: bool = True) -> list[tuple[Ref, Ref]]:
        """Return the two inputs of a commutative layer in both orders."""
        try:
            inputs = self._inputs(self._layer(ref, kind))
            _require(len(inputs) == 2)
        except _OtherError:
            if strict:
                raise
            return []
        first, second = inputs
        return [(first, second), (second, first)]

    def _layer(self, ref: Ref, kind: str) -> KerasLayer:
        layer = self.by_name[ref.layer]
        _require(layer.class_name == kind and len(layer.calls) == 1)
        return layer

    def _inputs(self, layer: KerasLayer) -> list[Ref]:
        return list(refs_in(layer.calls[0].args[0]))


def _require(condition: object) -> None:
    if not condition:
        raise _OtherError


def _become_gru(
    layer: KerasLayer, gate: str, act: str, steps: list[_Line], states: list[_Line]
) -> None:
    """Turn the RNN *layer* into the GRU its cell computes."""
    kernels = [line.layer.weights["kernel"] for line in steps]
    units = kernels[0].shape[-1]
    use_bias = all("bias" in line.layer.weights for line in (*steps, *states))
    layer.class_name = "GRU"
    layer.children = {}
    layer.config = {key: layer.config[key] for key in _FLAGS if key in layer.config} | {
        "name": layer.name,
        "units": units,
        "activation": act,
        "recurrent_activation": gate,
        "use_bias": use_bias,
        "reset_after": True,
    }
    width = 3 * units
    layer.weights = {
        "kernel": _join("kernel", (kernels[0].shape[0], width), [steps]),
        "recurrent_kernel": _join("kernel", (units, width), [states]),
    }
    if use_bias:
        layer.weights["bias"] = _join("bias", (2, width), [steps, states])


def _join(role: str, shape: tuple[int, ...], rows: list[list[_Line]]) -> LazyTensor:
    """Return the blocks of z, r and h side by side, *rows* of them below each other."""

    def compute() -> Any:
        joined = [
            np.concatenate(
                [
                    np.multiply(line.layer.weights[role].numpy(), np.float32(line.scale))
                    for line in row
                ],
                axis=-1,
            )
            for row in rows
        ]
        return np.stack(joined) if len(joined) > 1 else joined[0]

    return DerivedTensor(rows[0][0].layer.name, shape, compute)


def _drop_reshapes(graph: KerasGraph, gru: KerasLayer) -> None:
    """Remove the Reshapes that told tfjs what its RNN returns; the first one's name stays."""
    users: dict[int, set[str]] = {}
    for layer in graph.layers:
        for call in layer.calls:
            for ref in refs_in(call):
                if ref.layer == gru.name:
                    users.setdefault(ref.tensor, set()).add(layer.name)
    if any(ref.layer == gru.name for ref in graph.outputs):
        return
    by_name = {layer.name: layer for layer in graph.layers}
    reshapes = {}
    for tensor, names in users.items():
        layer = by_name[min(names)]
        if len(names) > 1 or not _keeps_shape(layer, gru, tensor):
            return
        reshapes[layer.name] = tensor
    old, new = gru.name, next((name for name, tensor in reshapes.items() if tensor == 0), gru.name)

    def renamed(ref: Ref) -> Ref:
        if ref.layer in reshapes:
            return Ref(new, ref.call, reshapes[ref.layer])
        return Ref(new, ref.call, ref.tensor) if ref.layer == old else ref

    graph.layers[:] = [layer for layer in graph.layers if layer.name not in reshapes]
    gru.name = gru.config["name"] = new
    redirect(graph, renamed)


def _keeps_shape(layer: KerasLayer, gru: KerasLayer, tensor: int) -> bool:
    """Tell whether *layer* is a Reshape of output *tensor* of *gru* to the shape it has anyway."""
    if layer.class_name != "Reshape" or len(layer.calls) != len(gru.calls):
        return False
    sources = [call.args[0] for call in layer.calls]
    if sources != [Ref(gru.name, number, tensor) for number in range(len(gru.calls))]:
        return False
    sequence = tensor == 0 and gru.config.get("return_sequences")
    target = layer.config["target_shape"]
    return len(target) == (2 if sequence else 1) and target[-1] == gru.config["units"]
