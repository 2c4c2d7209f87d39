"""How close tfjs's numbers must be to Keras's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np


def assert_close(
    got: Sequence[np.ndarray], want: Sequence[np.ndarray], *, atol: float = 1e-5, rtol: float = 1e-4
) -> None:
    """Compare outputs by position: number, shape, and values.

    *atol* is relative to the largest finite value of an output where that is above 1: float32
    sums of large terms lose absolute precision, whoever adds them.
    """
    assert len(got) == len(want), f"{len(got)} outputs, Keras has {len(want)}"
    for index, (ours, keras) in enumerate(zip(got, want, strict=True)):
        assert ours.shape == keras.shape, f"output {index}: {ours.shape}, Keras has {keras.shape}"
        finite = np.abs(keras[np.isfinite(keras)])
        scale = max(1.0, float(finite.max(initial=0.0)))
        np.testing.assert_allclose(
            ours, keras, atol=atol * scale, rtol=rtol, err_msg=f"output {index}"
        )


def assert_same(got: Mapping[str, np.ndarray], want: Mapping[str, np.ndarray]) -> None:
    """Compare outputs by key: floats as :func:`assert_close` does, all others exactly."""
    assert list(got) == list(want)
    for key, theirs in want.items():
        ours = got[key]
        if theirs.dtype.kind in "fc":
            assert_close([ours], [theirs])
        elif ours.dtype == object:
            assert ours.tolist() == np.char.encode(theirs).tolist(), key
        else:
            assert ours.tolist() == theirs.tolist(), key
