"""Normalisations."""

from __future__ import annotations

from tfjs_codec.ir.keras import Config
from tfjs_codec.keras.classes.row import (
    CAST,
    KERNEL,
    KerasClass,
    Variable,
    rows_by_name,
    training_keys,
)

_GAMMA = Variable("gamma", present=lambda config: config.get("scale") or config.get("rms_scaling"))
_BETA = Variable(
    "beta", present=lambda config: config.get("center") and not config.get("rms_scaling")
)
_TOLD = ("center", "scale")
_SCALED: Config = {"axis": -1, "epsilon": 0.001, "center": True, "scale": True}


def _state(role: str, key: str = "") -> Variable:
    return Variable(role, trainable=False, key=key)


ROWS = rows_by_name(
    KerasClass(
        "BatchNormalization", "normalization", {**_SCALED, "renorm": False, "mode": 0},
        (*training_keys("beta", "gamma"), "moving_mean_initializer", "moving_variance_initializer",
         "momentum", "renorm_clipping", "renorm_momentum", "synchronized", "fused",
         "virtual_batch_size"),
        aliases=("BatchNormalizationV1", "BatchNormalizationV2", "SyncBatchNormalization"),
        variables=(
            _GAMMA, _BETA, _state("moving_mean"), _state("moving_variance"),
            _state("moving_stddev", "renorm"), _state("renorm_mean", "renorm"),
            _state("renorm_stddev", "renorm"),
        ),
        told=_TOLD, mask="pass", call=("inputs", "training", "mask"), inert_arguments=("mask",),
    ),
    KerasClass(
        "LayerNormalization", "normalization", {**_SCALED, "rms_scaling": False},
        training_keys("beta", "gamma"), aliases=("LayerNormalizationV2",), generations=(2, 3),
        variables=(_GAMMA, _BETA), told=_TOLD, mask="pass",
    ),
    KerasClass(
        "GroupNormalization", "normalization", {"groups": 32, **_SCALED},
        training_keys("beta", "gamma"), variables=(_GAMMA, _BETA), told=_TOLD,
        generations=(2, 3), mask="pass",
        call=("inputs", "mask"), inert_arguments=("mask",),
    ),
    KerasClass(
        "Addons>InstanceNormalization", "normalization", {**_SCALED, "groups": -1},
        training_keys("beta", "gamma"), variables=(_GAMMA, _BETA), told=_TOLD,
        generations=(2, 2), mask="pass",
    ),
    KerasClass(
        "RMSNormalization", "normalization", {"axis": -1, "epsilon": 1e-6},
        variables=(Variable("scale"),), generations=(3, 3),
    ),
    KerasClass(
        "UnitNormalization", "normalization", {"axis": -1}, generations=(2, 3), mask="pass"
    ),
    KerasClass(
        "SpectralNormalization", "wrapper", inert=("power_iterations",), layers=("layer",),
        # The kernel is also the wrapped layer's, where both readers look for it.
        variables=(KERNEL, _state("vector_u")), generations=(2, 3),
        call=("inputs", "training"),
    ),
    KerasClass(
        "Normalization", "normalization",
        {"axis": -1, "mean": None, "variance": None, "invert": False, **CAST}, generations=(2, 3),
        mask="pass", older_mask="drop",
        variables=tuple(
            Variable(role, trainable=False, present=lambda config: config.get("mean") is None)
            for role in ("mean", "variance", "count")
        ),
    ),
)  # fmt: skip
