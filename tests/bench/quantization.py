"""Compare ways to quantise the trained models of ``fixtures/quantized``.

    python tests/bench/quantization.py [--dtype uint8] [--time] [--only WORD]

Prints a row for each way: agreement with the recorded predictions, their KL divergence, bytes of
weights, of all files with gzip, and with ``--time`` the median milliseconds of a prediction for 50
inputs on wasm in Node (processor time, in turns). ``official`` rounds everything, with the official
converter's arithmetic; ``kernels`` is our choice of weights without rescaling, ``ours`` with it;
``auto`` has ``max_error=0.006``.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from targets import in_node

import tfjs_codec

FOLDER = Path(__file__).parents[2] / "fixtures" / "quantized"
MODELS = (("conv", "layers"), ("conv", "graph"), ("lstm", "layers"), ("lstm", "graph"),
          ("transformer", "graph"))  # fmt: skip


def ways(dtype: str) -> dict[str, dict[str, Any]]:
    """Return the options of each way."""
    return {
        "float32": {},
        "official": {"quantize": {dtype: "*"}},
        "kernels": {"quantize": {dtype: True}, "rescale": False},
        "ours": {"quantize": {dtype: True}},
        "auto": {"quantize": {"auto": True}, "max_error": 0.006},
    }


def measure(name: str, to: Any, dtype: str, folder: Path) -> dict[str, Any]:
    """Return by way the report of a conversion of the model *name* into *folder*."""
    with np.load(FOLDER / "io.npz") as arrays:
        given, expected = arrays[f"{name}/in"], arrays[f"{name}/out"]
    np.savez(folder / "io.npz", in0=given, out0=expected)
    return {
        way: tfjs_codec.convert(
            FOLDER / f"{name}.keras", folder / way, to=to, calibrate=folder / "io.npz", **options
        )
        for way, options in ways(dtype).items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dtype", default="uint8")
    parser.add_argument("--time", action="store_true")
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    head = f"{'model':12} {'form':7} {'way':9} {'agree':>7} {'KL':>9} {'weights':>8} {'gzip':>7}"
    print(head + ("      ms" if arguments.time else ""))
    for name, to in MODELS:
        if arguments.only not in name:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            found = measure(name, to, arguments.dtype, Path(scratch))
            times = [""] * len(found)
            if arguments.time:
                forms = {way: Path(scratch, way) for way in found}
                rows = in_node(forms, "wasm")
                times = [f" {statistics.median(row):7.3f}" if row else " -" for row in rows]
            for (way, report), ms in zip(found.items(), times, strict=True):
                (row,) = report.calibration
                gzip = f"{report.gzip_nbytes:7,}" if report.gzip_nbytes else f"{'':7}"
                print(f"{name:12} {to:7} {way:9} {row[2]:7.2%} {row[5]:9.2e} "
                      f"{report.weight_nbytes:8,} {gzip}{ms}")  # fmt: skip
                sys.stdout.flush()


if __name__ == "__main__":
    main()
