"""Masks on the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfjs_codec.ir.keras import KerasGraph

if TYPE_CHECKING:
    from tfjs_codec.raising.portable import RaisingLog


def settle(graph: KerasGraph, log: RaisingLog) -> None:
    """To be written."""
