"""Predict without TensorFlow and without a browser."""

import sys

import numpy as np
from numpy.typing import NDArray

import tfjs_codec


def predict(path: str, values: NDArray[np.float32]) -> NDArray[np.generic]:
    """Return the only output."""
    with tfjs_codec.load(path) as model:
        found = model.predict(values)
    assert isinstance(found, np.ndarray)
    return found


if __name__ == "__main__":
    print(predict(sys.argv[1], np.zeros((2, 4), np.float32)).shape)
