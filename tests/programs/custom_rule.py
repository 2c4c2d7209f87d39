"""Teach a custom layer for one conversion."""

import sys

import tfjs_codec
from tfjs_codec import KerasLayer, Scope, Tensor


def gain(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """Rescaling by a number of the config."""
    factor = layer.config["factor"]
    assert isinstance(factor, int | float)
    return b.add("Rescaling", x, {"scale": float(factor), "offset": 0.0})


def convert(source: str, target: str) -> int:
    """Return the number of files."""
    with tfjs_codec.local_rules():
        tfjs_codec.register_rule("Mine>Gain")(gain)
        return len(tfjs_codec.convert(source, target).files)


if __name__ == "__main__":
    print(convert(sys.argv[1], sys.argv[2]))
