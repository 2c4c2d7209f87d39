"""Raw snappy (no framing), decoding only.

The length of the output as a varint, then elements. The low two bits of an element's first byte
are its kind: 0 a literal (length - 1 in the upper six bits, or 60..63: in the next 1..4 bytes),
1..3 a copy from *offset* bytes back (1: length - 4 in bits 2..4, offset in bits 5..7 and the next
byte; 2, 3: length - 1 in the upper six bits, offset in the next 2 or 4 bytes). Numbers are
little-endian.
"""

from __future__ import annotations

from tfjs_codec.files.varint import read_varint
from tfjs_codec.limits import DEFAULT_LIMITS, Limits

_MAX_RATIO = 22  # the most compact element makes 64 bytes of 3
_PAID_STEPS = 1 << 14  # elements that are paid for at a time


def decompressed_size(data: bytes) -> int:
    """Return how many bytes *data* says it decodes to: never more than 22 times its own.

    Raises:
        ValueError: It says more, or nothing.
    """
    size, _ = read_varint(data, 0, 32)
    if size > _MAX_RATIO * len(data):
        raise ValueError(f"snappy: {len(data)} bytes cannot hold {size}")
    return size


def decompress(data: bytes, *, limits: Limits = DEFAULT_LIMITS, path: object = "") -> bytes:
    """Return the decoded bytes.

    Raises:
        ValueError: *data* is not a complete snappy block.
        LimitExceededError: ``steps``: it has too many elements.
    """
    size = decompressed_size(data)
    _, position = read_varint(data, 0, 32)
    output, paid = bytearray(), 0
    while position < len(data):
        if not paid:
            paid = _PAID_STEPS
            what = "the number of elements of compressed blocks"
            limits.spend("steps", paid, what, path=path)
        paid -= 1
        tag = data[position]
        length, offset, position = _element(data, position + 1, tag)
        if offset == 0:
            output += data[position : position + length]
            position += length
        elif offset > len(output):
            raise ValueError("snappy: copy from before the start")
        else:  # a copy may overlap what it writes: it then repeats
            start = len(output) - offset
            source = output[start : start + length]
            output += (source * (length // len(source) + 1))[:length]
        if position > len(data) or len(output) > size:
            raise ValueError("snappy: element too long")
    if len(output) != size:
        raise ValueError(f"snappy: {len(output)} bytes decoded, {size} declared")
    return bytes(output)


def _element(data: bytes, position: int, tag: int) -> tuple[int, int, int]:
    """Return length, offset (0: literal) and the position of what follows the header."""
    kind, upper = tag & 3, tag >> 2
    if kind == 0:
        if upper < 60:
            return upper + 1, 0, position
        extra = upper - 59
        return _number(data, position, extra) + 1, 0, position + extra
    if kind == 1:
        length, offset, extra = (upper & 7) + 4, (upper >> 3) << 8, 1
    else:
        length, offset, extra = upper + 1, 0, 2 * kind - 2
    offset |= _number(data, position, extra)
    if offset == 0:
        raise ValueError("snappy: copy from nowhere")
    return length, offset, position + extra


def _number(data: bytes, position: int, size: int) -> int:
    if position + size > len(data):
        raise ValueError("snappy: truncated element")
    return int.from_bytes(data[position : position + size], "little")
