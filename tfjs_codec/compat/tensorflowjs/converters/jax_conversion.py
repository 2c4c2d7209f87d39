"""``tensorflowjs.converters.jax_conversion``: what to do instead."""

from __future__ import annotations

from typing import NoReturn

from tfjs_codec.errors import UsageError


def convert_jax(*_: object, **__: object) -> NoReturn:
    """Raise UsageError: a JAX function is traced by JAX itself."""
    raise UsageError(
        "a JAX function is Python code, which is not run here",
        hint="Build it as a Keras model of the JAX backend, and convert what model.save('m.keras') "
        "writes.",
    )
