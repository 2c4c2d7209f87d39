"""TensorFlow.js model files without TensorFlow.

``convert`` writes a Keras model as a tfjs Layers model and back, ``save_keras_model`` does so with
a live model, ``load`` reads weights into numpy, ``save`` writes what was loaded, ``inspect`` says
what a file holds, ``diff`` compares two, ``verify`` checks what was written, ``bundle`` writes a
small tfjs for one model, ``register_rule`` teaches custom layers. Everything public is here;
importing this imports nothing else until it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tfjs_codec import errors
    from tfjs_codec.api import (
        batch,
        bundle,
        convert,
        diff,
        inspect,
        load,
        plan,
        plot,
        preview_html,
        save,
        save_keras_model,
        to_files,
        verify,
    )
    from tfjs_codec.batches.batch import Batch, BatchResult
    from tfjs_codec.bundling.bundle import Bundle
    from tfjs_codec.comparison.diff import Diff
    from tfjs_codec.errors import Problem
    from tfjs_codec.inspection.inspection import Inspection
    from tfjs_codec.ir.keras import KerasLayer
    from tfjs_codec.layers.engine.builder import Scope
    from tfjs_codec.layers.engine.symbolic import Tensor
    from tfjs_codec.limits import Limits
    from tfjs_codec.loaded_model import LoadedModel
    from tfjs_codec.operations.scope import GraphScope, GraphValue
    from tfjs_codec.options import ConvertOptions
    from tfjs_codec.preview.plot import Plot
    from tfjs_codec.report import Report
    from tfjs_codec.tracing.registry import local_rules, register_rule
    from tfjs_codec.verification.verify import Verification

__version__ = "0.1.0"

_HOMES = {
    "api": ("batch", "bundle", "convert", "diff", "inspect", "load", "plan",
            "plot", "preview_html", "save", "save_keras_model", "to_files", "verify"),
    "batches.batch": ("Batch", "BatchResult"),
    "bundling.bundle": ("Bundle",),
    "comparison.diff": ("Diff",),
    "errors": ("Problem",),
    "inspection.inspection": ("Inspection",),
    "ir.keras": ("KerasLayer",),
    "layers.engine.builder": ("Scope",),
    "operations.scope": ("GraphScope", "GraphValue"),
    "tracing.registry": ("local_rules", "register_rule"),
    "layers.engine.symbolic": ("Tensor",),
    "limits": ("Limits",),
    "loaded_model": ("LoadedModel",),
    "options": ("ConvertOptions",),
    "preview.plot": ("Plot",),
    "report": ("Report",),
    "verification.verify": ("Verification",),
}  # fmt: skip
_HOME = {name: home for home, names in _HOMES.items() for name in names}
__all__ = [
    "Batch",
    "BatchResult",
    "Bundle",
    "ConvertOptions",
    "Diff",
    "GraphScope",
    "GraphValue",
    "Inspection",
    "KerasLayer",
    "Limits",
    "LoadedModel",
    "Plot",
    "Problem",
    "Report",
    "Scope",
    "Tensor",
    "Verification",
    "__version__",
    "batch",
    "bundle",
    "convert",
    "diff",
    "errors",
    "inspect",
    "load",
    "local_rules",
    "plan",
    "plot",
    "preview_html",
    "register_rule",
    "save",
    "save_keras_model",
    "to_files",
    "verify",
]


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name == "errors":
        return import_module("tfjs_codec.errors")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"tfjs_codec.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
