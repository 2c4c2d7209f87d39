"""Measure what the project promises, side by side, and write the page of figures.

    python tests/bench/figures.py [--official FOLDER] [--tensorflow PYTHON] [--models FOLDER]
                                  [--page docs/figures.md] [--only WORD] [--quick]

``--official`` is an environment that has ``tensorflowjs`` 4.22, ``--tensorflow`` an interpreter
with TensorFlow 2.19, keras and tf_keras. ``--models`` keeps the models that the latter makes for
the tables of predictions, and what they are converted to, so that a second run need not make them.
A part of the page that lacks what it needs, is not selected by ``--only`` or fails stays as the
page has it. With ``--page`` the row of README that quotes predictions is written, too. ``--quick``
only tries that all parts run: little models, few turns.

The commands of a row take turns as whole processes; figures are medians. It takes less than ten
minutes, on a machine that should have nothing else to do.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import distribution, version
from pathlib import Path
from typing import NamedTuple

from convert import BIG, OURS, PLAIN, ROOT, measure
from start import LIBRARIES, MODEL, PYTHON

HERE = Path(__file__).parent
PACKAGES = ("tfjs_codec", "numpy", "h5py", "protobuf")
HEAD = "| what | ours | beside | ratio |\n| --- | ---: | ---: | ---: |"
# The models whose predictions README quotes, in its order.
QUOTED = ("MobileNetV2", "Transformer, 4 layers, 8 heads, 128 steps", "GRU x 2, 100 steps")
DIGITS = str(ROOT / "fixtures" / "digits" / "digits.h5")


class LackingError(Exception):
    """A part cannot be measured without an option that is not given."""


class Row(NamedTuple):
    """A line of a table: what is promised, ours, what it is compared with."""

    promise: str
    ours: str
    beside: str
    ratio: str


@dataclass(frozen=True)
class Bench:
    """The measures of a machine; *work* is a directory with room for the big model twice.

    Attributes:
        official: The environment of the official converter, if there is one.
        tensorflow: An interpreter with TensorFlow, if there is one.
        models: Where models for predictions are, or are made.
        megabytes: The size of the big model.
        runs: How many times what takes long is run.
        batch: How many models are one batch.
        only: Which models predict, by a part of their names; "" is all.
    """

    work: Path
    official: Path | None
    tensorflow: Path | None
    models: Path
    megabytes: int
    runs: int
    batch: int
    only: str

    @property
    def converter(self) -> str | None:
        """The official program."""
        return str(self.official / "bin" / "tensorflowjs_converter") if self.official else None

    # ------------------------------------------------------------------------------ conversions

    def conversions(self) -> str:
        """Return the table of sizes, seconds and memory."""
        # Children start with the memory of this process, so what needs much of it comes last.
        rows = [*self.start(), *self.big(), *self.batches(), self.sizes()]
        return _table(rows[-1:] + rows[:-1])

    def compare(self, promise: str, ours: list[str], theirs: list[str], name: str) -> Row:
        """Return the row of two commands: seconds, memory, and the ratios pair by pair."""
        both = measure(ours, theirs, self.work / "out", self.runs)
        cells = []
        for side in (0, 1):
            wall, peak = (statistics.median(pair[side][k] for pair in both) for k in (0, 2))
            cells.append(f"{wall:.2f} s, {int(peak) >> 20} MiB")
        ratios = sorted(a[0] / max(b[0], 1e-9) for a, b in both)
        ratio = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        return Row(promise, cells[0], f"{name}: {cells[1]}", ratio)

    def above(self, promise: str, ours: list[str], theirs: list[str], name: str) -> Row:
        """Return the row of a command that cannot be faster than another: milliseconds above it."""
        both = measure(ours, theirs, self.work / "out", self.runs * 3)
        wall, other = (statistics.median(pair[side][0] for pair in both) for side in (0, 1))
        more = statistics.median(a[0] - b[0] for a, b in both)
        return Row(promise, f"{wall * 1e3:.0f} ms", f"{name}: {other * 1e3:.0f} ms",
                   f"{more * 1e3:.0f} ms above")  # fmt: skip

    def sizes(self) -> Row:
        """Return the row of what an installation takes."""
        listed = [file for name in PACKAGES for file in distribution(name).files or ()]
        files = [Path(os.fspath(file.locate())) for file in listed]
        ours = sum(file.stat().st_size for file in files if file.exists()) >> 20
        if self.official is None:
            return Row("installed packages", f"{ours} MB", "", "")
        folder = next((self.official / "lib").glob("python*/site-packages"))
        theirs = sum(f.lstat().st_size for f in folder.rglob("*") if f.is_file()) >> 20
        return Row("installed packages", f"{ours} MB", f"tensorflowjs: {theirs:,} MB",
                   f"{ours / theirs:.2f}")  # fmt: skip

    def start(self) -> Iterator[Row]:
        """Yield the rows of small work."""
        model, web = self.work / "model.h5", self.work / "web"
        subprocess.run([sys.executable, "-c", MODEL, str(model)], check=True)
        subprocess.run([*OURS, str(model), str(web)], check=True)
        ours = [sys.executable, "-m", "tfjs_codec"]
        out = str(self.work / "out")
        yield self.above("`--version`", [*ours, "--version"], PYTHON, "Python")
        inspect = [*ours, "inspect", str(web / "model.json")]
        yield self.above("`inspect model.json`", inspect, PYTHON, "Python")
        yield self.above("convert 262 tensors", [*OURS, str(model), out], LIBRARIES,
                         "`import numpy, h5py`")  # fmt: skip
        if self.converter:
            yield self.compare("`--version`", [*ours, "--version"], [self.converter, "--version"],
                               "tensorflowjs")  # fmt: skip
            official = [self.converter, "--input_format=keras", DIGITS, out]
            yield self.compare("convert the digits classifier", [*OURS, DIGITS, out], official,
                               "tensorflowjs")  # fmt: skip

    def big(self) -> Iterator[Row]:
        """Yield the rows of a big model, beside ``cp`` and plain numpy."""
        source, out = str(self.work / "big.h5"), str(self.work / "out")
        subprocess.run([sys.executable, "-c", BIG, source, str(self.megabytes)], check=True)
        convert, copy = [*OURS, source, out], ["cp", source, out]
        size = f"{self.megabytes} MB of HDF5"
        yield self.compare(f"{size} to tfjs", convert, copy, "`cp`")
        yield self.compare(f"{size} to a SavedModel, with checksums",
                           [*convert, "--to", "savedmodel"], copy, "`cp`")  # fmt: skip
        yield self.compare(f"{size} to uint8", [*convert, "--quantize-uint8"],
                           [sys.executable, "-c", PLAIN, source, out], "plain numpy")  # fmt: skip
        Path(source).unlink()

    def batches(self) -> Iterator[Row]:
        """Yield the row of many small models: those that are converted a second."""
        with zipfile.ZipFile(ROOT / "fixtures" / "programs.zip") as archive:
            names = sorted(name for name in archive.namelist() if name.endswith(".keras"))
            archive.extractall(self.work / "many", names[: self.batch])
        many = [str(self.work / "many" / "**" / "*.keras"), "--out", str(self.work / "site")]
        batch = [sys.executable, "-m", "tfjs_codec", "batch", *many, "--to", "auto", "--quiet"]
        ours = len(names[: self.batch]) / _seconds([batch])
        beside, ratio = "", ""
        if self.converter:
            official = [self.converter, "--input_format=keras", DIGITS, str(self.work / "out")]
            theirs = self.runs / _seconds([official] * self.runs)
            beside = f"tensorflowjs, each a process: {theirs:.2f} a second"
            ratio = f"{ours / theirs:.0f} times as many"
        yield Row(f"a batch of {self.batch} small models", f"{ours:.0f} a second", beside, ratio)

    # -------------------------------------------------------------- quantisation and predictions

    def quantised(self) -> str:
        """Return the table of what storing weights as uint8 does to trained models."""
        import quantization

        draws = 1 if self.only else 15
        table = quantization.write_table(draws, time=False, only="conv" if self.only else "")
        return (
            "The trained models of `fixtures/quantized` as uint8, beside the same with everything\n"
            "rounded, as the official converter does: medians over a model and copies of it with\n"
            f"noise, {draws} in all. `tests/bench/quantization.py` says what is measured.\n\n"
            + "\n".join(table)
        )

    def predictions(self) -> str:
        """Return the table of predictions in tfjs on wasm."""
        folder = self._made("models", "target_models.py", self.only)
        command = [sys.executable, str(HERE / "targets.py"), str(folder), "--only", self.only]
        if self.converter:
            command += ["--official", self.converter]
        return (
            "Median (minimum) milliseconds of processor time for a prediction of a Keras 3 model\n"
            "in TensorFlow.js 4.22, one thread, the forms in turns (`tests/bench/targets.py`). A\n"
            "dash: it does not convert, does not run, or was not tried.\n\n" + _output(command)
        )

    def graphs(self) -> str:
        """Return the table of graphs of SavedModels beside those of the official converter."""
        if not self.official:
            raise LackingError("--official")
        folder = self._made("graphs", "graph_models.py")
        command = [sys.executable, str(HERE / "graphs.py"), "--work", str(folder),
                   "--tensorflow", str(self.tensorflow or ""),
                   "--official", str(self.official / "bin" / "python"),
                   "--rounds", "3" if self.only else "20"]  # fmt: skip
        return (
            "Nodes, and milliseconds of a prediction on the wasm backend, on the cpu backend\n"
            "where the official model fails on wasm (`tests/bench/graphs.py`).\n\n"
            + _output(command)
        )

    def _made(self, name: str, script: str, *words: str) -> Path:
        """Return the folder of models called *name*, which *script* makes if there is none."""
        folder = self.models / name
        if not folder.exists():
            if not self.tensorflow:
                raise LackingError("--tensorflow, or --models that were made")
            part = self.models / f"{name}.part"
            part.mkdir(parents=True, exist_ok=True)
            _output([str(self.tensorflow), str(HERE / script), str(part), *words])
            part.rename(folder)
        return folder


PARTS: dict[str, Callable[[Bench], str]] = {
    "Conversions": Bench.conversions,
    "Quantised weights": Bench.quantised,
    "Predictions in the page": Bench.predictions,
    "Graphs of SavedModels": Bench.graphs,
}


def _table(rows: list[Row]) -> str:
    return "\n".join([HEAD, *(f"| {' | '.join(row)} |" for row in rows)])


def _output(command: list[str]) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr[-2000:]}")
    return done.stdout.strip()


def _seconds(commands: list[list[str]]) -> float:
    start = time.perf_counter()
    for command in commands:  # a batch in which a model is refused fails
        subprocess.run(command, check=False, capture_output=True)
    return time.perf_counter() - start


def describe_machine() -> str:
    """Return the processor and the versions."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{len(names)} cores ({names[0]}), {platform.system()}, "
        f"Python {platform.python_version()}, {packages}"
    )


def read_parts(page: Path | None) -> dict[str, str]:
    """Return the parts of the page by their titles."""
    text = page.read_text(encoding="utf-8") if page and page.exists() else ""
    found = re.findall(r"^## (.+?)\n\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return {title: part.strip() for title, part in found}


def quote(table: str, readme: str) -> str:
    """Return *readme* with the milliseconds of *table* in its row of predictions."""
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    times = {cells[0]: [cell.partition(" ")[0] for cell in cells[1:3]] for cells in rows}
    quoted = [times.get(name) for name in QUOTED]
    if not all(quoted):
        return readme
    cells = (" / ".join(f"{float(row[k]):.0f}" for row in quoted if row) for k in (0, 1))
    return re.sub(
        r"^(\| prediction on wasm: .*?) \| .* ms \| .* ms \|$",
        lambda found: f"{found[1]} | {' ms | '.join(cells)} ms |",
        readme,
        count=1,
        flags=re.MULTILINE,
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--official", type=Path)
    parser.add_argument("--tensorflow", type=Path)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--directory", type=Path, help="for what is large, and removed at the end")
    parser.add_argument("--page", type=Path)
    parser.add_argument("--only", default="", help="parts whose title has this word")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    parts, failed = read_parts(given.page), []
    day = f"{datetime.now(timezone.utc):%Y-%m-%d}"
    with tempfile.TemporaryDirectory(dir=given.directory) as name:
        bench = Bench(
            work=Path(name), official=given.official, tensorflow=given.tensorflow,
            models=given.models or Path(name, "models"),
            megabytes=16 if given.quick else given.megabytes,
            runs=1 if given.quick else given.runs, batch=10 if given.quick else 500,
            only="GroupNormalization" if given.quick else "",
        )  # fmt: skip
        for title, part in PARTS.items():
            if given.only.lower() not in title.lower():
                continue
            start = time.perf_counter()
            try:
                parts[title] = f"{part(bench)}\n\nMeasured on {day}: {describe_machine()}."
            except LackingError as error:
                print(f"{title}: left out, needs {error}", file=sys.stderr)
                continue
            except Exception:  # noqa: BLE001  the others are measured all the same
                failed.append(title)
                traceback.print_exc()
            print(f"{title}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    text = [
        "# Figures", "",
        "Written by `python tests/bench/figures.py`. Conversions are whole processes in turns,",
        "medians; memory is their peak; ratios are taken pair by pair (lowest to highest).",
    ]  # fmt: skip
    for title in PARTS:
        if title in parts:
            text += ["", f"## {title}", "", parts[title]]
    page = "\n".join(text) + "\n"
    if given.page:
        given.page.write_text(page, encoding="utf-8")
        readme = ROOT / "README.md"
        table = parts.get("Predictions in the page", "")
        readme.write_text(quote(table, readme.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(page)
    if failed:
        print(f"not measured: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
