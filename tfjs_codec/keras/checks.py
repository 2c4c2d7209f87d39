"""What config keys must hold, by key: types and ranges of all that lowering computes with.

A damaged config becomes an error that names its place, not a traceback later.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tfjs_codec.files.place import Place

Check = Callable[[Place, Any], Any]


def optional(check: Check) -> Check:
    """Return *check* for a key that may be None."""
    return lambda place, value: None if value is None else check(place, value)


def _size(place: Place, value: object) -> int:
    return place.whole(value, 1)


def sizes(place: Place, value: object) -> int | list[int]:
    """Check one size or a list of sizes, all at least 1."""
    if not isinstance(value, list):
        return place.whole(value, 1)
    return place.wholes(value, 1)


def _axes(place: Place, value: object) -> int | list[int]:
    if isinstance(value, list):
        return place.wholes(value, -64)
    return place.whole(value, -64)


def _flag(place: Place, value: object) -> bool:
    """Check what Keras takes for true or false: whatever Python does."""
    if value is not None and not isinstance(value, int | float | list):
        raise place.expect("true or false", value)
    return bool(value)


def _target_shape(place: Place, value: object) -> list[int]:
    return place.wholes(place.items(value), -1)


def _one_of(*words: str) -> Check:
    def check(place: Place, value: Any) -> Any:
        if value not in words:
            raise place.expect(f"one of {', '.join(words)}", value)
        return value

    return check


def amounts(place: Place, value: object) -> Any:
    """Check an amount, or a list (of lists) of amounts: ZeroPadding and Cropping."""
    if isinstance(value, list):
        return [amounts(place.at(i), item) for i, item in enumerate(value)]
    return place.whole(value)


def numbers(place: Place, value: object) -> Any:
    """Check a number, or a list (of lists) of numbers; Keras counts true and false among them."""
    if isinstance(value, list):
        return [numbers(place.at(i), item) for i, item in enumerate(value)]
    return float(value) if isinstance(value, bool) else place.number(value)


def anything(place: Place, value: object) -> Any:
    """Check nothing."""
    return value


# What a key holds in most classes that have it; a row's own checks come first.
CHECKS: dict[str, Check] = {
    **dict.fromkeys(
        ("units", "filters", "output_dim", "input_dim", "n", "depth_multiplier", "num_heads",
         "key_dim", "head_dim", "num_query_heads", "num_key_value_heads", "height", "width",
         "num_tokens"), _size),
    **dict.fromkeys(("kernel_size", "dilation_rate", "size"), sizes),
    **dict.fromkeys(("strides", "pool_size", "value_dim", "num_bins"), optional(sizes)),
    **dict.fromkeys(("axis", "axes", "shared_axes"), optional(_axes)),
    **dict.fromkeys(
        ("use_bias", "return_sequences", "return_state", "go_backwards", "stateful", "unroll",
         "time_major", "zero_output_for_mask", "center", "scale", "renorm", "rms_scaling",
         "mask_zero", "keepdims", "normalize", "reset_after", "trainable", "use_scale",
         "invert", "sparse", "ragged"), _flag),
    **dict.fromkeys(
        ("rate", "stddev", "negative_slope", "theta", "threshold"), Place.number),
    **dict.fromkeys(("epsilon", "max_value", "alpha"), optional(Place.number)),
    "merge_mode": optional(_one_of("concat", "sum", "mul", "ave")),
    "score_mode": _one_of("dot", "concat"),
    "groups": lambda place, value: place.whole(value, -1),
    "target_shape": _target_shape,
    "dims": lambda place, value: sizes(place, place.items(value)),
    "padding": lambda place, value: value if isinstance(value, str) else amounts(place, value),
    "cropping": amounts,
    "batch_shape": Place.shape,
}  # fmt: skip
