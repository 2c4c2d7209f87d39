"""The files of a tfjs model in a directory, and the pages that we have written beside them."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from tfjs_codec.files.source import INDEX, PAGE, PAGE_MARK

MAX_INDEX_BYTES = 64 << 20
MAX_PAGE_BYTES = 1 << 20


def model_files(
    directory: Path, find: Callable[[bytes], frozenset[str] | None] | None = None
) -> frozenset[str] | None:
    """Return the files of the tfjs model (of any kind and writer) in *directory*, or None.

    *find* does what :func:`listed_files` does.
    """
    index = directory / INDEX
    try:
        if index.stat().st_size > MAX_INDEX_BYTES:
            return None
        files = (find or listed_files)(index.read_bytes())
    except OSError:
        return None
    if files is None:
        return None
    return files | ({PAGE} if _has_our_page(directory) else frozenset())


def listed_files(index: bytes) -> frozenset[str] | None:
    """Return the ``model.json`` *index* and the files that it lists, None if it is another file.

    Only what has the name of a weight file counts: whoever wrote the ``model.json`` may have named
    any file in it.
    """
    try:
        content = json.loads(index)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or not {"modelTopology", "weightsManifest"} & content.keys():
        return None
    return frozenset({INDEX, *_weight_files(content.get("weightsManifest"))})


def sign_page(page: str) -> str:
    """Return *page* with our mark and its checksum as the second line."""
    first, rest = page.split("\n", 1)
    return f"{first}\n{PAGE_MARK} <!-- {_page_sum(page.encode()):08x} -->\n{rest}"


def is_our_page(page: bytes) -> bool:
    """Return whether *page* is one of ours that nobody has edited."""
    lines = page.splitlines(keepends=True)
    mark = lines.pop(1).decode(errors="replace").strip() if len(lines) > 1 else ""
    return mark == f"{PAGE_MARK} <!-- {_page_sum(b''.join(lines)):08x} -->"


def _page_sum(page: bytes) -> int:
    return zlib.crc32(b"\n".join(page.splitlines()))


def _has_our_page(directory: Path) -> bool:
    try:
        with (directory / PAGE).open("rb") as file:
            return is_our_page(file.read(MAX_PAGE_BYTES))
    except OSError:
        return False


def _weight_files(manifest: object) -> Iterator[str]:
    """Yield those file names of *manifest* that we, the official converter or tfjs give."""
    known = re.compile(
        r"group\d+-shard\d+of\d+((\.[0-9a-f]{16})?\.bin)?|([\w-]+\.)?weights\.bin", re.ASCII
    )
    for group in manifest if isinstance(manifest, list) else ():
        paths = group.get("paths") if isinstance(group, dict) else None
        for name in paths if isinstance(paths, list) else ():
            if isinstance(name, str) and known.fullmatch(name.removeprefix("./")):
                yield name.removeprefix("./")
