"""The table of what is supported (``tfjs_codec/SUPPORTED.md``), written from the rules themselves.

``python -m tfjs_codec.supported > tfjs_codec/SUPPORTED.md`` renews it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from tfjs_codec.errors import UsageError, quote, suggest
from tfjs_codec.ir.json_types import JsonObject
from tfjs_codec.keras.classes import CLASSES
from tfjs_codec.layers.catalogue import REGISTRY as LAYERS
from tfjs_codec.operations.catalogue import REGISTRY as GRAPH
from tfjs_codec.tracing.refusal import LAYER
from tfjs_codec.tracing.registry import Entry, Registry

_HEAD = """\
# Supported layers and operations

Written by `python -m tfjs_codec.supported` from the rules; a test compares.

A Keras model becomes a Layers model (`tf.loadLayersModel`), or with `--to graph` a graph model
(`tf.loadGraphModel`). Every row is exact up to float32 rounding. A rule that meets options without
an exact counterpart refuses the layer and says why; the few approximations (int8 inputs, bicubic
resizing whose positions Keras's backends round differently) need `--allow-approximate` and are
reported.
"""
_LAST = (
    "Registered by a rule of your own (Layers models), or replaced: see the README, *Custom layers "
    "and Lambda*."
)
_NOT = "—"


@dataclass(frozen=True, slots=True)
class Support:
    """What a Keras layer or operation becomes in both kinds of tfjs models, or why not."""

    name: str
    kind: str  # layer, operation
    layers: str
    graph: str

    def __str__(self) -> str:
        """Return three lines of text."""
        return f"{self.name} ({self.kind})\n  Layers: {self.layers}\n  graph:  {self.graph}"


@dataclass(frozen=True, slots=True)
class Answer:
    """All that bears one name: a layer, an operation, or both."""

    found: tuple[Support, ...]

    def __str__(self) -> str:
        """Return the text of all."""
        return "\n".join(map(str, self.found))

    def to_json(self) -> JsonObject:
        """Return the list of all, objects with the fields of ``Support``."""
        return {"supported": [asdict(support) for support in self.found]}


def look_up(name: str) -> Answer:
    """Return what the layer and the operation *name* become; case does not matter.

    Raises:
        UsageError: There is no such layer or operation; the hint has the nearest.
    """
    everything = list_all().found
    found = tuple(each for each in everything if each.name.lower() == name.lower())
    if not found:
        hint = suggest(name, [each.name for each in everything])
        raise UsageError(f"there is no Keras layer or operation {quote(name)}", hint=hint)
    return Answer(found)


def list_all() -> Answer:
    """Return all layers, then all operations, by name."""
    refused = {*LAYERS.refused, *GRAPH.refused}
    known = {
        "layer": {*LAYERS.layers, *GRAPH.layers} | (refused & {*CLASSES}),
        "operation": {*LAYERS.ops, *GRAPH.ops} | (refused - {*CLASSES}),
    }
    return Answer(tuple(
        Support(name, kind, _describe(LAYERS, name), _describe(GRAPH, name))
        for kind, names in known.items()
        for name in sorted(names)
    ))  # fmt: skip


def _describe(registry: Registry, name: str) -> str:
    if name in registry.refused:
        return f"refused: {_reasons(registry.refused)[name]}"
    entry = registry.layers.get(name) or registry.ops.get(name)
    return (entry.summary or "The operation itself.") if entry else "refused."


def render() -> str:
    """Return the table as Markdown."""
    classes = _both(LAYERS.layers, GRAPH.layers)
    return "\n".join([
        _HEAD,
        "## Layers", "",
        "| Keras class | Keras | in a Layers model | in a graph model |",
        "| --- | --- | --- | --- |",
        *(f"| `{name}` | {_generations(name)} | {text} |" for name, text in classes.items()),
        f"| any other class | | {_LAST} | {_NOT} |", "",
        "## Operations", "",
        "Functions of `keras.ops`, TensorFlow functions of the same meaning, and operators.", "",
        "| operations | in a Layers model | in a graph model |", "| --- | --- | --- |",
        *_group(_operations()), "",
        "## Refused in Layers models", "",
        "| classes and operations | why, and the way out |", "| --- | --- |",
        *_group(_reasons(LAYERS.refused)), "",
        "## Refused in graph models", "",
        "| classes and operations | why, and the way out |", "| --- | --- |",
        *_group(_reasons(GRAPH.refused)), "",
    ])  # fmt: skip


def _both(layers: Mapping[str, Entry], graph: Mapping[str, Entry]) -> dict[str, str]:
    """Return how each name is expressed in both kinds of models, as two cells of a row."""
    return {
        name: " | ".join(
            entries[name].summary if name in entries else _NOT for entries in (layers, graph)
        )
        for name in sorted({*layers, *graph})
    }


def _operations() -> dict[str, str]:
    """Return the same for operations; a graph has those that it has as they are."""
    return {
        name: f"{LAYERS.ops[name].summary if name in LAYERS.ops else _NOT} | "
        f"{'yes' if name in GRAPH.ops else _NOT}"
        for name in sorted({*LAYERS.ops, *GRAPH.ops})
    }


def _reasons(refused: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    return {
        name: f"{reason}. {hint.replace(LAYER, 'NAME')}".strip()
        for name, (reason, hint) in refused.items()
    }


def _generations(name: str) -> str:
    first, last = CLASSES[name].generations
    if (first, last) == (1, 3):
        return "all"
    return str(last) if first == last else f"{first} and {last}"


def _group(texts: dict[str, str]) -> Iterable[str]:
    """Yield one row for all names that share a text."""
    for text in dict.fromkeys(texts.values()):
        names = ", ".join(f"`{name}`" for name, other in sorted(texts.items()) if other == text)
        yield f"| {names} | {text} |"


if __name__ == "__main__":
    import sys

    sys.stdout.write(render())
