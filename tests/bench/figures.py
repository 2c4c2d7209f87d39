"""Measure what the project promises, side by side, and write the page of figures.

    python tests/bench/figures.py [--official FOLDER] [--models FOLDER] [--megabytes 1024]
                                  [--runs 5] [--directory DIR] [--page docs/figures.md]

``--official`` is an environment that has ``tensorflowjs`` 4.22, ``--models`` what
``target_models.py`` made. Without them their columns and tables are left out. The commands of a row
take turns as whole processes; figures are medians. It takes minutes, on a machine that should have
nothing else to do.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime, timezone
from importlib.metadata import distribution, version
from pathlib import Path
from typing import NamedTuple

from convert import BIG, OURS, PLAIN, ROOT, measure
from start import LIBRARIES, MODEL, PYTHON

PACKAGES = ("tfjs_codec", "numpy", "h5py", "protobuf")


class Row(NamedTuple):
    """A line of the table: what is promised, ours, what it is compared with."""

    promise: str
    ours: str
    beside: str
    ratio: str


class Bench:
    """The measures of a machine; *work* is a directory with room for the big model twice."""

    def __init__(self, work: Path, runs: int, official: Path | None) -> None:
        self.work, self.runs, self.official = work, runs, official

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
        if self.official is None:
            return
        theirs = str(self.official / "bin" / "tensorflowjs_converter")
        small = str(ROOT / "fixtures" / "digits" / "digits.h5")
        yield self.compare("`--version`", [*ours, "--version"], [theirs, "--version"],
                           "tensorflowjs")  # fmt: skip
        official = [theirs, "--input_format=keras", small, out]
        yield self.compare("convert the digits classifier", [*OURS, small, out], official,
                           "tensorflowjs")  # fmt: skip

    def big(self, megabytes: int) -> Iterator[Row]:
        """Yield the rows of a big model, beside ``cp`` and plain numpy."""
        source, out = str(self.work / "big.h5"), str(self.work / "out")
        subprocess.run([sys.executable, "-c", BIG, source, str(megabytes)], check=True)
        convert, copy = [*OURS, source, out], ["cp", source, out]
        size = f"{megabytes} MB of HDF5"
        yield self.compare(f"{size} to tfjs", convert, copy, "`cp`")
        yield self.compare(f"{size} to a SavedModel, with checksums",
                           [*convert, "--to", "savedmodel"], copy, "`cp`")  # fmt: skip
        yield self.compare(f"{size} to uint8", [*convert, "--quantize-uint8"],
                           [sys.executable, "-c", PLAIN, source, out], "plain numpy")  # fmt: skip


def describe_machine() -> str:
    """Return the date, the processor and the versions."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{datetime.now(timezone.utc):%Y-%m-%d}, {len(names)} cores ({names[0]}), "
        f"{platform.system()}, Python {platform.python_version()}, {packages}."
    )


def time_models(folder: Path, official: Path | None) -> str:
    """Return the table of predictions in tfjs on wasm."""
    command = [sys.executable, str(ROOT / "tests/bench/targets.py"), str(folder)]
    if official:
        command += ["--official", str(official / "bin" / "tensorflowjs_converter")]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--official", type=Path)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--directory", type=Path)
    parser.add_argument("--page", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.directory) as name:
        bench = Bench(Path(name), given.runs, given.official)
        rows = [*bench.start(), *bench.big(given.megabytes)]
        rows.insert(0, bench.sizes())  # last: children start with the memory of this process
    text = [
        "# Figures", "", "Written by `python tests/bench/figures.py`. " + describe_machine(),
        "Whole processes in turns, medians; peak memory; ratios pair by pair (lowest to highest).",
        "", "| what | ours | beside | ratio |", "| --- | ---: | ---: | ---: |",
        *(f"| {' | '.join(row)} |" for row in rows), "",
    ]  # fmt: skip
    if given.models:
        text += [
            "## Predictions in the page", "",
            "Median (minimum) milliseconds of processor time for a prediction in TensorFlow.js",
            "4.22, one thread, the forms in turns. A dash: it does not convert, or does not run.",
            "", time_models(given.models, given.official),
        ]  # fmt: skip
    page = "\n".join(text)
    if given.page:
        given.page.write_text(page, encoding="utf-8")
    else:
        print(page)


if __name__ == "__main__":
    main()
