"""Load SavedModels in every way that TensorFlow and Keras have, and compare what they predict.

Reads requests from standard input, one JSON object a line: ``path``, ``io`` (a ``.npz`` with
``in0``, …, ``out0``, …), ``inputs`` (the keys of the signature in the order of ``in0``, …) and
``ways``, names of :data:`WAYS`. Answers each with one line: by the name of a way the largest
difference, relative to the largest number where that is more than 1, or what went wrong.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"
import numpy as np
import tensorflow as tf

tf.get_logger().setLevel("ERROR")


class Case:
    """A SavedModel, and what it must predict."""

    def __init__(self, path: str, io: str, inputs: Sequence[str]) -> None:
        self.path = path
        with np.load(io, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        self.named = any(name.startswith("out.") for name in arrays)
        if self.named:
            self.keys = [name[3:] for name in arrays if name.startswith("in.")]
            self.given = [arrays[f"in.{key}"] for key in self.keys]
            outputs = sorted(name for name in arrays if name.startswith("out."))
            self.expected = [arrays[name] for name in outputs]
            return
        count = range(len(arrays))
        self.keys = list(inputs)
        self.given = [arrays[f"in{i}"] for i in count if f"in{i}" in arrays]
        self.expected = [arrays[f"out{i}"] for i in count if f"out{i}" in arrays]

    def feed(self, dtypes: dict[str, Any]) -> dict[str, Any]:
        pairs = zip(self.keys, self.given, strict=True)
        return {key: x if x.dtype.kind in "OSU" else x.astype(dtypes[key]) for key, x in pairs}

    def in_order(self, results: dict[str, Any]) -> list[Any]:
        """``output_10`` comes after ``output_9``; the keys of a dict are sorted."""
        numbered = all(key.removeprefix("output_").isdecimal() for key in results)
        order = sorted(results)
        if numbered and not self.named:
            order.sort(key=lambda key: int(key[7:]))
        return [results[key] for key in order]

    def compare(self, found: Iterable[Any]) -> float:
        found = [np.asarray(one) for one in found]
        assert len(found) == len(self.expected), f"{len(found)} outputs"
        return max(map(self._gap, found, self.expected), default=0.0)

    @staticmethod
    def _gap(ours: np.ndarray, theirs: np.ndarray) -> float:
        assert ours.shape == theirs.shape, f"{ours.shape} instead of {theirs.shape}"
        if ours.dtype.kind in "OSU":
            same = np.char.encode(theirs.astype("U")) == ours.astype("S")
            return 0.0 if same.all() else float("inf")
        if not ours.size:
            return 0.0
        wide = np.complex128 if ours.dtype.kind == "c" else np.float64
        one, other = ours.astype(wide), theirs.astype(wide)
        same = (one == other) | (np.isnan(one) & np.isnan(other))
        largest = max(1.0, np.abs(other[np.isfinite(other)]).max(initial=0))
        gap = np.where(same, 0.0, np.abs(one - other) / largest)
        return float(np.where(np.isfinite(gap), gap, np.inf).max())


def signature(case: Case) -> float:
    run = tf.saved_model.load(case.path).signatures["serving_default"]
    specs = run.structured_input_signature[1]
    given = case.feed({key: spec.dtype.as_numpy_dtype for key, spec in specs.items()})
    return case.compare(case.in_order(run(**{key: tf.constant(x) for key, x in given.items()})))


def serve(case: Case) -> float:
    """The function that Keras's ``TFSMLayer`` calls."""
    model = tf.saved_model.load(case.path)
    specs = model.signatures["serving_default"].structured_input_signature[1]
    given = case.feed({key: spec.dtype.as_numpy_dtype for key, spec in specs.items()})
    (spec,) = model.serve.concrete_functions[0].structured_input_signature[0]
    tensors = {key: tf.constant(x) for key, x in given.items()}
    listed = list(tensors.values())
    taken = tensors if isinstance(spec, dict) else listed if isinstance(spec, list) else listed[0]
    return case.compare(tf.nest.flatten(model.serve(taken)))


def version_1(case: Case) -> float:
    """The main graph and its saver, which TensorFlow Serving uses, too."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        meta = tf.compat.v1.saved_model.load(session, ["serve"], case.path)
        described = meta.signature_def["serving_default"]
        dtypes = {
            key: tf.as_dtype(info.dtype).as_numpy_dtype for key, info in described.inputs.items()
        }
        given = case.feed(dtypes)
        feed = {described.inputs[key].name: x for key, x in given.items()}
        fetch = {key: info.name for key, info in described.outputs.items()}
        return case.compare(case.in_order(session.run(fetch, feed)))


def lite(case: Case) -> float:
    return _lite(case, tf.lite.TFLiteConverter.from_saved_model(case.path))


def lite_select(case: Case) -> float:
    """TFLite with TensorFlow's own operations, for what TFLite has not."""
    converter = tf.lite.TFLiteConverter.from_saved_model(case.path)
    ops = tf.lite.OpsSet
    converter.target_spec.supported_ops = [ops.TFLITE_BUILTINS, ops.SELECT_TF_OPS]
    converter._experimental_lower_tensor_list_ops = False
    return _lite(case, converter)


def _lite(case: Case, converter: Any) -> float:
    interpreter = tf.lite.Interpreter(model_content=converter.convert())
    runner = interpreter.get_signature_runner("serving_default")
    details = runner.get_input_details()
    given = case.feed({key: one["dtype"] for key, one in details.items()})
    return case.compare(case.in_order(runner(**given)))


def revive(case: Case) -> float:
    import tf_keras

    model = tf_keras.models.load_model(case.path)
    return case.compare(tf.nest.flatten(_predict(model, case)))


def _predict(model: Any, case: Case) -> Any:
    return model.predict(case.given[0] if len(case.given) == 1 else case.given, verbose=0)


def fit(case: Case) -> float:
    """Train some steps, save as SavedModel, load it: the same predictions, which are others."""
    import tf_keras

    tf_keras.utils.set_random_seed(1)  # dropout
    model = tf_keras.models.load_model(case.path)
    model.compile("adam", "mse")
    noise = np.random.default_rng(1)  # the sum of a softmax cannot change
    results = map(np.asarray, tf.nest.flatten(_predict(model, case)))
    goals = [one + noise.normal(size=one.shape).astype(one.dtype) for one in results]
    given = case.given[0] if len(case.given) == 1 else case.given
    losses = model.fit(given, goals[0] if len(goals) == 1 else goals, epochs=8, verbose=0).history
    if model.trainable_weights:
        assert losses["loss"][-1] < losses["loss"][0], f"the loss was {losses['loss']}"
    with tempfile.TemporaryDirectory() as directory:
        model.save(directory, save_format="tf")
        again = tf_keras.models.load_model(directory)
    case.expected = tf.nest.flatten(_predict(model, case))
    return case.compare(tf.nest.flatten(_predict(again, case)))


def layer(case: Case) -> float:
    """Keras 3's ``TFSMLayer``."""
    import keras

    one = keras.layers.TFSMLayer(case.path)
    listed = [tf.constant(x) for x in case.given]
    run = tf.saved_model.load(case.path).signatures["serving_default"]
    specs = run.structured_input_signature[1]
    tensors = {key: tf.cast(x, specs[key].dtype) for key, x in zip(case.keys, listed, strict=True)}
    (spec,) = one.call_endpoint_fn.concrete_functions[0].structured_input_signature[0]
    listed = list(tensors.values())
    taken = tensors if isinstance(spec, dict) else listed if isinstance(spec, list) else listed[0]
    return case.compare(tf.nest.flatten(one(taken)))


WAYS: dict[str, Callable[[Case], float]] = {
    way.__name__: way
    for way in (signature, serve, version_1, lite, lite_select, revive, fit, layer)
}


def answer(request: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for way in request["ways"]:
        try:
            case = Case(request["path"], request["io"], request["inputs"])
            found[way] = WAYS[way](case)
        except Exception as error:  # noqa: BLE001  the test says which are allowed
            found[way] = f"{type(error).__name__}: {str(error)[:500]}"
        tf.keras.backend.clear_session()
    return found


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print is no answer
    for line in sys.stdin:
        answers.write(json.dumps(answer(json.loads(line))) + "\n")
        answers.flush()
