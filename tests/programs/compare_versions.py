"""Tell what changed between two models."""

import sys

import tfjs_codec
from tfjs_codec import Diff


def describe(a: str, b: str) -> list[str]:
    """Return a line for each difference."""
    found: Diff = tfjs_codec.diff(a, b, tolerance=1e-6)
    lines = [f"layer {layer.name}: {layer.kind}" for layer in found.layers]
    return lines + [f"tensor {tensor.name}: {tensor.kind} {tensor.max}" for tensor in found.tensors]


if __name__ == "__main__":
    print(*describe(sys.argv[1], sys.argv[2]), "done")
