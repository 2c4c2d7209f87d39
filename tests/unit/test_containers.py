"""Every container that Keras writes, and models in zips and folders."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

import tfjs_codec
from tfjs_codec.errors import CorruptFileError, TfjsCodecError, UnknownFormatError, UsageError

FIXTURE = Path(__file__).parents[2] / "fixtures" / "containers.zip"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    with zipfile.ZipFile(FIXTURE) as archive:
        archive.extractall(tmp_path / "models")
    return tmp_path / "models"


def weights(source: object, **options: object) -> dict[str, list[float]]:
    with tfjs_codec.load(source, **options) as model:
        return {name: array.tolist() for name, array in model.weights.items()}


def packed(path: Path, *files: tuple[Path, str], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for file, name in files:
            archive.write(file, name)
    return path


def check_predictions(source: Path, models: Path, **options: object) -> None:
    with np.load(models / "io.npz") as io, tfjs_codec.load(source, **options) as model:
        found = model.predict(io["in0"])
        (found,) = found.values() if isinstance(found, dict) else [found]
        np.testing.assert_allclose(found, io["out0"], atol=1e-5)


def test_directories_that_keras_did_not_zip(models):
    check_predictions(models / "directory", models)
    assert weights(models / "directory") == weights(models / "plain.keras")


def test_directories_in_memory(models):
    files = {file.name: file.read_bytes() for file in (models / "directory").iterdir()}
    assert weights(files) == weights(models / "plain.keras")


def test_weights_in_parts(models):
    index = models / "parts.weights.json"
    assert len(list(models.glob("parts_*.weights.h5"))) > 1
    check_predictions(index, models, architecture=models / "architecture.json")
    named = weights(index, architecture=models / "architecture.json")
    assert named == weights(models / "plain.keras")
    assert sorted(map(str, weights(index).values())) == sorted(map(str, named.values()))


def test_a_directory_with_weights_in_parts(models):
    (models / "directory" / "model.weights.h5").unlink()
    text = (models / "parts.weights.json").read_text()
    (models / "directory" / "model.weights.json").write_text(text)
    for file in models.glob("parts_*.weights.h5"):
        shutil.copy(file, models / "directory")
    assert weights(models / "directory") == weights(models / "plain.keras")
    next((models / "directory").glob("parts_*")).unlink()
    with pytest.raises(CorruptFileError, match="the directory has no 'parts_00"):
        weights(models / "directory")


def test_a_part_that_is_missing(models):
    (models / "parts_00001.weights.h5").unlink()
    with pytest.raises(CorruptFileError, match=r"parts_00001\.weights\.h5"):
        weights(models / "parts.weights.json")


def test_a_part_outside_of_the_directory(models):
    text = (models / "parts.weights.json").read_text()
    (models / "parts.weights.json").write_text(text.replace("parts_00001", "../parts_00001"))
    with pytest.raises(TfjsCodecError, match=r"parts\.weights\.json"):
        weights(models / "parts.weights.json")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_with_one_model_and_other_files(models, tmp_path, method):
    """Teachable Machine hands out ``keras_model.h5`` with ``labels.txt`` in a zip."""
    (tmp_path / "labels.txt").write_text("0 cat\n")
    tfjs_codec.convert(models / "plain.keras", tmp_path / "keras_model.h5")
    for file in (models / "plain.keras", tmp_path / "keras_model.h5"):
        labels = (tmp_path / "labels.txt", "labels.txt")
        inner = (file, f"converted/{file.name}")
        archive = packed(tmp_path / "model.zip", labels, inner, method=method)
        check_predictions(archive, models)
        assert weights(archive.read_bytes()) == weights(file)


def test_a_folder_with_one_model_and_other_files(models, tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "labels.txt").write_text("0 cat\n")
    shutil.copy(models / "plain.keras", tmp_path / "one" / "m.keras")
    check_predictions(tmp_path / "one", models)
    shutil.copy(models / "plain.keras", tmp_path / "one" / "n.keras")
    with pytest.raises(UnknownFormatError, match=r"a directory of several models.*: m\.keras, n"):
        weights(tmp_path / "one")


def test_zips_with_several_models_or_none(models, tmp_path):
    several = packed(
        tmp_path / "a.zip", (models / "plain.keras", "a.keras"), (models / "plain.keras", "b.keras")
    )
    with pytest.raises(UnknownFormatError, match=r"a zip of several models.*: a\.keras, b\.keras"):
        weights(several)
    none = packed(tmp_path / "b.zip", (models / "architecture.json", "labels.txt"))
    with pytest.raises(UnknownFormatError, match=r"neither config\.json nor"):
        weights(none)


def test_a_zip_in_a_zip_in_a_zip_is_not_looked_into(models, tmp_path):
    inner = packed(tmp_path / "a.keras", (models / "plain.keras", "b.keras"))
    outer = packed(tmp_path / "c.zip", (inner, "a.keras"))
    with pytest.raises(UnknownFormatError, match="zip"):
        weights(outer)


@pytest.fixture
def saved(models, tmp_path):
    """A SavedModel in a folder with other files, as Teachable Machine hands it out."""
    folder = tmp_path / "folder"
    tfjs_codec.convert(models / "plain.keras", folder / "model.savedmodel", to="savedmodel")
    (folder / "labels.txt").write_text("0 cat")
    return folder / "model.savedmodel"


def files_of(saved: Path, prefix: str) -> list[tuple[Path, str]]:
    files = [file for file in sorted(saved.rglob("*")) if file.is_file()]
    return [(file, f"{prefix}{file.relative_to(saved).as_posix()}") for file in files]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("prefix", ["", "model.savedmodel/", "export/1700000000/"])
def test_savedmodels_in_zips(prefix, method, saved, models, tmp_path):
    source = tmp_path / "m.zip"
    labels = (saved.parent / "labels.txt", "labels.txt")
    packed(source, *files_of(saved, prefix), labels, method=method)
    check_predictions(source, models)
    check_predictions(source, models, tags=("serve",), signature_name="serving_default")
    assert weights(source) == weights(saved)
    tfjs_codec.convert(source, tmp_path / "web")
    check_predictions(tmp_path / "web", models)


def test_a_folder_with_one_savedmodel(saved, models):
    check_predictions(saved.parent, models)
    check_predictions(saved.parent, models, signature_name="serving_default")
    shutil.copytree(saved, saved.parent / "2")
    with pytest.raises(UnknownFormatError, match=r"several models.*: 2, model\.savedmodel"):
        weights(saved.parent)


def test_a_folder_with_a_savedmodel_and_a_keras_file(saved, models):
    shutil.copy(models / "plain.keras", saved.parent / "m.keras")
    with pytest.raises(UnknownFormatError, match=r"several models.*: m\.keras, model\.savedmodel"):
        weights(saved.parent)


def test_a_link_to_a_savedmodel_is_not_followed(saved, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "1").symlink_to(saved)
    with pytest.raises(UnknownFormatError, match="the directory has neither"):
        weights(tmp_path / "other")


def test_a_zip_with_several_savedmodels(saved, tmp_path):
    source = packed(tmp_path / "m.zip", *files_of(saved, "a/"), *files_of(saved, "b/"))
    with pytest.raises(UnknownFormatError, match="the archive holds 2 SavedModels"):
        weights(source)


def test_damage_in_a_zipped_savedmodel_is_named_as_a_place_in_the_zip(saved, tmp_path):
    (saved / "variables" / "variables.index").write_bytes(b"x" * 100)
    source = packed(tmp_path / "m.zip", *files_of(saved, "a/"))
    with pytest.raises(CorruptFileError) as caught:
        tfjs_codec.convert(source, tmp_path / "web")
    assert str(caught.value).startswith(f"{source}: variables/variables.index")


def test_options_for_savedmodels_mean_nothing_for_other_zips(models, tmp_path):
    with pytest.raises(UsageError, match="tags"):
        tfjs_codec.convert(models / "plain.keras", tmp_path / "web", tags=("serve",))


def test_conversions_from_all_of_them(models, tmp_path):
    sources = (
        models / "directory",
        packed(tmp_path / "z.zip", (models / "plain.keras", "m.keras")),
    )
    tfjs_codec.convert(models / "plain.keras", tmp_path / "expected")
    for number, source in enumerate(sources):
        tfjs_codec.convert(source, tmp_path / f"web{number}")
        assert tfjs_codec.diff(tmp_path / "expected", tmp_path / f"web{number}").equal
        assert tfjs_codec.inspect(source).format == "keras-v3"
