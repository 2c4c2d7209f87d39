"""The makers of fixtures make them again, with the pinned version of Keras."""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

FIXTURES = Path(__file__).parents[2] / "fixtures"
MAKERS = FIXTURES / "make"


def content(archive: bytes) -> dict[str, bytes]:
    """Return the files of a ``.keras`` archive, without the time at which it was saved.

    A ``shared_object_id`` is an address in the memory of the Keras that saved the model.
    """
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        files = {name: opened.read(name) for name in opened.namelist()}
    metadata = json.loads(files["metadata.json"])
    del metadata["date_saved"]
    files["config.json"] = re.sub(rb'"shared_object_id": \d+', b"", files["config.json"])
    return {**files, "metadata.json": json.dumps(metadata).encode()}


@pytest.mark.oracle
def test_programs_are_the_same_models(monkeypatch):
    monkeypatch.syspath_prepend(MAKERS)
    import program_layers  # noqa: F401  fills the table
    import program_operations  # noqa: F401  the same
    from program_table import read, record

    names = ["einsum", "Conv2D", "GRU_3", "LayerNormalization", "MultiHeadAttention_2", "logsumexp"]
    committed, expected = read(FIXTURES / "programs.zip")
    files, arrays = record(names)
    assert [*files] == [f"{name}.keras" for name in names]
    for name, data in files.items():
        assert content(data) == content(committed[name])
    for key, value in arrays.items():
        np.testing.assert_array_equal(value, expected[key], strict=True)
