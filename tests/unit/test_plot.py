"""``inspect --plot`` and ``tfjs_codec.plot``: bars of parameters, histograms of weights."""

from __future__ import annotations

import sys
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from keras_files import dense_h5

import tfjs_codec
from tfjs_codec.cli import main
from tfjs_codec.errors import UsageError

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    return ["".join(one.itertext()) for one in ET.fromstring(svg).iter(f"{SVG}text")]


@pytest.fixture(scope="module")
def digits(fixtures_dir) -> tfjs_codec.Plot:
    return tfjs_codec.plot(fixtures_dir / "digits" / "digits.keras")


def test_bars_have_the_parameters_of_layers(digits):
    found = texts(digits.svg)
    assert "digits.keras: 3,754 parameters" in found
    for layer, parameters in [("conv2d", "120"), ("conv2d_1", "2,616"), ("dense", "970")]:
        assert {layer, parameters} <= {*found}
    assert "conv2d_1/kernel" in found  # a histogram


def test_the_same_model_gives_the_same_bytes(digits, fixtures_dir):
    assert tfjs_codec.plot(fixtures_dir / "digits" / "digits.keras") == digits
    assert digits._repr_svg_() == digits.svg
    assert "Matplotlib v" not in digits.svg


def test_names_are_neither_markup_nor_mathematics():
    names = ["<script>alert(1)</script>", "$\\frac{$", "&amp;", "日本語", "]]>", "--><b>"]
    plot = tfjs_codec.plot({name: np.ones((2, 2), np.float32) for name in names})
    assert "<script" not in plot.svg
    assert {*names} - {names[0]} <= {*texts(plot.svg)}


def test_many_layers_are_few_bars():
    found = texts(tfjs_codec.plot({f"w{n}": np.ones(n + 1, np.float32) for n in range(100)}).svg)
    assert {"61 more", "1,891", "w99", "w61"} <= {*found}  # 1 + 2 + … + 61
    assert "w60" not in found


@pytest.mark.parametrize(
    "values",
    [[], [np.nan, np.inf], [3.0] * 4, [-3e38, 3e38], [1e-45], [-1.7e308, 1.7e308, 0.0]],
    ids=str,
)
def test_any_values_can_be_drawn(values):
    array = np.array(values)
    dtype = np.float64 if values and max(values) > 1e300 else np.float32
    plot = tfjs_codec.plot({"w": array.astype(dtype), "words": np.array(["a"])})
    assert f"{len(values) + 1} parameter" in " ".join(texts(plot.svg))


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match="a plot needs matplotlib") as caught:
        tfjs_codec.plot(dense_h5())
    assert "tfjs_codec[plot]" in caught.value.hint


def test_settings_of_the_user_stay_and_do_not_matter(digits, fixtures_dir):
    import matplotlib as mpl

    with mpl.rc_context({"text.usetex": True, "figure.facecolor": "red", "font.size": 40.0}):
        assert tfjs_codec.plot(fixtures_dir / "digits" / "digits.keras") == digits
        assert mpl.rcParams["font.size"] == 40.0


def test_the_command_line(digits, tmp_path, capsys, fixtures_dir):
    source = str(fixtures_dir / "digits" / "digits.keras")
    file = tmp_path / "out.svg"
    assert main.main(["inspect", source, "--plot", str(file)]) == 0
    assert "3,754 parameters" in capsys.readouterr().out
    assert file.read_text() == digits.svg
    assert main.main(["inspect", source, "--plot", str(file), "--quiet"]) == 0  # over our own
    file.write_text("mine")
    assert main.main(["inspect", source, "--plot", str(file)]) == 2
    assert file.read_text() == "mine"
    assert main.main(["inspect", source, "--plot", str(file), "--force"]) == 0
    assert file.read_text() != "mine"
