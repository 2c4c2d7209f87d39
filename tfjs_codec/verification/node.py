"""Predicts with real TensorFlow.js, if Node and tfjs are there.

For ``verify --node``, ``bundle``, and ``--calibrate`` of what numpy cannot run.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfjs_codec.errors import UsageError, VerificationError, count, quote
from tfjs_codec.verification.outputs import compare_outputs

_SCRIPT = Path(__file__).with_name("predict.mjs")
_TIMEOUT_S = 600.0  # a reference to a layer that is not there makes tfjs loop for ever
_WIRE = {"f": "float32", "i": "int32", "u": "int32", "b": "bool"}  # all numbers tfjs has

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Predicting:
    """How to predict.

    Attributes:
        inputs: A ``.npz`` file with the inputs ``in0``, ``in1``, … in the model's order, and what
            the source predicts for them, ``out0``, …; a graph model's may be called by the keys
            of its signature instead, ``in:KEY`` and ``out:KEY``. By default inputs are made up,
            and only whether tfjs can load and run the model is checked.
        modules: The directory from which tfjs is looked for, by default the current one.
        tolerance: By how much outputs may differ, relative to the largest value of an output or
            to 1 if that is greater.
    """

    inputs: str | os.PathLike[str] | None = None
    modules: str | os.PathLike[str] | None = None
    tolerance: float = 1e-4


def check(
    web: Path, signature: Any, how: Predicting, checks: list[str], failures: list[str]
) -> None:
    """Load and run the model *web* in tfjs; tell what was found in *checks* and *failures*.

    *signature* is that of a graph model's ``model.json``.

    Raises:
        UsageError: Node or tfjs is missing, or the recorded file is not as described.
    """
    recorded = None if how.inputs is None else _read_recorded(how.inputs, signature)
    request = _request(web / "model.json" if web.is_dir() else web, recorded, how)
    reply = _ask(request)
    if reply.get("stage") == "find":
        raise UsageError(
            f"tfjs was not found from {request['modules']} ({quote(reply['error'])})",
            hint="Run npm install @tensorflow/tfjs, or name its directory with --node-modules.",
        )
    if "error" in reply:
        failures.append(f"tfjs fails to {reply['stage']} the model: {quote(reply['error'])}")
        return
    outputs = [_decode(value) for value in reply["outputs"]]
    checks.append(f"TensorFlow.js {reply['version']} loads and runs the model")
    if recorded is None:
        return
    wanted = recorded[1]
    if len(outputs) != len(wanted):
        failures.append(f"tfjs returns {count(len(outputs), 'output')}, {len(wanted)} are recorded")
        return
    found = compare_outputs(dict(zip(wanted, outputs, strict=True)), wanted, how.tolerance)
    failures += [f"{failure}, as recorded" for failure in found.failures]
    checks.append(f"predictions differ from the recorded ones by at most {found.largest:.3g}")


def predict(web: Path, inputs: Mapping[str, Array]) -> list[Array] | str:
    """Return the outputs of the model *web* for *inputs*, or why tfjs cannot be asked for them.

    Inputs are called ``in0``, …, or ``in:KEY`` by their keys. tfjs is looked for from the current
    directory.
    """
    if any(value.dtype.kind not in _WIRE for value in inputs.values()):
        return "only numbers can be given to tfjs"
    request = _request(web / "model.json", (dict(inputs), {}), Predicting())
    reply = _ask_if_there(request)
    if isinstance(reply, str):
        return reply
    if "error" in reply:
        return f"tfjs fails to {reply['stage']} the model: {quote(reply['error'])}"
    return [_decode(value) for value in reply["outputs"]]


@dataclass(frozen=True, slots=True)
class Trace:
    """What tfjs used to load a model and to predict with it, and nothing else is needed for that.

    Attributes:
        version: The version of tfjs.
        backend: The backend it ran on.
        kernels: The kernels it ran.
        classes: The classes it looked up by name.
    """

    version: str
    backend: str
    kernels: frozenset[str]
    classes: frozenset[str]


def trace(index: Path, signature: Any, how: Predicting) -> Trace | str:
    """Predict with the model of *index*, and again with nothing but what that used.

    Which kernels are asked for does not depend on the backend: wasm is used, or cpu where wasm
    lacks one. Returns why it cannot be run if Node or tfjs is missing.

    Raises:
        VerificationError: tfjs cannot run the model, or predicts something else the second time.
    """
    recorded = None if how.inputs is None else _read_recorded(how.inputs, signature)
    request = {**_request(index, recorded, how), "trace": ["wasm", "cpu"]}
    reply = _ask_if_there(request)
    if isinstance(reply, str):
        return reply
    if "error" in reply:
        raise VerificationError(
            f"tfjs fails to {reply['stage']} the model: {quote(reply['error'])}", path=index
        )
    if not reply["proved"]:
        raise VerificationError("tfjs predicts something else with these kernels", path=index)
    return Trace(
        reply["version"], reply["backend"], frozenset(reply["kernels"]), frozenset(reply["classes"])
    )


def _request(
    index: Path, recorded: tuple[dict[str, Array], dict[str, Array]] | None, how: Predicting
) -> dict[str, Any]:
    return {
        "model": str(index.resolve()),
        "modules": str(Path(how.modules or ".").resolve()),
        "inputs": recorded and [_encode(value) for value in recorded[0].values()],
        "keys": recorded and _keys(recorded[0]),
    }


def _ask(request: dict[str, Any]) -> dict[str, Any]:
    program = shutil.which("node")
    if program is None:
        raise UsageError("Node is not installed", hint="Install it, or leave out --node.")
    try:
        done = subprocess.run(  # noqa: S603  our own script; what it reads comes by stdin
            [program, str(_SCRIPT)],
            input=json.dumps(request),
            capture_output=True,
            check=False,
            encoding="utf-8",
            timeout=_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return {"stage": "load", "error": f"no answer in {_TIMEOUT_S:g} s"}
    if done.returncode or not done.stdout:
        return {"stage": "load", "error": f"Node ended: {done.stderr[-500:]}"}
    reply: dict[str, Any] = json.loads(done.stdout)
    return reply


def _ask_if_there(request: dict[str, Any]) -> dict[str, Any] | str:
    """Return the reply, or that Node or tfjs is missing."""
    try:
        reply = _ask(request)
    except UsageError as error:
        return error.what
    if reply.get("stage") == "find":
        return f"@tensorflow/tfjs was not found from {request['modules']}"
    return reply


def _read_recorded(
    path: str | os.PathLike[str], signature: Any
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the inputs and outputs in the file *path*, in the model's order."""
    try:
        with np.load(path, allow_pickle=False) as file:
            names = set(file.files)
            inputs, outputs = (
                {n: file[n] for n in _names(kind, signature, len(names)) if n in names}
                for kind in ("in", "out")
            )
    except (ValueError, EOFError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise UsageError(f"not an .npz file of numeric arrays ({error})", path=path) from None
    arrays = (*inputs.values(), *outputs.values())
    if not inputs or not outputs or any(array.dtype.kind not in _WIRE for array in arrays):
        raise UsageError("the file needs arrays named in0, … and out0, …", path=path)
    return inputs, outputs


def _names(kind: str, signature: Any, count: int) -> list[str]:
    """Return what *kind* (``in`` or ``out``) of arrays can be called, in the model's order."""
    keys = signature.get(f"{kind}puts") if isinstance(signature, dict) else None
    by_key = [f"{kind}:{key}" for key in keys] if isinstance(keys, dict) else []
    return [*(f"{kind}{number}" for number in range(count)), *by_key]


def _keys(inputs: dict[str, Array]) -> list[str] | None:
    """Return the signature's keys of *inputs*, None if they are called by their numbers."""
    keys = [name.partition(":")[2] for name in inputs]
    return keys if all(keys) else None


def _encode(value: Array) -> dict[str, Any]:
    dtype = _WIRE[value.dtype.kind]
    data = np.ascontiguousarray(value, dtype=dtype)
    text = base64.b64encode(data.tobytes()).decode("ascii")
    return {"dtype": dtype, "shape": list(value.shape), "data": text}


def _decode(value: dict[str, Any]) -> Array:
    array: Array = np.frombuffer(base64.b64decode(value["data"]), value["dtype"])
    result: Array = array.reshape(value["shape"])
    return result
