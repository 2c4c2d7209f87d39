"""Read the weights of a tfjs model into numpy."""

import sys

import numpy as np
from numpy.typing import NDArray

import tfjs_codec


def norms(path: str) -> dict[str, float]:
    """Return the norm of every weight."""
    with tfjs_codec.load(path) as model:
        arrays: dict[str, NDArray[np.generic]] = dict(model.weights)
    return {name: float(np.linalg.norm(array.astype(np.float64))) for name, array in arrays.items()}


if __name__ == "__main__":
    for name, norm in norms(sys.argv[1]).items():
        print(f"{name}: {norm:.3f}")
