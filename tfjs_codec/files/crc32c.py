"""CRC-32C (Castagnoli, reflected 0x82F63B78) at the speed of memory, in numpy.

A CRC is the remainder of the message, read as a polynomial over GF(2), modulo P. P divides

    x^(8·5685) + x^(8·1362) + x^(8·426) + 1        (found by search; checked in the tests)

so XORing a byte into the bytes 4323, 5259 and 5685 positions further on and dropping it leaves the
remainder as it is. Whole stretches are dropped that way with three array XORs. Squaring keeps the
identity (in characteristic 2, all exponents double), so the same holds for bits and for uint64
words, and for several words at a time, which makes the stretches long enough for numpy. The last
5685 bits are summed from a table of x^k mod P.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

_POLYNOMIAL = 0x82F63B78  # bit-reversed: bit 31 holds x^0
_JUMPS = (4323, 5259, 5685)  # 5685 - 1362, 5685 - 426, 5685
_WINDOW = _JUMPS[-1]
_WORDS = 4  # that are dropped together
_KEPT_BYTES = 8 * _WORDS * _WINDOW
PIECE_BYTES = 1 << 19  # stays, with the window, in the second-level cache
_LINE = 64  # bytes: what begins at a multiple is copied faster

Bytes = NDArray[np.uint8]


class Crc32c:
    """A CRC-32C that grows with the data: *crc* is that of what came before.

    Only what is not folded away yet is kept, at most 182 kB, however long the data is.
    """

    def __init__(self, crc: int = 0) -> None:
        register = _before_4_bytes(crc ^ 0xFFFFFFFF).to_bytes(4, "little")
        scratch = np.empty(PIECE_BYTES + _KEPT_BYTES + 2 * _LINE, np.uint8)
        self._scratch = scratch[-scratch.ctypes.data % _LINE :]
        self._scratch[:_LINE] = 0  # zeros in front change nothing
        self._scratch[_LINE - 4 : _LINE] = np.frombuffer(register, np.uint8)
        self._kept = _LINE

    def room(self, nbytes: int) -> memoryview:
        """Return where to put at most *nbytes* next bytes, for :meth:`take`, which spoils them."""
        return self._scratch[self._kept : self._kept + min(nbytes, PIECE_BYTES)].data

    def take(self, nbytes: int) -> None:
        """Append the first *nbytes* bytes of :meth:`room`."""
        scratch, size = self._scratch, self._kept + nbytes
        end = size - (size - _KEPT_BYTES) % _LINE  # the dropped ones are whole lines
        dropped = 8 * _fold(scratch[:end].view(np.uint64), _WORDS)
        self._kept = size - dropped
        if dropped:
            scratch[: self._kept] = scratch[dropped:size]

    def update(self, data: bytes | bytearray | memoryview | Bytes) -> None:
        """Append *data*."""
        view = np.frombuffer(data, np.uint8).data
        while view:
            room = self.room(len(view))
            room[:] = view[: len(room)]
            self.take(len(room))
            view = view[len(room) :]

    def value(self) -> int:
        """Return the CRC of all data so far."""
        rest = self._scratch[: self._kept].copy()
        words = rest[: rest.size - rest.size % 8].view(np.uint64)
        rest = rest[8 * _fold(words) :]
        rest = rest[_fold(rest) :]
        bits = np.unpackbits(rest, bitorder="little")
        bits = bits[_fold(bits) :].view(np.bool_)
        return int(np.bitwise_xor.reduce(_powers()[-bits.size :][bits])) ^ 0xFFFFFFFF


def crc32c(data: bytes | bytearray | memoryview | Bytes, crc: int = 0) -> int:
    """Return the CRC-32C of *data*, or of all data so far if *crc* is that of what came before."""
    checksum = Crc32c(crc)
    checksum.update(data)
    return checksum.value()


def combine(crc: int, other: int, nbytes: int) -> int:
    """Return the CRC of data with *crc* followed by *nbytes* bytes with the CRC *other*."""
    return _multiply(crc, _power_of_bytes(nbytes)) ^ other


def masked(crc: int) -> int:
    """Return *crc* as LevelDB and TensorFlow store it, so that CRCs of CRCs stay useful."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _fold(values: NDArray[np.unsignedinteger], together: int = 1) -> int:
    """Fold *values* into their last 5685 · *together* in place; return how many to drop."""
    jumps = [jump * together for jump in _JUMPS]
    dropped = max(0, values.size - jumps[-1])
    step = jumps[0]
    for start in range(0, dropped, step):
        head = values[start : min(start + step, dropped)]
        for jump in jumps:
            values[start + jump : start + jump + head.size] ^= head
    return dropped


@cache
def _powers() -> NDArray[np.uint32]:
    """x^(k + 32) mod P for k from 5684 down to 0, bit-reversed."""
    powers = np.empty(_WINDOW, np.uint32)
    value = _POLYNOMIAL
    for k in range(powers.size - 1, -1, -1):
        powers[k] = value
        value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
    return powers


@cache
def _power_of_bytes(nbytes: int) -> int:
    """x^(8 · nbytes) mod P, bit-reversed."""
    result, square = 1 << 31, 1 << 23
    while nbytes:
        if nbytes & 1:
            result = _multiply(result, square)
        square = _multiply(square, square)
        nbytes >>= 1
    return result


def _multiply(one: int, other: int) -> int:
    """The product of two bit-reversed polynomials mod P."""
    product = 0
    for bit in range(31, -1, -1):
        if one >> bit & 1:
            product ^= other
        other = other >> 1 ^ (_POLYNOMIAL if other & 1 else 0)
    return product


def _before_4_bytes(register: int) -> int:
    """Return the 4 bytes, little-endian, that bring a register of 0 to *register*."""
    for _ in range(32):
        register = (register ^ _POLYNOMIAL) << 1 | 1 if register >> 31 else register << 1
    return register
