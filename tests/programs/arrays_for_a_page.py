"""Hand numpy arrays to a page, and read them back."""

import numpy as np
from numpy.typing import NDArray

import tfjs_codec


def pack(arrays: dict[str, NDArray[np.generic]]) -> dict[str, bytes]:
    """Return the files for tf.io.loadWeights."""
    return tfjs_codec.to_files(arrays, quantize={"float16": ["table"]})


if __name__ == "__main__":
    files = pack({"table": np.ones((3, 2), np.float32), "ids": np.arange(3)})
    with tfjs_codec.load(files) as model:
        print(sorted(model.weights), sorted(files))
