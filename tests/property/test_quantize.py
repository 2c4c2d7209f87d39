"""Quantisation: the official converter's numbers, bounded errors, exact zeros."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import tfjs_codec
from tfjs_codec.errors import UsageError
from tfjs_codec.ir.tensors import ArrayTensor
from tfjs_codec.quantization.norms import Norm, compensate
from tfjs_codec.writers import balance, quantize
from tfjs_codec.writers.balance import STEP
from tfjs_codec.writers.quantize import Quantizer
from tfjs_codec.writers.quantize_choice import choose_dtypes, escape, needs_kernels

AFFINE = ("uint8", "uint16")


def quantized(values, dtype):
    """Return (integers, min, scale, loss) of *values*."""
    array = np.asarray(values, np.float32)
    quantizer = Quantizer("w", ArrayTensor("w", array), dtype)
    pieces = list(quantizer.chunks())
    data = np.concatenate(pieces) if pieces else np.zeros(0, dtype)
    entry = quantizer.entry
    return data.reshape(array.shape), entry.get("min"), entry.get("scale"), quantizer.loss


def official(array, dtype):
    """The arithmetic of tensorflowjs 4.22 (quantization.py) as plain numpy in float64."""
    data = array.astype(np.float64)
    low, high = data.min(), data.max()
    if low == high:
        return np.zeros(data.shape, dtype), low, 1.0
    levels = np.iinfo(dtype).max
    scale = (high - low) / levels
    if low <= 0 <= high:
        zero_point = np.round((0 - low) / scale)
        low = -zero_point * scale
        high = levels * scale + low
    return np.round((data.clip(low, high) - low) / scale).astype(dtype), low, scale


def test_recorded_values_of_the_official_converter(fixtures_dir):
    cases = json.loads((fixtures_dir / "quantization" / "official.json").read_text())
    assert len(cases) > 40
    for case in cases:
        values = [float.fromhex(value) for value in case["values"]]
        data, low, scale, _ = quantized(values, case["dtype"])
        assert (low.hex(), scale.hex()) == (case["min"], case["scale"])
        assert data.tolist() == case["quantized"]


numbers = st.floats(width=32, allow_nan=False, allow_infinity=False)
tensors = arrays(np.float32, array_shapes(max_dims=3, max_side=6), elements=numbers)


@given(tensors, st.sampled_from(AFFINE))
@example(np.float32([0.0]), "uint8")
@example(np.float32([-0.0, 0.0]), "uint8")
@example(np.float32([-3.4e38, 3.4e38]), "uint16")
@example(np.float32([1e-45, 2e-45]), "uint16")
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # on a busy machine
def test_equal_to_plain_numpy(array, dtype):
    data, low, scale, _ = quantized(array, dtype)
    want, want_low, want_scale = official(array, dtype)
    assert (low, scale) == (want_low, want_scale)
    np.testing.assert_array_equal(data, want, strict=True)
    json.dumps({"min": low, "scale": scale}, allow_nan=False)


@given(tensors, st.sampled_from(AFFINE))
def test_errors_are_half_a_step(array, dtype):
    data, low, scale, loss = quantized(array, dtype)
    restored = data * scale + low  # as JavaScript computes it, in float64
    error = np.abs(restored - array.astype(np.float64))
    assert error.max() <= scale / 2 * (1 + 1e-9) + np.abs(array).max() * 1e-12
    assert loss.max_error == error.max()
    assert loss.step == scale


@settings(deadline=None)
@given(
    arrays(
        np.float32,
        array_shapes(max_dims=3, max_side=6),
        elements=st.floats(-65504, 65504, width=32),
    ),
    st.sampled_from([*AFFINE, "float16"]),
)
@example(np.float32([1e-45, -1e-45, 0.0, -0.0]), "float16")
@example(np.float32([[1e-40], [3e-40]]), "uint8")
@example(np.float32([6e-8, 1e-7, 65504]), "float16")
@example(np.full((2, 2), -7.25, np.float32), "uint16")
def test_values_that_are_read_back_are_within_half_a_step(array, dtype):
    files = tfjs_codec.to_files({"w": array}, quantize={dtype: "*"})
    with tfjs_codec.load(files) as model:
        found = model.weights["w"]
    assert (found.shape, found.dtype) == (array.shape, np.float32)
    entry = json.loads(files["model.json"])["weightsManifest"][0]["weights"][0]["quantization"]
    wide = array.astype(np.float64)
    with np.errstate(over="ignore"):
        steps = np.spacing(np.abs(array.astype(np.float16))).astype(np.float64)
    half = (entry["scale"] if dtype != "float16" else np.minimum(steps, 32)) / 2  # the last is inf
    rounding = np.abs(wide).max() * 2**-23 + 2**-149  # of what is restored, to float32
    assert (np.abs(found - wide) <= half * (1 + 1e-9) + rounding).all()


@given(tensors, st.sampled_from(AFFINE))
def test_zero_stays_zero(array, dtype):
    array.flat[0] = 0
    data, low, scale, _ = quantized(array, dtype)
    assert float(data.flat[0]) * scale + low == 0


@given(numbers, array_shapes(max_dims=3, max_side=4), st.sampled_from(AFFINE))
def test_constants_are_exact(value, shape, dtype):
    data, low, scale, loss = quantized(np.full(shape, value, np.float32), dtype)
    assert not data.any()
    assert (low, scale, loss.max_error) == (np.float32(value), 1.0, 0.0)


@given(arrays(np.float32, array_shapes(max_dims=2), elements=st.floats(-65504, 65504, width=32)))
def test_float16_is_a_cast(array):
    data, low, scale, loss = quantized(array, "float16")
    np.testing.assert_array_equal(data, array.astype(np.float16), strict=True)
    assert (low, scale) == (None, None)
    assert loss.max_error == np.abs(array.astype(np.float16).astype(float) - array).max()


@pytest.mark.parametrize("dtype", [*AFFINE, "float16"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 5, 9])
def test_values_without_an_integer_are_refused(dtype, bad, place):
    array = np.arange(10, dtype=np.float32)
    array[place] = bad
    with pytest.raises(UsageError, match="weight 'w' has NaN or infinite values"):
        quantized(array, dtype)


@pytest.mark.parametrize(("value", "fits"), [(65504, True), (65519.996, True), (65520, False)])
@pytest.mark.parametrize("sign", [1, -1])
def test_float16_refuses_what_would_become_infinite(value, fits, sign):
    array = np.float32([0, sign * value])
    if fits:
        assert np.isfinite(quantized(array, "float16")[0]).all()
        return
    with pytest.raises(UsageError, match="float16 cannot hold"):
        quantized(array, "float16")


@pytest.mark.parametrize("dtype", [*AFFINE, "float16"])
@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0)])
def test_empty_tensors(dtype, shape):
    data, *_, loss = quantized(np.zeros(shape), dtype)
    assert data.shape == shape
    assert loss.max_error == 0


@pytest.mark.parametrize("dtype", [*AFFINE, "float16"])
@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("size", [15, 16, 17, 31, 32, 33])
def test_pieces_of_any_size_are_the_same(monkeypatch, dtype, kept, size):
    array = np.random.default_rng(size).normal(size=size).astype(np.float32)
    want, *rest = quantized(array, dtype)
    monkeypatch.setattr(quantize, "_CHUNK_BYTES", 64)  # 16 values
    if not kept:
        monkeypatch.setattr(quantize, "_KEEP_BYTES", 0)
    got, *other = quantized(array, dtype)
    np.testing.assert_array_equal(got, want, strict=True)
    assert other[:2] == rest[:2]
    assert other[2] == pytest.approx(rest[2])  # sums in another order


# --- errors that cancel out ------------------------------------------------------------------

KERNELS_OF = st.sampled_from(
    [((9, 4), [(0,)]), ((3, 3, 2, 5), [(0, 1), (0, 1, 2)]), ((3, 3, 4, 2), [(0, 1)]),
     ((2, 3, 6), [(1,), (0, 1)]), ((40, 3), [(0,)]), ((1, 7), [(0,)])]
)  # fmt: skip


@given(KERNELS_OF, st.sampled_from(AFFINE), st.data())
@settings(deadline=None)
def test_errors_cancel_out_within_a_step(kind, dtype, data):
    shape, sums = kind
    array = data.draw(arrays(np.float32, shape, elements=st.floats(-8, 8, width=32)))
    quantizer = Quantizer("w", ArrayTensor("w", array), dtype, sums)
    codes = np.concatenate(list(quantizer.chunks())).reshape(shape)
    scale, low = quantizer.entry["scale"], quantizer.entry["min"]
    assert quantizer.entry == Quantizer("w", ArrayTensor("w", array), dtype).entry
    restored = codes * scale + low
    np.testing.assert_array_equal(quantizer.restore(), restored.astype(np.float32))
    held = np.clip(array.astype(np.float64), low, low + scale * np.iinfo(dtype).max)
    errors = (restored - held) / scale
    assert np.abs(errors).max() <= 1 + 1e-6
    assert np.abs(errors.sum(axis=sums[-1])).max() <= 0.5 + errors.size / STEP
    assert (restored[array == 0] == 0).all()
    assert quantizer.loss.max_error == np.abs(restored - array).max()


def test_the_nearest_step_is_left_where_that_costs_least():
    row = np.float32([0, 255, 10.4, 20.3, 30.45, 40.1])  # errors -.4 -.3 -.45 -.1 add up to -1.25
    quantizer = Quantizer("w", ArrayTensor("w", row[:, None]), "uint8", [(0,)])
    assert np.concatenate(list(quantizer.chunks())).tolist() == [0, 255, 10, 20, 31, 40]


def test_blocks_of_rows_are_the_same(monkeypatch):
    array = np.random.default_rng(0).normal(size=(3, 3, 8, 16)).astype(np.float32)

    def restore():
        sums = [(0, 1), (0, 1, 2)]
        return Quantizer("w", ArrayTensor("w", array), "uint8", sums).restore()

    want = restore()
    for size in (1, 100, 1000):
        monkeypatch.setattr(balance, "_BLOCK", size)
        np.testing.assert_array_equal(restore(), want)


vectors = st.integers(1, 12).flatmap(
    lambda size: st.tuples(
        *(arrays(np.float32, size, elements=st.floats(low, high, width=32))
          for low, high in ((-4, 4), (-4, 4), (-4, 4), (0, 16)))
    )
)  # fmt: skip


@given(vectors, st.sampled_from([*AFFINE, "float16"]), st.sampled_from(["gb", "g", "b"]))
@settings(deadline=None)
def test_normalisations_come_nearer(values, dtype, has):
    gamma, beta, mean, variance = values
    norm = Norm("gamma" if "g" in has else "", "beta" if "b" in has else "", "m", "v", 1e-3)
    given = {"gamma": gamma, "beta": beta, "m": mean, "v": variance}
    weights = {name: ArrayTensor(name, value) for name, value in given.items()}
    changed = compensate([norm], weights, dict.fromkeys(given, dtype))
    assert changed.keys() in (set(), set(norm.names))

    def effect(tensors):
        read = {name: tensors[name].numpy().astype(np.float64) for name in norm.names}
        scale = read.get("gamma", np.ones(gamma.size)) / np.sqrt(read["v"] + 1e-3)
        return scale, read.get("beta", 0) - read["m"] * scale

    def error(tensors):
        rounded = {
            name: ArrayTensor(name, Quantizer(name, tensors[name], dtype).restore())
            for name in norm.names
        }
        with np.errstate(all="ignore"):
            (scale, shift), (one, other) = effect(rounded), effect(weights)
            ratio = np.square(scale[one != 0] / one[one != 0] - 1)
            return np.sum(ratio) / max(1, ratio.size) + np.sum(np.square(shift - other)) / (
                np.sum(np.square(other)) or 1
            )

    if changed:
        assert error(changed) <= error(weights) * (1 + 1e-6) or np.isnan(error(weights))


def test_vectors_make_up_for_each_other():
    random = np.random.default_rng(3)
    gamma, beta = random.uniform(0.5, 1.5, 32), random.normal(size=32)
    mean, variance = random.normal(size=32), random.uniform(0.1, 2, 32)
    given = {
        name: ArrayTensor(name, value.astype(np.float32))
        for name, value in zip("gbmv", (gamma, beta, mean, variance), strict=True)
    }
    changed = compensate([Norm(*"gbmv", 1e-3)], given, dict.fromkeys("gbmv", "uint8"))

    def effect(tensors, rounded):
        g, b, m, v = (
            (Quantizer(n, tensors[n], "uint8").restore() if rounded else tensors[n].numpy())
            .astype(np.float64) for n in "gbmv"
        )  # fmt: skip
        scale = g / np.sqrt(v + 1e-3)
        return np.stack([scale, b - m * scale])

    wanted = effect(given, rounded=False)
    plain, ours = (np.abs(effect(each, rounded=True) - wanted).max() for each in (given, changed))
    assert ours < 0.02 * plain


# --- which weights ---------------------------------------------------------------------------

NAMES = ["a/kernel", "a/bias", "b/kernel", "b/[x]"]
KERNELS = ["a/kernel", "b/kernel"]


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ({}, {}),
        ({"uint8": True}, dict.fromkeys(KERNELS, "uint8")),
        ({"uint8": ("*",)}, dict.fromkeys(NAMES, "uint8")),
        ({"uint8": False}, {}),
        ({"uint8": ("*/kernel",)}, dict.fromkeys(KERNELS, "uint8")),
        ({"uint8": ("!a/*",)}, {"b/kernel": "uint8"}),
        ({"uint8": ("*", "!a/*")}, dict.fromkeys(NAMES[2:], "uint8")),
        ({"uint8": ("a/*", "!*/bias")}, {"a/kernel": "uint8"}),
        ({"uint8": ("!a/*",), "float16": ("a/*",)}, dict.fromkeys(NAMES[:2], "float16")
         | {"b/kernel": "uint8"}),
        ({"uint8": ("a/*",), "float16": ("b/*",)}, dict.fromkeys(NAMES[:2], "uint8")
         | dict.fromkeys(NAMES[2:], "float16")),
        ({"uint8": ("a/*",), "float16": True}, dict.fromkeys(NAMES[:2], "uint8")
         | {"b/kernel": "float16"}),
        ({"uint8": ("a/*",), "float16": ("*",)}, dict.fromkeys(NAMES[:2], "uint8")
         | dict.fromkeys(NAMES[2:], "float16")),
        ({"uint8": ("a/*", "*/bias")}, dict.fromkeys(NAMES[:2], "uint8")),
        ({"uint8": ("A/*",)}, {}),
    ],
)  # fmt: skip
def test_choices(wanted, chosen):
    assert choose_dtypes(NAMES, wanted, KERNELS).dtypes == chosen


@pytest.mark.parametrize(
    ("wanted", "rest", "others"),
    [
        ({"uint8": True}, KERNELS, ["a/bias", "b/[x]"]),
        ({"uint8": True, "float16": ("a/*",)}, ["b/kernel"], ["b/[x]"]),
        ({"uint8": ("!a/*",)}, ["b/kernel"], ["b/[x]"]),
        ({"uint8": ("*",)}, NAMES, []),
        ({"uint8": ("a/*",)}, [], []),
    ],
)
def test_what_no_glob_names(wanted, rest, others):
    choice = choose_dtypes(NAMES, wanted, KERNELS)
    assert (choice.rest, choice.others) == (set(rest), set(others))
    assert needs_kernels(wanted) == bool(others)


def test_globs_without_match_are_returned():
    wanted = {"uint8": ("c/*", "a/*"), "uint16": ("d", "!e", "!b/*")}
    assert choose_dtypes(NAMES, wanted, ()).unmatched == ("c/*", "d", "!e")


def test_the_official_converter_knows_no_exclamation_marks():
    assert choose_dtypes(["!a", "a"], {"uint8": (escape("!a"),)}, ()).dtypes == {"!a": "uint8"}
