"""A picture of a model: parameters of its layers as bars, histograms of its largest weights.

Drawn by matplotlib, an optional dependency, from the facts of :mod:`tfjs_codec.preview.facts`.
Texts stay texts in the SVG, and no name is read as markup or as mathematics. The same model gives
the same bytes with the same matplotlib.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from tfjs_codec.errors import UsageError, count
from tfjs_codec.files.source import PAGE_MARK
from tfjs_codec.ir.json_types import JsonObject

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

START = f"{PAGE_MARK}\n<svg"  # of every picture of ours, which may be replaced
_MOST_BARS = 40
_MOST_HISTOGRAMS = 12
_COLUMNS = 4
_WIDTH, _BAR_HEIGHT, _ROW_HEIGHT, _MARGIN = 9.0, 0.22, 1.5, 0.9  # inches
_LABEL_CHARS = 40
_MOST = 1e300  # values beyond are no coordinates: their distance may be infinite
_COLOUR = "#3b6ea8"
_STYLE = {
    "svg.hashsalt": "tfjs_codec",
    "svg.fonttype": "none",
    "font.size": 8.0,
    "axes.titlesize": 8.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,
}


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture, which notebooks show.

    Attributes:
        svg: The picture: a comment that says who made it, and an ``svg`` element.
    """

    svg: str

    def _repr_svg_(self) -> str:
        return self.svg


class _Bar(NamedTuple):
    label: str
    parameters: int


def draw(facts: JsonObject) -> Plot:
    """Return the picture of the model that *facts* tell of.

    Raises:
        UsageError: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl  # noqa: PLC0415  optional
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError:
        raise UsageError(
            "a plot needs matplotlib", hint="Install it: pip install 'tfjs_codec[plot]'."
        ) from None
    tensors = cast("list[dict[str, Any]]", facts["tensors"])
    bars = list(_bars(cast("list[dict[str, Any]]", facts["nodes"]), tensors))
    shown = filter(_has_histogram, tensors)
    largest = sorted(shown, key=lambda one: -one["size"])[:_MOST_HISTOGRAMS]
    rows = -(-len(largest) // _COLUMNS)
    heights = [max(1, len(bars)) * _BAR_HEIGHT + _MARGIN, rows * _ROW_HEIGHT]
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about characters that its font lacks: the viewer has them
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        figure = Figure(figsize=(_WIDTH, sum(heights)), layout="constrained")
        parts = figure.subfigures(2 if rows else 1, 1, height_ratios=heights[: 1 + bool(rows)])
        upper, *lower = list(parts) if rows else [parts]
        total = sum(one["size"] for one in tensors)
        upper.suptitle(f"{_cut(str(facts['title']))}: {count(total, 'parameter')}", fontsize=10)
        _draw_bars(upper.add_subplot(), bars)
        for part in lower:
            _draw_histograms(part, largest, rows)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    return Plot(f"{PAGE_MARK}\n{text[text.index('<svg') :]}")


def _bars(nodes: Sequence[dict[str, Any]], tensors: Sequence[dict[str, Any]]) -> Iterator[_Bar]:
    """Yield a bar for each layer that has tensors itself, in order; without layers, for tensors.

    If there are too many, the smallest are one bar, the last.
    """
    found = [
        _Bar(_path(nodes, node), sum(tensors[place]["size"] for place in node["tensors"]))
        for node in nodes
        if node["tensors"]
    ] or [_Bar(one["name"], one["size"]) for one in tensors]
    by_size = sorted(range(len(found)), key=lambda place: -found[place].parameters)
    kept = {*by_size[: _MOST_BARS if len(found) <= _MOST_BARS else _MOST_BARS - 1]}
    yield from (bar for place, bar in enumerate(found) if place in kept)
    rest = [bar.parameters for place, bar in enumerate(found) if place not in kept]
    if rest:
        yield _Bar(f"{len(rest):,} more", sum(rest))


def _path(nodes: Sequence[dict[str, Any]], node: dict[str, Any]) -> str:
    names = [node["name"]]
    while node["parent"] is not None:
        node = nodes[node["parent"]]
        names.append(node["name"])
    return "/".join(reversed(names))


def _has_histogram(tensor: dict[str, Any]) -> bool:
    """Tell whether *tensor* has values that an axis can show."""
    histogram = tensor["histogram"]
    if not histogram or not histogram["counts"]:
        return False
    return bool(max(abs(histogram["low"]), abs(histogram["high"])) < _MOST)


def _draw_bars(axes: Axes, bars: Sequence[_Bar]) -> None:
    places = range(len(bars))
    drawn = axes.barh(places, [bar.parameters for bar in bars], color=_COLOUR)
    axes.bar_label(drawn, [f"{bar.parameters:,}" for bar in bars], padding=2)
    axes.set_yticks(places, [_cut(bar.label) for bar in bars])
    axes.set_ylim(len(bars) - 0.5, -0.5)
    axes.margins(x=0.12)
    axes.set_xlabel("parameters")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")


def _draw_histograms(part: Figure, tensors: Sequence[dict[str, Any]], rows: int) -> None:
    for number, tensor in enumerate(tensors, 1):
        axes = part.add_subplot(rows, _COLUMNS, number)
        histogram = tensor["histogram"]
        low, counts = histogram["low"], histogram["counts"]
        width = (histogram["high"] - low) / len(counts) or 1.0
        edges = [low + width * place for place in range(len(counts) + 1)]
        axes.stairs(counts, edges, fill=True, color=_COLOUR)
        axes.set_title(_cut(tensor["name"], _LABEL_CHARS // 2))
        axes.locator_params(nbins=3)
        axes.tick_params(labelsize=6)


def _cut(text: str, chars: int = _LABEL_CHARS) -> str:
    """Return the end of *text*, which tells more than its beginning."""
    return text if len(text) <= chars else f"…{text[1 - chars :]}"
