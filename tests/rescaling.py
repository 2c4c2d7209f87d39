"""Moves random factors between the weights of a tfjs model, wherever we say that it is exact."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from tfjs_codec.files.memory import MemoryStage
from tfjs_codec.options import ConvertOptions
from tfjs_codec.quantization.prepare import change_weights, read_channels
from tfjs_codec.quantization.rescale import scale
from tfjs_codec.readers import open_model
from tfjs_codec.writers import tfjs_json
from tfjs_codec.writers.quantize_choice import Choice


def scale_randomly(
    web: Path | Mapping[str, bytes], seed: int = 0
) -> tuple[dict[str, bytes], set[str]]:
    """Return the model *web* with factors from 1/4 to 4, and the names of the weights changed.

    Without such weights there are no files either.
    """
    random, options = np.random.default_rng(seed), ConvertOptions()
    with open_model(web, options) as model:
        weights = model.named_weights()
        groups = read_channels(model).groups(weights)
        scales = [2 ** random.uniform(-2, 2, group.size) for group in groups]
        # A variance that takes up factors does not become negative by those above 1.
        scales = [
            factors / factors.min()
            if any(m.epsilon is not None for m in group.members)
            else factors
            for group, factors in zip(groups, scales, strict=True)
        ]
        changed = scale(groups, scales, weights)
        if not changed:
            return {}, set()
        stage = MemoryStage()
        written = change_weights(model, changed)
        tfjs_json.write(written, tfjs_json.plan(written, options, Choice({})), stage)
        return stage.files(), set(changed)


def count_rescaled(
    web: Path | Mapping[str, bytes],
    predict: Callable[[Mapping[str, bytes]], Sequence[np.ndarray]],
    predicted: Sequence[np.ndarray],
) -> int:
    """Check that *web* predicts the same with random factors; return how many weights have some.

    *predicted* is what *predict* returned for *web*. Rounding depends on the factors.
    """
    scaled, changed = scale_randomly(web)
    if changed:
        for one, other in zip(predict(scaled), predicted, strict=True):
            if one.dtype.kind in "fc":
                finite = np.abs(other[np.isfinite(other)])
                largest = max(1.0, float(finite.max(initial=0)))
                np.testing.assert_allclose(one, other, rtol=1e-5, atol=2e-6 * largest)
            else:
                np.testing.assert_array_equal(one, other)
    return len(changed)
