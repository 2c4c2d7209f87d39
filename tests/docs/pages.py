"""The fenced blocks of the documentation: what a reader would run, found and run.

A block of ``bash`` or ``python`` is run as it stands, in the order of the page, in one directory
that has ``fixtures/``. ``console`` holds commands after ``$`` and the lines that they print (``…``
stands for any text). A block with a ``title="FILE"`` is written to that file. A comment before the
fence says what else it needs:

- ``<!-- keras -->``, ``<!-- tensorflow -->``: ``python`` is that of the oracle, which has Keras 3
  on JAX, or TensorFlow with tf_keras;
- ``<!-- node -->``: Node with the packages of the tests;
- ``<!-- not run: REASON -->``: nothing runs it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(
    r"(?:^<!-- (?P<note>[^>]*) -->\n+)?"
    r"^(?P<indent> *)```(?P<info>\w[^\n]*)\n(?P<code>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_RUN = ("bash", "console", "python")
NEEDS = {"keras": "oracle", "tensorflow": "tensorflow", "node": "node"}  # markers of pytest


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the file that it is, what it needs, and its text."""

    page: str
    line: int
    language: str
    title: str
    note: str
    code: str

    @property
    def is_run(self) -> bool:
        """Whether the block is a command or program that a reader would run."""
        return self.language in _RUN and not self.title and not self.note.startswith("not run")


def read_pages() -> dict[str, list[Block]]:
    """Return the blocks of README and of each page of the documentation, by page."""
    files = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return {str(file.relative_to(ROOT)): read_blocks(file) for file in files}


def read_blocks(file: Path) -> list[Block]:
    """Return the fenced blocks of the page *file*."""
    text = file.read_text(encoding="utf-8")
    blocks = []
    for found in _BLOCK.finditer(text):
        language, _, rest = found["info"].partition(" ")
        title = re.search(r'title="([^"]*)"', rest)
        indent = len(found["indent"])
        code = "".join(line[indent:] for line in found["code"].splitlines(keepends=True))
        line = text.count("\n", 0, found.start("info")) + 1
        blocks.append(
            Block(str(file.relative_to(ROOT)), line, language, title[1] if title else "",
                  found["note"] or "", code)
        )  # fmt: skip
    return blocks
