"""How close the numbers of tfjs must be to those of Keras and TensorFlow."""

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


def difference(got: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> str:
    """Return in what *got* differs from *wanted*, "" if it does not."""
    for number, (ours, theirs) in enumerate(zip(got, wanted, strict=True)):
        if ours.shape != theirs.shape:
            return f"output {number}: shape {ours.shape}, not {theirs.shape}"
        if theirs.dtype.kind in "US":
            if ours.tolist() != theirs.tolist():
                return f"output {number}: {ours.tolist()}, not {theirs.tolist()}"
            continue
        wide = "c16" if theirs.dtype.kind == "c" else "f8"
        finite = np.abs(theirs[np.isfinite(theirs)]).astype("f8")
        near = 1e-4 * max(1.0, float(finite.max(initial=0.0)))
        if not np.allclose(ours, theirs.astype(wide), rtol=1e-3, atol=near, equal_nan=True):
            return f"output {number}: {ours.ravel()[:6]}, not {theirs.ravel()[:6]}"
    return ""
