"""The registry: one rule per Keras class and per operation.

A rule is ``rule(b, layer, x) -> outputs``: ``b`` is a
:class:`~tfjs_codec.layers.engine.builder.Scope`, ``layer`` the
:class:`~tfjs_codec.ir.keras.KerasLayer`, ``x`` its input: a
:class:`~tfjs_codec.layers.engine.symbolic.Tensor`, or a list of them when Keras passes a list. It
returns one tensor or a list. The first line of its docstring is its row in the supported-layers
table; ``b.call`` holds the other arguments of the call.

An operation's rule is ``rule(b, op, *args, **kwargs)`` with the call's arguments (tensors and
constants) bound to the names of the ``keras.ops`` function.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

CUSTOM_HINT = (
    "Register a rule for it with tfjs_codec.register_rule, or replace the layer by a submodel "
    "with --replace NAME=submodel.h5."
)

Rule = Callable[..., Any]
R = TypeVar("R", bound=Rule)


@dataclass(frozen=True, slots=True)
class Entry:
    """A registered rule.

    ``mask`` says what Keras does with a mask: ``pass`` hands the first input's on, ``drop``
    loses it, ``own`` means the rule sets ``Tensor.mask`` itself. ``approximate`` rules need
    ``allow_approximate``.
    """

    function: Rule
    mask: str = "drop"
    approximate: bool = False

    @property
    def summary(self) -> str:
        """How the class is lowered, one line."""
        return (self.function.__doc__ or "").strip().split("\n")[0]


LAYER_RULES: dict[str, Entry] = {}
OP_RULES: dict[str, Entry] = {}
REFUSED: dict[str, tuple[str, str]] = {}
USER_RULES: dict[str, Entry] = {}


def rule(*class_names: str, mask: str = "drop", approximate: bool = False) -> Callable[[R], R]:
    """Register the decorated function as the rule of Keras classes."""

    def register(function: R) -> R:
        for name in class_names:
            assert name not in LAYER_RULES, name
            LAYER_RULES[name] = Entry(function, mask, approximate)
        return function

    return register


def op(*names: str) -> Callable[[R], R]:
    """Register the decorated function as the rule of ``keras.ops`` operations."""

    def register(function: R) -> R:
        for name in names:
            assert name not in OP_RULES, name
            OP_RULES[name] = Entry(function, "own")
        return function

    return register


def refuse(*class_names: str, reason: str, hint: str = "") -> None:
    """Register classes that have no exact network, with the reason and a way out."""
    for name in class_names:
        REFUSED[name] = (reason, hint)


def register_rule(class_name: str, *, mask: str = "drop") -> Callable[[R], R]:
    """Register a rule for a custom Keras class, for example ``"MyPackage>MyLayer"``.

    The decorated function is called as ``rule(b, layer, x)``; see the module docstring. *mask*
    is ``"pass"`` if the layer hands its input's mask on (``supports_masking``). A later
    registration replaces an earlier one; rules for Keras's own classes can be replaced too.
    """

    def register(function: R) -> R:
        USER_RULES[class_name] = Entry(function, mask)
        return function

    return register
