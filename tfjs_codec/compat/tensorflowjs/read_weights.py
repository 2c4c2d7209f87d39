"""``tensorflowjs.read_weights``: shards and a manifest to arrays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfjs_codec.errors import UsageError
from tfjs_codec.files.place import Place
from tfjs_codec.files.source import Directory, Folder, MemoryFolder
from tfjs_codec.ir.json_types import Json, JsonObject
from tfjs_codec.limits import DEFAULT_LIMITS
from tfjs_codec.readers.manifest import read_manifest

Entries = list[dict[str, Any]]


def read_weights(
    weights_manifest: Sequence[JsonObject], base_path: str, flatten: bool = False
) -> list[Any]:
    """Return the weights of *weights_manifest*, whose files are in *base_path*.

    Returns:
        A list of groups of ``{"name", "data"}``, or with *flatten* one such group. Quantised
        weights are restored, as tfjs does.

    Raises:
        CorruptFileError: A file is missing, or has another size than the manifest says.
        UnsafeFileError: A path leads out of *base_path*.
    """
    groups = [_read(group, Directory(Path(base_path))) for group in _check_list(weights_manifest)]
    return [entry for group in groups for entry in group] if flatten else groups


def decode_weights(
    weights_manifest: Sequence[JsonObject],
    data_buffers: bytes | Sequence[bytes],
    flatten: bool = False,
) -> list[Any]:
    """Return the weights of *weights_manifest* in *data_buffers*, the bytes of each group.

    Raises:
        UsageError: There is not one buffer for each group.
        CorruptFileError: A buffer has another size than the manifest says.
    """
    manifest = _check_list(weights_manifest)
    if isinstance(data_buffers, bytes | bytearray | memoryview):
        data_buffers = [bytes(data_buffers)]
    buffers = list(data_buffers)
    if len(manifest) != len(buffers):
        raise UsageError(f"{len(buffers)} buffers for the {len(manifest)} groups of the manifest")
    groups = [
        _read({**group, "paths": ["buffer"]}, MemoryFolder({"buffer": bytes(buffer)}))
        for group, buffer in zip(manifest, buffers, strict=True)
    ]
    return [entry for group in groups for entry in group] if flatten else groups


def _read(group: JsonObject, folder: Folder) -> Entries:
    manifest: Json = [group]
    weights = read_manifest(manifest, folder, Place("weights_manifest"), DEFAULT_LIMITS.budget())
    return [{"name": weight.name, "data": weight.tensor.numpy()} for weight in weights]


def _check_list(manifest: Sequence[JsonObject]) -> Sequence[JsonObject]:
    if isinstance(manifest, list | tuple):
        return manifest
    raise UsageError(f"the manifest should be a list, not {type(manifest).__name__}")
