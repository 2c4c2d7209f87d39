"""What questions are made of: the table of them, shapes and values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

R = np.random.Generator
Made = tuple[Callable[..., Any], list[Any]]  # a function of tensors, and arrays for it
QUESTIONS: dict[str, Callable[[R], Made]] = {}
raw = tf.raw_ops


def question(maker: Callable[[R], Made]) -> Callable[[R], Made]:
    QUESTIONS[maker.__name__.strip("_")] = maker
    return maker


def pick(rng: R, *items: Any) -> Any:
    return items[int(rng.integers(len(items)))]


def dims(rng: R, low: int = 1, high: int = 4, most: int = 4) -> tuple[int, ...]:
    """Return a shape of *low* to *high* axes, each of up to *most* elements."""
    return tuple(int(n) for n in rng.integers(1, most + 1, rng.integers(low, high + 1)))


def values(rng: R, shape: tuple[int, ...], dtype: str = "float32") -> np.ndarray:
    if dtype == "bool":
        return rng.random(shape) < 0.5
    if dtype == "string":
        return np.array([f"{n % 5}é{'ab' * (n % 3)}" for n in rng.integers(0, 90, shape).ravel()],
                        object).reshape(shape)  # fmt: skip
    if dtype.startswith(("int", "uint")):
        return rng.integers(0 if dtype[0] == "u" else -9, 10, shape).astype(dtype)
    if dtype.startswith("complex"):
        return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(dtype)
    return rng.normal(size=shape).astype(dtype)


def positive(rng: R, shape: tuple[int, ...]) -> np.ndarray:
    return (np.abs(rng.normal(size=shape)) + 0.1).astype("f4")


def numbers(rng: R) -> str:
    return pick(rng, "float32", "float32", "int32", "int64")


def anything(rng: R) -> str:
    return pick(rng, "float32", "float32", "int32", "int64", "bool", "string", "uint8", "complex64")


def storable(rng: R) -> str:
    return pick(rng, "float32", "float32", "int32", "bool", "bool", "string")


def broadcast(rng: R, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape that can be broadcast to *shape*."""
    kept = shape[int(rng.integers(len(shape) + 1)) :] if rng.random() < 0.5 else shape
    return tuple(1 if rng.random() < 0.3 else n for n in kept)


def const_or_input(rng: R, fn: Callable[..., Any], *arrays: Any, keep: int = 1) -> Made:
    """Make constants of some of *arrays*; the first *keep* stay inputs."""
    fixed = [i >= keep and rng.random() < 0.5 for i in range(len(arrays))]

    def call(*given: Any) -> Any:
        rest = iter(given)
        return fn(*(tf.constant(a) if f else next(rest) for a, f in zip(arrays, fixed)))

    return call, [a for a, f in zip(arrays, fixed) if not f]
