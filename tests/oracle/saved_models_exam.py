"""Convert models to SavedModels and load these in every way that TensorFlow and Keras have.

    python tests/oracle/saved_models_exam.py DIRECTORY [--only REGEX] [--ways NAMES] [--out FILE]

Every directory in DIRECTORY with a ``case.json`` and an ``io.npz`` (``in0``, …, ``out0``, …) is a
case. ``source`` is the model's file, ``rtol`` the tolerance if it is larger than usual, ``inputs``
and ``outputs`` are the names of the tensors of a graph. TFJS_CODEC_TF_PYTHON names the Python with
TensorFlow. Cases that FILE already has are not examined again.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE)]

import numpy as np  # noqa: E402
from json_lines import JsonLines  # noqa: E402

import tfjs_codec  # noqa: E402
from tfjs_codec.errors import UnsupportedModelError  # noqa: E402
from tfjs_codec.readers import open_model  # noqa: E402

RUNS = HERE / "tensorflow_oracle" / "saved_model_runs.py"
_LAYERS = ("revive", "fit")
_SETTINGS = {"TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}


def exam(
    source: Path, io: Path, ways: Sequence[str], runs: JsonLines, directory: Path,
    names: dict[str, Any] | None = None, **reading: Any,
) -> dict[str, Any]:  # fmt: skip
    """Return what *ways* gave for the SavedModel of *source*, which is written to *directory*.

    What has no layers of Keras is not asked for them; if it is a graph, *names* tells its
    ``inputs`` and ``outputs``. ``reader`` is our own prediction, ``again`` that of the tfjs model
    which the SavedModel becomes.
    """
    tfjs_codec.convert(source, directory, to="savedmodel", force=True, **reading)
    served = not (directory / "keras_metadata.pb").exists()
    with open_model(directory) as model:
        inputs = list(model.graph().inputs)
    named: dict[str, Any] = {}
    if names is not None and served:
        named["structured_outputs"] = True
        io = _name(io, names, inputs, directory / "io.npz")
    asked = [way for way in ways if not (served and way in _LAYERS)]
    request = {"path": str(directory), "io": str(io), "inputs": inputs, "ways": asked}
    found = runs.ask(request) if asked else {}
    found["reader"] = _read_back(directory, io)
    again = directory.with_name("again")
    try:
        tfjs_codec.convert(directory, again, force=True, **named)
        found["again"] = _read_back(again, io)
    except UnsupportedModelError as error:  # of TensorFlow's operations tfjs has not all
        found["again"] = f"refused: {error}"[:300]
    return found


def _read_back(directory: Path, io: Path) -> float | str:
    """Compare what we compute with the model in *directory* ourselves."""
    with np.load(io) as file:
        arrays = {name: file[name] for name in file.files}
    named = {name[3:]: array for name, array in arrays.items() if name.startswith("in.")}
    given = [arrays[f"in{i}"] for i in range(len(arrays)) if f"in{i}" in arrays]
    theirs = [arrays[f"out{i}"] for i in range(len(arrays)) if f"out{i}" in arrays]
    with tfjs_codec.load(directory) as model:
        try:
            found = model.predict(named or given)
        except UnsupportedModelError as error:
            return f"refused: {error}"[:300]
    if named:
        expected = {name[4:]: arrays[name] for name in arrays if name.startswith("out.")}
        theirs = list(expected.values())
        if isinstance(found, dict) and found.keys() == expected.keys():
            found = {name: found[name] for name in expected}
    ours = list(found.values()) if isinstance(found, dict) else found
    ours = ours if isinstance(ours, list) else [ours]
    return max(_gap(a, b) for a, b in zip(ours, theirs, strict=True))


def _gap(ours: np.ndarray, theirs: np.ndarray) -> float:
    if theirs.dtype.kind in "OSU":
        return 0.0 if ours.tolist() == np.char.encode(theirs.astype("U")).tolist() else np.inf
    one, other = ours.astype(np.complex128), theirs.astype(np.complex128)
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    largest = np.abs(other[np.isfinite(other)]).max(initial=1)
    return float(
        np.abs(np.subtract(one, other, where=~same, out=np.zeros_like(one))).max(initial=0)
        / largest
    )


def _name(io: Path, facts: dict[str, Any], inputs: Sequence[str], target: Path) -> Path:
    """Write the arrays of *io* to *target*, by the names of the tensors of the graph.

    *inputs* are those that it has; what nothing depends on is none.
    """
    with np.load(io) as file:
        arrays = {name: file[name] for name in file.files}
    known = [(name, f"in{i}") for i, name in enumerate(facts["inputs"]) if name in inputs]
    named = {f"in.{name}": arrays[key] for name, key in known}
    named |= {f"out.{name}": arrays[f"out{i}"] for i, name in enumerate(facts["outputs"])}
    np.savez(target, **named)
    return target


def main() -> None:
    """Examine all cases and print what failed, and how many did not."""
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--ways", default="signature,serve,version_1,revive,layer")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    ways, count = list(filter(None, arguments.ways.split(","))), Counter[str]()
    out: Path | None = arguments.out
    results = json.loads(out.read_text()) if out and out.exists() else {}
    settings = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [os.environ["TFJS_CODEC_TF_PYTHON"], str(RUNS)]
    with closing(JsonLines(command, 600, {**settings, **_SETTINGS})) as runs:
        for case in sorted(arguments.directory.glob("*/case.json")):
            facts, name = json.loads(case.read_text()), case.parent.name
            if not (re.search(arguments.only, name) and case.with_name("io.npz").exists()):
                continue
            if facts.get("check") == "weights":
                continue
            if name not in results:
                results[name] = _examine(case, facts, ways, runs)
                if out:
                    out.write_text(json.dumps(results, indent=1))
            tolerance = max(arguments.tolerance, facts.get("rtol", 0))
            bad = {
                way: gap
                for way, gap in results[name].items()
                if isinstance(gap, str) or not gap <= tolerance
            }
            count["cases"] += 1
            count.update(way for way in results[name] if way not in bad)
            count.update(f"{way} {_verdict(gap)}" for way, gap in bad.items())
            if bad:
                print(name, bad, flush=True)
    print(dict(sorted(count.items())))


def _verdict(gap: float | str) -> str:
    return "refused" if isinstance(gap, str) and gap.startswith("refused") else "WRONG"


def _examine(
    case: Path, facts: dict[str, Any], ways: Sequence[str], runs: JsonLines
) -> dict[str, Any]:
    source = case.with_name(facts["source"])
    reading: dict[str, Any] = {"names": facts} if "outputs" in facts else {}
    if source.suffix == ".pb":
        reading["output_node_names"] = facts["outputs"]
    with tempfile.TemporaryDirectory() as scratch:
        try:
            saved = Path(scratch, "saved")
            return exam(source, case.with_name("io.npz"), ways, runs, saved, **reading)
        except UnsupportedModelError as error:
            return {"model": f"refused: {error}"[:300]}
        except Exception as error:  # noqa: BLE001
            return {"failed": f"{type(error).__name__}: {error}"[:500]}


if __name__ == "__main__":
    main()
