"""The training config, as far as tfjs has the same optimizer, loss and metrics.

A config that tfjs does not know makes the whole model fail to load, so an optimizer or a loss that
has no exact counterpart drops the config. What tfjs trains without is named.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tfjs_codec.tracing.accounting import Record

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
# tfjs's metrics, which it looks up in camel case; it chooses among the accuracies as Keras does.
_METRICS = {
    "acc": "acc", "accuracy": "accuracy", "binary_accuracy": "binary_accuracy",
    "categorical_accuracy": "categorical_accuracy", "precision": "precision", "mse": "mse",
    "mae": "mae", "mape": "mape", "mean_squared_error": "mse", "mean_absolute_error": "mae",
    "mean_absolute_percentage_error": "mape",
    **{name: name for name in ("categorical_crossentropy", "sparse_categorical_crossentropy")},
}  # fmt: skip
_METRIC_CLASSES = {
    "BinaryAccuracy": "binary_accuracy", "CategoricalAccuracy": "categorical_accuracy",
    "CategoricalCrossentropy": "categorical_crossentropy",
    "SparseCategoricalCrossentropy": "sparse_categorical_crossentropy",
    "MeanSquaredError": "mse", "MeanAbsoluteError": "mae", "MeanAbsolutePercentageError": "mape",
}  # fmt: skip
# Options of metrics other than these mean something that tfjs's do not do.
_METRIC_DEFAULTS = {"threshold": 0.5, "axis": -1}
# How Keras runs, and names; `ema_…` matter with `use_ema` only, which is named.
_INERT = {
    "run_eagerly", "steps_per_execution", "jit_compile", "auto_scale_loss", "name", "reduction",
    "is_legacy_optimizer", "ema_momentum", "ema_overwrite_frequency", "dtype", "fn",
}  # fmt: skip


class _Unknown(Exception):  # noqa: N818 - a verdict, not an error
    """Something tfjs does not have."""


def training_config(config: Config | None) -> tuple[Config | None, list[str]]:
    """Return tfjs's ``trainingConfig`` for a Keras training config, and warnings.

    None if there is nothing to translate, or (with a warning) if tfjs has no counterpart.
    """
    if not config:
        return None, []
    config = Record(config)
    try:
        optimizer, lost = _optimizer(config.get("optimizer_config") or config.get("optimizer"))
        result = {"optimizer_config": optimizer, "loss": _loss(config.get("loss"))}
        metrics, without = _metrics(config.get("metrics"))
    except (_Unknown, AttributeError, KeyError, TypeError, ValueError) as reason:
        return None, [f"the training config was left out: {reason}"]
    if metrics:
        result["metrics"] = metrics
    lost += [f"the metric {name}" for name in without]
    lost += [key for key, value in config.unread() if _means(key, value)]
    return result, [f"training in tfjs does without {', '.join(lost)}"] if lost else []


def _means(key: str, value: Any) -> bool:
    """Tell whether an option that tfjs does not have changes the training."""
    return bool(value) and key not in _INERT


def _metrics(value: Any) -> tuple[list[str], list[str]]:
    """Return tfjs's metrics, which are those of every output, and those that tfjs does without.

    Keras 2 writes a list for each output in HDF5 files; Keras also takes dicts by outputs.
    """
    if isinstance(value, dict) and "class_name" not in value:
        value = list(value.values())
        value = [one if isinstance(one, list) else [one] for one in value]
    listed = value if isinstance(value, list) else [] if value is None else [value]
    flat = [one for one in listed if one is not None and not isinstance(one, list)]
    outputs = [[*flat, *one] for one in listed if isinstance(one, list)] or [flat]
    named = [[_metric(one) for one in output if one is not None] for output in outputs]
    every = dict.fromkeys(pair for output in named for pair in output)
    kept = {ours for ours, _ in every if all(ours in dict(output) for output in named)} - {""}
    lost = [theirs for ours, theirs in every if ours not in kept]
    return list(dict.fromkeys(ours for ours, _ in every if ours in kept)), lost


def _metric(value: Any) -> tuple[str, str]:
    """Return the names of a metric in tfjs, "" if it has none, and in Keras."""
    if isinstance(value, str):
        return _METRICS.get(value, ""), value
    options = value.get("config") or {}
    if isinstance(options, str):  # a function
        return _METRICS.get(options, ""), options
    name = str(options.get("name") or value["class_name"])
    unlike = any(
        _means(key, option) and option != _METRIC_DEFAULTS.get(key)
        for key, option in options.items()
    )
    if unlike:
        return "", name
    if value["class_name"] == "MeanMetricWrapper":
        accuracy = name in ("acc", "accuracy")
        return _METRICS.get(name if accuracy else str(options.get("fn")), ""), name
    return _METRIC_CLASSES.get(value["class_name"], ""), name


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


def _optimizer(value: Any) -> tuple[Config, list[str]]:
    """Return tfjs's config of an optimizer, and the options that tfjs lacks."""
    if isinstance(value, str):  # with the options that Keras gives it
        names = {name.lower(): name for name in _OPTIMIZERS}
        name = names.get(value.lower(), value)
        options = Record({"learning_rate": 0.01 if name == "SGD" else 0.001})
    else:
        name, options = value["class_name"].rpartition(">")[2], Record(value["config"])
    if name not in _OPTIMIZERS:
        raise _Unknown(f"tfjs has no optimizer {name!r}")
    rate, lost = options.get("learning_rate", options.get("lr")), []
    if isinstance(rate, dict):
        lost.append(f"the schedule {rate.get('class_name')} of the learning rate")
        rate = rate.get("config", {}).get("initial_learning_rate")
    if not isinstance(rate, int | float):
        raise _Unknown("its learning rate follows a schedule")
    class_name, rest = _OPTIMIZERS[name](options)
    lost += [
        f"{key} of the optimizer" for key, value in options.unread()
        if _means(key, value) and (key, value) != ("epsilon", 1e-7)
    ]  # fmt: skip
    return {"class_name": class_name, "config": {"learning_rate": rate, **rest}}, lost


def _sgd(o: Config) -> tuple[str, Config]:
    nesterov = bool(o.get("nesterov"))
    if not o.get("momentum"):
        return "SGD", {}
    return "Momentum", {"momentum": o["momentum"], "use_nesterov": nesterov}


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
