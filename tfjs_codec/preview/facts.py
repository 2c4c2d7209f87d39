"""What the page shows of a model, as JSON of bounded size.

Facts come from :mod:`tfjs_codec.inspection`; this adds the distributions of the values, how far
quantised ones are from their source, and the tree and edges that are drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

from tfjs_codec import __version__
from tfjs_codec.comparison.compare import compare
from tfjs_codec.conversion.expression import express_graph
from tfjs_codec.conversion.job import Job
from tfjs_codec.errors import (
    NONSENSE,
    CorruptFileError,
    TfjsCodecError,
    UnsupportedModelError,
    UsageError,
    count,
    visible,
)
from tfjs_codec.files.source import INDEX, AnySource
from tfjs_codec.graph.importing.tfjs_graph import parse
from tfjs_codec.inspection.inspect import inspect
from tfjs_codec.inspection.inspection import Inspection, LayerInfo, TensorInfo, lowered_layers
from tfjs_codec.inspection.keras import tensor_info
from tfjs_codec.inspection.operations import describe_operations
from tfjs_codec.ir.graph import Graph
from tfjs_codec.ir.json_types import Json, JsonObject
from tfjs_codec.ir.loaded import Loaded, TensorFlowGraph, Tfjs, TfjsGraph, TfjsLayers, Weights
from tfjs_codec.ir.tensors import LazyTensor
from tfjs_codec.options import ConvertOptions
from tfjs_codec.preview.histogram import count_values
from tfjs_codec.preview.scopes import group_by_block, group_by_scope
from tfjs_codec.progress import Progress
from tfjs_codec.report import Report
from tfjs_codec.verification.expectation import expect_weights
from tfjs_codec.verification.samples import Sampler
from tfjs_codec.writers.tfjs_graph import constants

if TYPE_CHECKING:
    from tfjs_codec.readers.live_keras import LiveModel

_CHARS = 300  # of a name
_FACT_CHARS = 2000
_UNFOLDED = 60  # layers that are not grouped by blocks
_MOST_NODES = 4000
_MOST_EDGES = 20_000
_MOST_TENSORS = 4000
_MOST_LINES = 500  # of a list of warnings or lowerings
_READ_BYTES = 1 << 30  # of values for histograms
_FORMATS = {
    "tfjs-layers": "TensorFlow.js Layers model",
    "tfjs-graph": "TensorFlow.js graph model",
    "tfjs-weights": "TensorFlow.js weights",
    "keras-h5": "Keras HDF5 file",
    "keras-v3": "Keras 3 file",
}


@dataclass(slots=True)
class _Model:
    """What is drawn and measured: layers or operations, and the tensors that they name."""

    layers: tuple[LayerInfo, ...] = ()
    tensors: tuple[TensorInfo, ...] = ()
    values: Mapping[str, LazyTensor] = field(default_factory=dict)
    steps: Mapping[str, float] = field(default_factory=dict)  # of quantised tensors
    operations: bool = False
    bounds: Mapping[str, int] = field(default_factory=dict)  # of inputs that are indices


def collect(
    source: AnySource | LiveModel,
    options: ConvertOptions,
    *,
    against: AnySource | LiveModel | None = None,
    replacements: Mapping[str, AnySource] | None = None,
    report: Report | None = None,
    progress: Progress | None = None,
) -> JsonObject:
    """Return the facts of *source*: the data of the page.

    Args:
        source: A model of any kind that is read.
        options: How to read it, and *against*.
        against: What the tfjs model *source* was made of: its values are compared.
        replacements: Models in the place of layers of *against*.
        report: That of the conversion that wrote *source*.
        progress: Called with the bytes of values done and to do.

    Raises:
        InputError: *source* is damaged, unsafe, or none we read.
        UsageError: *against* is given, and *source* is no tfjs model.
    """
    found = inspect(source, options.begin())
    notes: list[str] = []
    with ExitStack() as stack:
        job = Job(options.begin(), stack, replacements or {}, progress=progress)
        loaded = _open(source, found, job)
        model = _look(loaded, found, job, notes)
        differences = _compare(loaded, against, job) if against is not None else {}
        shown = model.tensors[:_MOST_TENSORS]
        tensors = list(_tensors(shown, model, report, differences, job, notes))
    tree = _Tree({tensor.name: number for number, tensor in enumerate(shown)}, model.tensors)
    tree.add_all(_fold(model), None)
    if tree.left_out:
        notes.append(f"The first {_MOST_NODES:,} layers and operations are shown.")
    if len(tree.edges) >= _MOST_EDGES:
        notes.append(f"The first {_MOST_EDGES:,} connections are shown.")
    if len(model.tensors) > len(shown):
        notes.append(f"The first {len(shown):,} of {len(model.tensors):,} tensors are shown.")
    source_found = _inspect_source(against, options)
    return {
        "title": _cut(_title(found.path)),
        "path": _cut(found.path),
        "format": _FORMATS.get(found.format, _cut(found.format)),
        "version": __version__,
        "unit": "operation" if model.operations else "layer",
        "totals": {
            "parameters": sum(tensor.size for tensor in model.tensors),
            "frozen": found.frozen,
            "nbytes": sum(tensor.nbytes or 0 for tensor in model.tensors),
            "tensors": len(model.tensors),
        },
        "facts": [[_cut(key), _cut(value, _FACT_CHARS)] for key, value in found.facts],
        "bounds": {_cut(key): below for key, below in model.bounds.items()},
        "nodes": tree.nodes,
        "edges": tree.edges,
        "tensors": tensors,
        **_conversion(found, source_found, report),
        "notes": notes,
    }


def _open(source: AnySource | LiveModel, found: Inspection, job: Job) -> Loaded | None:
    try:
        return job.open(source)
    except UnsupportedModelError:
        if found.problems:  # they say why
            return None
        raise


def _look(loaded: Loaded | None, found: Inspection, job: Job, notes: list[str]) -> _Model:
    match loaded:
        case None:
            return _Model(found.layers, found.tensors)
        case TfjsGraph():
            return _of_graph(lambda: parse(loaded), found, loaded)
        case TensorFlowGraph() if not found.layers:
            try:
                graph = express_graph(loaded, job)
            except (UnsupportedModelError, UsageError) as error:
                if not found.problems:
                    notes.append(f"{error}")
                named = loaded.layers_weights_or_constants().named_weights()
                return _Model(found.layers, found.tensors, named)
            notes.append("The operations are those of the graph model that convert writes.")
            return _of_graph(lambda: graph, found, None)
        case TensorFlowGraph():
            named = loaded.layers_weights_or_constants().named_weights()
            return _Model(found.layers, found.tensors, named)
        case _:
            steps = _steps(loaded) if isinstance(loaded, TfjsLayers | Weights) else {}
            return _Model(found.layers, found.tensors, loaded.named_weights(), steps)


def _fold(model: _Model) -> Sequence[LayerInfo]:
    """Return what is drawn, grouped if that is much."""
    if model.operations:
        return group_by_scope(model.layers)
    return group_by_block(model.layers) if len(model.layers) > _UNFOLDED else model.layers


def _of_graph(make: Callable[[], Graph], found: Inspection, stored: TfjsGraph | None) -> _Model:
    try:
        graph = make()
        layers = describe_operations(graph)
        values = constants(graph)
        bounds = Sampler(graph, graph).bounds
    except TfjsCodecError:
        raise
    except NONSENSE as error:
        what = f"the graph makes no sense ({type(error).__name__}: {error})"
        raise CorruptFileError(what, path=found.path) from error
    if stored is not None:
        named, steps = stored.named_weights(), _steps(stored)
        return _Model(layers, found.tensors, named, steps, operations=True, bounds=bounds)
    tensors = tuple(tensor_info(name, tensor) for name, tensor in values.items())
    return _Model(layers, tensors, values, operations=True)


def _steps(model: Tfjs) -> dict[str, float]:
    """Return the steps of the tensors that are quantised to whole numbers."""
    scales = {one.name: one.quantized.entry.get("scale") for one in model.weights if one.quantized}
    return {name: float(scale) for name, scale in scales.items() if scale is not None}


def _compare(
    loaded: Loaded | None, against: AnySource | LiveModel, job: Job
) -> dict[str, tuple[float, float]]:
    """Return by name of a tensor its largest and mean distance from that of the source."""
    if not isinstance(loaded, Tfjs):
        raise UsageError(
            "only a tfjs model is compared with its source", hint="Leave out --against."
        )
    expected = expect_weights(loaded, job.open(against), job)
    found = {}
    for weight in loaded.weights:
        source = expected.get(weight.name)
        if source is not None and source.shape == weight.tensor.shape:
            difference = compare(source, weight.tensor)
            found[weight.name] = (difference.max, difference.mean)
    return found


def _tensors(
    shown: Sequence[TensorInfo],
    model: _Model,
    report: Report | None,
    differences: Mapping[str, tuple[float, float]],
    job: Job,
    notes: list[str],
) -> Iterator[JsonObject]:
    recorded = {name: error for name, _, error, *_ in report.quantization} if report else {}
    meter = job.measure(model.values[one.name].nbytes for one in shown if one.name in model.values)
    spent = left_out = 0
    for tensor in shown:
        described: JsonObject = {
            "name": _cut(tensor.name),
            "dtype": tensor.dtype,
            "stored": tensor.stored,
            "shape": list(tensor.shape),
            "size": tensor.size,
            "nbytes": tensor.nbytes,
            "histogram": None,
            "step": model.steps.get(tensor.name),
        }
        if tensor.name in differences:
            described["error"], described["mean_error"] = differences[tensor.name]
        elif tensor.name in recorded:
            described["error"] = recorded[tensor.name]
        values = model.values.get(tensor.name)
        if values is not None:
            spent += values.nbytes
            if spent <= _READ_BYTES:
                histogram = count_values(values)
                described["histogram"] = histogram and histogram.to_json()
            else:
                left_out += 1
            next(meter, None)
        yield _finite(described)
    if left_out:
        notes.append(
            f"{count(left_out, 'tensor')} without a histogram: "
            f"values are read up to {_READ_BYTES >> 20:,} MiB."
        )


def _finite(described: JsonObject) -> JsonObject:
    """Return *described* with None in the place of distances that are infinite."""
    odd = (float("inf"), float("-inf"))
    return {key: None if value in odd else value for key, value in described.items()}


class _Tree:
    """Layers as a list of nodes that name their parents, and the edges between them."""

    def __init__(self, places: Mapping[str, int], tensors: Sequence[TensorInfo]) -> None:
        self.nodes: list[JsonObject] = []
        self.edges: list[list[int]] = []
        self.left_out = False
        self._places = places
        self._nbytes = {tensor.name: tensor.nbytes or 0 for tensor in tensors}

    def add_all(self, layers: Sequence[LayerInfo], parent: int | None) -> int:
        """Add *layers*, which know each other by name, and return the bytes of their tensors."""
        numbers: dict[str, int] = {}
        total = 0
        for layer in layers:
            if len(self.nodes) >= _MOST_NODES:
                self.left_out = True
                break
            numbers[layer.name] = len(self.nodes)
            total += self._add(layer, parent)
        for layer in layers:
            target = numbers.get(layer.name)
            for name in layer.inputs:
                if len(self.edges) >= _MOST_EDGES:
                    return total
                if target is not None and name in numbers:
                    self.edges.append([numbers[name], target])
        return total

    def _add(self, layer: LayerInfo, parent: int | None) -> int:
        node: JsonObject = {}
        number = len(self.nodes)
        self.nodes.append(node)
        nbytes = sum(self._nbytes.get(name, 0) for name in layer.tensors)
        nbytes += self.add_all(layer.layers, number)
        node |= {
            "name": _cut(layer.name),
            "kind": _cut(layer.class_name),
            "shapes": [list(shape) for shape in layer.shapes[:8]],
            "parameters": layer.parameters,
            "frozen": layer.frozen,
            "nbytes": nbytes,
            "parent": parent,
            "tensors": [self._places[name] for name in layer.tensors if name in self._places],
            "becomes": list(map(_cut, layer.becomes[:20])),
        }
        return nbytes


def _inspect_source(
    against: AnySource | LiveModel | None, options: ConvertOptions
) -> Inspection | None:
    return None if against is None else inspect(against, options.begin())


def _conversion(found: Inspection, source: Inspection | None, report: Report | None) -> JsonObject:
    """Return what is known of the conversion: of the one that was, or that would be."""
    told = source or found
    lowered: Sequence[tuple[str, str, tuple[str, ...]]] = list(lowered_layers(told.layers))
    warnings, dropped = (*found.warnings, *told.warnings), told.dropped
    renamed: tuple[tuple[str, str], ...] = ()
    if report is not None:
        lowered, dropped, renamed = report.lowered, report.dropped, report.renamed
        warnings = (*report.warnings, *found.warnings)
    return {
        "problems": _lines(map(str, told.problems)),
        "warnings": _lines(dict.fromkeys(warnings)),
        "dropped": _lines(dropped),
        "renamed": [[_cut(old), _cut(new)] for old, new in renamed[:_MOST_LINES]],
        "lowered": [
            [_cut(name), _cut(kind), list(map(_cut, into[:20]))]
            for name, kind, into in lowered[:_MOST_LINES]
        ],
        "target": {"layers": "a Layers model", "graph": "a graph model",
                   "weights": "a weight manifest"}.get(found.target, ""),
    }  # fmt: skip


def _lines(texts: object) -> list[Json]:
    listed = [_cut(text, _FACT_CHARS) for text in cast("Sequence[str]", list(texts))]  # type: ignore[call-overload]
    more = [f"… and {len(listed) - _MOST_LINES:,} more"] if len(listed) > _MOST_LINES else []
    return [*listed[:_MOST_LINES], *more]


def _title(path: str) -> str:
    place = Path(path)
    return place.resolve().parent.name if place.name == INDEX else place.name or path


def _cut(text: str, chars: int = _CHARS) -> str:
    """Return *text* bounded and on one line."""
    return visible(text if len(text) <= chars else f"{text[: chars - 1]}…")
