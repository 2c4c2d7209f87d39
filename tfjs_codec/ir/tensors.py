"""Tensors that are read when they are needed, and in bounded pieces."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tfjs_codec.errors import NONSENSE, CorruptFileError, TfjsCodecError

Array = NDArray[np.generic]
DType = np.dtype[np.generic]
_PIECE_BYTES = 1 << 20  # of a formula's values at a time; their indices take four times as much


class Extent(NamedTuple):
    """A byte range of a file: ``nbytes`` bytes from ``offset``."""

    path: Path
    offset: int
    nbytes: int


class LazyTensor(ABC):
    """A tensor whose values stay in their source until asked for.

    ``name`` says where it comes from (for messages), ``shape`` is its shape and ``dtype`` the
    numpy dtype of what :meth:`numpy` returns (native byte order).
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes that :meth:`numpy` takes in memory."""
        return self.size * self.dtype.itemsize

    @property
    def extent(self) -> Extent | None:
        """Where a file holds exactly these values as little-endian float32, if one does."""
        return None

    @abstractmethod
    def numpy(self) -> Array:
        """Read and return all values: shape ``shape``, dtype ``dtype``, C order."""

    def chunks(self, max_bytes: int) -> Iterator[Array]:
        """Yield the values as consecutive flat pieces in C order, each at most *max_bytes* bytes.

        The default reads the tensor whole; sources that can read parts override it.
        """
        flat = self.numpy().reshape(-1)
        step = max(1, max_bytes // self.dtype.itemsize)
        for start in range(0, flat.size, step):
            yield flat[start : start + step]


class ArrayTensor(LazyTensor):
    """A tensor that is already in memory."""

    def __init__(self, name: str, array: Array) -> None:
        self.name = name
        self.shape = array.shape
        self.dtype = array.dtype
        self._array = array

    def numpy(self) -> Array:
        return np.asarray(self._array, order="C")  # np.ascontiguousarray has no scalars


class DerivedTensor(LazyTensor):
    """A float32 tensor computed from others when it is needed.

    *compute* returns an array of shape *shape*; it is called once per read and the result is
    not kept, so memory is bounded by the tensors involved.
    """

    def __init__(self, name: str, shape: tuple[int, ...], compute: Callable[[], Array]) -> None:
        self.name = name
        self.shape = shape
        self.dtype = np.dtype(np.float32)
        self._compute = compute

    def numpy(self) -> Array:
        try:
            with np.errstate(all="ignore"):  # the values may be any
                array = np.asarray(self._compute(), dtype=np.float32, order="C")
        except TfjsCodecError:
            raise
        except NONSENSE as error:
            text = f"the values do not fit its layer ({type(error).__name__}: {error})"
            raise CorruptFileError(text, where=self.name) from error
        if array.shape != self.shape:
            raise AssertionError(f"{self.name}: computed {array.shape}, declared {self.shape}")
        return array


class FormulaTensor(LazyTensor):
    """A tensor, by default of float32, given by its shape and by a formula for its elements.

    The formula takes an array of indices for each axis, which broadcast, and returns the elements
    there. It is made by *prepare* for each read, so that it may hold what it needs while it is
    read. Only as many elements as are asked for are in memory.
    """

    def __init__(
        self,
        name: str,
        shape: tuple[int, ...],
        prepare: Callable[[], Callable[..., ArrayLike]],
        dtype: str = "float32",
    ) -> None:
        self.name = name
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self._prepare = prepare

    def numpy(self) -> Array:
        pieces = list(self.chunks(_PIECE_BYTES))
        flat = np.concatenate(pieces) if pieces else np.zeros(0, self.dtype)
        return flat.reshape(self.shape)

    def chunks(self, max_bytes: int) -> Iterator[Array]:
        if not self.size:
            return
        element, step = self._prepare(), max(1, min(max_bytes, _PIECE_BYTES) // 4)
        row = prod(self.shape[1:])
        step = step // row * row or step
        for start in range(0, self.size, step):
            stop = min(start + step, self.size)
            if row <= step:  # whole rows, whose indices broadcast
                axes = (slice(start // row, stop // row), *map(slice, self.shape[1:]))
                places = tuple(np.ogrid[axes])
            else:
                places = np.unravel_index(np.arange(start, stop), self.shape)
            with np.errstate(all="ignore"):
                values = np.asarray(element(*places), self.dtype)
            shape = np.broadcast_shapes(*(place.shape for place in places))
            yield np.broadcast_to(values, shape).reshape(-1)


class Float32Tensor(LazyTensor):
    """Another tensor cast to float32, piece by piece."""

    def __init__(self, source: LazyTensor) -> None:
        self.name = source.name
        self.shape = source.shape
        self.dtype = np.dtype(np.float32)
        self._source = source

    def numpy(self) -> Array:
        return self._source.numpy().astype(np.float32)

    def chunks(self, max_bytes: int) -> Iterator[Array]:
        ratio = max(1, self._source.dtype.itemsize // 4)
        for chunk in self._source.chunks(max_bytes * ratio // 2):
            yield chunk.astype(np.float32)


def as_float32(tensor: LazyTensor) -> LazyTensor:
    """Return *tensor* itself if it is float32, else a lazy cast of it."""
    return tensor if tensor.dtype == np.float32 else Float32Tensor(tensor)


def formula(
    shape: tuple[int, ...], element: Callable[..., ArrayLike], dtype: str = "float32"
) -> LazyTensor:
    """Return the constant of *shape* whose elements are ``element(i, j, …)``."""
    return FormulaTensor("constant", shape, lambda: element, dtype)


def map_float32(
    tensor: LazyTensor, shape: tuple[int, ...], function: Callable[[Array], Array]
) -> LazyTensor:
    """Return the lazy float32 tensor ``function(tensor)`` of shape *shape*."""
    return DerivedTensor(
        tensor.name, shape, lambda: function(tensor.numpy().astype(np.float32, copy=False))
    )
