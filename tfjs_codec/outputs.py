"""What can be written: a row for each kind of single file, beside the directories.

A file is written by the module of ``tfjs_codec/writers/`` that has the name of the row. It holds
``MAGIC``, how its files begin, and ``write(content, stage, name)``.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

Target = Literal["auto", "layers", "graph", "h5", "keras", "weights-h5", "npz", "savedmodel"]
TARGETS: tuple[Target, ...] = get_args(Target)
QUANTIZE_DTYPES = ("float16", "uint8", "uint16")


class FileOutput(NamedTuple):
    """A kind of file.

    Attributes:
        name: The target.
        noun: What messages call such a file.
        holds: What the writer takes: ``layers``, a Keras model in layers that Keras 2, Keras 3 and
            tfjs agree about, or ``weights``, the tensors by name.
        suffixes: Those of destinations that ask for it, in lower case; the first is its own.
    """

    name: Target
    noun: str
    holds: Literal["layers", "weights"]
    suffixes: tuple[str, ...]

    @property
    def module(self) -> str:
        """The module of ``tfjs_codec.writers``."""
        return self.name.replace("-", "_")


# The first row whose suffix fits decides; any other destination is a directory for tfjs.
FILES = (
    FileOutput("weights-h5", "a Keras file", "layers", (".weights.h5",)),
    FileOutput("h5", "a Keras file", "layers", (".h5", ".hdf5")),
    FileOutput("keras", "a Keras file", "layers", (".keras",)),
    FileOutput("npz", "a file of weights", "weights", (".npz",)),
)
