"""What one lowering shares between all its graphs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.ir.loaded import KerasModel
from tfjs_codec.layers.engine.log import LoweringLog
from tfjs_codec.limits import Limits
from tfjs_codec.tfjs.names import Names


@dataclass(slots=True)
class Session:
    """What one lowering shares between all its graphs.

    ``flat_sizes`` are the lengths that Flatten layers must produce because a Dense after them
    says so. ``limits`` pay for the constants that rules make: for weights beyond the
    ``own_values`` that are left of a Keras layer.
    """

    model: KerasModel
    allow_approximate: bool
    limits: Limits
    flat_sizes: Mapping[KerasLayer, int] = field(default_factory=dict)
    names: Names = field(default_factory=Names)
    log: LoweringLog = field(default_factory=LoweringLog)
    own_values: dict[KerasLayer, int] = field(default_factory=dict)
    memo: dict[tuple[Any, ...], Any] = field(default_factory=dict)
