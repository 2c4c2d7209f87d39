"""Protocol buffer messages of TensorFlow, in a descriptor pool of our own.

The only place that imports ``google.protobuf``. Generated ``_pb2`` modules are tied to the
protobuf version of their compiler and register in a pool shared with TensorFlow; descriptors in a
private pool are neither. ``descriptors.bin`` is compiled from ``proto/*.proto``.

Strings from a file may hold anything.
"""

from __future__ import annotations

import logging
from typing import TypeVar

from google.protobuf.internal import api_implementation
from google.protobuf.message import DecodeError

from tfjs_codec.errors import CorruptFileError, quote
from tfjs_codec.pb import messages

_SLOW_BYTES = 1 << 20

_M = TypeVar("_M", bound=messages.Message)

_log = logging.getLogger(__name__)


def parse(kind: type[_M], data: bytes, *, path: object, where: str = "") -> _M:
    """Return *data* as a message of *kind*.

    Raises:
        CorruptFileError: *data* is not such a message, or nests deeper than protobuf allows.
    """
    if len(data) > _SLOW_BYTES and api_implementation.Type() == "python":
        _log.warning("protobuf runs in pure Python here: large files take seconds to parse")
    try:
        return kind.FromString(data)
    except (DecodeError, RecursionError, UnicodeDecodeError, ValueError) as error:
        raise CorruptFileError(
            f"not a valid {kind.__name__} message ({_reason(error)})", path=path, where=where
        ) from error


def parse_text(kind: type[_M], text: str, *, path: object) -> _M:
    """Return the text format *text* as a message of *kind*; fields we do not know are skipped.

    Raises:
        CorruptFileError: *text* is not such a message, or nests too deeply.
    """
    from google.protobuf import text_format  # noqa: PLC0415  few need it

    message = kind()
    try:
        text_format.Parse(text, message, allow_unknown_field=True)
    except (
        text_format.ParseError,
        RecursionError,
        UnicodeDecodeError,
        ValueError,
    ) as error:
        raise CorruptFileError(
            f"not the text format of a {kind.__name__} message ({_reason(error)})", path=path
        ) from error
    return message


def _reason(error: Exception) -> str:
    """What protobuf says, bounded and without the class names it puts in front."""
    return quote(str(error).rsplit("': ", 1)[-1]) if str(error) else type(error).__name__
