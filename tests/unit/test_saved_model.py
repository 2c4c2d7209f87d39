"""SavedModel directories and checkpoints, against what Keras and TensorFlow had in memory."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from bundle_files import varint

import tfjs_codec
from tfjs_codec.errors import (
    CorruptFileError,
    TfjsCodecError,
    UnknownFormatError,
    UnsafeFileError,
    UnsupportedModelError,
    UsageError,
)
from tfjs_codec.files.saved_model import open_saved_model
from tfjs_codec.ir.graph import Ref, Tensor
from tfjs_codec.options import ConvertOptions
from tfjs_codec.readers.signatures import _in_keras_order

FIXTURES = Path(__file__).parents[2] / "fixtures"
DESCRIBED = sorted(
    path.parent
    for path in FIXTURES.glob("savedmodel_*/weights.npz")
    if not path.parent.name.endswith("_subclassed")
)


def model_of(name: str) -> Path:
    return FIXTURES / f"savedmodel_{name}" / "model"


def copied(tmp_path: Path, name: str) -> Path:
    return Path(shutil.copytree(model_of(name), tmp_path / "model"))


# --- what is read --------------------------------------------------------------------------


@pytest.mark.parametrize("fixture", DESCRIBED, ids=lambda path: path.name)
def test_layers_have_the_weights_that_keras_had(fixture):
    """Recorded by ``model|layer|position``."""
    with tfjs_codec.load(fixture / "model") as model, np.load(fixture / "weights.npz") as arrays:
        ours, layers = dict(model.weights), {}
        for name in arrays.files:
            path, _, position = name.rpartition("|")
            layers.setdefault(path.replace("|", "/"), {})[int(position)] = arrays[name]
    for path, wanted in layers.items():
        found = [ours.pop(name) for name in list(ours) if name.startswith(f"{path}/")]
        assert len(found) == len(wanted)
        for position, values in enumerate(found):
            np.testing.assert_array_equal(values, wanted[position])
    assert not ours


@pytest.mark.parametrize("source", ["ckpt-7", "ckpt-7.index"])
def test_a_checkpoint_by_prefix_or_index(source):
    model = tfjs_codec.load(model_of("checkpoint_dtypes") / source)
    assert model.format == "checkpoint"
    assert model.weights["scalar"] == 4.5
    assert model.weights["strings"].tolist() == [[b"", b"a\0\xff"], [b"x" * 300, "ü".encode()]]


def test_the_checkpoint_inside_a_savedmodel_has_all_variables_by_key():
    variables = model_of("tf2.19_compiled") / "variables" / "variables"
    weights = tfjs_codec.load(variables).weights
    names = json.loads((model_of("tf2.19_compiled").parent / "names.json").read_text())
    assert list(weights) == sorted(names["numbers"])
    assert "optimizer/_learning_rate/.ATTRIBUTES/VARIABLE_VALUE" in weights


@pytest.mark.parametrize("name", ["tf2.19_module", "tf2.19_subclassed", "tf1.15_tags"])
def test_any_savedmodel_has_all_variables_by_key(name):
    model = tfjs_codec.load(model_of(name))
    names = json.loads((model_of(name).parent / "names.json").read_text())["numbers"]
    assert model.format == "savedmodel"
    assert list(model.weights) == names
    with np.load(model_of(name).parent / "values.npz") as values:
        for number, key in enumerate(names):
            np.testing.assert_array_equal(model.weights[key], values[str(number)])


def test_variables_of_a_file_whose_graph_cannot_be_read(tmp_path):
    model = copied(tmp_path, "tf2.19_module")
    (model / "saved_model.pb").rename(model / "saved_model.cpb")
    assert len(tfjs_codec.load(model).weights) == 2
    shutil.rmtree(model / "variables")
    assert len(tfjs_codec.load(model).weights) == 0


def test_tags_choose_the_metagraph():
    path = model_of("tf1.15_tags")
    assert open_saved_model(path).meta_graph.meta_info_def.tags == ["serve"]
    chosen = open_saved_model(path, tags=["gpu", "serve"])
    assert chosen.meta_graph.meta_info_def.tags == ["serve", "gpu"]
    assert chosen.all_tags == (("serve",), ("serve", "gpu"))
    with pytest.raises(UsageError, match=r"There are: 'serve'; 'serve','gpu'"):
        open_saved_model(path, tags=["train"])
    with pytest.raises(UsageError, match="list of strings"):
        ConvertOptions(tags="serve")


# --- what is refused -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        (
            "tf2.19_module",
            [
                "a TensorFlow SavedModel without Keras architecture",
                "'count' ('n' int64[] -> 'n' int64[])",
                "'serving_default' ('x' float32[?,1] -> 'sum' float32[?,2])",
            ],
        ),
        ("tf2.19_subclassed", ["a subclassed Keras model ('Sub')", "'input_1' float32[?,3]"]),
        ("tf1.15_tags", ["a TensorFlow 1 SavedModel", "'x' float32[?,5] -> 'y' float32[?,4]"]),
    ],
)
def test_without_architecture_it_says_what_there_is(tmp_path, name, texts):
    with pytest.raises(UnsupportedModelError, match="graph model") as caught:
        tfjs_codec.convert(model_of(name), tmp_path / "out", to="layers")
    assert all(text in str(caught.value) for text in texts)
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_is_no_model(tmp_path):
    path = model_of("checkpoint_dtypes")
    with pytest.raises(UnsupportedModelError, match="no architecture"):
        tfjs_codec.convert(path / "ckpt-7", tmp_path / "out")
    with pytest.raises(UnknownFormatError, match="by its prefix: ckpt-7"):
        tfjs_codec.load(path)
    with pytest.raises(UsageError, match=r"PREFIX\.index"):
        tfjs_codec.load((path / "ckpt-7.index").read_bytes())


def test_keras_metadata_without_description(tmp_path):
    model = copied(tmp_path, "tf2.19_compiled")
    (model / "keras_metadata.pb").unlink()
    with pytest.raises(UnsupportedModelError, match=r"saved by tf\.saved_model\.save"):
        tfjs_codec.convert(model, tmp_path / "out", to="layers")
    assert "optimizer/_learning_rate/.ATTRIBUTES/VARIABLE_VALUE" in tfjs_codec.load(model).weights


def test_missing_parts_are_named(tmp_path):
    model = copied(tmp_path, "tf2.19_compiled")
    (model / "variables" / "variables.data-00000-of-00001").unlink()
    with pytest.raises(CorruptFileError, match=r"'variables\.data-00000-of-00001' is missing"):
        tfjs_codec.load(model)
    shutil.rmtree(model / "variables")
    with pytest.raises(CorruptFileError, match=r"'dense/kernel': the checkpoint has no values"):
        tfjs_codec.load(model)
    (model / "saved_model.pb").write_bytes(b"")
    with pytest.raises(CorruptFileError, match="holds no MetaGraph"):
        tfjs_codec.load(model)


def test_a_missing_index_beside_data(tmp_path):
    model = copied(tmp_path, "tf2.19_compiled")
    (model / "variables" / "variables.index").unlink()
    with pytest.raises(CorruptFileError, match="index of the variables is missing"):
        tfjs_codec.load(model)


def test_a_flipped_byte_is_found_unless_checksums_are_off(tmp_path):
    model = copied(tmp_path, "tf2.19_compiled")
    shard = model / "variables" / "variables.data-00000-of-00001"
    kernel = tfjs_codec.load(model).weights["dense/kernel"].tobytes()
    data = bytearray(shard.read_bytes())
    data[data.index(kernel)] ^= 1
    shard.write_bytes(data)
    with pytest.raises(CorruptFileError, match=r"variable 'layer_with_weights-0/kernel.*checksum"):
        tfjs_codec.convert(model, tmp_path / "out")
    tfjs_codec.convert(model, tmp_path / "out", verify_checksums=False)
    with pytest.raises(CorruptFileError, match="checksum"):
        tfjs_codec.load(model).weights["dense/kernel"]
    assert tfjs_codec.load(model, verify_checksums=False).weights["dense/kernel"].size


@pytest.mark.posix
def test_variables_linked_out_of_the_directory(tmp_path):
    model = copied(tmp_path, "tf2.19_compiled")
    (model / "variables").rename(tmp_path / "elsewhere")
    (model / "variables").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnsafeFileError, match="symbolic link out"):
        tfjs_codec.load(model)


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..\\x"])
def test_assets_outside(tmp_path, name):
    model = copied(tmp_path, "tf2.19_compiled")
    message = open_saved_model(model).meta_graph
    message.asset_file_def.add().filename = name
    data = message.SerializeToString()
    head = b"\x12" + varint(len(data))
    (model / "saved_model.pb").write_bytes(head + data)
    with pytest.raises(UnsafeFileError, match="asset_file_def"):
        tfjs_codec.load(model)


@pytest.mark.parametrize(
    ("name", "rounds"), [("tf2.19_compiled", 12), ("tf1.15_tags", 12), ("tf2.19_pbtxt", 3)]
)
def test_only_our_errors_escape_from_damage(tmp_path, name, rounds):
    model = copied(tmp_path, name)
    rng = np.random.default_rng(0)
    for file in sorted(path for path in model.rglob("*") if path.is_file()):
        data = file.read_bytes()
        for _ in range(rounds):
            changed = bytearray(data)
            for position in rng.integers(len(data), size=3):
                changed[position] ^= 1 << int(rng.integers(8))
            file.write_bytes(changed[: int(rng.integers(len(data) // 2, len(data) + 1))])
            with suppress(TfjsCodecError):
                dict(tfjs_codec.load(model).weights)
        file.write_bytes(data)


# --- what is written -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "fixture",
    sorted(path.parent for path in FIXTURES.glob("savedmodel_*/model.h5")),
    ids=lambda path: path.name,
)
def test_bytes_are_those_of_the_same_model_from_hdf5(fixture, tmp_path):
    tfjs_codec.convert(fixture / "model", tmp_path / "saved_model")
    tfjs_codec.convert(fixture / "model", tmp_path / "trusted", verify_checksums=False)
    tfjs_codec.convert(fixture / "model.h5", tmp_path / "hdf5")
    # TensorFlow 2.4 forgets in HDF5 files that a layer is frozen.
    saved, trusted, hdf5 = (
        {name: data.replace(b',"trainable":false', b"") for name, data in contents(each).items()}
        for each in (tmp_path / "saved_model", tmp_path / "trusted", tmp_path / "hdf5")
    )
    assert saved == hdf5
    assert trusted == hdf5


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


# --- what inspect says ---------------------------------------------------------------------


def test_inspect_tells_signatures_tags_and_operations():
    found = tfjs_codec.inspect(model_of("tf1.15_tags"))
    facts = dict(found.facts)
    assert facts["tags"] == "'serve'; 'serve','gpu'"
    assert facts["tensorflow version"] == "1.15.5"
    assert facts["signature 'serving_default'"] == "'x' float32[?,5] -> 'y' float32[?,4]"
    assert "3 VariableV2" in facts["operations"].split(", ")
    assert [(tensor.name, tensor.shape) for tensor in found.tensors] == [
        ("bias", (4,)),
        ("kernel", (5, 4)),
    ]
    assert "without Keras architecture" in str(found)


def test_inspect_shows_layers_of_keras_models_and_their_signatures():
    text = str(tfjs_codec.inspect(model_of("tf2.19_compiled")))
    assert "'serving_default': 'dense_input' float32[?,3] -> 'dense_1' float32[?,1]" in text
    assert "dense/kernel" in text


def test_inspect_shows_stored_types_and_sizes():
    tensors = tfjs_codec.inspect(model_of("checkpoint_dtypes") / "ckpt-7").tensors
    found = {tensor.name: (tensor.dtype, tensor.stored, tensor.nbytes) for tensor in tensors}
    assert found["bfloat16"] == ("float32", "bfloat16", 12)
    assert found["float64"] == ("float64", None, 48)
    assert found["strings"] == ("string", None, 314)


def test_inspect_of_several_metagraphs_to_choose_from(tmp_path):
    model = copied(tmp_path, "tf1.15_tags")
    data = (model / "saved_model.pb").read_bytes()
    (model / "saved_model.pb").write_bytes(data.replace(b"serve", b"other"))
    found = tfjs_codec.inspect(model)
    assert "'other'; 'other','gpu'" in str(found.problems[0])
    assert len(found.tensors) == 2
    chosen = dict(tfjs_codec.inspect(model, tags=["other"]).facts)
    assert "signature 'serving_default'" in chosen


def test_several_outputs_of_a_layer_are_in_keras_order():
    """TensorFlow sorts the names that Keras gives them: ``top``, ``top_1``, ``top_2``."""
    listed = [["top", 1, 0], ["score", 0, 0], ["top", 2, 0], ["top", 1, 1]]
    tensors = {name: Tensor(Ref(name), "float32") for name in ("score", "top", "top_1", "top_2")}
    metadata = {"config": {"output_layers": listed}}
    ordered = _in_keras_order(metadata, tensors, "output_layers")
    assert [*ordered] == ["top", "score", "top_1", "top_2"]
