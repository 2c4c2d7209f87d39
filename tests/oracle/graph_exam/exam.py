"""An exam of graph models: random TensorFlow graphs, on every backend of tfjs by itself.

    export TFJS_CODEC_TF_PYTHON=…        # a Python with TensorFlow
    python tests/oracle/graph_exam/exam.py --seed 7 --count 600 [--only REGEX] [--backends wasm,cpu]

A case passes on a backend that computes what TensorFlow computed. It may be refused with a clear
error, and a backend may lack a kernel, if it says so and another one passes. ``warned`` is a wrong
answer of which the report of the conversion warns by the backend's name. The last line sums up.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1])]

from compare import difference
from playwright.sync_api import sync_playwright
from tfjs_chromium import TfjsChromium
from tfjs_node import TfjsError, TfjsNode

import tfjs_codec
from tfjs_codec.errors import UnsupportedModelError

ALL = ("wasm", "cpu", "webgl", "webgpu")
GOOD = ("pass", "refused", "lacks", "warned")
QUESTIONS = Path(__file__).parent / "questions.py"
_LACKS = re.compile(r"not registered for backend|not found for backend")


def make_questions(
    folder: Path,
    seed: int,
    count: int,
    only: str = "",
    python: Sequence[str] = (),
    *,
    functions: bool = False,
) -> None:
    """Write *count* cases into *folder*; see ``questions.py``."""
    command = [*(python or [os.environ["TFJS_CODEC_TF_PYTHON"]]), str(QUESTIONS), str(folder)]
    options = ["--seed", str(seed), "--count", str(count), "--only", only]
    options += ["--functions"] * functions
    subprocess.run([*command, *options], check=True, stderr=subprocess.DEVNULL)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a case on one backend, ``""`` if the conversion says it."""

    case: str
    backend: str
    outcome: str
    detail: str = ""


class Candidate:
    """Converts and predicts; a new process takes over after a wrong answer or a trap of wasm."""

    def __init__(self, node: TfjsNode, chromium: TfjsChromium | None) -> None:
        self._node = node
        self._chromium = chromium
        self._shaders = False

    def answers(self, case: Path, web: Path, backends: Sequence[str]) -> Iterator[Answer]:
        """Yield what becomes of *case*, converted into *web*, on each backend."""
        self._shaders = not self._shaders
        described = json.loads((case / "case.json").read_text())
        io = dict(np.load(case / "io.npz"))
        given = {key: io[f"in.{key}"] for key in described["inputs"]}
        wanted = {key: io[f"out.{key}"] for key in described["outputs"]}
        try:
            report = tfjs_codec.convert(
                case / "model.pb", web, to="graph", output_node_names=described["outputs"]
            )
        except UnsupportedModelError as error:
            yield Answer(case.name, "", "refused", "; ".join(map(str, error.problems)))
            return
        except Exception as error:  # noqa: BLE001 (whatever it is, it is a defect)
            yield Answer(case.name, "", "crash", f"{type(error).__name__}: {error}")
            return
        used = json.loads((web / "model.json").read_text())["signature"]["inputs"]
        given = {key: value for key, value in given.items() if key in used}
        found = {}
        for backend in backends:
            outcome, detail = self._predict(web, given, wanted, backend)
            if outcome != "pass" and backend in " ".join(report.warnings):
                outcome = "warned"
            found[backend] = outcome, detail
        passed = any(outcome == "pass" for outcome, _ in found.values())
        for backend, (outcome, detail) in found.items():
            alone = outcome == "lacks" and not passed
            yield Answer(case.name, backend, "error" if alone else outcome, detail)

    def _predict(
        self,
        web: Path,
        given: Mapping[str, np.ndarray],
        wanted: Mapping[str, np.ndarray],
        backend: str,
    ) -> tuple[str, str]:
        if self._chromium is not None:
            self._chromium.shaders = self._shaders
        tfjs = self._node if backend in ("wasm", "cpu") else self._chromium
        assert tfjs is not None
        try:
            got = tfjs.execute(web, given, list(wanted), backend)
        except TfjsError as error:
            if tfjs is self._node:
                self._node.close()
            return "lacks" if _LACKS.search(str(error)) else "error", str(error)[:400]
        different = difference(got, list(wanted.values()))
        if different and tfjs is self._node:
            self._node.close()
        return ("wrong", different) if different else ("pass", "")


def run(
    folder: Path, backends: Sequence[str], node: TfjsNode, chromium: TfjsChromium | None
) -> Iterator[Answer]:
    """Yield the answers to all cases in *folder*."""
    candidate = Candidate(node, chromium)
    for case in sorted(folder.iterdir()):
        with tempfile.TemporaryDirectory() as scratch:
            yield from candidate.answers(case, Path(scratch) / "web", backends)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument(
        "--only", default="", help="a regular expression for the names of questions"
    )
    parser.add_argument("--functions", action="store_true", help="ask each of functions.py")
    parser.add_argument("--backends", default=",".join(ALL))
    parser.add_argument("--folder", type=Path, help="where the cases are, or are made and kept")
    options = parser.parse_args()
    backends = options.backends.split(",")
    counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    with contextlib.ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory())) / "q"
        if not folder.exists():
            make_questions(
                folder, options.seed, options.count, options.only, functions=options.functions
            )
        node = stack.enter_context(contextlib.closing(TfjsNode()))
        chromium = None
        if {*backends} - {"wasm", "cpu"}:
            playwright = stack.enter_context(sync_playwright())
            chromium = stack.enter_context(contextlib.closing(TfjsChromium(playwright)))
        for answer in run(folder, backends, node, chromium):
            counts[answer.backend or "conversion"][answer.outcome] += 1
            if answer.outcome != "pass":
                print(*filter(None, (answer.outcome, answer.case, answer.backend, answer.detail)))
    bad = sum(n for each in counts.values() for outcome, n in each.items() if outcome not in GOOD)
    print({backend: dict(each) for backend, each in counts.items()}, f"not good: {bad}")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
