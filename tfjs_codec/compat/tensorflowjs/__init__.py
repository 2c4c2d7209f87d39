"""``tensorflowjs`` 4.22 by tfjs_codec: the same names, arguments and files."""

from __future__ import annotations

from tfjs_codec.compat.tensorflowjs import (
    converters,
    quantization,
    read_weights,
    version,
    write_weights,
)
from tfjs_codec.compat.tensorflowjs.version import version as __version__

__all__ = [
    "__version__",
    "converters",
    "quantization",
    "read_weights",
    "version",
    "write_weights",
]
