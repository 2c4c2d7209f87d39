"""CRC-32C (Castagnoli, reflected 0x82F63B78) at the speed of memory, in numpy.

A CRC is the remainder of the message, read as a polynomial over GF(2), modulo P. P divides

    x^(8·5685) + x^(8·1362) + x^(8·426) + 1        (found by search; checked in the tests)

so XORing a byte into the bytes 4323, 5259 and 5685 positions further on and dropping it leaves the
remainder as it is. Whole stretches are dropped that way with three array XORs. Squaring keeps the
identity (in characteristic 2, all exponents double), so the same holds for uint64 words. The last
5685 bytes are summed bit by bit from a table of x^k mod P.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

_POLYNOMIAL = 0x82F63B78  # bit-reversed: bit 31 holds x^0
_JUMPS = (4323, 5259, 5685)  # 5685 - 1362, 5685 - 426, 5685
_WINDOW = _JUMPS[-1]
_PIECE_BYTES = 1 << 18  # stays in the second-level cache

Bytes = NDArray[np.uint8]


def crc32c(data: bytes | bytearray | memoryview | Bytes, crc: int = 0) -> int:
    """Return the CRC-32C of *data*, or of all data so far if *crc* is that of what came before."""
    view = np.frombuffer(data, np.uint8)
    register = np.frombuffer((crc ^ 0xFFFFFFFF).to_bytes(4, "little"), np.uint8)
    if view.size < register.size:
        return _bytewise(view.tobytes(), crc)
    scratch = np.empty(min(view.size, _PIECE_BYTES + 8 * _WINDOW + 8), np.uint8)
    kept = 0
    for start in range(0, view.size, _PIECE_BYTES):
        piece = view[start : start + _PIECE_BYTES]
        size = kept + piece.size
        scratch[kept:size] = piece
        if start == 0:
            scratch[:4] ^= register
        words = scratch[: size - size % 8].view(np.uint64)
        dropped = 8 * _fold(words)
        kept = size - dropped
        scratch[:kept] = scratch[dropped:size]
    rest = scratch[:kept]
    return _remainder(rest[_fold(rest) :]) ^ 0xFFFFFFFF


def masked(crc: int) -> int:
    """Return *crc* as LevelDB and TensorFlow store it, so that CRCs of CRCs stay useful."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _fold(values: NDArray[np.unsignedinteger]) -> int:
    """Fold *values* into their last 5685 in place; return how many leading ones to drop."""
    dropped = max(0, values.size - _WINDOW)
    step = _JUMPS[0]
    for start in range(0, dropped, step):
        head = values[start : min(start + step, dropped)]
        for jump in _JUMPS:
            values[start + jump : start + jump + head.size] ^= head
    return dropped


def _remainder(data: Bytes) -> int:
    """The remainder of at most 5685 bytes."""
    bits = np.unpackbits(data, bitorder="little").view(np.bool_)
    return int(np.bitwise_xor.reduce(_powers()[-bits.size :][bits]))


@cache
def _powers() -> NDArray[np.uint32]:
    """x^(k + 32) mod P for k from 8·5685 - 1 down to 0, bit-reversed."""
    powers = np.empty(8 * _WINDOW, np.uint32)
    value = _POLYNOMIAL
    for k in range(powers.size - 1, -1, -1):
        powers[k] = value
        value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
    return powers


def _bytewise(data: bytes, crc: int) -> int:
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
