"""Variable-length integers: seven bits per byte, lowest first, high bit = more follow."""

from __future__ import annotations


def read_varint(data: bytes, position: int, max_bits: int = 64) -> tuple[int, int]:
    """Return the number at *position* and the position after it.

    Raises:
        ValueError: The data ends inside the number, or it is too large, or it is not written in
            its shortest form (which no writer does, and a flipped bit may look like).
    """
    value = 0
    for shift in range(0, max_bits, 7):
        if position >= len(data):
            raise ValueError("the data ends inside a number")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> max_bits or (byte == 0 and shift):
                break
            return value, position
    raise ValueError("invalid variable-length number")


def write_varint(value: int) -> bytes:
    """Return the number *value*, which is not negative, in its shortest form."""
    data = bytearray()
    while value >= 0x80:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    data.append(value)
    return bytes(data)
