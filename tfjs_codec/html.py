"""Tables for notebooks: what ``_repr_html_`` of results returns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from tfjs_codec.errors import visible

_ROWS = 500  # of a table; a page with more is slow


def write_table(rows: Iterable[Sequence[str]], numbers: int | None = None) -> str:
    """Return *rows*, the first of which is the head, as a table; column *numbers* is aligned right.

    Every cell is escaped: names in model files may hold markup.
    """
    listed = [list(row) for row in islice(rows, _ROWS + 1)]
    lines = ["<table>"]
    for index, row in enumerate(listed):
        tag = "th" if not index else "td"
        right = f'<{tag} style="text-align:right">'
        cells = (
            f"{right if column == numbers else f'<{tag}>'}{write_line(cell)}</{tag}>"
            for column, cell in enumerate(row)
        )
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return "".join([*lines, "</table>", "<p>…</p>" * (len(listed) > _ROWS)])


def write_list(head: str, items: Iterable[str]) -> str:
    """Return *items* under *head*; nothing if there are none."""
    listed = "".join(f"<li>{write_line(item)}</li>" for item in islice(items, _ROWS))
    return f"<p><b>{write_line(head)}</b></p><ul>{listed}</ul>" if listed else ""


def write_line(text: str) -> str:
    """Return *text* as HTML, on one line."""
    from html import escape  # noqa: PLC0415  its tables take a millisecond, and few need them

    return escape(visible(text))
