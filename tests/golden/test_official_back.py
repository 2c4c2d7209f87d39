"""What the official converter wrote reads back to the arrays that went in."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

import tfjs_codec

FIXTURES = Path(__file__).parents[2] / "fixtures"
SOURCE = "tf_keras-2.19.h5"


def cases() -> list[str]:
    with zipfile.ZipFile(FIXTURES / "official.zip") as archive:
        return sorted({name.split("/")[0] for name in archive.namelist()})


def arrays(path: Path) -> list[tuple[tuple[int, ...], bytes]]:
    with tfjs_codec.load(path) as model:
        return sorted((array.shape, array.tobytes()) for array in model.weights.values())


@pytest.mark.parametrize("case", cases())
def test_official_output_reads_back_exactly(case, tmp_path):
    with zipfile.ZipFile(FIXTURES / "official.zip") as archive:
        archive.extractall(tmp_path, [n for n in archive.namelist() if n.startswith(f"{case}/")])
    with zipfile.ZipFile(FIXTURES / "keras" / f"{case}.zip") as archive:
        archive.extract(SOURCE, tmp_path)
    assert arrays(tmp_path / case / "none") == arrays(tmp_path / SOURCE)


@pytest.mark.parametrize("case", cases())
def test_official_quantised_output_is_near(case, tmp_path):
    with zipfile.ZipFile(FIXTURES / "official.zip") as archive:
        archive.extractall(tmp_path, [n for n in archive.namelist() if n.startswith(f"{case}/")])
    with tfjs_codec.load(tmp_path / case / "none") as whole:
        for dtype, error in (("float16", 1e-3), ("uint16", 1e-4), ("uint8", 5e-3)):
            with tfjs_codec.load(tmp_path / case / dtype) as quantised:
                assert list(quantised.weights) == list(whole.weights)
                for name, array in quantised.weights.items():
                    span = max(1.0, float(np.ptp(whole.weights[name])) if array.size else 0.0)
                    assert array.dtype == np.float32
                    np.testing.assert_allclose(array, whole.weights[name], atol=error * span)
