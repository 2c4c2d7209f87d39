"""A tensor of a file as its reader sees it: shape and dtype at once, values by rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfjs_codec.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tfjs_codec.ir.tensors import LazyTensor

_CHUNK_BYTES = 1 << 20


class TensorView:
    """A tensor that is not read yet.

    ``view[10:20]`` reads the rows 10 to 19 of its first axis (steps other than 1 are refused),
    ``view[3]`` one row, ``view[...]`` or :meth:`numpy` all of it. Memory is bounded by what is
    returned; rows that lie late in the file may cost reading those before them.

    Attributes:
        name: Its name.
        shape: Its shape.
        dtype: The dtype of the values that are returned.
        nbytes: Bytes of all values in memory.
    """

    def __init__(self, name: str, tensor: LazyTensor) -> None:
        self.name = name
        self.shape = tensor.shape
        self.dtype = tensor.dtype
        self.nbytes = tensor.nbytes
        self._tensor = tensor

    def numpy(self) -> NDArray[np.generic]:
        """Return all values."""
        return self._tensor.numpy()

    def __repr__(self) -> str:
        return f"<tensor {self.name!r} {self.dtype} {list(self.shape)}>"

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a scalar has no rows")
        return self.shape[0]

    def __getitem__(self, rows: int | slice | object) -> NDArray[np.generic]:
        if rows is Ellipsis:
            return self.numpy()
        if not self.shape or not isinstance(rows, int | slice):
            raise UsageError("only rows of the first axis can be read", hint="Use view[...].")
        if isinstance(rows, int):
            row = rows + len(self) if rows < 0 else rows
            if not 0 <= row < len(self):
                raise IndexError(f"row {rows} of {len(self)}")
            one: NDArray[np.generic] = self._read(row, row + 1)[0]
            return one
        start, stop, step = rows.indices(len(self))
        if step != 1:
            raise UsageError("rows are read one after the other", hint="Leave out the step.")
        return self._read(start, max(start, stop))

    def _read(self, start: int, stop: int) -> NDArray[np.generic]:
        import numpy as np  # noqa: PLC0415  importing the package imports no numpy

        row = self._tensor.size // max(1, len(self))
        first, end, position = start * row, stop * row, 0
        found = []
        for chunk in self._tensor.chunks(_CHUNK_BYTES) if end > first else ():
            found.append(chunk[max(0, first - position) : max(0, end - position)])
            position += chunk.size
            if position >= end:
                break
        flat = np.concatenate(found) if found else np.empty(0, self.dtype)
        return flat.reshape(stop - start, *self.shape[1:])
