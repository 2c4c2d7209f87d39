"""How a rewrite rule is registered: for which operations, and why it is needed.

A rule is a function ``rule(build, node)`` with the decorator :func:`op`. It returns what the
results of the node become, made with :class:`~tfjs_codec.graph.build.Build`, or None to leave the
node as it is. It raises :class:`~tfjs_codec.tracing.refusal.Refusal` if the node cannot be
expressed. Of several rules of one operation the first that returns something counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tfjs_codec.graph.build import Build
from tfjs_codec.ir.graph import Node, Ref

Rule = Callable[[Build, Node], "list[Ref] | None"]


@dataclass(frozen=True, slots=True)
class Reason:
    """What is wrong with an operation in tfjs 4.22; ``backends`` is empty if it is on all."""

    fault: str
    backends: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.fault} on {', '.join(self.backends)}" if self.backends else self.fault


LACKS = Reason("lacks")
WRONG = Reason("wrong")


def wrong_on(*backends: str) -> Reason:
    """Return the reason that only *backends* compute another result than TensorFlow, or fail."""
    return Reason("wrong", backends)


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A registered rule."""

    rule: Rule
    because: Reason


_REWRITES: dict[str, list[Rewrite]] = {}


def op(*names: str, because: Reason) -> Callable[[Rule], Rule]:
    """Register the decorated rule for the operations *names*."""

    def register(rule: Rule) -> Rule:
        for name in names:
            _REWRITES.setdefault(name, []).append(Rewrite(rule, because))
        return rule

    return register


def rewrites() -> Mapping[str, Sequence[Rewrite]]:
    """Return the rules by the name of the operation, in the order of their registration."""
    return _REWRITES
