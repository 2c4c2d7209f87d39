"""What our read-only files have in common."""

from __future__ import annotations

import io
import os


class RawReader(io.RawIOBase):
    """A read-only file of ``size`` bytes with a position of its own."""

    size: int
    _position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        self._position = max(0, start + position)
        return self._position

    def tell(self) -> int:
        return self._position
