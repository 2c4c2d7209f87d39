"""Preprocessing layers, and augmentation layers, which do nothing when predicting."""

from __future__ import annotations

from tfjs_codec.ir.keras import Config
from tfjs_codec.keras.classes.row import (
    CAST,
    CHANNELS,
    REQUIRED,
    KerasClass,
    Variable,
    rows_by_name,
)

_IMAGE = ("data_format", "value_range")
_FILL = ("fill_mode", "fill_value", "interpolation", "data_format", "seed")
_LOOKUP: Config = {
    "max_tokens": None, "num_oov_indices": 1, "mask_token": None,
    "vocabulary": None, "idf_weights": None, "invert": False, "output_mode": "int",
    "sparse": False, "pad_to_max_tokens": False, "salt": None, "oov_method": "floormod",
}  # fmt: skip


def _augmentation(name: str, *keys: str, generations: tuple[int, int] = (3, 3)) -> KerasClass:
    return KerasClass(
        name, "augmentation", CAST, keys, generations=generations, call=("inputs", "training")
    )


def _preprocessing(
    name: str, config: Config, generations: tuple[int, int] = (2, 3), *, outputs: int | None = 1
) -> KerasClass:
    return KerasClass(
        name, "preprocessing", config, ("vocabulary_size",) if "vocabulary" in config else (),
        generations=generations, outputs=outputs,
        call=("inputs", "training"), inert_arguments=("training",),
    )  # fmt: skip


_BOTH = (2, 3)

ROWS = rows_by_name(
    KerasClass("CategoryEncoding", "preprocessing",
               {"num_tokens": REQUIRED, "output_mode": "multi_hot", "sparse": False},
               generations=_BOTH, call=("inputs", "count_weights")),
    KerasClass("Discretization", "preprocessing",
               {"bin_boundaries": None, "output_mode": "int", "sparse": False},
               ("num_bins", "epsilon"), generations=_BOTH),  # with which adapt() found the bins
    _preprocessing("Hashing", {"num_bins": REQUIRED, "mask_value": None, "salt": None,
                               "output_mode": "int", "sparse": False}),
    _preprocessing("HashedCrossing",
                   {"num_bins": REQUIRED, "output_mode": "int", "sparse": False}),
    _preprocessing("IntegerLookup",
                   {**_LOOKUP, "oov_token": -1, "vocabulary_dtype": "int64"}),
    _preprocessing("StringLookup", {**_LOOKUP, "oov_token": "[UNK]", "encoding": "utf-8"}),
    _preprocessing("TextVectorization", {
        "max_tokens": None, "standardize": "lower_and_strip_punctuation", "split": "whitespace",
        "ngrams": None, "output_mode": "int", "output_sequence_length": None,
        "pad_to_max_tokens": False, "sparse": False, "ragged": False, "vocabulary": None,
        "idf_weights": None, "encoding": "utf-8",
    }),
    _preprocessing("MelSpectrogram", {**CAST, **dict.fromkeys((
        "fft_length", "mag_exp", "max_freq", "min_freq", "min_power", "num_mel_bins",
        "power_to_db", "ref_power", "sampling_rate", "sequence_length", "sequence_stride",
        "top_db", "window",
    ))}, (3, 3)),
    _preprocessing("STFTSpectrogram", {**CHANNELS, **dict.fromkeys((
        "expand_dims", "frame_length", "frame_step", "mode", "padding",
    ))}, (3, 3))._replace(
        inert=("fft_length", "periodic", "scaling", "window"),  # in the kernels
        variables=(Variable("real_kernel", present=lambda config: config["mode"] != "imag"),
                   Variable("imag_kernel", present=lambda config: config["mode"] != "real"))),
    _preprocessing("AutoContrast", {"value_range": None}, (3, 3))._replace(inert=("data_format",)),
    _preprocessing("ContrastLimitedAdaptiveHistogramEqualization",
                   dict.fromkeys((*_IMAGE, "clip_limit", "tile_grid_size")), (3, 3)),
    _preprocessing("Equalization", dict.fromkeys((*_IMAGE, "bins")), (3, 3)),
    _preprocessing("Pipeline", {"layers": REQUIRED}, (3, 3), outputs=None),
    _preprocessing("MaxNumBoundingBoxes", dict.fromkeys(("max_number", "fill_value")), (3, 3),
                   outputs=None),
    # -------------------------------------------------------------------------- augmentation
    _augmentation("RandomBrightness", *_IMAGE, "factor", "seed", generations=_BOTH),
    _augmentation("RandomContrast", *_IMAGE, "factor", "seed", generations=_BOTH),
    _augmentation("RandomFlip", "mode", "data_format", "seed", generations=_BOTH),
    _augmentation("RandomRotation", "factor", *_FILL, generations=_BOTH),
    _augmentation("RandomTranslation", "height_factor", "width_factor", *_FILL, generations=_BOTH),
    _augmentation("RandomZoom", "height_factor", "width_factor", *_FILL, generations=_BOTH),
    _augmentation("RandomHeight", "factor", "interpolation", "seed", generations=(2, 2)),
    _augmentation("RandomWidth", "factor", "interpolation", "seed", generations=(2, 2)),
    _augmentation("AugMix", *_IMAGE, "all_ops", "alpha", "chain_depth", "factor",
                  "interpolation", "num_chains", "seed"),
    _augmentation("CutMix", "data_format", "factor", "seed"),
    _augmentation("MixUp", "data_format", "alpha", "seed"),
    _augmentation("RandAugment", *_IMAGE, "factor", "interpolation", "num_ops", "seed"),
    _augmentation("RandomColorDegeneration", *_IMAGE, "factor", "seed"),
    _augmentation("RandomColorJitter", *_IMAGE, "brightness_factor", "contrast_factor",
                  "hue_factor", "saturation_factor", "seed"),
    _augmentation("RandomElasticTransform", *_FILL, "value_range", "factor", "scale"),
    _augmentation("RandomErasing", *_IMAGE, "factor", "fill_value", "scale", "seed"),
    _augmentation("RandomGaussianBlur", *_IMAGE, "factor", "kernel_size", "sigma", "seed"),
    _augmentation("RandomGrayscale", "data_format", "factor", "seed"),
    _augmentation("RandomHue", *_IMAGE, "factor", "seed"),
    _augmentation("RandomInvert", *_IMAGE, "factor", "seed"),
    _augmentation("RandomPerspective", *_FILL, "factor", "scale"),
    _augmentation("RandomPosterization", *_IMAGE, "factor", "seed"),
    _augmentation("RandomSaturation", *_IMAGE, "factor", "seed"),
    _augmentation("Solarization", *_IMAGE, "addition_factor", "threshold_factor", "seed"),
    _augmentation("RandomSharpness", *_IMAGE, "factor", "seed"),
    _augmentation("RandomShear", *_FILL, "x_factor", "y_factor"),
)  # fmt: skip
