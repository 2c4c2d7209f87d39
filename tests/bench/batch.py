"""Models a second of a batch of 500 small models, and what a worker's memory does meanwhile.

    python tests/bench/batch.py [--models N] [--official PATH_OF_tensorflowjs_converter]

Compares 1 and 2 processes with one process for each model (``tfjs-codec convert``), and with the
official converter, which is given HDF5 files. The rate in the worker leaves out start-up and the
driver: models / seconds that the conversions took.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import defaultdict
from pathlib import Path

import tfjs_codec

ROOT = Path(__file__).parents[2]
_ALONE = 20  # models that get a process of their own
_OFFICIAL = 5
_MIB = 1 << 20


def main() -> None:
    """Measure, and print a line for each way."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", type=int, default=500)
    parser.add_argument("--official", help="the official converter")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tfjs-codec-bench-"))
    try:
        _measure(folder, arguments.models, arguments.official)
    finally:
        shutil.rmtree(folder)


def _measure(folder: Path, count: int, official: str | None) -> None:
    with zipfile.ZipFile(ROOT / "fixtures" / "programs.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".keras"))[:count]
        archive.extractall(folder / "models", names)
    models = [folder / "models" / name for name in names]
    for jobs in (1, 2):
        _batch(folder, models, jobs)
    ours = [sys.executable, "-m", "tfjs_codec", "convert", "--to", "auto", "--quiet"]
    _apart("a process for each", [
        [*ours, str(model), str(folder / "alone" / model.stem)] for model in models[:_ALONE]
    ])  # fmt: skip
    if official:
        digits = str(ROOT / "fixtures" / "digits" / "digits.h5")
        _apart("official converter, a process for each", [
            [official, "--input_format", "keras", digits, str(folder / "official" / str(number))]
            for number in range(_OFFICIAL)
        ])  # fmt: skip


def _apart(name: str, commands: list[list[str]]) -> None:
    start, spent = time.perf_counter(), _spent()
    for command in commands:
        subprocess.run(command, check=False, capture_output=True)
    whole = time.perf_counter() - start
    spent = _spent() - spent
    print(f"{name}: {len(commands) / whole:.3f} models/s, {len(commands) / spent:.3f} a second of "
          "the processor")  # fmt: skip


def _batch(folder: Path, models: list[Path], jobs: int) -> None:
    memory: dict[int, list[int]] = defaultdict(list)
    started: list[float] = []

    def look(done: int, _: int) -> None:
        started.append(time.perf_counter())
        for pid in _children():
            memory[pid].append(_rss(pid))

    start, spent = time.perf_counter(), _spent()
    done = tfjs_codec.batch(models, folder / f"out{jobs}", jobs=jobs, to="auto", progress=look)
    spent = _spent() - spent
    whole = time.perf_counter() - start
    worked = sum(one.seconds for one in done.results)
    steady = (len(models) - 1) / (started[-1] - started[0])
    print(
        f"{jobs} processes: {len(models) / whole:.1f} models/s, after the first {steady:.1f}; "
        f"in the worker {len(models) / worked:.1f} a process; {len(models) / spent:.1f} a second "
        f"of the processor, start-up and driver included; {len(done.failed)} refused"
    )
    for pid, sizes in memory.items():
        parts = [sizes[len(sizes) * part // 5] / _MIB for part in range(1, 5)]
        shown = ", ".join(f"{size:.0f}" for size in [*parts, sizes[-1] / _MIB])
        if max(sizes) > 40 * _MIB:
            print(f"  worker {pid}: RSS {shown} MiB at 20, 40, 60, 80, 100 %")


def _spent() -> float:
    """Return the processor seconds of this process and of all its children that ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _children() -> list[int]:
    listed = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return list(map(int, listed))


def _rss(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


if __name__ == "__main__":
    main()
