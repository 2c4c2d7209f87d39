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


class Crc32c:
    """A CRC-32C that grows with the data: *crc* is that of what came before.

    Only what is not folded away yet is kept, at most 45 kB, however long the data is.
    """

    def __init__(self, crc: int = 0) -> None:
        register = _before_4_bytes(crc ^ 0xFFFFFFFF).to_bytes(4, "little")
        self._scratch = np.empty(_PIECE_BYTES + 8 * _WINDOW + 8, np.uint8)
        self._scratch[:4] = np.frombuffer(register, np.uint8)
        self._kept = 4

    def update(self, data: bytes | bytearray | memoryview | Bytes) -> None:
        """Append *data*."""
        view, scratch = np.frombuffer(data, np.uint8), self._scratch
        for start in range(0, view.size, _PIECE_BYTES):
            piece = view[start : start + _PIECE_BYTES]
            size = self._kept + piece.size
            scratch[self._kept : size] = piece
            dropped = 8 * _fold(scratch[: size - size % 8].view(np.uint64))
            self._kept = size - dropped
            scratch[: self._kept] = scratch[dropped:size]

    def value(self) -> int:
        """Return the CRC of all data so far."""
        rest = self._scratch[: self._kept].copy()
        return _remainder(rest[_fold(rest) :]) ^ 0xFFFFFFFF


def crc32c(data: bytes | bytearray | memoryview | Bytes, crc: int = 0) -> int:
    """Return the CRC-32C of *data*, or of all data so far if *crc* is that of what came before."""
    checksum = Crc32c(crc)
    checksum.update(data)
    return checksum.value()


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


def _before_4_bytes(register: int) -> int:
    """Return the 4 bytes, little-endian, that bring a register of 0 to *register*."""
    for _ in range(32):
        register = (register ^ _POLYNOMIAL) << 1 | 1 if register >> 31 else register << 1
    return register
