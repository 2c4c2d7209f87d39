"""A rule that fails is called by its file and line; the model's file is not blamed."""

from __future__ import annotations

import pytest
from keras_files import dense_h5, entry, h5_model

import tfjs_codec
from tfjs_codec.errors import RuleError
from tfjs_codec.layers.engine.registry import REGISTRY


@pytest.fixture
def custom():
    layers = [
        entry("Dense", "d", units=2, batch_input_shape=[None, 2]),
        entry("Mine>Odd", "odd"),
    ]
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}
    weights = [("d/kernel:0", [[1.0, 2.0], [3.0, 4.0]]), ("d/bias:0", [0.0, 0.0])]
    yield h5_model(config, {"d": weights, "odd": []})
    REGISTRY.user.pop("Mine>Odd", None)


@pytest.mark.parametrize(
    ("fail", "what"),
    [
        (lambda b, layer, x: layer.config["nothing"], "failed with KeyError: 'nothing'"),
        (lambda b, layer, x: b.add("Dense", x, {"activation": "relu"}), r"Dense needs \['units'\]"),
        (lambda b, layer, x: b.add("Dense", x, {"unit": 2}), r"does not read \['unit'\]"),
        (lambda b, layer, x: 1 / 0, "failed with ZeroDivisionError"),
        (lambda b, layer, x: b.add("Denser", x), "failed with KeyError: 'Denser'"),
    ],
)
def test_a_registered_rule_fails(custom, tmp_path, fail, what):
    tfjs_codec.register_rule("Mine>Odd")(fail)
    with pytest.raises(RuleError, match=what) as caught:
        tfjs_codec.convert(custom, tmp_path / "out")
    line = fail.__code__.co_firstlineno
    assert caught.value.where == f"layer 'odd': {__file__}:{line}"
    assert "the rule for 'Mine>Odd'" in caught.value.what
    assert isinstance(caught.value.__cause__, Exception)
    assert caught.value.exit_code == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("target", "fail", "what"),
    [
        (
            "graph",
            lambda b, layer, x: x + 1,
            r"\+: 'GraphValue' and 'int'. A GraphValue is symbolic",
        ),
        ("graph", lambda b, layer, x: x[0], r"'GraphValue' object .* such as b.ops.add"),
        ("graph", lambda b, layer, x: b.ops.exp(x, 2, y=1), r"TypeError: exp\(\) got .* 'y'"),
        ("graph", lambda b, layer, x: 3.0, "it returned '3.0', not a GraphValue or a list of them"),
        ("graph", lambda b, layer, x: [x, None], "not a GraphValue or a list of them"),
        ("layers", lambda b, layer, x: x * 2, "'Tensor' and 'int'. A Tensor is symbolic: .* b.add"),
        ("layers", lambda b, layer, x: None, "it returned 'None', not a Tensor or a list of them"),
    ],
)
def test_a_rule_takes_a_value_for_an_array(custom, target, fail, what):
    with tfjs_codec.local_rules():
        tfjs_codec.register_rule("Mine>Odd", target=target)(fail)
        with pytest.raises(RuleError, match=what) as caught:
            tfjs_codec.to_files(custom, to=target)
    assert f"{__file__}:{fail.__code__.co_firstlineno}" in str(caught.value)


def test_a_rule_of_ours_fails(tmp_path, monkeypatch):
    def rule(b, layer, x):
        return layer.config["no such key"]

    broken = REGISTRY.layers["Dense"]._replace(function=rule)
    monkeypatch.setitem(REGISTRY.layers, "Dense", broken)
    with pytest.raises(RuleError, match="please report it"):
        tfjs_codec.convert(dense_h5(), tmp_path / "out")
