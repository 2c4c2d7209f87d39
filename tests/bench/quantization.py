"""Compare ways to quantise the trained models of ``fixtures/quantized``.

    python tests/bench/quantization.py [--draws 15] [--time] [--only WORD]

Prints a row of a Markdown table for each way to store a model as ``uint8``: agreement with the
predictions of the model as it is, Kullback-Leibler divergence from them and its ratio to that of
the official converter, bytes of weights, of all files with gzip, and with ``--time`` the least
milliseconds of a prediction for 50 inputs on wasm in Node (processor time, in turns).

Predictions are compared for 100 inputs that neither the training nor the calibration has seen. How
the errors of one rounding add up is chance: between models that predict nearly the same the
divergence of a way differs by a factor of three. So each number is the median over a number of
draws: the model, and copies whose kernels have random noise of half a step of ``uint8``.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
from collections.abc import Iterator, Mapping
from datetime import date
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from targets import in_node

import tfjs_codec
from tfjs_codec.files.memory import MemoryStage
from tfjs_codec.ir.tensors import Array, ArrayTensor
from tfjs_codec.options import ConvertOptions
from tfjs_codec.quantization.kernels import find_kernels
from tfjs_codec.quantization.prepare import change_weights
from tfjs_codec.readers import open_model
from tfjs_codec.verification.calibration import compare
from tfjs_codec.writers import tfjs_json
from tfjs_codec.writers.quantize_choice import Choice

TESTS = Path(__file__).parents[1]
FOLDER = TESTS.parent / "fixtures" / "quantized"
MODELS = (("conv", "layers"), ("conv", "graph"), ("lstm", "layers"), ("lstm", "graph"),
          ("transformer", "graph"))  # fmt: skip
KERNELS = {"quantize": {"uint8": True}}
OFFICIAL = "everything, as the official converter"
WAYS: dict[str, dict[str, Any]] = {
    OFFICIAL: {"quantize": {"uint8": "*"}},
    "kernels, `--no-rescale`": {**KERNELS, "rescale": False},
    "kernels: the default": KERNELS,
    "the default, `--calibrate`": {**KERNELS, "calibrate": True},
    "`auto`, `--max-bytes` of the official": {"quantize": {"auto": True}, "max_bytes": True},
    "the same, `--calibrate`": {
        "quantize": {"auto": True},
        "max_bytes": True,
        "calibrate": True,
    },
    "`auto`, `--max-error 0.006`": {"quantize": {"auto": True}, "max_error": 0.006},
}
_TIMINGS = 5  # processes
HEAD = ("model", "way", "agreement", "KL divergence", "ratio", "weights", "with gzip")


class Row(NamedTuple):
    """What a way makes of a model: medians over the draws, bytes of the model itself."""

    way: str
    agreement: float
    divergence: float
    nbytes: int
    gzip_nbytes: int
    milliseconds: float | None


class Draw(NamedTuple):
    """A model, and what it predicts."""

    files: dict[str, bytes]
    outputs: Array


class Samples(NamedTuple):
    """Inputs to calibrate for, and others to compare predictions for."""

    calibration: Path
    inputs: Array


def measure(name: str, to: Any, draws: int, *, time: bool) -> list[Row]:
    """Return a row for each way to store the model *name*."""
    with tempfile.TemporaryDirectory() as scratch:
        samples = _read(name, Path(scratch))
        plain = tfjs_codec.to_files(FOLDER / f"{name}.keras", to=to)
        models = [plain, *(add_noise(plain, seed) for seed in range(1, draws))]
        drawn = [Draw(files, _predict(files, samples)) for files in models]
        rows = list(_measure(drawn, samples, Path(scratch)))
        if time:
            forms = {row.way: Path(scratch, str(number)) for number, row in enumerate(rows)}
            times = map(chain, *(in_node(forms, "wasm") for _ in range(_TIMINGS)))
            rows = [
                row._replace(milliseconds=min(each)) for row, each in zip(rows, times, strict=True)
            ]
        return rows


def add_noise(files: dict[str, bytes], seed: int) -> dict[str, bytes]:
    """Return the model with noise on its kernels, of up to half a step in 255."""
    random, options, stage = np.random.default_rng(seed), ConvertOptions(), MemoryStage()
    with open_model(files, options) as model:
        changed = {}
        for name in sorted(find_kernels(model)):
            values = model.named_weights()[name].numpy()
            noise = random.uniform(-0.5, 0.5, values.shape) * np.ptp(values) / 255
            changed[name] = ArrayTensor(name, (values + noise).astype(np.float32))
        written = change_weights(model, changed)
        tfjs_json.write(written, tfjs_json.plan(written, options, Choice({})), stage)
    return stage.files()


def _read(name: str, folder: Path) -> Samples:
    with np.load(FOLDER / "io.npz") as arrays:
        inputs = arrays[f"{name}/in"]
    np.savez(folder / "io.npz", in0=inputs[:100])
    return Samples(folder / "io.npz", inputs[100:])


def _measure(draws: list[Draw], samples: Samples, folder: Path) -> Iterator[Row]:
    limit = 0
    for number, (way, options) in enumerate(WAYS.items()):
        choices = _fill(options, samples, limit)
        report = tfjs_codec.convert(draws[0].files, folder / str(number), **choices)
        found = [
            compare("", _predict(tfjs_codec.to_files(draw.files, **choices), samples), draw.outputs)
            for draw in draws
        ]
        limit = limit or report.weight_nbytes
        agreement = median(each.agreement or 0 for each in found)
        divergence = median(each.divergence or 0 for each in found)
        yield Row(way, agreement, divergence, report.weight_nbytes, report.gzip_nbytes, None)


def _fill(options: Mapping[str, Any], samples: Samples, limit: int) -> dict[str, Any]:
    values = {"calibrate": samples.calibration, "max_bytes": limit}
    return {key: values.get(key, value) for key, value in options.items()}


def _predict(files: dict[str, bytes], samples: Samples) -> Array:
    with tfjs_codec.load(files) as model:
        return np.asarray(model.predict(samples.inputs))


def write_table(draws: int, *, time: bool, only: str = "") -> Iterator[str]:
    """Yield the lines of the table."""
    head = (*HEAD, "ms") if time else HEAD
    yield f"| {' | '.join(head)} |"
    yield f"| --- | --- |{' ---: |' * (len(head) - 2)}"
    for name, to in MODELS:
        if only not in name:
            continue
        rows = measure(name, to, draws, time=time)
        for number, row in enumerate(rows):
            cells = [
                "" if number else f"{name}, {to}",
                row.way,
                f"{row.agreement:.1%}",
                f"{row.divergence:.1e}",
                f"{row.divergence / rows[0].divergence:.2f}",
                f"{row.nbytes:,}",
                f"{row.gzip_nbytes:,}",
                f"{row.milliseconds:.2f}" if row.milliseconds is not None else "",
            ]
            yield f"| {' | '.join(cells[: len(head)])} |"


def describe() -> str:
    """Return when and where this is measured."""
    return f"{date.today()}, {platform.machine()}, Python {platform.python_version()}"  # noqa: DTZ011


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=15)
    parser.add_argument("--time", action="store_true")
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    print(f"{describe()}, {arguments.draws} draws\n")
    for line in write_table(arguments.draws, time=arguments.time, only=arguments.only):
        print(line, flush=True)


if __name__ == "__main__":
    main()
