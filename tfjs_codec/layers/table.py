"""The supported-layers table (``tfjs_codec/SUPPORTED.md``), written from the rules themselves.

``python -m tfjs_codec.layers.table > tfjs_codec/SUPPORTED.md`` renews it.
"""

from __future__ import annotations

from collections.abc import Iterable

from tfjs_codec.keras.classes import CLASSES
from tfjs_codec.layers.catalogue import REGISTRY

_HEAD = """\
# Supported layers and operations

Written by `python -m tfjs_codec.layers.table` from the rules; a test compares.

Every row is exact up to float32 rounding. A rule that meets options without an exact counterpart
refuses the layer and says why; the few approximations (int8 inputs, bicubic resizing whose
positions Keras's backends round differently) need `--allow-approximate` and are reported.
"""
_LAST = "Registered by a rule of your own, or replaced: see the README, *Custom layers and Lambda*."


def render() -> str:
    """Return the table as Markdown."""
    layers = {name: entry.summary for name, entry in REGISTRY.layers.items()}
    operations = {name: entry.summary for name, entry in REGISTRY.ops.items()}
    refused = {
        name: f"{reason}. {hint}".strip() for name, (reason, hint) in REGISTRY.refused.items()
    }
    return "\n".join([
        _HEAD,
        "## Layers", "",
        "| Keras class | Keras | becomes in tfjs |", "| --- | --- | --- |",
        *(f"| `{name}` | {_generations(name)} | {layers[name]} |" for name in sorted(layers)),
        "| any other class | | " + _LAST + " |", "",
        "## Operations", "",
        "Functions of `keras.ops`, TensorFlow functions of the same meaning, and operators.", "",
        "| operations | become in tfjs |", "| --- | --- |",
        *_group(operations), "",
        "## Refused", "",
        "| classes and operations | why, and the way out |", "| --- | --- |",
        *_group(refused), "",
    ])  # fmt: skip


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
