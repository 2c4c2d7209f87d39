"""Measure the start and small work as whole processes, in pairs: ours, then what it needs anyway.

    python tests/bench/start.py [--runs 15] [--model FILE]

Prints the median of seconds (wall and processor) of both, and of the differences and ratios pair by
pair. Without ``--model`` a model of MobileNetV2's size is made: 52 convolutions, each with a batch
normalisation, and a Dense, which are 262 tensors. The second process of a pair only imports what
the first cannot do without.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from convert import measure

OURS = [sys.executable, "-m", "tfjs_codec"]
PYTHON = [sys.executable, "-c", "pass"]
LIBRARIES = [sys.executable, "-c", "import numpy, h5py"]

# A process of its own, so that this one stays small: see convert.py.
MODEL = """
import json, sys, h5py, numpy as np
layers, weights = [], {}
def layer(kind, name, tensors, **config):
    layers.append({"class_name": kind, "config": {"name": name, **config}})
    weights[name] = {f"{name}/{key}:0": np.ones(shape, "f4") for key, shape in tensors.items()}
size = {"batch_input_shape": [None, 32, 32, 8]}
for n in range(52):
    layer("Conv2D", f"conv_{n}", {"kernel": (3, 3, 8, 8)}, filters=8, kernel_size=[3, 3],
          padding="same", use_bias=False, **(size if not n else {}))
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    layer("BatchNormalization", f"bn_{n}", dict.fromkeys(names, (8,)), axis=[3])
    layer("ReLU", f"relu_{n}", {}, max_value=6.0)
layer("GlobalAveragePooling2D", "pool", {})
layer("Dense", "dense", {"kernel": (8, 10), "bias": (10,)}, units=10)
with h5py.File(sys.argv[1], "w") as file:
    model = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}
    file.attrs["model_config"], file.attrs["keras_version"] = json.dumps(model), "2.15.0"
    group = file.create_group("model_weights")
    group.attrs["layer_names"] = [name.encode() for name in weights]
    for name, tensors in weights.items():
        inner = group.create_group(name)
        inner.attrs["weight_names"] = [key.encode() for key in tensors]
        for key, values in tensors.items():
            inner[key] = values
"""


def compare(title: str, ours: list[str], theirs: list[str], output: Path, runs: int) -> None:
    """Measure both, and print medians, differences and ratios."""
    both = measure(ours, theirs, output, runs)
    print(f"{title}:")
    for k, name in enumerate(("wall", "processor")):
        a, b = (statistics.median(pair[i][k] for pair in both) * 1e3 for i in (0, 1))
        more = statistics.median(x[k] - y[k] for x, y in both) * 1e3
        ratio = statistics.median(x[k] / y[k] for x, y in both)
        print(f"  {name:9} {a:5.0f} ms, {b:5.0f} ms; {more:5.0f} ms above, ratio {ratio:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        model = options.model or work / "model.h5"
        if not options.model:
            subprocess.run([sys.executable, "-c", MODEL, str(model)], check=True)
        command = [*OURS, "convert", "--quiet", str(model)]
        subprocess.run([*command, str(work / "web")], check=True)
        inspected = [*OURS, "inspect", str(work / "web" / "model.json")]
        out = work / "out"
        compare("--version, and Python", [*OURS, "--version"], PYTHON, out, options.runs)
        compare("inspect model.json, and Python", inspected, PYTHON, out, options.runs)
        compare(f"convert {model.name}, and import numpy, h5py", [*command, str(out)], LIBRARIES,
                out, options.runs)  # fmt: skip


if __name__ == "__main__":
    main()
