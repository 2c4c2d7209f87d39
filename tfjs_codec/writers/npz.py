"""Writes tensors as a numpy ``.npz``: a zip of ``<name>.npy``, which ``numpy.load`` reads."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tfjs_codec.errors import UnsupportedModelError, quote
from tfjs_codec.files.source import ZIP_MAGIC
from tfjs_codec.files.stage import Stage
from tfjs_codec.files.zip_write import staged_zip
from tfjs_codec.ir.tensors import LazyTensor
from tfjs_codec.progress import Meter, Progress

MAGIC = ZIP_MAGIC
_CHUNK_BYTES = 1 << 20


def write(
    tensors: Mapping[str, LazyTensor], stage: Stage, name: str, progress: Progress | None = None
) -> None:
    """Write *tensors* by their names into the file *name* of *stage*, in bounded memory.

    Raises:
        UnsupportedModelError: A tensor of strings, which ``.npy`` can only hold as a pickle.
        OutputError: Writing failed.
    """
    meter = Meter(progress, sum(tensor.nbytes for tensor in tensors.values()))
    with staged_zip(stage, name) as archive:
        for key, tensor in tensors.items():
            if tensor.dtype.kind == "O":
                raise UnsupportedModelError(f"{quote(key)} holds strings, which .npz does not")
            wire = tensor.dtype.newbyteorder("<")
            described = {
                "descr": np.lib.format.dtype_to_descr(wire),
                "fortran_order": False,
                "shape": tensor.shape,
            }
            with archive.open(f"{key}.npy") as member:
                np.lib.format.write_array_header_1_0(member, described)
                for chunk in tensor.chunks(_CHUNK_BYTES):
                    member.write(np.ascontiguousarray(chunk, dtype=wire).tobytes())
                    meter.add(chunk.nbytes)
