"""Which files a model is, and whether they are the same as once: by content, or as a store says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tfjs_codec.files import strict_json
from tfjs_codec.files.detection import sniff
from tfjs_codec.files.source import (
    INDEX,
    OLD_MANIFEST,
    AnySource,
    Directory,
    Folder,
    RemoteFolder,
    Source,
    open_source,
    sha256,
)
from tfjs_codec.ir.json_types import Json
from tfjs_codec.limits import Limits


def fingerprint(what: AnySource, limits: Limits) -> list[list[str]]:
    """Return a name and a digest for each file that a reader of *what* may open.

    The digest is the SHA-256 of the content; of a file at a URL it is what the store says of it
    (size, ETag, time).

    Raises:
        InputError, OSError: A file is missing, or not of the form that its kind has.
    """
    return [[name, _digest(file)] for name, file in _files(open_source(what), limits)]


def _digest(source: Source) -> str:
    if source.version is not None:
        return " ".join(source.version)
    with source.open() as file:
        return sha256(file)


def _files(opened: Source, limits: Limits) -> Iterator[tuple[str, Source]]:
    folder = opened.folder
    if folder is not None and opened.is_dir:
        if INDEX not in folder or "saved_model.pb" in folder:
            for name in _tree(folder):
                yield name, folder.find(name, limits=limits)
            return
        opened = folder.find(INDEX, path=opened.path, limits=limits)
    yield "", opened
    if folder is None:
        return
    kind = sniff(opened)
    if kind in ("json", "keras_shards"):
        yield from _listed(opened, folder, limits)
    elif kind == "checkpoint":
        prefix = os.path.basename(opened.path).removesuffix(".index")
        for name in folder.names():
            if name.startswith(f"{prefix}.data-"):
                yield name, folder.find(name, limits=limits)
    elif kind == "graph_def" and OLD_MANIFEST in folder:
        manifest = folder.find(OLD_MANIFEST, limits=limits)
        yield OLD_MANIFEST, manifest
        yield from _listed(manifest, folder, limits)


def _listed(index: Source, folder: Folder, limits: Limits) -> Iterator[tuple[str, Source]]:
    """Yield the weight files that *index* lists."""
    content = strict_json.read(index, limits)
    for name in sorted(set(_names(content))):
        yield name, folder.find(name, path=index.path, limits=limits)


def _names(content: Json) -> Iterator[str]:
    groups = content.get("weightsManifest") if isinstance(content, dict) else content
    for group in groups if isinstance(groups, list) else ():
        paths = group.get("paths") if isinstance(group, dict) else None
        for name in paths if isinstance(paths, list) else ():
            yield str(name).removeprefix("./")
    parts = content.get("weight_map") if isinstance(content, dict) else None
    for one in parts.values() if isinstance(parts, dict) else ():
        yield from map(str, one if isinstance(one, list) else [one])


def _tree(folder: Folder) -> list[str]:
    """Return the names of all files in *folder*, also those in directories below."""
    if isinstance(folder, RemoteFolder):
        return folder.tree()
    if not isinstance(folder, Directory):
        return sorted(folder.names())
    found = (
        Path(base, name).relative_to(folder.base).as_posix()
        for base, _, names in os.walk(folder.base)
        for name in names
    )
    return sorted(found)
