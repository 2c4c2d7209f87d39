"""The Python interface of the official ``tensorflowjs`` 4.22, without TensorFlow.

``import tfjs_codec.compat.tensorflowjs as tensorflowjs`` is enough where a script can be changed.
:func:`install` serves code that imports ``tensorflowjs`` itself.
"""

from __future__ import annotations

import sys
from importlib import import_module

from tfjs_codec.errors import UsageError

_MODULES = (
    "",
    ".converters",
    ".converters.converter",
    ".converters.jax_conversion",
    ".converters.keras_h5_conversion",
    ".converters.keras_tfjs_loader",
    ".converters.tf_saved_model_conversion_v2",
    ".quantization",
    ".read_weights",
    ".version",
    ".write_weights",
)


def install() -> None:
    """Let ``import tensorflowjs`` and its submodules mean ours, in this process.

    Call it before anything imports ``tensorflowjs``.

    Raises:
        UsageError: The official package is imported already.
    """
    ours = {f"tensorflowjs{name}": f"{__name__}.tensorflowjs{name}" for name in _MODULES}
    for official, name in ours.items():
        module = import_module(name)
        if sys.modules.get(official, module) is not module:
            raise UsageError(
                f"{official} is imported already",
                hint="Call tfjs_codec.compat.install() before the first import of tensorflowjs.",
            )
    sys.modules.update({official: import_module(name) for official, name in ours.items()})
