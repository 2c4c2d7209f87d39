"""TensorFlow.js model files without TensorFlow.

``convert`` writes a Keras model as a tfjs Layers model and back, ``save_keras_model`` does so with
a live model, ``load`` reads weights into numpy, ``save`` writes what was loaded, ``inspect`` says
what a file holds, ``diff`` compares two, ``verify`` checks what was written, ``register_rule``
teaches custom layers. Everything public is here; importing this imports nothing else until it is
used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfjs_codec.api import convert, diff, inspect, load, plan, save, save_keras_model, verify
    from tfjs_codec.comparison.diff import Diff
    from tfjs_codec.inspection.inspection import Inspection
    from tfjs_codec.layers.engine.registry import register_rule
    from tfjs_codec.report import Report
    from tfjs_codec.verification.verify import Verification

__version__ = "0.1.0"
__all__ = [
    "Diff",
    "Inspection",
    "Report",
    "Verification",
    "__version__",
    "convert",
    "diff",
    "inspect",
    "load",
    "plan",
    "register_rule",
    "save",
    "save_keras_model",
    "verify",
]

_HOMES = {
    "convert": "tfjs_codec.api",
    "diff": "tfjs_codec.api",
    "inspect": "tfjs_codec.api",
    "load": "tfjs_codec.api",
    "plan": "tfjs_codec.api",
    "save": "tfjs_codec.api",
    "save_keras_model": "tfjs_codec.api",
    "verify": "tfjs_codec.api",
    "register_rule": "tfjs_codec.layers.engine.registry",
    "Diff": "tfjs_codec.comparison.diff",
    "Inspection": "tfjs_codec.inspection.inspection",
    "Report": "tfjs_codec.report",
    "Verification": "tfjs_codec.verification.verify",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
