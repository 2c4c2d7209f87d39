"""Measure conversions as whole processes, in pairs: ours, then what it is compared with.

    python tests/bench/convert.py [--megabytes 1024] [--runs 5] [--official PATH] [--directory DIR]

Prints medians of seconds (wall and processor), the ratio pair by pair, and the peak of resident
memory. ``--official`` is the official ``tensorflowjs_converter``, for a small conversion.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
OURS = [sys.executable, "-m", "tfjs_codec", "convert", "--quiet"]

# A model with one contiguous kernel of random values. A process of its own, like all that needs
# much memory: what this process has, its children have at their start.
BIG = """
import json, sys, h5py, numpy as np
path, rows = sys.argv[1], int(sys.argv[2]) << 8
config = {"name": "d", "units": 1024, "use_bias": False, "batch_input_shape": [None, rows]}
layers = [{"class_name": "Dense", "config": config}]
model = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}
rng = np.random.default_rng(0)
with h5py.File(path, "w") as file:
    file.attrs["model_config"] = json.dumps(model)
    file.attrs["keras_version"] = "2.15.0"
    group = file.create_group("model_weights/d")
    file["model_weights"].attrs["layer_names"] = [b"d"]
    group.attrs["weight_names"] = [b"d/kernel:0"]
    kernel = group.create_dataset("d/kernel:0", (rows, 1024), "f4")
    for start in range(0, rows, 1 << 14):
        part = kernel[start : start + (1 << 14)]
        kernel[start : start + (1 << 14)] = rng.standard_normal(part.shape, np.float32)
"""

# What somebody would write to quantise one tensor: the whole of it in numpy.
PLAIN = """
import sys, h5py, numpy as np
x = h5py.File(sys.argv[1])["model_weights/d/d/kernel:0"][:]
low, high = float(x.min()), float(x.max())
scale = (high - low) / 255
np.round((x.astype(np.float64) - low) / scale).astype(np.uint8).tofile(sys.argv[2])
"""


def run(command: list[str], output: Path) -> tuple[float, float, int]:
    """Return wall seconds, processor seconds and peak bytes of *command*; *output* is removed."""
    subprocess.run(["rm", "-rf", str(output)], check=True)
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"failed: {' '.join(command)}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10


def measure(
    ours: list[str], theirs: list[str], output: Path, runs: int
) -> list[tuple[tuple[float, float, int], tuple[float, float, int]]]:
    """Run both *runs* times in turn, after one run of each that does not count; see :func:`run`."""
    return [(run(ours, output), run(theirs, output)) for _ in range(runs + 1)][1:]


def pair(title: str, ours: list[str], theirs: list[str], output: Path, runs: int) -> None:
    """Measure both, and print medians and ratios."""
    both = measure(ours, theirs, output, runs)
    print(f"{title}:")
    for index, name in enumerate(("ours", "other")):
        wall, cpu, peak = (statistics.median(p[index][k] for p in both) for k in range(3))
        print(f"  {name:6} {wall:8.3f} s  processor {cpu:8.3f} s  peak {int(peak) >> 20} MiB")
    for number, name in enumerate(("wall", "processor")):
        ratios = sorted(a[number] / max(b[number], 1e-9) for a, b in both)
        low, high = ratios[0], ratios[-1]
        print(f"  ratio of {name}: {statistics.median(ratios):.2f} ({low:.2f} to {high:.2f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--official", type=Path)
    parser.add_argument("--directory", type=Path)
    options = parser.parse_args()
    python, runs = sys.executable, options.runs
    with tempfile.TemporaryDirectory(dir=options.directory) as name:
        work = Path(name)
        big, out = str(work / "big.h5"), str(work / "out")
        small = str(ROOT / "fixtures" / "digits" / "digits.h5")
        nothing = [python, "-c", "pass"]
        libraries = [python, "-c", "import numpy, h5py"]
        imported = [python, "-c", "import tfjs_codec"]
        version = [python, "-m", "tfjs_codec", "--version"]
        pair("import tfjs_codec, and a bare Python", imported, nothing, work / "out", runs)
        pair("--version, and a bare Python", version, nothing, work / "out", runs)
        pair("a small model, and import numpy, h5py", [*OURS, small, out], libraries, work / "out",
             runs)  # fmt: skip
        if options.official:
            theirs = [str(options.official), "--input_format=keras", small, out]
            pair("a small model, and the official converter", [*OURS, small, out], theirs,
                 work / "out", min(runs, 3))  # fmt: skip
        subprocess.run([python, "-c", BIG, big, str(options.megabytes)], check=True)
        pair(f"{options.megabytes} MB, and cp", [*OURS, big, out], ["cp", big, out],
             work / "out", runs)  # fmt: skip
        saved = [*OURS, big, out, "--to", "savedmodel"]
        pair(f"{options.megabytes} MB to a SavedModel, with checksums, and cp", saved,
             ["cp", big, out], work / "out", runs)  # fmt: skip
        quantised = [*OURS, big, out, "--quantize-uint8"]
        pair(f"{options.megabytes} MB to uint8, and plain numpy", quantised,
             [python, "-c", PLAIN, big, out], work / "out", runs)  # fmt: skip


if __name__ == "__main__":
    main()
