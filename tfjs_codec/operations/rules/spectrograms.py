"""Spectrograms: layers that begin with the Fourier transforms of frames."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.ir.tensors import Array
from tfjs_codec.operations.builder import Builder
from tfjs_codec.operations.ops import arithmetic as a
from tfjs_codec.operations.ops import functions as f
from tfjs_codec.operations.ops.convolution import conv
from tfjs_codec.operations.ops.linalg import matmul
from tfjs_codec.operations.ops.reductions import max_
from tfjs_codec.operations.ops.shapes import (
    concatenate,
    dynamic_shape,
    reshape,
    swapaxes,
    total_size,
    transpose,
)
from tfjs_codec.operations.ops.signal import stft
from tfjs_codec.operations.ops.slicing import pad, slice_axis
from tfjs_codec.operations.registry import rule
from tfjs_codec.operations.values import Value

_EPSILON = 1e-7  # keras.config.epsilon()


@rule("STFTSpectrogram")
def stft_spectrogram(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """Convolutions with the layer's kernels, absolute values, logarithm."""
    config = layer.config
    mode, last = config["mode"], config.get("data_format") != "channels_first"
    parts = {
        part: _bins(b, layer, x, f"{part}_kernel", last)
        for part in ("real", "imag")
        if {"real": "imag", "imag": "real"}[part] != mode
    }
    if mode in parts:
        y = parts[mode]
    elif mode == "angle":
        y = f.arctan2(b, parts["imag"], parts["real"])
    elif mode == "stft":
        y = concatenate(b, [parts["real"], parts["imag"]], 2)
    else:
        y = a.add(b, a.square(b, parts["real"]), a.square(b, parts["imag"]))
        if mode == "psd":
            inner = slice_axis(b, y, 2, 1, -1)
            y = a.add(b, y, pad(b, inner, [(0, 0), (0, 0), (1, 1), (0, 0)]))
        else:
            y = f.sqrt_(b, a.maximum(b, y, _EPSILON))
            y = y if mode == "magnitude" else f.log_(b, a.maximum(b, y, _EPSILON))
    if config.get("expand_dims"):
        return transpose(b, y, [0, 3, 2, 1] if last else [0, 1, 3, 2])
    batch, channels, bins, steps = dynamic_shape(b, y)
    y = reshape(b, y, [batch, total_size(b, [channels, bins]), steps])
    return swapaxes(b, y, 1, 2) if last else y


def _bins(b: Builder, layer: KerasLayer, x: Value, role: str, last: bool) -> Value:
    """Return ``(batch, channels, bins, steps)`` of one part."""
    config = layer.config
    moved = swapaxes(b, x, 1, 2) if last else x
    batch, channels, size = dynamic_shape(b, moved)
    rows = reshape(b, moved, [total_size(b, [batch, channels]), size, 1])
    length, step = int(config["frame_length"]), config.get("frame_step")
    y = conv(b, rows, b.weight(layer, role), step or length // 2, config.get("padding") or "valid")
    _, steps, bins = dynamic_shape(b, y)
    return reshape(b, swapaxes(b, y, 1, 2), [batch, channels, bins, steps])


@rule("MelSpectrogram")
def mel_spectrogram(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """Products with the matrices of a Fourier transform and of the mel scale, logarithm."""
    config = layer.config
    size = int(config["fft_length"])
    length = int(config.get("sequence_length") or size)
    window = config.get("window")
    real, imag = stft(b, x, length, int(config["sequence_stride"]), size, window, center=True)
    power = a.add(b, a.square(b, real), a.square(b, imag))
    exponent = float(config["mag_exp"])
    if exponent != 2:
        power = a.power(b, f.sqrt_(b, power), exponent)
    y = matmul(b, power, mel_matrix(config, size // 2 + 1))
    least, span = float(config["min_power"]), float(config["top_db"])
    reference = 10 * np.log10(max(abs(float(config["ref_power"])), least))
    if config["power_to_db"]:
        y = a.subtract(b, a.multiply(b, f.log10(b, a.maximum(b, y, least)), 10.0), reference)
        y = a.maximum(b, y, a.subtract(b, max_(b, y), span))
    return swapaxes(b, y, -1, -2)


def mel_matrix(config: dict[str, Any], bins: int) -> Array:
    """Return the shares ``[bins, mel bins]`` of frequencies in the bands of the mel scale (HTK)."""
    rate = float(config["sampling_rate"])

    def mel(hertz: Any) -> Any:
        return 1127.0 * np.log(1 + np.asarray(hertz) / 700.0)

    top = config.get("max_freq") or int(rate / 2)
    edges = np.linspace(mel(float(config["min_freq"])), mel(top), int(config["num_mel_bins"]) + 2)
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    place = mel(np.linspace(0, rate / 2, bins)[1:])[:, None]
    slopes = np.minimum((place - low) / (middle - low), (high - place) / (high - middle))
    return np.pad(np.maximum(slopes, 0), ((1, 0), (0, 0))).astype(np.float32)
