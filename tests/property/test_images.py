"""Padding, cropping, resizing and augmentation: what Keras computes, or a refusal."""

from __future__ import annotations

from typing import Any

import pytest
from configurations import BACKENDS, SUFFIXES, either, equal_or_refused, examples
from hypothesis import given
from hypothesis import strategies as st
from programs import layer, numbers, program

from tfjs_codec.errors import UnsupportedModelError

pytestmark = [pytest.mark.oracle, pytest.mark.node]

AUGMENTATIONS = {
    "RandomFlip": {}, "RandomRotation": {"factor": 0.2}, "RandomZoom": {"height_factor": 0.2},
    "RandomTranslation": {"height_factor": 0.2, "width_factor": 0.1},
    "RandomBrightness": {"factor": 0.2}, "RandomContrast": {"factor": 0.2}, "RandomGrayscale": {},
    "RandomHue": {"factor": 0.2}, "RandomSaturation": {"factor": 0.2}, "RandomShear":
    {"x_factor": 0.2}, "RandomSharpness": {"factor": 0.2}, "RandomPerspective": {}, "RandomErasing":
    {}, "RandomGaussianBlur": {}, "RandomInvert": {}, "RandomPosterization": {"factor": 4},
    "RandomColorJitter": {"hue_factor": 0.1}, "RandomColorDegeneration": {"factor": 0.3},
    "RandomElasticTransform": {}, "AugMix": {}, "RandAugment": {}, "MixUp": {}, "CutMix": {},
    "AutoContrast": {}, "Solarization": {},
    "GaussianNoise": {"stddev": 0.2}, "GaussianDropout": {"rate": 0.2}, "AlphaDropout":
    {"rate": 0.2}, "SpatialDropout2D": {"rate": 0.2}, "Dropout": {"rate": 0.2}, "Identity": {},
    "ActivityRegularization": {"l2": 0.1},
}  # fmt: skip


@st.composite
def edges(draw: st.DrawFn) -> tuple[str, dict[str, Any], list[int], int]:
    """ZeroPadding, Cropping, UpSampling in one to three dimensions."""
    rank = draw(st.integers(1, 3))
    shape = [draw(st.integers(5, 7)) for _ in range(rank)]
    kind = draw(either("ZeroPadding", "Cropping", "UpSampling"))
    config: dict[str, Any] = {}
    amount = st.integers(0, 2)
    if kind == "UpSampling":
        config["size"] = [draw(st.integers(1, 3)) for _ in range(rank)]
        if rank == 1:
            config["size"] = config["size"][0]
        if rank == 2:
            config["interpolation"] = draw(
                either("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")
            )
    else:
        pair = [[draw(amount), draw(amount)] for _ in range(rank)]
        config[{"ZeroPadding": "padding", "Cropping": "cropping"}[kind]] = (
            pair[0] if rank == 1 else pair
        )
    config["data_format"] = draw(either("channels_last", "channels_last", "channels_first"))
    if rank == 1 and kind != "ZeroPadding":
        del config["data_format"]
    first = config.get("data_format") == "channels_first"
    shape.insert(0 if first else rank, draw(st.integers(1, 3)))
    return f"{kind}{rank}D", config, shape, draw(st.integers(1, 2))


@st.composite
def sizes(draw: st.DrawFn) -> tuple[str, dict[str, Any], list[int], int]:
    """Resizing, CenterCrop and RandomCrop to any size."""
    shape = [draw(st.integers(2, 9)), draw(st.integers(2, 9)), draw(st.integers(1, 3))]
    config: dict[str, Any] = {"height": draw(st.integers(1, 9)), "width": draw(st.integers(1, 9))}
    name = draw(either("Resizing", "Resizing", "CenterCrop", "RandomCrop"))
    if name == "Resizing":
        config["interpolation"] = draw(
            either("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5")
        )
        config["crop_to_aspect_ratio"] = draw(either(False, False, True))
        config["antialias"] = draw(either(False, False, True))
        if not config["crop_to_aspect_ratio"]:
            config["pad_to_aspect_ratio"] = draw(either(False, False, True))
        config["fill_value"] = draw(either(0.0, 0.5))
    config["data_format"] = draw(either("channels_last", "channels_last", "channels_first"))
    if config["data_format"] == "channels_first":
        shape = [shape[2], *shape[:2]]
    return name, config, shape, draw(st.integers(1, 2))


@examples(12)
@given(made=edges(), suffix=SUFFIXES, backend=BACKENDS)
def test_edges(exact, made, suffix, backend):
    class_name, config, shape, batch = made
    model = program([shape], layer(class_name, **config))
    equal_or_refused(exact, model, [numbers(batch, *shape)], suffix=suffix, backend=backend)


@examples(15)
@given(made=sizes(), suffix=SUFFIXES, backend=BACKENDS)
def test_sizes(exact, made, suffix, backend):
    class_name, config, shape, batch = made
    model = program([shape], layer(class_name, **config))
    inputs = [numbers(batch, *shape)]
    equal_or_refused(exact, model, inputs, suffix=suffix, backend=backend, atol=3e-5)


@pytest.mark.parametrize("class_name", sorted(AUGMENTATIONS))
def test_layers_that_only_train(exact, class_name):
    model = program([[6, 5, 3]], layer(class_name, **AUGMENTATIONS[class_name]))
    image = abs(numbers(2, 6, 5, 3)).clip(0, 1)
    if class_name == "AutoContrast":  # it also predicts
        with pytest.raises(UnsupportedModelError, match="histogram"):
            exact(model, [image])
    else:
        exact(model, [image])
