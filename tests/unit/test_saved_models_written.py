"""SavedModels that we write, read back by ourselves; tests/oracle asks TensorFlow and Keras."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import graph_fixtures
import numpy as np
import pytest
from keras_files import dense_h5
from layer_fixtures import Programs, keras_file

import tfjs_codec
from tfjs_codec import pb
from tfjs_codec.errors import UnsupportedModelError, UsageError
from tfjs_codec.files.saved_model import open_saved_model, signatures
from tfjs_codec.files.tensor_bundle import OBJECT_GRAPH_KEY, open_bundle
from tfjs_codec.pb import messages
from tfjs_codec.readers import open_model

FIXTURES = Path(__file__).parents[2] / "fixtures"
FILES = [
    ("activations", "keras-3.15.keras"), ("attention", "tf_keras-2.19.h5"),
    ("bidirectional", "keras-3.15.keras"), ("dict_input_output", "keras-3.15.keras"),
    ("multi_input_output", "tf_keras-2.19.h5"), ("nested_twice", "keras-3.15.keras"),
    ("normalizing", "keras-3.15.keras"),
    ("odd_names", "keras-3.15.keras"), ("slashed_names", "tf_keras-2.19.h5"),
]  # fmt: skip
GRAPHS = ["graph_control", "graph_conv_bn", "graph_tables", "graph_v1_loops", "graph_einsums"]


PROGRAMS = Programs()


def written(source: Path, tmp_path: Path, **options: object) -> tuple[Path, tfjs_codec.Report]:
    report = tfjs_codec.convert(source, tmp_path / "saved", to="savedmodel", **options)
    return tmp_path / "saved", report


def predict(path: Path, inputs: object) -> list[np.ndarray]:
    with tfjs_codec.load(path) as model:
        found = model.predict(inputs)
    if isinstance(found, dict):
        return list(found.values())
    return found if isinstance(found, list) else [found]


@pytest.mark.parametrize(("name", "file"), FILES, ids="-".join)
def test_our_own_reader_predicts_what_keras_predicted(name, file, tmp_path):
    case = keras_file(name, file, tmp_path)
    saved, report = written(case.source, tmp_path)
    assert not any("without Keras layers" in warning for warning in report.warnings)
    for ours, theirs in zip(predict(saved, case.inputs), case.outputs, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=1e-5)
    with tfjs_codec.load(saved) as model:
        assert model.format == "keras-savedmodel"
        assert len(model.weights) <= report.weights


@pytest.mark.parametrize("name", GRAPHS)
def test_graph_models_of_tfjs(name, tmp_path):
    web = graph_fixtures.convert(name, tmp_path)
    saved, _ = written(web, tmp_path)
    for given, expected in graph_fixtures.runs(name):
        with tfjs_codec.load(saved) as model:
            found = model.predict(given)
        named = found if isinstance(found, dict) else dict.fromkeys(expected, found)
        assert named.keys() == expected.keys()
        for key, value in named.items():
            np.testing.assert_allclose(value, expected[key], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "name", [*GRAPHS, "graph_v1_variables", "graph_integers", "graph_channels_first"]
)
def test_graphs_of_tensorflow(name, tmp_path):
    source, reading = graph_fixtures.source(name, tmp_path)
    saved, report = written(source, tmp_path, **reading)
    assert not any("use their names in tfjs" in warning for warning in report.warnings)
    for given, expected in graph_fixtures.runs(name):
        with tfjs_codec.load(source, **reading) as model:
            before = model.predict(given)
        with tfjs_codec.load(saved) as model:
            found = model.predict(given)
        named = found if isinstance(found, dict) else dict.fromkeys(expected, found)
        assert named.keys() == expected.keys()
        for key, value in named.items():
            np.testing.assert_allclose(value, expected[key], atol=1e-5, rtol=1e-5)
            old = before[key] if isinstance(before, dict) else before
            assert value.dtype == old.dtype


def test_processors_compute_what_was_saved_with_channels_first(tmp_path):
    source, reading = graph_fixtures.source("graph_channels_first", tmp_path)
    saved, _ = written(source, tmp_path, **reading)
    with open_model(saved) as model:
        functions = model.graph().functions.values()
    layouts = {
        node.attrs.get("data_format")
        for function in functions for node in function.nodes.values()
    }  # fmt: skip
    assert layouts == {None, b"NHWC"}


def test_sizes_of_transposed_convolutions_follow_from_their_operands(tmp_path):
    """TensorFlow notes the shapes of results in a SavedModel; we do not."""
    source, reading = graph_fixtures.source("graph_volumes", tmp_path)
    saved, _ = written(source, tmp_path, **reading)
    tfjs_codec.convert(saved, tmp_path / "web", to="graph")
    ((given, expected),) = graph_fixtures.runs("graph_volumes")
    with tfjs_codec.load(tmp_path / "web") as model:
        found = model.predict(given)
    for key, value in zip(sorted(expected), found, strict=True):
        np.testing.assert_allclose(value, expected[key], atol=1e-5, rtol=1e-5)


def test_inputs_keep_their_default_values(tmp_path):
    source, reading = graph_fixtures.source("graph_frozen", tmp_path)
    saved, report = written(source, tmp_path, **reading)
    assert report.warnings == (
        "input 'scale' has a default value; tf.saved_model.load must be given it",
    )
    ((given, expected),) = graph_fixtures.runs("graph_frozen")
    with tfjs_codec.load(saved) as model:
        found = [model.predict(one) for one in (given, {**given, "scale": np.float32(2)})]
    for one in found:
        assert one.keys() == expected.keys()
        for key, value in one.items():
            np.testing.assert_allclose(value, expected[key], atol=1e-5, rtol=1e-5)


def test_variables_of_a_graph_stay_variables(tmp_path):
    source = FIXTURES / "savedmodel_tf2.19_module" / "model"
    saved, report = written(source, tmp_path)
    assert report.weights > 0
    values = [sorted(array.tolist() for array in load_all(path)) for path in (source, saved)]
    assert [one for one in values[1] if one not in values[0]] == []


def load_all(path: Path) -> list[np.ndarray]:
    with tfjs_codec.load(path) as model:
        return [np.ravel(array) for array in model.weights.values()]


def test_layers_that_cannot_be_written_leave_the_signature(tmp_path):
    """A layer of the user's own, which only the traced functions of the file know."""
    source = FIXTURES / "savedmodel_tf2.19_subclassed" / "model"
    saved, _ = written(source, tmp_path)
    (before,), (after,) = (signatures(open_saved_model(path)) for path in (source, saved))
    assert [spec.dtype for spec in before.inputs] == [spec.dtype for spec in after.inputs]
    given = np.ones([2, *(before.inputs[0].shape or ())[1:]], np.float32)
    for one, other in zip(predict(source, given), predict(saved, given), strict=True):
        np.testing.assert_array_equal(one, other)


def test_options_for_layers_mean_nothing_for_a_graph(tmp_path):
    source, reading = graph_fixtures.source("graph_frozen", tmp_path)
    with pytest.raises(UsageError, match="rename has no effect on a SavedModel without layers"):
        written(source, tmp_path, rename={"a": "b"}, **reading)


@pytest.mark.parametrize("name", ["masked", "directions"])
def test_masks_are_those_of_tfjs(name, tmp_path):
    """Tfjs and Keras 2 hand masks on differently; where one hides, directions differ."""
    web = FIXTURES / "tfjs_trained" / name
    recorded = json.loads((web / "io.json").read_text())
    given, expected = (
        [np.array(one["values"], one["dtype"]).reshape(one["shape"]) for one in recorded[role]]
        for role in ("inputs", "outputs")
    )
    saved, _ = written(web, tmp_path)
    tfjs_codec.convert(web, tmp_path / "graph", to="graph")
    for path in (saved, tmp_path / "graph", web):
        for ours, theirs in zip(predict(path, given), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=1e-5)


def test_the_signature_is_that_of_model_export(tmp_path):
    case = keras_file("multi_input_output", "keras-3.15.keras", tmp_path)
    saved, _ = written(case.source, tmp_path)
    (signature,) = signatures(open_saved_model(saved))
    assert signature.name == "serving_default"
    count = len(case.outputs)
    assert [spec.name for spec in signature.outputs] == [f"output_{i}" for i in range(count)]


def test_a_dict_of_inputs_is_flattened_as_tensorflow_does(tmp_path):
    """By the order of its keys, whatever that of the model's inputs."""
    case = keras_file("dict_input_output", "keras-3.15.keras", tmp_path)
    saved, _ = written(case.source, tmp_path)
    message = messages.SavedModel.FromString((saved / "saved_model.pb").read_bytes())
    functions = message.meta_graphs[0].graph_def.library.function
    (serve,) = (one for one in functions if one.signature.name == "__inference_serve_0")
    assert [argument.name for argument in serve.signature.input_arg[:2]] == ["a", "z"]


def test_both_trees_of_objects_number_alike(tmp_path):
    (tmp_path / "model.h5").write_bytes(dense_h5())
    saved, _ = written(tmp_path / "model.h5", tmp_path)
    model = open_saved_model(saved)
    data = open_bundle(saved / "variables" / "variables")[OBJECT_GRAPH_KEY].numpy().item()
    stored = pb.parse(messages.TrackableObjectGraph, data, path=saved).nodes
    for number, node in enumerate(stored):
        assert node.children == model.nodes[number].children[: len(node.children)]
        assert bool(node.attributes) == model.nodes[number].HasField("variable")
    assert all(each.metadata for each in model.keras.values())


def test_the_size_of_files_is_the_callers(tmp_path):
    (tmp_path / "model.h5").write_bytes(dense_h5())
    _, report = written(tmp_path / "model.h5", tmp_path, shard_size_bytes=16)
    names = [name for name, _ in report.files]
    assert "variables/variables.data-00000-of-00003" in names
    assert (
        report.files[:3]
        == tfjs_codec.plan(tmp_path / "model.h5", to="savedmodel", shard_size_bytes=16).files
    )


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("lstm_activations", "its cell is a model"),
        ("comparisons", "TensorFlow would optimise into another result"),
    ],
)
def test_what_keras_2_would_compute_otherwise_is_written_without_layers(name, reason, tmp_path):
    case = keras_file(name, "keras-3.15.keras", tmp_path)
    saved, report = written(case.source, tmp_path)
    (warning,) = [each for each in report.warnings if "without Keras layers" in each]
    assert reason in warning
    assert not (saved / "keras_metadata.pb").exists()
    for ours, theirs in zip(predict(saved, case.inputs), case.outputs, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "file"), [("masked_embedding", "tf_keras-2.19.h5"), ("unet", "keras-3.15.keras")]
)
def test_layers_stay_as_they_are_where_keras_2_computes_the_same(name, file, tmp_path):
    case = keras_file(name, file, tmp_path)
    saved, report = written(case.source, tmp_path)
    assert report.lowered == ()
    classes = [
        [layer.class_name for layer in tfjs_codec.inspect(path).layers]
        for path in (case.source, saved)
    ]
    assert classes[0] == classes[1]


def written_layers(name: str, tmp_path: Path) -> list[dict[str, Any]]:
    """Return the layers that tf_keras makes of the SavedModel of program *name*."""
    source = tmp_path / "model.keras"
    source.write_bytes(PROGRAMS.get(name).source)
    saved, _ = written(source, tmp_path)
    metadata = messages.SavedMetadata()
    metadata.ParseFromString((saved / "keras_metadata.pb").read_bytes())
    root = next(node for node in metadata.nodes if node.node_path == "root")
    return json.loads(root.metadata)["model_config"]["config"]["layers"]


def test_dropout_has_its_rate(tmp_path):
    layer = written_layers("SpatialDropout3D", tmp_path)[-1]["config"]
    assert (layer["rate"], layer["data_format"]) == (0.3, "channels_last")


def test_dilation_of_transposed_volumes_is_left_to_other_layers(tmp_path):
    """Keras 2 takes it, and ignores it."""
    kinds = {layer["class_name"] for layer in written_layers("Conv3DTranspose_8", tmp_path)}
    assert "Conv3DTranspose" not in kinds


def test_masks_that_keras_2_keeps_and_keras_3_loses(tmp_path):
    """Of a sum of which one operand has a mask; the LSTM after it is called with mask=None."""
    program = PROGRAMS.get("Add_6")
    source = tmp_path / "model.keras"
    source.write_bytes(program.source)
    saved, _ = written(source, tmp_path)
    tfjs_codec.convert(saved, tmp_path / "web")  # by the layers
    with tfjs_codec.load(tmp_path / "web") as model:
        found = model.predict(program.inputs)
    np.testing.assert_allclose(found, program.outputs[0], atol=1e-6)


def test_masks_do_not_cancel_what_they_are_added_to(tmp_path):
    """TensorFlow would compute ``(scores + mask * 1e9) - 1e9``."""
    configs = [layer["config"] for layer in written_layers("AdditiveAttention_4", tmp_path)]
    scales = [(one["scale"], one["offset"]) for one in configs if "scale" in one]
    assert (1e9, 0.0) in scales
    assert (1e9, -1e9) not in scales


@pytest.mark.parametrize("name", ["maximum_6", "multiply_6", "power_10"])
def test_booleans_are_computed_as_numbers(name, tmp_path):
    source = tmp_path / "model.keras"
    source.write_bytes(PROGRAMS.get(name).source)
    saved, _ = written(source, tmp_path)
    with open_model(saved) as model:
        functions = model.graph().functions.values()
    nodes = [node for function in functions for node in function.nodes.values()]
    (one,) = (node for node in nodes if node.op in ("Maximum", "Mul", "Pow"))
    assert one.attrs["T"] == "int32"


def test_tables_that_depend_on_inputs_are_refused(tmp_path):
    """In tfjs strings are repeated by their numbers in such a table."""
    with zipfile.ZipFile(FIXTURES / "graph_questions.zip") as archive:
        graph = archive.read("strings.tile.pb")
        outputs = json.loads(archive.read("cases.json"))["strings.tile"]["outputs"]
    tfjs_codec.convert(graph, tmp_path / "web", to="graph", output_node_names=outputs)
    with pytest.raises(UnsupportedModelError, match="a table is filled with what the graph comp"):
        written(tmp_path / "web", tmp_path)


def test_options_that_mean_nothing(tmp_path):
    (tmp_path / "model.h5").write_bytes(dense_h5())
    with pytest.raises(UsageError, match="quantize has no effect on a SavedModel"):
        written(tmp_path / "model.h5", tmp_path, quantize={"uint8": True})


def test_a_tfjs_model_in_the_way_is_not_replaced(tmp_path):
    (tmp_path / "model.h5").write_bytes(dense_h5())
    tfjs_codec.convert(tmp_path / "model.h5", tmp_path / "saved")
    with pytest.raises(UsageError, match="is not empty and holds no"):
        written(tmp_path / "model.h5", tmp_path)


def test_initializers_have_the_names_of_keras_2_or_are_left_out(tmp_path):
    case = keras_file("simple_rnn", "keras-3.15.keras", tmp_path)
    source = tmp_path / "older.keras"
    names = {b'"Orthogonal"': b'"OrthogonalInitializer"', b'"GlorotUniform"': b'"Own>Special"'}
    with zipfile.ZipFile(case.source) as old, zipfile.ZipFile(source, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            for one, other in names.items() if name == "config.json" else ():
                assert one in data
                data = data.replace(one, other)
            new.writestr(name, data)
    saved, report = written(source, tmp_path)
    assert report.lowered == ()
    keras = open_saved_model(saved).keras
    configs = [json.loads(each.metadata)["config"] for each in keras.values()]
    config = next(each for each in configs if "recurrent_initializer" in each)
    assert config["recurrent_initializer"]["class_name"] == "Orthogonal"
    assert config["kernel_initializer"] is None
