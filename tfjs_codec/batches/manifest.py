"""What a batch is to convert: manifests in JSON Lines or CSV, patterns of files, paths.

A row of a manifest has a ``source``, perhaps the ``name`` of its destination below that of the
batch, and options of a conversion: the keywords of :class:`~tfjs_codec.options.ConvertOptions`, and
``replace``. In CSV an empty cell is no option; lists are written with commas, mappings as JSON.
"""

from __future__ import annotations

import csv
import glob
import io
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from tfjs_codec.errors import UsageError, quote, suggest
from tfjs_codec.files import remote, strict_json
from tfjs_codec.files.paths import unsafe_reason
from tfjs_codec.files.source import INDEX, open_source
from tfjs_codec.ir.json_types import Json, JsonObject
from tfjs_codec.options import OPTIONS, ConvertOptions, parse_size
from tfjs_codec.outputs import FILES

_NAMES = ("tags", "output_node_names", "outputs")
_MAPS = ("quantize", "metadata", "rename", "replace")
_SIZES = ("shard_size_bytes", "max_bytes")
_DEFAULTS = ConvertOptions()
_FLAGS = frozenset(name for name in OPTIONS if isinstance(getattr(_DEFAULTS, name), bool))
COLUMNS = ("source", "name", "replace", *(name for name in OPTIONS if name != "limits"))
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_MANIFESTS = (".jsonl", ".ndjson", ".csv")
_MODELS = (".weights.h5", ".h5", ".hdf5", ".keras", ".tar.gz", ".tgz", ".tar", ".zip", ".npz",
           ".index", ".pb", ".pbtxt", ".json")  # fmt: skip
_INSIDE = (INDEX, "saved_model.pb", "saved_model.pbtxt")  # stand for their directory
_MAGIC = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Item:
    """A model to convert: its source, the name of its destination, its options as keywords."""

    source: str
    name: str
    options: JsonObject = field(default_factory=dict)
    replace: Mapping[str, str] = field(default_factory=dict)


def list_items(
    given: Iterable[str | os.PathLike[str] | bytes | Mapping[str, Json]],
    common: Mapping[str, object],
) -> list[Item]:
    """Return what *given* asks for: paths, URLs, patterns, manifests or their bytes, rows of one.

    *common* are options of all that a row may override.

    Raises:
        UsageError: A column, value or name makes no sense; nothing matches a pattern; two models
            would be written to the same place.
    """
    items: list[Item] = []
    for one in given:
        if isinstance(one, Mapping):
            items.append(_item(dict(one), common, "", ""))
        elif isinstance(one, bytes) or os.fspath(one).lower().endswith(_MANIFESTS):
            items += _read_manifest(one if isinstance(one, bytes) else os.fspath(one), common)
        else:
            pairs = _match(os.fspath(one))
            items += [_item({"source": s, "name": n}, common, s, "") for s, n in pairs]
    if not items:
        raise UsageError("there is nothing to convert", hint="Name models, or a manifest.")
    sources: dict[str, str] = {}
    for item in items:
        known = sources.setdefault(item.name.casefold(), item.source)
        if known is not item.source:
            raise UsageError(
                f"{quote(known)} and {quote(item.source)} would both be written to "
                f"{quote(item.name)}, upper and lower case being one in some file systems",
                hint='Give one of them a name: {"source": …, "name": …}, in a manifest or, in '
                "Python, in the list of models.",
            )  # fmt: skip
    return items


def _read_manifest(given: str | bytes, common: Mapping[str, object]) -> Iterator[Item]:
    source = open_source(given)
    text = source.read("json_bytes").decode("utf-8-sig")
    if isinstance(given, bytes):
        base, is_csv = "", not text.lstrip().startswith("{")
    else:
        is_csv = given.lower().endswith(".csv")
        base = given.rpartition("/")[0] if remote.is_url(given) else os.path.dirname(given)
    rows = _read_csv if is_csv else _read_lines
    for where, row in rows(text, source.path):
        yield _item(row, common, source.path, where, base)


def _read_lines(text: str, path: str) -> Iterator[tuple[str, JsonObject]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        where = f"line {number}"
        row = strict_json.loads(line.encode(), path=path, where=where)
        if not isinstance(row, dict):
            raise UsageError(f"expected an object, found {quote(row)}", path=path, where=where)
        yield where, row


def _read_csv(text: str, path: str) -> Iterator[tuple[str, JsonObject]]:
    reader = csv.DictReader(io.StringIO(text))
    for name in reader.fieldnames or ():
        _check_column(name, path, "line 1")
    for row in reader:
        where = f"line {reader.line_num}"
        if None in row or None in row.values():
            raise UsageError("not as many cells as columns", path=path, where=where)
        cells = {name: cell.strip() for name, cell in row.items() if cell.strip()}
        yield where, {name: _parse(name, cell, path, where) for name, cell in cells.items()}


def _parse(name: str, cell: str, path: str, where: str) -> Json:
    """Return the value that a *cell* of CSV means in column *name*."""
    if name in _NAMES:
        return [part.strip() for part in cell.split(",")]
    if name in _FLAGS:
        if cell.lower() not in _WORDS:
            raise UsageError(f"{name} is {quote(cell)}, not true or false", path=path, where=where)
        return _WORDS[cell.lower()]
    if name in _SIZES:
        return parse_size(cell)
    if name == "max_error":
        try:
            return float(cell)
        except ValueError:
            raise UsageError(
                f"{name} is {quote(cell)}, not a number", path=path, where=where
            ) from None
    if name == "quantize" and not cell.startswith("{"):
        return {cell: True}
    if name in _MAPS:
        value: Json = strict_json.loads(cell.encode(), path=path, where=f"{where}, {name}")
        return value
    return cell


def _item(
    row: JsonObject, common: Mapping[str, object], path: str, where: str, base: str = ""
) -> Item:
    for name in row:
        _check_column(name, path, where)
    values: dict[str, Any] = {**common, **row}
    try:
        json.dumps(values)
    except (TypeError, ValueError) as error:
        raise UsageError(f"an option is not JSON: {error}", path=path, where=where) from None
    source, name = values.pop("source", None), values.pop("name", None)
    replace = values.pop("replace", None) or {}
    if not isinstance(source, str) or not source:
        raise UsageError("there is no source", path=path, where=where)
    if not isinstance(replace, dict):
        raise UsageError("replace is no mapping", path=path, where=where)
    options = {key: value for key, value in values.items() if value is not None}
    try:
        checked = ConvertOptions(**options)
    except UsageError as error:
        raise UsageError(error.what, path=path, where=where, hint=error.hint) from None
    except TypeError as error:
        raise UsageError(f"an option has no such value: {error}", path=path, where=where) from None
    target = _suffix(str(name or stem(source)), checked)
    reason = unsafe_reason(target)
    if reason is not None:
        raise UsageError(f"the name {quote(target)} {reason}", path=path, where=where)
    if isinstance(checked.architecture, str):
        options["architecture"] = _absolute(checked.architecture, base)
    files = {str(layer): _absolute(str(file), base) for layer, file in replace.items()}
    return Item(_absolute(source, base), target, options, files)


def _check_column(name: str, path: str, where: str) -> None:
    if name not in COLUMNS:
        hint = suggest(name, COLUMNS)
        raise UsageError(f"there is no column {quote(name)}", path=path, where=where, hint=hint)


def _suffix(name: str, options: ConvertOptions) -> str:
    """Return *name* with the suffix that the target has, if it is one of files."""
    row = next((row for row in FILES if row.name == options.to), None)
    return name if row is None or name.lower().endswith(row.suffixes) else name + row.suffixes[0]


def _absolute(path: str, base: str) -> str:
    """Return *path*, relative to *base*, as it means the same in every process."""
    if remote.is_url(path):
        return path
    if remote.is_url(base):
        return f"{base}/{path}"
    return os.path.abspath(os.path.join(base, path))


def stem(source: str) -> str:
    """Return what a model is called: the name of its file, or of its directory."""
    path = remote.show(source).partition("::")[0] if remote.is_url(source) else source
    parts = [part for part in re.split(r"[/\\]", path) if part not in ("", ".")]
    if len(parts) > 1 and parts[-1] in _INSIDE:
        parts.pop()
    name = parts[-1] if parts else ""
    suffix = next((suffix for suffix in _MODELS if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(suffix)] or name


def _match(pattern: str) -> Sequence[tuple[str, str]]:
    """Return the sources that *pattern* means, and names for them.

    Those of a pattern are called by their paths below its fixed part.
    """
    if not _MAGIC.search(pattern) or (not remote.is_url(pattern) and os.path.lexists(pattern)):
        return [(pattern, stem(pattern))]
    fixed = pattern[: _MAGIC.search(pattern).start()].rpartition("/")[0]  # type: ignore[union-attr]
    if remote.is_url(pattern):
        found = remote.match(pattern)
    else:
        found = sorted(path.replace(os.sep, "/") for path in glob.glob(pattern, recursive=True))
    if not found:
        raise UsageError("nothing matches", path=remote.show(pattern))
    pairs = []
    for source in found:
        above = PurePosixPath(source.removeprefix(fixed).strip("/")).parent
        inside = os.path.basename(source.rstrip("/")) in _INSIDE and str(above) != "."
        folder = above.parent if inside else above
        pairs.append((source, str(folder / stem(source))))
    return pairs
