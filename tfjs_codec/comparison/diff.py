"""``diff``: what two models of any formats do not have in common."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass

from tfjs_codec.comparison.compare import compare
from tfjs_codec.comparison.sides import Described, Side, two_sides
from tfjs_codec.conversion.job import Job
from tfjs_codec.errors import UsageError, count, quote, visible
from tfjs_codec.files.source import AnySource
from tfjs_codec.ir.json_types import JsonObject
from tfjs_codec.options import ConvertOptions
from tfjs_codec.progress import Progress


@dataclass(frozen=True, slots=True)
class LayerChange:
    """A layer that is only in one model (``added``, ``removed``) or ``changed``, and how."""

    name: str
    kind: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TensorChange:
    """A tensor that is only in one model, has another shape, or other values.

    ``kind`` is ``added``, ``removed``, ``shape`` or ``values``; ``count`` values differ, by at
    most ``max`` and by ``mean`` over all values (infinite with NaN or infinity on one side).
    """

    name: str
    kind: str
    shapes: tuple[tuple[int, ...] | None, tuple[int, ...] | None]
    count: int = 0
    max: float = 0.0
    mean: float = 0.0


@dataclass(frozen=True, slots=True)
class Diff:
    """What ``tfjs_codec.diff`` found.

    Attributes:
        a: The first model as it was named, and what it is.
        b: The second one.
        level: What they were compared as: ``keras``, ``layers`` (tfjs), ``graph``, ``weights``.
        layers: Layers that differ; none are compared on the level ``weights``.
        tensors: Tensors that differ.
        compared: How many layers and tensors the two have in common.
    """

    a: tuple[str, str]
    b: tuple[str, str]
    level: str
    layers: tuple[LayerChange, ...]
    tensors: tuple[TensorChange, ...]
    compared: tuple[int, int]

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not self.layers and not self.tensors

    def to_json(self) -> JsonObject:
        """Return the comparison as what JSON can express; infinity is null."""
        content = {**asdict(self), "equal": self.equal}
        for tensor in content["tensors"]:
            for key in ("max", "mean"):
                tensor[key] = None if tensor[key] == float("inf") else tensor[key]
        return content

    def __str__(self) -> str:
        verdict = "are equal" if self.equal else "differ"
        names = " and ".join(f"{path} ({kind})" for path, kind in (self.a, self.b))
        lines = [f"{names} {verdict}, compared as {_LEVELS[self.level]}"]
        for layer in self.layers:
            lines.append(f"  layer {quote(layer.name)}: {self._where(layer.kind)}")
            lines += [f"    {detail}" for detail in layer.details]
        lines += [f"  tensor {quote(tensor.name)}: {self._what(tensor)}" for tensor in self.tensors]
        layers, tensors = self.compared
        lines.append(f"  in common: {count(layers, 'layer')}, {count(tensors, 'tensor')}")
        return "\n".join(map(visible, lines))

    def _where(self, kind: str) -> str:
        only = {"removed": self.a[0], "added": self.b[0]}
        return f"only in {only[kind]}" if kind in only else kind

    def _what(self, tensor: TensorChange) -> str:
        if tensor.kind == "shape":
            return " and ".join(str(list(shape or ())) for shape in tensor.shapes)
        if tensor.kind != "values":
            return self._where(tensor.kind)
        return f"{tensor.count:,} values differ, by up to {tensor.max:.3g}, mean {tensor.mean:.3g}"


_LEVELS = {
    "keras": "Keras models",
    "layers": "tfjs Layers models",
    "graph": "tfjs graph models",
    "weights": "mere weights",
}


def diff(
    a: AnySource,
    b: AnySource,
    options: ConvertOptions,
    replacements: Mapping[str, AnySource],
    tolerance: float,
    progress: Progress | None = None,
) -> Diff:
    """Compare *a* and *b*; see ``tfjs_codec.diff``."""
    if not tolerance >= 0:
        raise UsageError(f"tolerance must be a number of at least 0, not {tolerance}")
    with ExitStack() as stack:
        job = Job(options, stack, replacements, progress=progress)
        left, right = two_sides(job.open(a), job.open(b), job)
        return Diff(
            (left.path, left.format),
            (right.path, right.format),
            left.level,
            tuple(_layer_changes(left, right)),
            tuple(_tensor_changes(left, right, tolerance, job)),
            (
                len(left.layers.keys() & right.layers.keys()),
                len(left.tensors.keys() & right.tensors.keys()),
            ),
        )


def _layer_changes(a: Side, b: Side) -> Iterator[LayerChange]:
    for name, layer in a.layers.items():
        other = b.layers.get(name)
        if other is None:
            yield LayerChange(name, "removed", (f"class {quote(layer.class_name)}",))
        elif details := tuple(_details(layer, other, same=a.generation == b.generation)):
            yield LayerChange(name, "changed", details)
    for name, layer in b.layers.items():
        if name not in a.layers:
            yield LayerChange(name, "added", (f"class {quote(layer.class_name)}",))


def _details(a: Described, b: Described, *, same: bool) -> Iterator[str]:
    """Say what differs; *same* tells whether the configs are of one dialect, with the same keys."""
    if a.class_name != b.class_name:
        yield f"class {quote(a.class_name)} and {quote(b.class_name)}"
        return
    keys = a.config.keys() | b.config.keys() if same else a.config.keys() & b.config.keys()
    for key in sorted(keys):
        one, two = a.config.get(key), b.config.get(key)
        if not _are_alike(one, two):
            yield f"{quote(key)} {quote(one)} and {quote(two)}"
    if a.inputs != b.inputs:
        yield f"called on {quote(a.inputs)} and {quote(b.inputs)}"


def _are_alike(one: object, two: object) -> bool:
    """Tell whether two values of an option are the same, numbers as float32 has them.

    What only one of two objects says is a default. Their names do not matter.
    """
    if isinstance(one, dict) and isinstance(two, dict):
        keys = (one.keys() & two.keys()) - {"name"}
        return all(_are_alike(one[key], two[key]) for key in keys)
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(map(_are_alike, one, two))
    if isinstance(one, float) and isinstance(two, float | int):
        return math.isclose(one, two, rel_tol=1e-7)
    return one == two


def _tensor_changes(a: Side, b: Side, tolerance: float, job: Job) -> Iterator[TensorChange]:
    meter = job.measure(one.nbytes for one in a.tensors.values())
    for name, one in a.tensors.items():
        two = b.tensors.get(name)
        if two is None:
            yield TensorChange(name, "removed", (one.shape, None))
        elif one.shape != two.shape:
            yield TensorChange(name, "shape", (one.shape, two.shape))
        else:
            found = compare(one, two)
            if found.max > tolerance:
                shapes = one.shape, two.shape
                yield TensorChange(name, "values", shapes, found.count, found.max, found.mean)
        next(meter, None)
    for name, two in b.tensors.items():
        if name not in a.tensors:
            yield TensorChange(name, "added", (None, two.shape))
