"""Small Keras models of all layers and operations predict what Keras predicted, by both targets.

The models are those of ``fixtures/make/layer_programs.py``, and of ``graph_programs.py`` and
``text_programs.py`` what only graphs can express. Layers and graph run in numpy interpreters that
share nothing with the rules: each translation checks the other.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from compare import assert_close
from layer_fixtures import Programs, Recorded
from layers_interpreter import load

import tfjs_codec
from tfjs_codec.errors import UnsupportedModelError

PROGRAMS = Programs()
GRAPHS = Programs("graph_programs.zip")
TEXTS = Programs("text_programs.zip")

# What tfjs's Layers cannot say; all others must be taken.
NOT_AS_LAYERS = frozenset(
    {
        "Discretization_2",
        "arctan",
        "arctan2",
        "arctan2_2",
        "arctan2_3",
        "arctan2_4",
        "average_2",
        "average_pool",
        "broadcast_to",
        "cast",
        "ceil",
        "conv",
        "conv_2",
        "cos",
        "depthwise_conv",
        "diagonal",
        "einsum_12",
        "erf",
        "floor",
        "floor_divide",
        "floor_divide_2",
        "floor_divide_3",
        "floor_divide_4",
        "isfinite",
        "isnan",
        "log",
        "log1p",
        "logsumexp_3",
        "matmul_reversed",
        "median",
        "median_2",
        "mod",
        "mod_2",
        "mod_3",
        "mod_4",
        "nan_to_num",
        "normalize_2",
        "one_hot_2",
        "pad_6",
        "power",
        "power_3",
        "power_4",
        "power_8",
        "power_reversed",
        "round",
        "rsqrt",
        "sin",
        "sinh",
        "sort",
        "sparsemax",
        "sqrt",
        "top_k",
        "trunc",
    }
)
# Keras's JAX computes cubic weights, TensorFlow looks them up.
BICUBIC = "Resizing_6"


def tolerance(name: str) -> dict[str, float]:
    return {"atol": 2e-4, "rtol": 2e-3} if name == BICUBIC else {}


@pytest.mark.parametrize("name", sorted(PROGRAMS.how.keys() - NOT_AS_LAYERS))
def test_as_layers(name, tmp_path):
    keras = PROGRAMS.get(name, tmp_path)
    tfjs_codec.convert(
        keras.source, tmp_path / "web", to="layers", allow_approximate=name == BICUBIC
    )
    got = load(tmp_path / "web").predict(keras.inputs)
    assert_close(got, keras.outputs, **tolerance(name))


@pytest.mark.parametrize("name", sorted(NOT_AS_LAYERS))
def test_not_as_layers(name, tmp_path):
    with pytest.raises(UnsupportedModelError):
        tfjs_codec.convert(PROGRAMS.get(name, tmp_path).source, tmp_path / "web", to="layers")


def check_graph(keras: Recorded, web: Path, **closeness: float) -> None:
    tfjs_codec.convert(keras.source, web, to="graph", allow_approximate=True)
    for path in (keras.source, web):
        with tfjs_codec.load(path) as model:
            found = model.predict(keras.inputs)
        outputs = found if isinstance(found, list) else [found]
        assert_close(outputs, keras.outputs, **closeness)


@pytest.mark.parametrize("name", sorted(PROGRAMS.how))
def test_as_graph(name, tmp_path):
    check_graph(PROGRAMS.get(name, tmp_path), tmp_path / "web", **tolerance(name))


@pytest.mark.parametrize("name", sorted(GRAPHS.how))
def test_only_as_graph(name, tmp_path):
    check_graph(GRAPHS.get(name, tmp_path), tmp_path / "web")


@pytest.mark.parametrize("name", sorted(TEXTS.how))
def test_texts_as_graph(name, tmp_path):
    check_graph(TEXTS.get(name, tmp_path), tmp_path / "web")
