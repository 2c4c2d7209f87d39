"""``quantize={"auto": …}``: the smallest dtype within an error, or within a number of bytes."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

import tfjs_codec
from tfjs_codec.errors import UsageError
from tfjs_codec.ir.tensors import ArrayTensor
from tfjs_codec.quantization.auto import measure
from tfjs_codec.report import Report
from tfjs_codec.writers.quantize import Quantizer

RANDOM = np.random.default_rng(0)
EVEN = RANDOM.uniform(-1, 1, (40, 30)).astype(np.float32)
PEAKED = EVEN * np.float32(1e-3)  # one large value: its steps are coarse for all others
PEAKED[3, 4] = 10
WEIGHTS = {"even": EVEN, "peaked": PEAKED, "shift": np.ones(5, np.float32)}


def dtypes(**options):
    """Return the dtypes chosen, and the bytes of weights."""
    files = tfjs_codec.to_files(WEIGHTS, **options)
    report = tfjs_codec.plan(WEIGHTS, **options)
    with tfjs_codec.load(files) as model:
        assert model.weights["shift"].tolist() == [1] * 5
    found = tfjs_codec.inspect(files["model.json"])
    stored = {tensor.name: tensor.stored for tensor in found.tensors}
    return stored, report.weight_nbytes


def test_the_error_is_that_of_the_output_channels():
    restored = np.round((EVEN - EVEN.min()) / (step := np.ptp(EVEN) / 255)) * step + EVEN.min()
    noise, signal = np.square(restored - EVEN).sum(0), np.square(EVEN).sum(0)
    found = measure(ArrayTensor("w", EVEN), "uint8", (1,))
    assert found == pytest.approx(np.sqrt(np.mean(noise / signal)), rel=0.02)
    assert found == pytest.approx(step / np.sqrt(12) / EVEN.std(), rel=0.05)
    assert measure(ArrayTensor("w", EVEN * np.float32(1e6)), "float16", (1,)) == np.inf
    assert measure(ArrayTensor("w", np.zeros((2, 2), np.float32)), "uint8", (1,)) == 0
    narrow = EVEN * np.float32(1e-2)  # a narrow channel counts as much as a wide one
    narrow[:, 0] = EVEN[:, 0]
    assert measure(ArrayTensor("w", narrow), "uint8", (1,)) > 50 * found


@pytest.mark.parametrize(
    ("max_error", "even", "peaked"),
    [(0.3, "uint8", "uint16"), (1e-2, "uint8", "float16"), (1e-3, "uint16", "float16"),
     (1e-4, "uint16", None), (1e-7, None, None)],
)  # fmt: skip
def test_the_smallest_within_the_error(max_error, even, peaked):
    found, _ = dtypes(quantize={"auto": True}, max_error=max_error)
    assert found == {"even": even, "peaked": peaked, "shift": None}


def test_the_default_error():
    plain, given = (dtypes(quantize={"auto": True}, **more) for more in ({}, {"max_error": 1e-2}))
    assert plain == given


@pytest.mark.parametrize(
    ("max_bytes", "even", "peaked"),
    [(2420, "uint8", "uint8"), (3619, "uint8", "uint8"), (3620, "uint8", "float16"),
     (4820, "uint16", "float16"), (9620, None, None)],
)  # fmt: skip
def test_the_least_error_within_so_many_bytes(max_bytes, even, peaked):
    found, nbytes = dtypes(quantize={"auto": True}, max_bytes=max_bytes)
    assert found == {"even": even, "peaked": peaked, "shift": None}
    assert nbytes <= max_bytes


def test_too_few_bytes():
    with pytest.raises(UsageError, match="1 bytes are missing"):
        dtypes(quantize={"auto": True}, max_bytes=2404)


def test_what_is_no_kernel_is_rounded_if_kernels_leave_too_few_bytes():
    arrays = {**WEIGHTS, "shift": np.float32([1, 2, 3, 4, 5.1]), "number": np.arange(3)}
    found = {
        size: {
            tensor.name: tensor.stored
            for tensor in tfjs_codec.inspect(
                tfjs_codec.to_files(arrays, quantize={"auto": True}, max_bytes=size)["model.json"]
            ).tensors
        }
        for size in (2432, 2431, 2422, 2421, 2417)
    }
    assert {size: each["shift"] for size, each in found.items()} == {
        2432: None, 2431: "uint16", 2422: "uint16", 2421: "uint8", 2417: "uint8"
    }  # fmt: skip
    assert {each[name] for each in found.values() for name in ("even", "peaked")} == {"uint8"}
    assert {each["number"] for each in found.values()} == {None}


@pytest.mark.parametrize(("name", "to"), [("conv", "layers"), ("conv", "graph")])
def test_the_official_size(fixtures_dir, tmp_path, name, to):
    source = fixtures_dir / "quantized" / f"{name}.keras"
    size = tfjs_codec.plan(source, to=to, quantize={"uint8": "*"}).weight_nbytes
    report = tfjs_codec.convert(
        source, tmp_path / "web", to=to, quantize={"auto": True}, max_bytes=size
    )
    assert report.weight_nbytes == size
    assert {dtype for _, dtype, *_ in report.quantization} == {"uint8"}
    tfjs_codec.verify(tmp_path / "web", source, samples=0)
    with pytest.raises(UsageError, match="1 bytes are missing"):
        tfjs_codec.plan(source, to=to, quantize={"auto": True}, max_bytes=size - 1)


@pytest.mark.parametrize(
    "options",
    [{"max_error": 0.1}, {"max_bytes": 10}, {"quantize": {"uint8": True}, "max_error": 0.1},
     {"quantize": {"auto": True}, "max_error": 0.1, "max_bytes": 10}],
)  # fmt: skip
def test_options_that_say_nothing(options):
    with pytest.raises(UsageError, match="max_error and max_bytes"):
        tfjs_codec.ConvertOptions(**options)


@pytest.mark.parametrize("shape", [(), (0, 3), (1, 1), (2, 3, 4, 5)])
@pytest.mark.parametrize("out", [(-1,), (-2,), (-2, -1)])
def test_the_error_of_any_shape_and_axes(shape, out):
    array = RANDOM.normal(size=shape).astype(np.float32)
    axes = tuple(axis for axis in out if -axis <= max(1, array.ndim))
    if not axes:
        axes = (-1,)
    error = measure(ArrayTensor("w", array), "uint8", axes)
    quantizer = Quantizer("w", ArrayTensor("w", array), "uint8")
    restored = [piece for _, piece in quantizer.pairs()]
    restored = np.concatenate([*restored, []]).reshape(array.shape)
    kept = {axis % max(1, array.ndim) for axis in axes}
    inputs = tuple(axis for axis in range(array.ndim) if axis not in kept)
    noise = np.square(restored - array.astype(np.float64)).sum(axis=inputs)
    signal = np.square(array.astype(np.float64)).sum(axis=inputs)
    expected = np.sqrt(np.mean(noise / np.where(signal > 0, signal, 1))) if array.size else 0
    assert error == pytest.approx(expected, abs=1e-12)


def test_globs_take_part():
    found, _ = dtypes(quantize={"auto": ["even", "shift"]}, max_error=1e-3)
    assert found == {"even": "uint16", "peaked": None, "shift": "uint8"}


@pytest.mark.parametrize("to", ["layers", "graph"])
def test_what_was_chosen_is_verified(fixtures_dir, tmp_path, to):
    source = fixtures_dir / "digits" / "digits.h5"
    report = tfjs_codec.convert(
        source, tmp_path / "web", to=to, quantize={"auto": True}, max_error=4.5e-3
    )
    assert {dtype for _, dtype, *_ in report.quantization} == {"uint8", "uint16"}
    assert report.rescaled
    checks = " ".join(tfjs_codec.verify(tmp_path / "web", source, samples=0).checks)
    assert "1 within a step, so that errors cancel out" in checks
    assert "2 within half a step of their quantisation" in checks


class Packer:
    """Stands for the compressor of the package brotli: makes half of the bytes, the rest last."""

    def __init__(self, quality):
        assert 0 <= quality <= 11
        self.taken = 0

    def process(self, piece):
        self.taken += len(piece)
        return piece[::2]

    def finish(self):
        return b"end"


@pytest.mark.parametrize("there", [True, False])
def test_brotli_is_told_if_it_is_there(fixtures_dir, tmp_path, monkeypatch, there):
    module = SimpleNamespace(Compressor=Packer) if there else None  # None: cannot be imported
    monkeypatch.setitem(sys.modules, "brotli", module)
    source = fixtures_dir / "digits" / "digits.h5"
    report = tfjs_codec.convert(source, tmp_path / "web", quantize={"uint8": True})
    halves = sum((nbytes + 1) // 2 + 3 for _, nbytes in report.files)
    assert report.brotli_nbytes == (halves if there else 0)
    assert (f", with brotli {halves:,}" in str(report)) == there
    assert report.gzip_nbytes > 0


def test_the_report_says_what_is_saved(fixtures_dir, tmp_path):
    source = fixtures_dir / "digits" / "digits.h5"
    whole = tfjs_codec.convert(source, tmp_path / "whole")
    report = tfjs_codec.convert(source, tmp_path / "web", quantize={"uint8": True})
    assert (whole.whole_nbytes, whole.gzip_nbytes) == (whole.weight_nbytes, 0)
    assert report.whole_nbytes == whole.weight_nbytes > 3 * report.weight_nbytes
    assert 0 < report.gzip_nbytes < report.nbytes
    assert f"{report.whole_nbytes:,} bytes of weights became {report.weight_nbytes:,}" in str(
        report
    )
    relative = [loss[4] for loss in report.quantization]
    assert all(0 < error < 0.02 for error in relative)
    assert Report.from_json(report.to_json()) == report
