"""``diff``: equality across formats, every kind of difference, bounded memory."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from keras_files import dense_h5, entry, h5_model
from tfjs_files import dense_topology, write_model

import tfjs_codec
from tfjs_codec.cli import main as cli
from tfjs_codec.comparison.compare import compare
from tfjs_codec.comparison.diff import _are_alike
from tfjs_codec.errors import UsageError
from tfjs_codec.ir.tensors import ArrayTensor, LazyTensor


def model(layers, **weights):
    """A Sequential H5 of *layers* with ``{layer: {role: array}}``."""
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}
    groups = {
        layer: [(f"{layer}/{role}:0", array) for role, array in roles.items()]
        for layer, roles in weights.items()
    }
    return h5_model(config, groups)


def dense(name="d", units=3, inputs=4, value=1.0, **config):
    """One Dense layer: its entry and its weights."""
    made = entry("Dense", name, units=units, batch_input_shape=[None, inputs], **config)
    return made, {"kernel": np.full((inputs, units), value), "bias": np.zeros(units)}


def one_dense(**choices):
    made, weights = dense(**choices)
    return model([made], **{made["config"]["name"]: weights})


def test_a_model_is_equal_to_itself():
    found = tfjs_codec.diff(dense_h5(), dense_h5())
    assert found.equal
    assert (found.level, found.compared) == ("keras", (2, 2))
    assert "are equal, compared as Keras models" in str(found)


def test_containers_do_not_matter(fixtures_dir, tmp_path):
    h5, keras = (fixtures_dir / "digits" / f"digits.{suffix}" for suffix in ("h5", "keras"))
    assert tfjs_codec.diff(h5, keras).equal


@pytest.mark.parametrize(
    "case",
    ["savedmodel_tf2.15_nested", "savedmodel_tf2.15_recurrent", "savedmodel_tf2.19_convolutional"],
)
def test_a_source_and_its_conversion_are_equal(fixtures_dir, tmp_path, case):
    source = fixtures_dir / case / "model"
    tfjs_codec.convert(source, tmp_path / "web", to="layers")
    for pair in ((source, tmp_path / "web"), (tmp_path / "web", source)):
        found = tfjs_codec.diff(*pair)
        assert found.equal, str(found)
        assert found.level == "layers"
        assert min(found.compared) > 0


def test_graph_models(fixtures_dir, tmp_path):
    source = fixtures_dir / "graph_frozen" / "model.pb"
    outputs = json.loads((source.parent / "case.json").read_text())["outputs"]
    tfjs_codec.convert(source, tmp_path / "web", output_node_names=outputs)
    found = tfjs_codec.diff(source, tmp_path / "web", output_node_names=outputs)
    assert found.equal, str(found)
    assert found.level == "graph"
    content = json.loads((tmp_path / "web" / "model.json").read_text())
    content["modelTopology"]["node"][0]["op"] = "Odd"
    (tmp_path / "web" / "model.json").write_text(json.dumps(content))
    found = tfjs_codec.diff(source, tmp_path / "web", output_node_names=outputs)
    assert [change.kind for change in found.layers] == ["changed"]
    assert found.layers[0].details[0].endswith("and 'Odd'")


def test_values_that_differ():
    found = tfjs_codec.diff(one_dense(value=1.0), one_dense(value=1.5))
    [change] = found.tensors
    assert (change.name, change.kind, change.count) == ("d/kernel", "values", 12)
    assert (change.max, change.mean) == (0.5, 0.5)
    assert "tensor 'd/kernel': 12 values differ, by up to 0.5, mean 0.5" in str(found)
    assert tfjs_codec.diff(one_dense(value=1.0), one_dense(value=1.5), tolerance=0.5).equal


def test_layers_that_differ():
    (d, dw), (e, ew) = dense("d"), dense("e", inputs=3)
    (f, fw) = dense("f", inputs=3, activation="relu")
    found = tfjs_codec.diff(model([d, e], d=dw, e=ew), model([d, f], d=dw, f=fw))
    assert [(one.name, one.kind) for one in found.layers] == [("e", "removed"), ("f", "added")]
    assert {(one.name, one.kind) for one in found.tensors} == {
        ("e/kernel", "removed"), ("e/bias", "removed"), ("f/kernel", "added"), ("f/bias", "added"),
    }  # fmt: skip
    assert "layer 'e': only in <bytes>" in str(found)


def test_configs_that_differ():
    found = tfjs_codec.diff(one_dense(activation="relu"), one_dense(activation="tanh"))
    assert found.layers[0].details == ("'activation' 'relu' and 'tanh'",)
    assert found.tensors == ()


def test_initializers_do_not_matter():
    assert tfjs_codec.diff(one_dense(kernel_initializer="zeros"), one_dense()).equal


def test_shapes_that_differ():
    found = tfjs_codec.diff(one_dense(units=3), one_dense(units=2))
    assert ("d/kernel", "shape", ((4, 3), (4, 2))) in [
        (one.name, one.kind, one.shapes) for one in found.tensors
    ]
    assert "'units' 3 and 2" in str(found)
    assert "tensor 'd/kernel': [4, 3] and [4, 2]" in str(found)


def test_mere_weights_have_names_in_common_with_models():
    weights = {"d": [("d/kernel:0", np.ones((4, 3))), ("d/bias:0", np.zeros(3))]}
    found = tfjs_codec.diff(one_dense(), h5_model(None, weights))
    assert (found.equal, found.level, found.compared) == (True, "weights", (0, 2))


def test_models_that_tfjs_cannot_express_are_compared_as_keras_models(tmp_path):
    (d, dw) = dense("dense_Dense1", activation="relu")
    odd = entry("Odd", "o")
    arrays = {"dense_Dense1/kernel": np.ones((4, 3), np.float32),
              "dense_Dense1/bias": np.zeros(3, np.float32)}  # fmt: skip
    write_model(tmp_path / "web", arrays, topology=dense_topology())
    found = tfjs_codec.diff(model([d, odd], dense_Dense1=dw), tmp_path / "web")
    assert ([layer.name for layer in found.layers], found.level) == (["o"], "keras")
    assert found.tensors == ()


def test_spellings_of_other_writers_are_no_difference(tmp_path):
    (d, dw) = dense("dense_Dense1", activation="relu")
    arrays = {"dense_Dense1/x/kernel": np.ones((4, 3), np.float32),
              "dense_Dense1/bias": np.zeros(3, np.float32)}  # fmt: skip
    topology = dense_topology()
    topology["config"]["layers"][0]["config"].pop("use_bias")
    write_model(tmp_path / "web", arrays, topology=topology)
    tfjs_codec.convert(model([d], dense_Dense1=dw), tmp_path / "ours")
    found = tfjs_codec.diff(tmp_path / "web", tmp_path / "ours")
    assert found.tensors == ()
    assert [one.name for one in found.layers] in ([], ["dense_Dense1_input"])


def test_exit_codes_and_json(tmp_path, capsys):
    (tmp_path / "a.h5").write_bytes(one_dense(value=1.0))
    (tmp_path / "b.h5").write_bytes(one_dense(value=math.nan))
    a, b = str(tmp_path / "a.h5"), str(tmp_path / "b.h5")
    assert cli.main(["diff", a, a, "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    assert cli.main(["diff", a, b, "--json"]) == 1
    found = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert found["equal"] is False
    assert found["tensors"][0]["max"] is None
    assert cli.main(["diff", a, a, "--tolerance=-1"]) == 2
    assert cli.main(["diff", a, str(tmp_path / "none.h5")]) == 3
    with pytest.raises(SystemExit):
        cli.main(["diff", "--help"])
    assert "0 equal, 1 different" in capsys.readouterr().out


def test_nan_tolerance():
    with pytest.raises(UsageError):
        tfjs_codec.diff(dense_h5(), dense_h5(), tolerance=math.nan)


def test_hostile_names_are_escaped():
    found = tfjs_codec.diff(one_dense(name="\x1b[31m\n"), one_dense(name="x" * 100_000))
    text = str(found)
    assert len(text) < 2000
    assert all(char.isprintable() or char == "\n" for char in text)
    assert text.count("\n") == 13


# --- comparing tensors -----------------------------------------------------------------------


class Pieces(LazyTensor):
    """A tensor that yields pieces of the sizes it was told, and remembers the largest."""

    def __init__(self, array, sizes):
        self.name, self.shape, self.dtype = "t", array.shape, array.dtype
        self._array, self._sizes = array, sizes

    def numpy(self):
        raise AssertionError("read whole")

    def chunks(self, max_bytes):
        start = 0
        for size in self._sizes:
            yield self._array[start : start + size]
            start += size


@pytest.mark.parametrize("sizes", [[10], [1, 9], [3, 3, 4], [0, 5, 0, 5], [9, 1]])
def test_pieces_need_not_be_alike(sizes):
    array = np.arange(10, dtype=np.float32)
    other = array.copy()
    other[9] = 0
    whole = ArrayTensor("o", other)
    found = compare(Pieces(array, sizes), whole)
    assert (found.count, found.max, found.mean) == (1, 9.0, 0.9)
    assert compare(whole, Pieces(array, sizes)) == found


@pytest.mark.parametrize(
    ("a", "b", "count", "largest"),
    [
        ([math.nan, math.inf], [math.nan, math.inf], 0, 0.0),
        ([math.nan, 1.0], [1.0, 1.0], 1, math.inf),
        ([math.inf], [-math.inf], 1, math.inf),
        ([-0.0], [0.0], 0, 0.0),
        ([], [], 0, 0.0),
        ([2**24 + 1], [2**24], 1, 1.0),
        ([1 + 1j], [1.0], 1, 1.0),
        ([True], [False], 1, 1.0),
    ],
)
def test_numbers(a, b, count, largest):
    found = compare(ArrayTensor("a", np.array(a)), ArrayTensor("b", np.array(b)))
    assert (found.count, found.max) == (count, largest)


def test_strings():
    a, b = (np.array(words, object) for words in ([b"x", b"y"], [b"x", b"z"]))
    assert compare(ArrayTensor("a", a), ArrayTensor("b", b)).count == 1


def test_memory_does_not_grow_with_tensors(tmp_path):
    import tracemalloc

    made, weights = dense(units=2000, inputs=2000)
    weights["kernel"] = np.random.default_rng(0).normal(size=(2000, 2000))
    (tmp_path / "a.h5").write_bytes(model([made], d=weights))
    tracemalloc.start()
    try:
        assert tfjs_codec.diff(tmp_path / "a.h5", tmp_path / "a.h5").equal
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 14 << 20  # one tensor has 16 MB


def trained_in_tfjs(tmp_path):
    """A Sequential as tfjs saves it: no InputLayer, an axis counted from the end, a ``/``."""
    layers = [
        {"class_name": "Dense",
         "config": {"name": "a/b", "units": 2, "batch_input_shape": [None, 2]}},
        {"class_name": "BatchNormalization", "config": {"name": "bn", "axis": -1}},
    ]  # fmt: skip
    topology = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}
    ones = np.ones(2, np.float32)
    arrays = {"a/b/kernel": np.eye(2, dtype=np.float32), "a/b/bias": ones}
    arrays |= {f"bn/{n}": ones for n in ("gamma", "beta", "moving_mean", "moving_variance")}
    write_model(tmp_path / "trained", arrays, topology=topology)
    return tmp_path / "trained"


@pytest.mark.parametrize("name", ["back.h5", "back.keras"])
def test_the_way_back_makes_no_difference(name, tmp_path):
    web = trained_in_tfjs(tmp_path)
    tfjs_codec.convert(web, tmp_path / name)
    found = tfjs_codec.diff(web, tmp_path / name)
    assert found.layers == found.tensors == ()
    assert found.level == "keras"
    assert found.compared == (3, 6)


def test_a_layer_that_would_be_lowered_otherwise_makes_no_difference(tmp_path):
    """Keras 2 and 3 have no hard sigmoid in common, and tfjs no ReLU as a layer's activation."""
    layer = entry("GRU", "g", units=2, batch_input_shape=[None, 3, 2], reset_after=False,
                  recurrent_activation="hard_sigmoid")  # fmt: skip
    rng = np.random.default_rng(1)
    shapes = {"kernel": (2, 6), "recurrent_kernel": (2, 6), "bias": (6,)}
    weights = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    (tmp_path / "a.h5").write_bytes(model([layer], g=weights))
    tfjs_codec.convert(tmp_path / "a.h5", tmp_path / "web")
    for name in ("back.h5", "back.keras"):
        tfjs_codec.convert(tmp_path / "web", tmp_path / name)
        found = tfjs_codec.diff(tmp_path / "web", tmp_path / name)
        assert (found.equal, found.level, found.compared) == (True, "keras", (2, 3))


@pytest.mark.parametrize(
    ("one", "two", "alike"),
    [
        (3e38, 3.0000000054977558e38, True), (0.1, 0.10000000149011612, True), (1.0, 1, True),
        (0.1, 0.1001, False), ([0.1, 2], [0.10000000149011612, 2], True), ([1], [1, 1], False),
        ("a", "b", False), (None, 0.5, False),
    ],
)  # fmt: skip
def test_options_are_compared_as_float32_has_them(one, two, alike):
    assert _are_alike(one, two) is alike


def test_another_input_shape_is_a_difference(tmp_path):
    web = trained_in_tfjs(tmp_path)
    tfjs_codec.convert(web, tmp_path / "back.h5")
    text = (web / "model.json").read_text()
    (web / "model.json").write_text(text.replace('"batch_input_shape": [null, 2]',
                                                 '"batch_input_shape": [3, 2]'))  # fmt: skip
    (change,) = tfjs_codec.diff(web, tmp_path / "back.h5").layers
    assert change.details == ("'batch_shape' [3, 2] and [None, 2]",)
