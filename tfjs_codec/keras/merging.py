"""What Keras does with masked steps of the inputs of merges."""

from __future__ import annotations

_REPLACING = frozenset({"Multiply", "Maximum", "Minimum"})


def replaces_masked(class_name: str, version: tuple[int, int]) -> bool:
    """Whether a merge leaves masked steps out, instead of merging their values.

    Since Keras 3.4 (``Multiply.call``, ``Merge._apply_merge_op_and_or_mask``).
    """
    return class_name in _REPLACING and ors_masks(version)


def ors_masks(version: tuple[int, int]) -> bool:
    """Whether the mask of a merge is the "or" of all masks, none if an input has none.

    Before Keras 3.4 it is the "and" of the masks that there are.
    """
    return version >= (3, 4)
