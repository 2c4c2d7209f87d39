"""Cuts the bytes of a group of weights into files.

A group's weights lie one after the other without padding, and the bytes are cut every
``shard_size_bytes``; a weight may straddle files. Names are those of the official writer,
``group1-shard1of3.bin``, flat and unique, as browsers' file pickers need them. All of this
follows from sizes alone, so it is planned before any weight is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tfjs_codec.files.stage import Stage, StagedFile
from tfjs_codec.ir.tensors import Array, Extent


class Shard(NamedTuple):
    """A file to be written: its name and its size in bytes."""

    name: str
    nbytes: int


def plan_shards(group: int, nbytes: int, shard_size_bytes: int | None) -> tuple[Shard, ...]:
    """Return the files that hold the *nbytes* bytes of group number *group* (from 1).

    All but the last are *shard_size_bytes* long; None stands for one file, whatever its size.
    No bytes need no file.
    """
    if nbytes == 0:
        return ()
    size = nbytes if shard_size_bytes is None else shard_size_bytes
    count = -(-nbytes // size)
    return tuple(
        Shard(f"group{group}-shard{k + 1}of{count}.bin", min(size, nbytes - k * size))
        for k in range(count)
    )


class ShardWriter:
    """Writes a stream of bytes into the planned files of a group, one open at a time."""

    def __init__(self, stage: Stage, shards: Sequence[Shard]) -> None:
        self._stage = stage
        self._coming = iter(shards)
        self._file: StagedFile | None = None
        self._room = 0

    def write(self, array: Array) -> None:
        """Append the elements of the C-contiguous *array* as they lie in memory."""
        if array.size == 0:
            return
        data = array.reshape(-1).view(np.uint8).data
        for file, start, stop in self._pieces(data.nbytes):
            file.write(data[start:stop])

    def copy(self, extent: Extent) -> None:
        """Append the bytes of *extent*."""
        for file, start, stop in self._pieces(extent.nbytes):
            file.copy(extent._replace(offset=extent.offset + start, nbytes=stop - start))

    def finish(self) -> None:
        """Close the last file; all planned bytes must have come."""
        if self._room or next(self._coming, None):
            raise AssertionError("fewer bytes were written than planned")
        self.close()

    def close(self) -> None:
        """Close the open file, if any."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _pieces(self, nbytes: int) -> Iterator[tuple[StagedFile, int, int]]:
        """Yield (file, start, stop) for the next *nbytes* bytes, cut where files end."""
        start = 0
        while start < nbytes:
            while not self._room:
                self.close()
                shard = next(self._coming)
                self._file, self._room = self._stage.create(shard.name), shard.nbytes
            assert self._file is not None  # noqa: S101  there is room
            stop = min(nbytes, start + self._room)
            self._room -= stop - start
            yield self._file, start, stop
            start = stop
