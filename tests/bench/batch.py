"""Models a second of a batch of 500 small models, what of it is the driver's, and memory.

    python tests/bench/batch.py [--models N] [--rounds N] [--official tensorflowjs_converter]

Compares 1 and 2 processes with one process for each model (``tfjs-codec convert``), and with the
official converter, which is given HDF5 files; prints a table in Markdown. Rounds of 1 and 2
processes take turns, and the best of each counts. Start-up is left out of the batches' rates.

The driver runs beside its workers. So one worker leaves it the other processor, two do not; and
what two processes gain at all on a busy machine says the last line: a loop in two processes at a
time, against one.
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
from typing import NamedTuple

import tfjs_codec

ROOT = Path(__file__).parents[2]
_ALONE = 20  # models that get a process of their own
_OFFICIAL = 5
_MIB = 1 << 20
_LOOP = "for _ in range(10_000_000): pass"


class Batch(NamedTuple):
    """What a batch took a model: seconds, and those of the processor in driver and workers."""

    seconds: float
    driver: float
    workers: float


def main() -> None:
    """Measure, and print a line for each way."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--official", help="the official converter")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tfjs-codec-bench-"))
    try:
        _measure(folder, arguments.models, arguments.rounds, arguments.official)
    finally:
        shutil.rmtree(folder)


def _measure(folder: Path, count: int, rounds: int, official: str | None) -> None:
    with zipfile.ZipFile(ROOT / "fixtures" / "programs.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".keras"))[:count]
        archive.extractall(folder / "models", names)
    models = [folder / "models" / name for name in names]
    found: dict[int, list[Batch]] = {1: [], 2: []}
    loops = []
    for _ in range(rounds):
        for jobs, batches in found.items():
            batches.append(_batch(folder / "out", models, jobs))
            shutil.rmtree(folder / "out")
        loops.append(2 * _loop(1) / _loop(2))
    print("| way | models a second | processor, driver | processor, worker |")
    print("| --- | ---: | ---: | ---: |")
    for jobs, batches in found.items():
        seconds, driver, workers = map(min, zip(*batches, strict=True))
        print(f"| `batch`, {jobs} processes | {1 / seconds:.0f} | {driver * 1e3:.2f} ms | "
              f"{workers * 1e3:.2f} ms |")  # fmt: skip
    ours = [sys.executable, "-m", "tfjs_codec", "convert", "--to", "auto", "--quiet"]
    _apart("`tfjs-codec convert`, a process for each", [
        [*ours, str(model), str(folder / "alone" / model.stem)] for model in models[:_ALONE]
    ])  # fmt: skip
    if official:
        digits = str(ROOT / "fixtures" / "digits" / "digits.h5")
        _apart("official converter, a process for each", [
            [official, "--input_format", "keras", digits, str(folder / "official" / str(number))]
            for number in range(_OFFICIAL)
        ])  # fmt: skip
    print(f"a loop in two processes: {max(loops):.2f} times as much as in one")


def _loop(count: int) -> float:
    """Return the seconds that *count* processes with a loop take together."""
    start = time.perf_counter()
    running = [subprocess.Popen([sys.executable, "-c", _LOOP]) for _ in range(count)]
    for process in running:
        process.wait()
    return time.perf_counter() - start


def _apart(name: str, commands: list[list[str]]) -> None:
    start, spent = time.perf_counter(), _spent()
    for command in commands:
        subprocess.run(command, check=False, capture_output=True)
    whole = time.perf_counter() - start
    spent = (_spent() - spent) / len(commands)
    print(f"| {name} | {len(commands) / whole:.2f} | | {spent * 1e3:.0f} ms |")


def _batch(out: Path, models: list[Path], jobs: int) -> Batch:
    memory: dict[int, list[int]] = defaultdict(list)
    told: list[tuple[float, float, float]] = []  # seconds; of the processor: driver, workers

    def look(done: int, total: int) -> None:
        pids = _children() if not told or done == total or done % 50 == 0 else []
        for pid in pids:
            memory[pid].append(_rss(pid))
        told.append((time.perf_counter(), time.process_time(), sum(map(_processor, pids))))

    done = tfjs_codec.batch(models, out, jobs=jobs, to="auto", progress=look)
    for sizes in memory.values():
        if max(sizes) > 40 * _MIB:
            shown = ", ".join(f"{size / _MIB:.0f}" for size in sizes)
            print(f"{jobs} processes, {len(done.failed)} refused: a worker's RSS {shown} MiB")
    return Batch(*((last - first) / len(models)
                   for first, last in zip(told[0], told[-1], strict=True)))  # fmt: skip


def _processor(pid: int) -> float:
    """Return the processor seconds of the process *pid* so far."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


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
