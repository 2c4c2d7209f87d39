"""Dense layers, embeddings, dropout, activations, merges, and nested models."""

from __future__ import annotations

from tfjs_codec.ir.keras import Config
from tfjs_codec.keras.checks import anything, numbers
from tfjs_codec.keras.classes.row import (
    BIAS,
    CAST,
    CHANNELS,
    KERNEL,
    LINEAR,
    REQUIRED,
    Family,
    KerasClass,
    Variable,
    rows_by_name,
    training_keys,
)

_LORA = ("lora_rank", "lora_alpha")  # .keras files hold the merged kernel
_SIZES = ("input_dim", "output_dim")
_EMBEDDING: Config = {"input_dim": REQUIRED, "output_dim": REQUIRED, "mask_zero": False}


def _dropout(name: str, *inert: str, pointwise: bool = False) -> KerasClass:
    return KerasClass(
        name, "core", inert=("seed", *inert), mask="pass", call=("inputs", "training"),
        pointwise=pointwise,
    )  # fmt: skip


def _merge(name: str, config: Config | None = None) -> KerasClass:
    return KerasClass(name, "merge", config or {}, mask="own")


def _activation(name: str, config: Config, *inert: str) -> KerasClass:
    return KerasClass(name, "activation", config, inert, mask="pass", pointwise=True)


def _opaque(name: str, *keys: str, generations: tuple[int, int] = (3, 3)) -> KerasClass:
    """A layer around code that no config describes."""
    family: Family = "core"
    return KerasClass(name, family, dict.fromkeys(keys), generations=generations, outputs=None)


ROWS = rows_by_name(
    KerasClass(
        "InputLayer", "core",
        {"batch_shape": REQUIRED, "sparse": False, "ragged": False}, ("optional", "input_tensor"),
    ),
    KerasClass(
        "Dense", "core", {"units": REQUIRED, **LINEAR},
        (*training_keys("kernel", "bias"), "quantization_config", *_LORA),
        variables=(KERNEL, BIAS), told=("units",), mask="pass", call=("inputs", "training"),
        inert_arguments=("training",),
    ),
    KerasClass(
        "EinsumDense", "core",
        {"equation": REQUIRED, "output_shape": REQUIRED, "activation": "linear",
         "bias_axes": None},
        (*training_keys("kernel", "bias"), "quantization_config", *_LORA), told=("output_shape",),
        variables=(KERNEL, Variable("bias", key="bias_axes")),
        call=("inputs", "training"), inert_arguments=("training",),
    ),
    KerasClass(
        "Embedding", "core", {**_EMBEDDING, "sparse": False},
        (*training_keys("embeddings"), "input_length", "quantization_config", *_LORA),
        checks={"sparse": anything}, variables=(Variable("embeddings"),), told=_SIZES, mask="own",
    ),
    KerasClass(
        "ReversibleEmbedding", "core",
        {**_EMBEDDING, "tie_weights": True, "logit_soft_cap": None},
        (*training_keys("embeddings"), "reverse_dtype", "quantization_config", *_LORA),
        generations=(3, 3), told=(*_SIZES, "tie_weights"), mask="own", call=("inputs", "reverse"),
        variables=(
            Variable("embeddings"),
            Variable(
                "reverse_embeddings", present=lambda config: not config.get("tie_weights", True)
            ),
        ),
    ),
    KerasClass("Flatten", "core", CHANNELS),
    KerasClass("Reshape", "core", {"target_shape": REQUIRED}),
    KerasClass("Permute", "core", {"dims": REQUIRED}),
    KerasClass("RepeatVector", "core", {"n": REQUIRED}),
    KerasClass("Masking", "core", {"mask_value": 0.0}, mask="own"),
    KerasClass("Identity", "core", outputs=None, mask="pass", older_mask="drop", pointwise=True),
    KerasClass("ActivityRegularization", "core", inert=("l1", "l2"), mask="pass"),
    KerasClass("Rescaling", "core", {"scale": 1.0, "offset": 0.0, **CAST}, mask="pass",
               older_mask="drop", pointwise=True, checks={"scale": numbers, "offset": numbers}),
    KerasClass("Functional", "core", outputs=None, mask="own",
               aliases=("Model",), call=("inputs", "training", "mask")),
    KerasClass("Lambda", "core", dict.fromkeys(("function", "arguments")),
               ("function_type", "module", "output_shape", "output_shape_type",
                "output_shape_module"), outputs=None),
    _opaque("DenseFeatures", "feature_columns", "partitioner", generations=(2, 2)),
    _opaque("TFSMLayer", "filepath", "call_endpoint", "call_training_endpoint"),
    _opaque("TorchModuleWrapper", "module", "output_shape"),
    _opaque("FlaxLayer", "module", "method"),
    _opaque("JaxLayer", "call_fn", "init_fn"),
    # ------------------------------------------------------------------------------- dropout
    _dropout("Dropout", "rate", "noise_shape", pointwise=True),
    _dropout("SpatialDropout1D", "rate", "noise_shape"),
    _dropout("SpatialDropout2D", "rate", "noise_shape", "data_format"),
    _dropout("SpatialDropout3D", "rate", "noise_shape", "data_format"),
    _dropout("GaussianNoise", "stddev", pointwise=True),
    _dropout("GaussianDropout", "rate", pointwise=True),
    _dropout("AlphaDropout", "rate", "noise_shape"),
    # --------------------------------------------------------------------------- activations
    _activation("Activation", {"activation": "linear"}),
    _activation("ReLU", {"max_value": None, "negative_slope": 0.0, "threshold": 0.0}),
    _activation("LeakyReLU", {"negative_slope": 0.3}),
    _activation("ELU", {"alpha": 1.0}),
    KerasClass("PReLU", "activation", {"shared_axes": None}, training_keys("alpha"), mask="pass",
               checks={"alpha": anything}, variables=(Variable("alpha"),), told=("shared_axes",)),
    KerasClass("ThresholdedReLU", "activation", {"theta": 1.0}, mask="pass", generations=(1, 2)),
    KerasClass("Softmax", "activation", {"axis": -1}, mask="pass", call=("inputs", "mask")),
    # -------------------------------------------------------------------------------- merges
    _merge("Add"), _merge("Subtract"), _merge("Multiply"),
    _merge("Average"), _merge("Maximum"), _merge("Minimum"),
    _merge("Concatenate", {"axis": -1}),
    KerasClass("Dot", "merge", {"axes": REQUIRED, "normalize": False}),
    # ------------------------------------------------------------ layers of keras.applications
    KerasClass("CustomScaleLayer", "merge", {"scale": REQUIRED}, checks={"scale": anything},
               aliases=("Custom>CustomScaleLayer",)),
    KerasClass("LayerScale", "core", inert=("init_values", "projection_dim"),
               variables=(Variable("gamma"),)),
    KerasClass("StochasticDepth", "core", inert=("drop_path_rate",),
               call=("inputs", "training")),
)  # fmt: skip
