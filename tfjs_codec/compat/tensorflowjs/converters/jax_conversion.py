"""``tensorflowjs.converters.jax_conversion``: what to do instead."""

from __future__ import annotations

from typing import NoReturn

from tfjs_codec.errors import UsageError


def convert_jax(*_: object, **__: object) -> NoReturn:
    """Raise UsageError: a JAX function is traced by JAX itself."""
    raise UsageError(
        "a JAX function is Python code, which is not run here",
        hint="Export it with jax2tf and tf.saved_model.save, or a Keras model of the JAX backend "
        "with model.save('m.keras'), and convert that file.",
    )
