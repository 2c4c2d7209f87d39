"""Coverage-guided fuzzing of what parses text and names: JSON, paths, sizes.

pip install atheris
python tests/fuzz/atheris_text.py -max_total_time=300
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["tfjs_codec"]):
    from tfjs_codec.errors import TfjsCodecError, quote
    from tfjs_codec.files import strict_json
    from tfjs_codec.files.paths import safe_child
    from tfjs_codec.options import parse_size

BASE = Path("/nonexistent/base")


def one(data: bytes) -> None:
    try:
        value = strict_json.loads(data)
    except TfjsCodecError:
        pass
    else:
        assert value == json.loads(data)
        assert len(quote(value)) <= 80
    text = data.decode("utf-8", "surrogateescape")
    with suppress(TfjsCodecError):
        assert safe_child(BASE, text).is_relative_to(BASE)
    with suppress(TfjsCodecError):
        assert parse_size(text) > 0


atheris.Setup(sys.argv, one)
atheris.Fuzz()
