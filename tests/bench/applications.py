"""Measure conversions of whole networks, as processes in turn with ones that only import.

    python tests/bench/applications.py --make FOLDER           # with Keras 3: random weights
    python tests/bench/applications.py FOLDER [--to graph] [--runs 9] [--only WORD]

Prints for each ``FOLDER/*.keras`` the median of milliseconds of processor time that its conversion
takes above a process that imports the same modules, and above one that imports numpy and h5py.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from convert import run

# One network of each family of keras.applications, and the size of its images.
FAMILIES = {
    "Xception": 71, "VGG16": 32, "ResNet50": 32, "ResNet50V2": 32, "InceptionV3": 75,
    "InceptionResNetV2": 75, "MobileNet": 32, "MobileNetV2": 32, "MobileNetV3Small": 32,
    "DenseNet121": 32, "NASNetMobile": 32, "EfficientNetB0": 32, "EfficientNetV2B0": 32,
    "ConvNeXtTiny": 32, "ResNet101": 32,
}  # fmt: skip

# As the command line does: objects are not looked at again and again, nor at the end.
LIKE_OURS = "import atexit, gc; gc.disable(); atexit.register(gc.freeze); "

# Converts a model, then prints the modules that it has imported.
CONVERT = """
import sys
from tfjs_codec.cli.main import main
try:
    main(sys.argv[1:])
finally:
    print(*(name for name, module in sys.modules.items() if getattr(module, "__spec__", None)))
"""


def make(folder: Path) -> None:
    """Save the networks and the models of ``target_models.py``."""
    import keras
    from target_models import MODELS

    folder.mkdir(exist_ok=True)
    for name, size in FAMILIES.items():
        network = getattr(keras.applications, name)
        network(weights=None, classes=7, input_shape=(size, size, 3)).save(folder / f"{name}.keras")
    for name in MODELS.keys() - FAMILIES.keys():
        MODELS[name]().save(folder / f"{name}.keras")


def measure(folder: Path, to: str, runs: int, only: str) -> None:
    """Print a row for each model."""
    print(
        f"| --to {to} | ms above the same imports | above numpy and h5py |\n| --- | ---: | ---: |"
    )
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "out"
        for source in sorted(folder.glob("*.keras")):
            if only not in source.stem:
                continue
            options = ["convert", "--quiet", str(source), str(out), "--to", to, "--force"]
            first = [sys.executable, "-c", CONVERT, *options]
            done = subprocess.run(first, check=True, capture_output=True, text=True)
            imports = "; ".join(f"import {name}" for name in done.stdout.split())
            commands = (
                [sys.executable, "-m", "tfjs_codec", *options],
                [sys.executable, "-c", LIKE_OURS + imports],
                [sys.executable, "-c", LIKE_OURS + "import numpy, h5py"],
            )
            turns = [[run(each, out)[1] * 1e3 for each in commands] for _ in range(runs)]
            above = [statistics.median(turn[0] - turn[k] for turn in turns) for k in (1, 2)]
            print(f"| {source.stem} | {above[0]:.0f} | {above[1]:.0f} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--make", action="store_true")
    parser.add_argument("--to", default="graph")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    if given.make:
        make(given.folder)
    else:
        measure(given.folder, given.to, given.runs, given.only)
