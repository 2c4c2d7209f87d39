"""Operations on strings, which are bytes in arrays of dtype object."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tfjs_codec.graph.kernels.core import Kernel, KernelError, numpy_dtype
from tfjs_codec.ir.graph import Attrs
from tfjs_codec.ir.tensors import Array


def _map(function: Callable[[bytes], Any], texts: Array, dtype: type) -> Array:
    result: Any = np.empty(texts.size, dtype)
    for index, text in enumerate(texts.reshape(-1).tolist()):
        result[index] = function(text)
    return np.asarray(result.reshape(texts.shape))


def _replace(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    r"""Replace the matches of a regular expression.

    The first group is ``\1`` in TensorFlow and ``$1`` in JavaScript, the whole ``\0`` and ``$&``.
    """
    pattern = re.compile(attrs["pattern"])
    parts = re.split(rb"[\\$](\$|&|\d)", attrs["rewrite"])
    count = 0 if attrs["replace_global"] else 1

    def text(found: re.Match[bytes]) -> bytes:
        pieces = list(parts)
        for at in range(1, len(parts), 2):
            mark = parts[at]
            pieces[at] = mark if mark == b"$" else found[0 if mark == b"&" else int(mark)] or b""
        return b"".join(pieces)

    return [_map(lambda one: pattern.sub(text, one, count=count), inputs[0], np.object_)]


def _bucket(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    number = int(attrs["num_buckets"])
    return [_map(lambda text: fingerprint(text) % number, inputs[0], np.int64)]


def _split(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    """Return the pieces, their places (row, number), and the shape of the table they make.

    Each character of the delimiter separates; without delimiter each byte is a piece. An empty
    text has no pieces.
    """
    texts, delimiter = inputs[0].tolist(), bytes(inputs[1].item())
    rows: list[list[bytes]] = []
    for text in texts:
        at = re.compile(b"[" + re.escape(delimiter) + b"]")
        pieces = at.split(text) if delimiter else [bytes([byte]) for byte in text]
        rows.append([piece for piece in pieces if text and (piece or not attrs["skip_empty"])])
    places = [(row, number) for row, found in enumerate(rows) for number in range(len(found))]
    values = np.empty(len(places), np.object_)
    values[:] = [piece for found in rows for piece in found]
    longest = max(map(len, rows), default=0)
    return [
        np.array(places, np.int64).reshape(-1, 2),
        values,
        np.array([len(rows), longest], np.int64),
    ]


def _ngrams(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    """Return the runs of neighbours in each row, of each width, and where each row's end."""
    texts, splits = inputs[0].tolist(), inputs[1].tolist()
    if attrs["pad_width"] or attrs["left_pad"] or attrs["right_pad"]:
        raise KernelError("padding")
    if attrs["preserve_short_sequences"]:
        raise KernelError("short sequences")
    made: list[bytes] = []
    ends = [0]
    for start, stop in itertools.pairwise(splits):
        for width in attrs["ngram_widths"]:
            runs = range(start, stop - width + 1)
            made += [attrs["separator"].join(texts[at : at + width]) for at in runs]
        ends.append(len(made))
    values = np.empty(len(made), np.object_)
    values[:] = made
    return [values, np.array(ends, numpy_dtype(attrs, "Tsplits"))]


# --- FarmHash's Fingerprint64 ---------------------------------------------------------------------

_MASK = (1 << 64) - 1
_K0, _K1, _K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F


def fingerprint(text: bytes) -> int:
    """Return FarmHash's Fingerprint64 of *text*."""
    size = len(text)
    if size <= 16:
        return _hash_16(text)
    if size > 64:
        return _hash_long(text)
    factor = _K2 + size * 2
    a, b = _fetch(text, 0) * (_K1 if size <= 32 else _K2), _fetch(text, 8)
    c, d = _fetch(text, size - 8) * factor, _fetch(text, size - 16) * _K2
    y = _rotate(a + b, 43) + _rotate(c, 30) + d
    z = _mix(y, a + _rotate(b + _K2, 18) + c, factor)
    if size <= 32:
        return z
    e, f = _fetch(text, 16) * factor, _fetch(text, 24)
    g = (y + _fetch(text, size - 32)) * factor
    h = (z + _fetch(text, size - 24)) * factor
    return _mix(_rotate(e + f, 43) + _rotate(g, 30) + h, e + _rotate(f + a, 18) + g, factor)


def _fetch(text: bytes, at: int, size: int = 8) -> int:
    return int.from_bytes(text[at : at + size], "little")


def _rotate(value: int, by: int) -> int:
    value &= _MASK
    return (value >> by | value << (64 - by)) & _MASK


def _shift(value: int) -> int:
    value &= _MASK
    return value ^ value >> 47


def _mix(u: int, v: int, factor: int) -> int:
    u, v = u & _MASK, v & _MASK
    a = _shift((u ^ v) * factor)
    return _shift((v ^ a) * factor) * factor & _MASK


def _hash_16(text: bytes) -> int:
    size = len(text)
    factor = _K2 + size * 2
    if size >= 8:
        a, b = _fetch(text, 0) + _K2, _fetch(text, size - 8)
        return _mix(_rotate(b, 37) * factor + a, (_rotate(a, 25) + b) * factor, factor)
    if size >= 4:
        return _mix(size + (_fetch(text, 0, 4) << 3), _fetch(text, size - 4, 4), factor)
    if size:
        y, z = text[0] + (text[size >> 1] << 8), size + (text[-1] << 2)
        return _shift(y * _K2 ^ z * _K0) * _K2 & _MASK
    return _K2


def _weak(text: bytes, at: int, a: int, b: int) -> tuple[int, int]:
    w, x, y, z = (_fetch(text, at + 8 * index) for index in range(4))
    a += w
    b = _rotate(b + a + z, 21)
    c = a
    a += x + y
    return (a + z) & _MASK, (b + _rotate(a, 44) + c) & _MASK


def _hash_long(text: bytes) -> int:
    x, y = 81 * _K2 + _fetch(text, 0), 81 * _K1 + 113
    z = _shift(y * _K2 + 113) * _K2
    v, w = (0, 0), (0, 0)
    end = (len(text) - 1) // 64 * 64
    for at in range(0, end, 64):
        x, y, z, v, w = _round(text, at, (x, y, z), v, w, _K1, 1)
    factor = _K1 + ((z & 0xFF) << 1)
    first = w[0] + ((len(text) - 1) & 63)
    v = (v[0] + first, v[1])
    w = (first + v[0], w[1])
    x, y, z, v, w = _round(text, len(text) - 64, (x, y, z), v, w, factor, 9)
    return _mix(
        _mix(v[0], w[0], factor) + _shift(y) * _K0 + z, _mix(v[1], w[1], factor) + x, factor
    )


def _round(
    text: bytes,
    at: int,
    xyz: tuple[int, int, int],
    v: tuple[int, int],
    w: tuple[int, int],
    factor: int,
    weight: int,
) -> tuple[int, int, int, tuple[int, int], tuple[int, int]]:
    """Take in 64 bytes; x and z change places."""
    x, y, z = xyz
    x = _rotate(x + y + v[0] + _fetch(text, at + 8), 37) * factor & _MASK
    y = _rotate(y + v[1] + _fetch(text, at + 48), 42) * factor & _MASK
    x ^= w[1] * weight & _MASK
    y += v[0] * weight + _fetch(text, at + 40)
    z = _rotate(z + w[0], 33) * factor & _MASK
    v = _weak(text, at, v[1] * factor, x + w[0])
    w = _weak(text, at + 32, z + w[1], y + _fetch(text, at + 16))
    return z, y, x, v, w


KERNELS: dict[str, Kernel] = {
    "StaticRegexReplace": _replace,
    "StringNGrams": _ngrams,
    "StringSplit": _split,
    "StringToHashBucketFast": _bucket,
}
