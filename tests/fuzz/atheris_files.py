"""Coverage-guided fuzzing of our own binary parsers: zip, checkpoints' indexes, snappy, protobuf.

    pip install atheris
    python tests/fuzz/atheris_files.py -max_total_time=300 CORPUS

HDF5 is parsed by libhdf5, in C: see ``run.py``.
"""

from __future__ import annotations

import sys
from contextlib import suppress

import atheris

with atheris.instrument_imports(include=["tfjs_codec"]):
    import tfjs_codec
    from tfjs_codec.errors import TfjsCodecError
    from tfjs_codec.files.archive import open_archive
    from tfjs_codec.files.detection import sniff
    from tfjs_codec.files.snappy import decompress
    from tfjs_codec.files.source import open_source


def one(data: bytes) -> None:
    source = open_source(data)
    kind = sniff(source)
    with suppress(TfjsCodecError):
        if kind == "zip":
            with open_archive(source) as archive:
                for name in archive.names():
                    archive.read(name, 1 << 20)
        elif kind != "hdf5":
            with tfjs_codec.load(data) as model:
                dict(model.weights)
    with suppress(ValueError):
        assert len(decompress(data)) <= 22 * len(data)


atheris.Setup(sys.argv, one)
atheris.Fuzz()
