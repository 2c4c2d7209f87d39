"""The training config, as far as tfjs has the same optimizer, loss and metrics.

A config that tfjs does not know makes the whole model fail to load, so whatever has no exact
counterpart drops the config.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Config = dict[str, Any]

_LOSSES = {
    "mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error",
    "mean_squared_logarithmic_error", "squared_hinge", "hinge", "categorical_hinge", "logcosh",
    "categorical_crossentropy", "sparse_categorical_crossentropy", "binary_crossentropy",
    "kullback_leibler_divergence", "poisson",
}  # fmt: skip
_ALIASES = {
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
    "kld": "kullback_leibler_divergence",
    "kl_divergence": "kullback_leibler_divergence",
    "log_cosh": "logcosh",
    "bce": "binary_crossentropy",
    **{"".join(word.title() for word in name.split("_")): name for name in _LOSSES},
    "KLDivergence": "kullback_leibler_divergence",
    "LogCosh": "logcosh",
}
_METRICS = {
    "acc": "acc", "accuracy": "accuracy", "binary_accuracy": "binary_accuracy",
    "categorical_accuracy": "categorical_accuracy", "precision": "precision", "mse": "mse",
    "mae": "mae", "mape": "mape",
}  # fmt: skip


class _Unknown(Exception):  # noqa: N818 - a verdict, not an error
    """Something tfjs does not have."""


def training_config(config: Config | None) -> tuple[Config | None, list[str]]:
    """Return tfjs's ``trainingConfig`` for a Keras training config, and warnings.

    None if there is nothing to translate, or (with a warning) if tfjs has no counterpart.
    """
    if not config:
        return None, []
    try:
        result = {
            "optimizer_config": _optimizer(
                config.get("optimizer_config") or config.get("optimizer")
            ),
            "loss": _loss(config.get("loss")),
        }
    except (_Unknown, AttributeError, KeyError, TypeError, ValueError) as reason:
        return None, [f"the training config was left out: {reason}"]
    metrics = [_METRICS[name] for name in _names(config.get("metrics")) if name in _METRICS]
    if metrics:
        result["metrics"] = metrics
    return result, []


def _names(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [name for item in value for name in _names(item)] if isinstance(value, list) else []


def _loss(value: Any) -> Any:
    if isinstance(value, list):
        return [_loss(item) for item in value]
    if isinstance(value, dict) and "class_name" not in value:
        return {key: _loss(item) for key, item in value.items()}
    if isinstance(value, dict):
        options = value.get("config") or {}
        if isinstance(options, dict) and (
            options.get("from_logits") or options.get("label_smoothing")
        ):
            raise _Unknown("its loss uses logits or label smoothing")
        name = value["class_name"]
        value = options if name == "function" else name
    name = _ALIASES.get(value, value)
    if name not in _LOSSES:
        raise _Unknown(f"tfjs has no loss {value!r}")
    return name


def _optimizer(value: Any) -> Config:
    name = value["class_name"].rpartition(">")[2]
    options = value["config"]
    rate = options.get("learning_rate", options.get("lr"))
    if isinstance(rate, dict):
        rate = rate.get("config", {}).get("initial_learning_rate")
    if not isinstance(rate, int | float):
        raise _Unknown("its learning rate follows a schedule")
    if name not in _OPTIMIZERS:
        raise _Unknown(f"tfjs has no optimizer {name!r}")
    class_name, rest = _OPTIMIZERS[name](options)
    return {"class_name": class_name, "config": {"learning_rate": rate, **rest}}


def _sgd(o: Config) -> tuple[str, Config]:
    if not o.get("momentum"):
        return "SGD", {}
    return "Momentum", {"momentum": o["momentum"], "use_nesterov": bool(o.get("nesterov"))}


def _adam(o: Config) -> Config:
    return {
        "beta_1": o.get("beta_1", 0.9), "beta_2": o.get("beta_2", 0.999),
        "epsilon": o.get("epsilon") or 1e-7,
    }  # fmt: skip


def _rmsprop(o: Config) -> tuple[str, Config]:
    return "RMSProp", {
        "decay": o.get("rho", 0.9),
        "momentum": o.get("momentum") or 0.0,
        "epsilon": o.get("epsilon") or 1e-7,
        "centered": bool(o.get("centered")),
    }


_OPTIMIZERS: dict[str, Callable[[Config], tuple[str, Config]]] = {
    "SGD": _sgd,
    "RMSprop": _rmsprop,
    "Adam": lambda o: ("Adam", _adam(o)),
    "Adamax": lambda o: ("Adamax", {**_adam(o), "decay": 0.0}),
    "Adagrad": lambda o: (
        "Adagrad", {"initial_accumulator_value": o.get("initial_accumulator_value", 0.1)}
    ),
    "Adadelta": lambda o: (
        "Adadelta", {"rho": o.get("rho", 0.95), "epsilon": o.get("epsilon") or 1e-7}
    ),
}  # fmt: skip
