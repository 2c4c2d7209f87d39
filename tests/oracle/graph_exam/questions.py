"""Random TensorFlow graphs, of single operations and of compositions, with what they compute.

    python questions.py FOLDER --seed 1 --count 300 [--functions] [--only REGEX]

With ``--functions`` each function of ``functions.py`` is a question, else one of them at random.

Runs in a Python with TensorFlow, without ``tfjs_codec``. A case is a folder ``SEED_NUMBER_NAME``
with ``model.pb`` (a frozen graph), ``io.npz`` (``in.KEY`` and ``out.KEY``) and ``case.json`` (the
keys, in order). The same seed and count make the same cases.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from asking import QUESTIONS, Made, R, pick, question
from functions import FUNCTIONS
from topics import (  # noqa: F401  (each fills QUESTIONS)
    compositions,
    control,
    convolutions,
    elements,
    images,
    indexing,
    matrices,
    movement,
    other_values,
    reductions,
)

Question = Callable[[R], Made]


@question
def function(rng: R) -> Made:
    return FUNCTIONS[pick(rng, *FUNCTIONS)]


def loosen(rng: R, name: str, shape: tuple[int, ...]) -> list[int | None]:
    """Return *shape* as a signature may know it."""
    if name[:3] == "mix":
        return [None, *shape[1:]]
    chance = rng.random() * (0.8 if name == "convolution" else 1)  # groups: known channels
    if name == "reduction_of_nothing":
        return list(shape)
    if chance < 0.4 or not shape:
        return list(shape)
    if chance < 0.8:
        return [None, *shape[1:]]
    return [None] * len(shape)


def real_inputs(fn: Callable[..., Any], arrays: list[Any]) -> Made:
    """Return the same with two inputs for each complex one: pages have no such arrays."""
    split = [np.iscomplexobj(a) for a in arrays]

    def call(*given: Any) -> Any:
        rest = iter(given)
        return fn(*(tf.complex(next(rest), next(rest)) if s else next(rest) for s in split))

    parts = [[np.real(a), np.imag(a)] if s else [a] for a, s in zip(arrays, split)]
    return call, [np.asarray(each) for pair in parts for each in pair]


def write(folder: Path, name: str, rng: R, ask: Question) -> bool:
    """Write one case of question *name*; return False if TensorFlow refuses it."""
    try:
        fn, arrays = real_inputs(*ask(rng))
        specs = [
            tf.TensorSpec(loosen(rng, name, a.shape),
                          tf.as_dtype(a.dtype if a.dtype != object else "string"), f"i{k}")
            for k, a in enumerate(arrays)
        ]  # fmt: skip

        def listed(*x: Any) -> list[Any]:
            made = fn(*x)
            many = isinstance(made, list | tuple)
            return [tf.identity(each, f"o{k}") for k, each in enumerate(made if many else [made])]

        concrete = tf.function(
            listed, input_signature=specs, autograph=False
        ).get_concrete_function()
        results = concrete(*(tf.constant(a) for a in arrays))
    except (
        tf.errors.OpError,
        TypeError,
        ValueError,
        ZeroDivisionError,
        IndexError,
        AttributeError,
    ) as error:
        if os.environ.get("WHY"):
            print(name, str(error)[:200].replace(chr(10), " "))
        return False
    names = [each.name.partition(":")[0] for each in concrete.graph.outputs]
    inputs = [each.name.partition(":")[0] for each in concrete.inputs]
    if (
        len(inputs) != len(arrays)
        or len(set(names)) < len(names)
        or any(not isinstance(each, tf.Tensor) or each.dtype.name == "variant" for each in results)
    ):
        return False
    folder.mkdir(parents=True)
    graph = concrete.graph.as_graph_def(add_shapes=bool(rng.random() < 0.5))
    (folder / "model.pb").write_bytes(graph.SerializeToString(deterministic=True))
    arrays_out = {f"in.{k}": a for k, a in zip(inputs, arrays)}
    arrays_out |= {f"out.{k}": each.numpy() for k, each in zip(names, results)}
    np.savez(folder / "io.npz", **{k: texts(a) for k, a in arrays_out.items()})
    ops = sorted({node.op for node in graph.node}
                 | {n.op for f in graph.library.function for n in f.node_def})  # fmt: skip
    case = {"inputs": inputs, "outputs": names, "ops": ops}
    (folder / "case.json").write_text(json.dumps(case))
    return True


def texts(array: Any) -> np.ndarray:
    """Return *array* as numpy stores it without pickle."""
    array = np.asarray(array)
    if array.dtype != object:
        return array
    decoded = [s if isinstance(s, str) else s.decode() for s in array.ravel()]
    return np.array(decoded, "U").reshape(array.shape)


def make(folder: Path, seed: int, count: int, only: str = "", *, functions: bool = False) -> None:
    """Write *count* cases of *seed* into *folder*, of the questions whose names match *only*.

    With *functions* each question is one of FUNCTIONS.
    """
    asked = {name: lambda rng, made=made: made for name, made in FUNCTIONS.items()}
    questions = asked if functions else QUESTIONS
    names = sorted(name for name in questions if re.search(only, name))
    made = number = 0
    while made < count and number < 9 * count:
        rng = np.random.default_rng([seed, number])
        name = names[number % len(names)]
        made += write(folder / f"{seed}_{number}_{name}", name, rng, questions[name])
        number += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--only", default="")
    parser.add_argument("--functions", action="store_true")
    options = parser.parse_args()
    make(options.folder, options.seed, options.count, options.only, functions=options.functions)


if __name__ == "__main__":
    main()
