"""Rules of users for graph models, beside those for Layers models."""

from __future__ import annotations

import json

import numpy as np
import pytest
from keras_files import entry, h5_model
from layers_interpreter import load

import tfjs_codec
from tfjs_codec.errors import RuleError, UnsupportedModelError, UsageError

X = np.float32([[1, 2, -3], [0.5, 0, 4]])
GAINS, SHIFTS = np.float32([2, 0.5, 3]), np.float32([0, 1, -1])
EXPECTED = np.exp(-np.abs(X * GAINS)) + SHIFTS * 0.25

RULES = """
import tfjs_codec

@tfjs_codec.register_rule("Mine>Fade", target="graph", weights=["gains", "shifts"])
def fade_graph(b: tfjs_codec.GraphScope, layer, x: tfjs_codec.GraphValue) -> tfjs_codec.GraphValue:
    ops = b.ops
    faded = ops.exp(ops.negative(ops.abs(ops.multiply(x, b.weight(layer, "gains")))))
    shifts = ops.multiply(b.weight(layer, "shifts"), layer.config["strength"])
    return ops.add(faded, shifts)

@tfjs_codec.register_rule("Mine>Fade", weights=["gains", "shifts"])
def fade_layers(b, layer, x):
    scale = (layer.weights["shifts"].numpy() * layer.config["strength"]).tolist()
    return b.add("Rescaling", x, {"scale": 0, "offset": scale})
"""


@pytest.fixture(autouse=True)
def only_here():
    with tfjs_codec.local_rules():
        yield


@pytest.fixture
def model():
    layer = entry("Mine>Fade", "fade", strength=0.25, batch_input_shape=[None, 3])
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [layer]}}
    return h5_model(config, {"fade": [("fade/gains:0", GAINS), ("fade/shifts:0", SHIFTS)]})


def fade(b, layer, x):
    ops = b.ops
    faded = ops.exp(ops.negative(ops.abs(ops.multiply(x, b.weight(layer, "gains")))))
    shifts = ops.multiply(b.weight(layer, "shifts"), layer.config["strength"])
    return ops.add(faded, shifts)


def test_a_rule_says_a_graph_in_keras_ops(model, tmp_path):
    tfjs_codec.register_rule("Mine>Fade", target="graph")(fade)
    tfjs_codec.convert(model, tmp_path / "web", to="graph")
    ops = {
        node["op"]
        for node in json.loads((tmp_path / "web/model.json").read_text())["modelTopology"]["node"]
    }
    assert {"Abs", "Exp", "Neg"} <= ops
    got = tfjs_codec.load(tmp_path / "web").predict(X)
    np.testing.assert_allclose(got, EXPECTED, rtol=1e-6)
    np.testing.assert_allclose(tfjs_codec.load(model).predict(X), EXPECTED, rtol=1e-6)


def test_one_file_has_rules_for_both_targets(model, tmp_path):
    rules, source = tmp_path / "my_rules.py", tmp_path / "model.h5"
    rules.write_text(RULES)
    source.write_bytes(model)
    for target in ("graph", "layers"):
        given = ["convert", str(source), str(tmp_path / target), "--to", target]
        assert tfjs_main([*given, "--rules", str(rules), "--quiet"]) == 0
    got = tfjs_codec.load(tmp_path / "graph").predict(X)
    np.testing.assert_allclose(got, EXPECTED, rtol=1e-6)
    layers = load(tmp_path / "layers").predict([X])[0]
    np.testing.assert_allclose(layers, np.tile(SHIFTS * 0.25, (2, 1)), rtol=1e-6)


def tfjs_main(arguments):
    from tfjs_codec.cli.main import main

    return main(arguments)


@pytest.mark.parametrize(
    ("has", "lacks", "text"),
    [
        ("graph", "layers", r"has a rule for graph models, and none for Layers models.*--to graph"),
        ("layers", "graph", r"has a rule for Layers models, and none for graph.*--to layers"),
    ],
)
def test_a_refusal_names_the_rule_that_is_missing(model, tmp_path, has, lacks, text):
    tfjs_codec.register_rule("Mine>Fade", target=has)(fade)
    with pytest.raises(UnsupportedModelError, match=text):
        tfjs_codec.convert(model, tmp_path / "web", to=lacks)


def test_auto_takes_the_target_that_has_a_rule(model, tmp_path):
    tfjs_codec.register_rule("Mine>Fade", target="graph")(fade)
    tfjs_codec.convert(model, tmp_path / "web", to="auto")
    assert json.loads((tmp_path / "web/model.json").read_text())["format"] == "graph-model"


def test_masks_and_arguments_reach_the_rule(tmp_path):
    layers = [
        entry("Masking", "m", mask_value=0.0, batch_input_shape=[None, 2, 3]),
        entry("Mine>Fade", "fade"),
        entry("GlobalAveragePooling1D", "mean"),
    ]
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}
    seen = []

    @tfjs_codec.register_rule("Mine>Fade", target="graph", mask="pass")
    def rule(b, layer, x):
        seen.append((b.mask(x).shape, b.argument("speed"), x.shape, x.dtype))
        return b.ops.add(x, b.value([1, 2, 3], "float32"))

    tfjs_codec.convert(h5_model(config, {"fade": []}), tmp_path / "web", to="graph")
    assert seen == [((None, 2), None, (None, 2, 3), "float32")]
    x = np.float32([[[0, 0, 0], [1, 1, 1]]])
    got = tfjs_codec.load(tmp_path / "web").predict(x)
    np.testing.assert_allclose(got, [[2, 3, 4]])  # of the second step only


@pytest.mark.parametrize(
    ("rule", "what"),
    [
        (lambda b, _, x: b.ops.multply(x, 2), "no operation 'multply'. Did you mean 'multiply'?"),
        (lambda b, layer, x: b.weight(layer, "gain"), "failed with KeyError: 'gain'"),
    ],
)
def test_a_rule_that_fails(model, tmp_path, rule, what):
    tfjs_codec.register_rule("Mine>Fade", target="graph")(rule)
    with pytest.raises(RuleError, match=what):
        tfjs_codec.convert(model, tmp_path / "web", to="graph")


def test_a_rule_refuses(model, tmp_path):
    @tfjs_codec.register_rule("Mine>Fade", target="graph")
    def rule(b, layer, x):
        raise b.refuse("a strength below 1", "Make it stronger.")

    with pytest.raises(UnsupportedModelError, match=r"a strength below 1\. Make it stronger"):
        tfjs_codec.convert(model, tmp_path / "web", to="graph")


def test_targets_have_names():
    with pytest.raises(UsageError, match="no target 'graphs'"):
        tfjs_codec.register_rule("Mine>Fade", target="graphs")
