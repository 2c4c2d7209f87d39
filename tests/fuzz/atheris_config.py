"""Coverage-guided fuzzing of Keras configs: JSON text to architecture to tfjs layers.

    pip install atheris
    python tests/fuzz/atheris_config.py -max_total_time=300 CORPUS

CORPUS is a directory of configs (``model.to_json()``), which atheris extends.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["tfjs_codec"]):
    from tfjs_codec.errors import TfjsCodecError
    from tfjs_codec.files import strict_json
    from tfjs_codec.ir.loaded import KerasModel
    from tfjs_codec.layers.lower import lower
    from tfjs_codec.readers.architecture import read_architecture


def one(data: bytes) -> None:
    version = {0: "3.4.1", 1: "2.15.0", 2: "1.2.2"}.get(data[0] % 4) if data else None
    try:
        config = strict_json.loads(data[1:])
        found = read_architecture(config, path="f", keras_version=version)
        lower(KerasModel("f", "keras-h5", found.graph, found.generation))
    except TfjsCodecError:
        return


atheris.Setup(sys.argv, one)
atheris.Fuzz()
