"""What a SavedModel directory says of itself: its tags, signatures and operations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tfjs_codec.errors import UnsupportedModelError, quote
from tfjs_codec.files.saved_model import SavedModelDir, open_saved_model, signatures, tag_text
from tfjs_codec.files.source import Source
from tfjs_codec.inspection import keras as inspect_keras
from tfjs_codec.inspection.inspection import Inspection
from tfjs_codec.options import ConvertOptions


def describe(source: Source, options: ConvertOptions) -> Inspection:
    """Return what is in directory *source*, and what the SavedModel offers to callers.

    Raises:
        InputError: The source is damaged, unsafe, or none we read.
    """
    found = inspect_keras.describe(source, options)
    try:
        model = open_saved_model(Path(source.path), tags=options.tags, limits=options.limits)
    except UnsupportedModelError:  # which MetaGraph? The problems tell
        return found
    return replace(found, facts=(*found.facts, *_facts(model)))


def _facts(model: SavedModelDir) -> Iterator[tuple[str, str]]:
    version = model.meta_graph.meta_info_def.tensorflow_version
    if version:
        yield "tensorflow version", version
    yield "tags", "; ".join(map(tag_text, model.all_tags))
    for signature in signatures(model):
        yield f"signature {quote(signature.name)}", str(signature)
    yield "operations", ", ".join(f"{count} {op}" for op, count in operations(model).items())


def operations(model: SavedModelDir) -> dict[str, int]:
    """Return how often each operation occurs in the graph and its functions, most frequent first.

    Operations that only save and restore variables are among them.
    """
    graph = model.meta_graph.graph_def
    counts = Counter(node.op for node in graph.node)
    for function in graph.library.function:
        counts.update(node.op for node in function.node_def)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
