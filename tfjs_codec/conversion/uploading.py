"""Publishes a model at a URL, so that no reader ever sees a mixture of two.

Object stores replace one file at a time. So the files that ``model.json`` names come first and it
comes last; where there is a model, weight files that differ from those in place get a name with a
digest of their content, so that the old ``model.json`` keeps naming old bytes until it is replaced.
Then the files that only the old model had are removed. What an interrupted run left behind is not
named by anything, and has the names that the next run gives to its files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from tfjs_codec.errors import OutputError, UsageError, quote
from tfjs_codec.files import remote
from tfjs_codec.files.publish import INDEXES
from tfjs_codec.files.remote import Place
from tfjs_codec.files.remote_file import RemoteFile, holds
from tfjs_codec.files.source import INDEX, PAGE
from tfjs_codec.files.stage import Stage
from tfjs_codec.writers.tfjs_files import (
    MAX_INDEX_BYTES,
    MAX_PAGE_BYTES,
    is_our_page,
    listed_files,
)
from tfjs_codec.writers.tfjs_json import dump
from tfjs_codec.writers.weights import CHECKSUMS

_SHARD = re.compile(r"(group\d+-shard\d+of\d+)(\.[0-9a-f]{16})?\.bin", re.ASCII)
_DIGEST_CHARS = 16

Files: TypeAlias = Sequence[tuple[str, int]]  # names, and sizes in bytes
Sizes: TypeAlias = Mapping[str, int | None]


def check_directory(place: Place, names: Collection[str], *, force: bool) -> Sizes:
    """Check that a model with files of the first *names* may be written to *place*.

    It may be empty or hold a tfjs model, or weight files that an interrupted run left; with
    *force* anything. Return the sizes of the files that are there.

    Raises:
        UsageError: It may not.
        OSError: It cannot be looked at.
    """
    present = remote.sizes(place)
    if force:
        return present
    found = {name.partition("/")[0] for name in present if not _SHARD.fullmatch(name)}
    old = _model_files(place, present)
    if found and old is None and "saved_model.pb" not in found:
        raise UsageError(
            "is not empty and holds no tfjs model", path=place,
            hint="Name another directory, or pass --force (force=True) to write into it.",
        )  # fmt: skip
    taken = sorted(found.intersection(names) - (old or frozenset()))
    if taken:
        raise UsageError(
            f"{quote(taken[0])} exists and is not part of the model to be replaced", path=place,
            hint="Name another directory, or pass --force (force=True) to replace it.",
        )  # fmt: skip
    return present


def upload(place: Place, stage: Stage, files: Files, present: Sizes) -> Files:
    """Put *files* of *stage* into the directory *place*, which holds the files *present*.

    Return the names they got, and the sizes in bytes.

    Raises:
        OutputError: It failed; the old model is as it was, unless its ``model.json`` is replaced.
        UsageError: There is another SavedModel, which cannot be replaced at once.
    """
    stage.settle()
    old = _model_files(place, present)
    staged = {name: stage.path / name for name, _ in files}
    changed = _list_changed(place, staged, present)
    replaced = old is not None and INDEX in staged
    if replaced and changed:
        names = {name: _name_by_content(name, stage) for name in changed}
        _rename(stage, names)
        staged = {names.get(name, name): file for name, file in staged.items()}
        changed = _list_changed(place, staged, present)
    if "saved_model.pb" in staged and changed and "saved_model.pb" in present:
        raise UsageError(
            "there is another SavedModel, whose files cannot be replaced at once", path=place,
            hint="Name another directory, or remove it first.",
        )  # fmt: skip
    for name in sorted(changed, key=lambda name: name in INDEXES):
        upload_file(place.child(name), staged[name])
    if replaced:
        for name in sorted((old or frozenset()) - staged.keys()):
            remote.remove(place.child(name))
    return tuple((name, file.stat().st_size) for name, file in staged.items())


def check_file(place: Place, magics: tuple[bytes, ...], *, force: bool) -> None:
    """Raise UsageError if there is a file at *place* that does not begin with one of *magics*."""
    if force or not remote.exists(place):
        return
    head = RemoteFile(place, remote.look(place).size).read(16) or b""
    if head and not head.startswith(magics):
        raise UsageError(
            "exists and is not of the format to be written", path=place,
            hint="Name another file, or pass --force (force=True) to replace it.",
        )  # fmt: skip


def upload_file(place: Place, file: Path) -> None:
    """Put the local *file* at *place*, in one step.

    Raises:
        OutputError: It failed.
    """
    try:
        remote.write(place, file)
    except OSError as error:
        what = getattr(error, "what", error.strerror)
        raise OutputError(f"cannot write: {what}", path=place) from None


def _list_changed(place: Place, staged: Mapping[str, Path], present: Sizes) -> list[str]:
    """Return the names of those files that are not at *place* with the same content."""
    return [
        name for name, file in staged.items()
        if present.get(name) != file.stat().st_size or not holds(place.child(name), file)
    ]  # fmt: skip


def _name_by_content(name: str, stage: Stage) -> str:
    match = _SHARD.fullmatch(name)
    return f"{match[1]}.{stage.sha256(name)[:_DIGEST_CHARS]}.bin" if match else name


def _rename(stage: Stage, names: Mapping[str, str]) -> None:
    """Let ``model.json`` in *stage* list weight files under other *names*."""
    with stage.open(INDEX) as file:
        content = json.loads(file.read())
    for group in content.get("weightsManifest", ()):
        group["paths"] = [names.get(name, name) for name in group["paths"]]
    checksums = (content.get("userDefinedMetadata") or {}).get(CHECKSUMS)
    if checksums:
        content["userDefinedMetadata"][CHECKSUMS] = {
            names.get(name, name): digest for name, digest in checksums.items()
        }
    stage.remove(INDEX)
    stage.write(INDEX, dump(content))


def _model_files(place: Place, present: Sizes) -> frozenset[str] | None:
    """Return the files of the tfjs model at *place*, None if there is none."""
    if INDEX not in present:
        return None
    index = remote.read(place.child(INDEX), MAX_INDEX_BYTES)
    files = None if index is None else listed_files(index)
    if files is None:
        return None
    page = b""
    if PAGE in present:
        page = remote.read(place.child(PAGE), MAX_PAGE_BYTES) or b""
    return files | ({PAGE} if is_our_page(page) else frozenset())
