"""What is in a model file: its layers, its tensors, and what a conversion would do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from math import prod
from typing import Literal

from tfjs_codec.errors import Problem, count, quote, visible
from tfjs_codec.html import write_line, write_list, write_table
from tfjs_codec.ir.json_types import JsonObject
from tfjs_codec.ir.shapes import Dims as Shape

Target = Literal["layers", "graph", "weights", ""]
_TARGETS = {
    "layers": "a Layers model (tf.loadLayersModel)",
    "graph": "a graph model (tf.loadGraphModel)",
    "weights": "a weight manifest without a model",
}

_NAME_CHARS = 60  # of a name in the text; JSON has all of it
_FACT_CHARS = 2000


@dataclass(frozen=True, slots=True)
class LayerInfo:
    """A layer, an operation or a nested model.

    Attributes:
        name: Its name.
        class_name: Its class (of Keras, or of tfjs in tfjs models).
        shapes: Output shapes of its first call, with the batch; empty if they are not known.
        parameters: Number of values of all its variables, those of the layers inside included.
        frozen: How many of these training does not change.
        inputs: Names of the layers it is called on, call by call.
        layers: The layers inside a nested model or wrapper.
        becomes: The tfjs classes it is lowered into, if not the one of its own name.
        tensors: Names of its own tensors; those of the layers inside are theirs.
    """

    name: str
    class_name: str
    shapes: tuple[Shape, ...] = ()
    parameters: int = 0
    frozen: int = 0
    inputs: tuple[str, ...] = ()
    layers: tuple[LayerInfo, ...] = ()
    becomes: tuple[str, ...] = ()
    tensors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """A tensor of a file.

    ``stored`` is the dtype there if that is another, ``nbytes`` what it takes there; None for
    strings, whose size their values tell.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    nbytes: int | None
    stored: str | None = None

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)


@dataclass(frozen=True, slots=True)
class Inspection:
    """What ``tfjs_codec.inspect`` found.

    Attributes:
        path: The source as it was named.
        format: What it is: ``keras-h5``, ``tfjs-layers``, ``tfjs-graph``, ….
        target: What ``convert`` makes of it by default: ``layers``, ``graph`` or ``weights``; ""
            if it refuses it, or if it is a tfjs model already.
        facts: ``(what, value)`` that the file says of itself: versions, signatures, metadata.
        layers: The architecture; empty for mere weights.
        tensors: All tensors, in the file's order.
        problems: Why ``convert`` refuses the model; empty if it does not.
        dropped: State needed only for training that a conversion leaves out.
        warnings: What the reader should know.
    """

    path: str
    format: str
    facts: tuple[tuple[str, str], ...] = ()
    layers: tuple[LayerInfo, ...] = ()
    tensors: tuple[TensorInfo, ...] = ()
    problems: tuple[Problem, ...] = ()
    dropped: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    target: Target = ""

    @property
    def parameters(self) -> int:
        """Number of values of all tensors."""
        return sum(tensor.size for tensor in self.tensors)

    @property
    def frozen(self) -> int:
        """How many of them training does not change, as far as the layers tell."""
        return sum(layer.frozen for layer in self.layers)

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors in the file; without strings, whose size only their values tell."""
        return sum(tensor.nbytes or 0 for tensor in self.tensors)

    def to_json(self) -> JsonObject:
        """Return the inspection as what JSON can express."""
        totals = {"parameters": self.parameters, "frozen": self.frozen, "nbytes": self.nbytes}
        return {**asdict(self), "facts": dict(self.facts), **totals}

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        total = f"{count(self.parameters, 'parameter')}, {self.nbytes:,} bytes"
        return "".join(
            [
                f"<p>{write_line(self.path)}: {write_line(self.format)}, {total}</p>",
                write_table([("fact", "value"), *self.facts]) if self.facts else "",
                write_table(_layer_rows(self.layers), 3) if self.layers else "",
                write_table(_tensor_rows(self.tensors), 3) if self.tensors else "",
                write_list("Left out", self.dropped),
                write_list("Problems", map(str, self.problems)),
                write_list("Warnings", self.warnings),
            ]
        )

    def __str__(self) -> str:
        lines = [f"{self.path}: {self.format}"]
        lines += [f"  {what}: {_cut(value, _FACT_CHARS)}" for what, value in self.facts]
        lines += ["", *_table(_layer_rows(self.layers))] if self.layers else []
        lines += ["", *_table(_tensor_rows(self.tensors))] if self.tensors else []
        total = f"{count(self.parameters, 'parameter')} ({self.frozen:,} frozen)"
        lines += ["", f"{total}, {count(len(self.tensors), 'tensor')}, {self.nbytes:,} bytes"]
        lines += [f"  {_cut(name)} ({kind}) becomes {', '.join(into)}"
                  for name, kind, into in lowered_layers(self.layers)]  # fmt: skip
        lines += [f"  convert writes {_TARGETS[self.target]}"] if self.target else []
        lines += [f"  left out: {text}" for text in self.dropped]
        lines += [f"  problem: {problem}" for problem in self.problems]
        lines += [f"  warning: {text}" for text in self.warnings]
        return "\n".join(map(visible, lines))


def _cut(text: str, chars: int = _NAME_CHARS) -> str:
    """Return *text* bounded and on one line."""
    return text if text.isprintable() and len(text) <= chars else quote(text[:chars])


def _layer_rows(layers: Sequence[LayerInfo], depth: int = 0) -> Iterator[tuple[str, ...]]:
    if not depth:
        yield "layer", "class", "output", "parameters", "inputs"
    for layer in layers:
        shapes = " ".join(show_shape(shape) for shape in layer.shapes)
        inputs = _cut(", ".join(layer.inputs))
        name = "  " * depth + _cut(layer.name)
        yield name, _cut(layer.class_name), shapes, f"{layer.parameters:,}", inputs
        yield from _layer_rows(layer.layers, depth + 1)


def _tensor_rows(tensors: Sequence[TensorInfo]) -> Iterator[tuple[str, ...]]:
    yield "tensor", "dtype", "shape", "bytes", ""
    for tensor in tensors:
        dtype = f"{tensor.dtype} as {tensor.stored}" if tensor.stored else tensor.dtype
        nbytes = "?" if tensor.nbytes is None else f"{tensor.nbytes:,}"
        yield _cut(tensor.name), dtype, show_shape(tensor.shape), nbytes, ""


def show_shape(shape: Shape) -> str:
    """Return *shape* as text; sizes that are None or negative are not known."""
    sizes = ("?" if size is None or size < 0 else str(size) for size in shape)
    return f"[{', '.join(sizes)}]"


def lowered_layers(
    layers: Sequence[LayerInfo], prefix: str = ""
) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield name, class and what it becomes of all *layers* that become others, at any depth."""
    for layer in layers:
        if layer.becomes:
            yield prefix + layer.name, layer.class_name, layer.becomes
        yield from lowered_layers(layer.layers, f"{prefix}{layer.name}/")


def _table(rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Return *rows* as lines with aligned columns; the fourth column holds numbers."""
    columns = []
    for number, column in enumerate(zip(*rows, strict=True)):
        width = max(map(len, column))
        columns.append([cell.rjust(width) if number == 3 else cell.ljust(width) for cell in column])
    return ["  ".join(row).rstrip() for row in zip(*columns, strict=True)]
