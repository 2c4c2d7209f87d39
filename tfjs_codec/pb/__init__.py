"""Protocol buffer messages of TensorFlow, in a descriptor pool of our own.

The only place that imports ``google.protobuf``. Generated ``_pb2`` modules are tied to the
protobuf version of their compiler and register in a pool shared with TensorFlow; descriptors in a
private pool are neither. ``descriptors.bin`` is compiled from ``proto/*.proto``.

Messages are plain protobuf objects, typed ``Any``. Strings from a file may hold anything.
"""

from __future__ import annotations

import logging
from functools import cache
from importlib.resources import files
from typing import Any

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
)
from google.protobuf.internal import api_implementation
from google.protobuf.message import DecodeError

from tfjs_codec.errors import CorruptFileError, quote

_PACKAGE = "tfjs_codec.proto"
_SLOW_BYTES = 1 << 20

_log = logging.getLogger(__name__)


@cache
def _pool() -> Any:
    pool = descriptor_pool.DescriptorPool()
    data = (files(__name__) / "descriptors.bin").read_bytes()
    for file in descriptor_pb2.FileDescriptorSet.FromString(data).file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


@cache
def message_class(name: str) -> Any:
    """Return the class of message *name* of ``proto/*.proto``, such as ``"SavedModel"``."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"{_PACKAGE}.{name}"))


@cache
def enum_names(name: str) -> dict[int, str]:
    """Return ``{number: name}`` of enum *name*, such as ``"DataType"``."""
    values = _pool().FindEnumTypeByName(f"{_PACKAGE}.{name}").values
    return {value.number: value.name for value in values}


def parse(name: str, data: bytes, *, path: object, where: str = "") -> Any:
    """Return *data* as message *name*.

    Raises:
        CorruptFileError: *data* is not such a message, or nests deeper than protobuf allows.
    """
    if len(data) > _SLOW_BYTES and api_implementation.Type() == "python":
        _log.warning("protobuf runs in pure Python here: large files take seconds to parse")
    try:
        return message_class(name).FromString(data)
    except (DecodeError, RecursionError, UnicodeDecodeError, ValueError) as error:
        raise CorruptFileError(
            f"not a valid {name} message ({_reason(error)})", path=path, where=where
        ) from error


def parse_text(name: str, text: str, *, path: object) -> Any:
    """Return the text format *text* as message *name*; fields we do not know are skipped.

    Raises:
        CorruptFileError: *text* is not such a message, or nests too deeply.
    """
    try:
        return text_format.Parse(text, message_class(name)(), allow_unknown_field=True)
    except (
        text_format.ParseError,
        RecursionError,
        UnicodeDecodeError,
        ValueError,
    ) as error:
        raise CorruptFileError(
            f"not the text format of a {name} message ({_reason(error)})", path=path
        ) from error


def _reason(error: Exception) -> str:
    """What protobuf says, bounded and without the class names it puts in front."""
    return quote(str(error).rsplit("': ", 1)[-1]) if str(error) else type(error).__name__
