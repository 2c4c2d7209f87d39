"""Trained models lose little when they are quantised, and nothing when they are only rescaled."""

from __future__ import annotations

import numpy as np
import pytest

import tfjs_codec
from tfjs_codec.files.memory import MemoryStage
from tfjs_codec.options import ConvertOptions
from tfjs_codec.quantization.prepare import change_weights, rescale_kernels
from tfjs_codec.readers import open_model
from tfjs_codec.writers import tfjs_json
from tfjs_codec.writers.quantize_choice import Choice

FORMS = [("conv", "layers"), ("conv", "graph"), ("lstm", "layers"), ("lstm", "graph"),
         ("transformer", "graph")]  # fmt: skip


@pytest.fixture
def recorded(fixtures_dir):
    """Return a function from the name of a model to its file, inputs and Keras's outputs."""
    folder = fixtures_dir / "quantized"

    def read(name):
        with np.load(folder / "io.npz") as arrays:
            return folder / f"{name}.keras", arrays[f"{name}/in"], arrays[f"{name}/out"]

    return read


def predict(files, x):
    with tfjs_codec.load(files) as model:
        return model.predict(x).astype(np.float64)


def divergence(found, expected):
    expected = expected.astype(np.float64)
    return np.mean(np.sum(expected * np.log(expected / found), axis=-1))


def rescale(files):
    """Return the model in *files* as it is before it is rounded, and how many weights changed."""
    options, stage = ConvertOptions(), MemoryStage()
    with open_model(files, options) as model:
        changed = rescale_kernels(model)
        written = change_weights(model, changed)
        tfjs_json.write(written, tfjs_json.plan(written, options, Choice({})), stage)
    return stage.files(), len(changed)


@pytest.mark.parametrize(("name", "to"), FORMS)
def test_rescaling_alone_changes_no_prediction(recorded, name, to):
    source, x, expected = recorded(name)
    files = tfjs_codec.to_files(source, to=to)
    rescaled, changed = rescale(files)
    assert changed >= 3
    found = predict(rescaled, x)
    np.testing.assert_allclose(found, predict(files, x), rtol=0, atol=2e-6)  # float32 rounds
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("name", "to"), FORMS)
def test_predictions_stay_near(recorded, name, to):
    source, x, expected = recorded(name)
    found = predict(tfjs_codec.to_files(source, to=to, quantize={"uint8": True}), x)
    assert divergence(found, expected) < 1e-3
    margins = np.sort(expected, -1)[:, -1] - np.sort(expected, -1)[:, -2]
    clear = margins > 0.05
    assert (found.argmax(-1) == expected.argmax(-1))[clear].all()


def test_rescaling_is_worth_it_before_batch_normalisations(recorded):
    source, x, expected = recorded("conv")

    def lost(**options):
        files = tfjs_codec.to_files(source, to="layers", **options)
        return divergence(predict(files, x), expected)

    ours, official = lost(quantize={"uint8": True}), lost(quantize={"uint8": "*"})
    assert ours < 0.2 * official
    assert lost(quantize={"auto": True}, max_bytes=9738) < 0.2 * official  # its size
    assert ours < 0.2 * lost(quantize={"uint8": True}, rescale=False)
