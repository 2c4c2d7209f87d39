"""How fast the variables of a large checkpoint are read, with and without their checksums.

    python tests/bench/bundle.py [--bytes 1G] [--rounds 7] [--directory DIR]

A bundle is made in DIR (a temporary directory; it needs twice the size). In every round, one
after the other, so that the machine's moods hit all alike: ``cp`` copies its data file, and we
stream all variables to a file of the same size, with checksums and without. Printed are the
medians of wall-clock and processor seconds, of the rounds' ratios to ``cp``, and our peak memory.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from bundle_files import write_bundle

from tfjs_codec.files.tensor_bundle import open_bundle
from tfjs_codec.options import parse_size

TENSOR_BYTES = 16 << 20
CHUNK_BYTES = 1 << 20


def tensors(total_bytes: int) -> Iterator[tuple[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    for number in range(max(1, total_bytes // TENSOR_BYTES)):
        yield f"v{number:06}", rng.standard_normal(TENSOR_BYTES // 4, np.float32)


def stream(prefix: Path, output: Path, *, verify: bool) -> None:
    with output.open("wb", buffering=0) as file:
        for tensor in open_bundle(prefix, verify=verify).values():
            for chunk in tensor.chunks(CHUNK_BYTES):
                file.write(memoryview(chunk))


def seconds(action: Callable[[], object], output: Path) -> tuple[float, float]:
    """Wall-clock and processor seconds (children's included) of *action*."""
    output.unlink(missing_ok=True)
    wall, processor = time.perf_counter(), sum(os.times()[:4])
    action()
    return time.perf_counter() - wall, sum(os.times()[:4]) - processor


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux counts in KiB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bytes", type=parse_size, default=1 << 30)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--directory")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        prefix, output = Path(directory, "ckpt"), Path(directory, "output")
        write_bundle(prefix, tensors(options.bytes))
        shard = prefix.with_name("ckpt.data-00000-of-00001")
        size, before = shard.stat().st_size, peak_mib()
        actions: dict[str, Callable[[], object]] = {
            "cp": lambda: subprocess.run(["cp", shard, output], check=True),
            "with checksums": lambda: stream(prefix, output, verify=True),
            "without": lambda: stream(prefix, output, verify=False),
        }
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in actions}
        for _ in range(options.rounds):
            for name, action in actions.items():
                times[name].append(seconds(action, output))
    print(f"{size / 1e9:.2f} GB, {options.rounds} rounds")
    for name, taken in times.items():
        ratio = median(ours[0] / cp[0] for ours, cp in zip(taken, times["cp"], strict=True))
        wall, processor = (median(column) for column in zip(*taken, strict=True))
        print(
            f"{name:15} {wall:5.2f} s ({processor:.2f} s of a processor), "
            f"{size / wall / 1e9:.2f} GB/s, {ratio:.2f} x cp"
        )
    print(f"peak memory {peak_mib():.0f} MiB, {peak_mib() - before:.0f} MiB of it for reading")


if __name__ == "__main__":
    main()
