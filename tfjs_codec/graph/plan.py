"""The order in which the nodes of a graph run, and its loops.

Loops are found before anything runs: a loop is one step of what surrounds it, so that nodes run in
a fixed order, depth first from the outputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from tfjs_codec.errors import CorruptFileError, quote
from tfjs_codec.ir.graph import Node, Ref, sort_nodes

Frame = tuple[str, ...]  # the loops around a node, outermost first

_Key = str | Frame  # a node by its name, or a loop
_MAX_DEPTH = 64  # loops within loops


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop as a step.

    Attributes:
        enters: What goes in, by the node that lets it in.
        carried: The Merges at its head: the value to start with, and the next one.
        plan: One iteration.
        condition: Whether it goes on.
        captured: What the iterations take from outside.
        results: What others take of the last iteration.
    """

    enters: Mapping[Ref, Ref]
    carried: Mapping[str, tuple[Ref, Ref]]
    plan: Plan
    condition: Ref
    captured: Sequence[Ref]
    results: Sequence[Ref]


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in order, after each the values that nobody needs any more, and all that are needed."""

    steps: Sequence[Node | Loop]
    dropped: Sequence[Sequence[Ref]]
    needed: AbstractSet[Ref]


def make_plan(nodes: Mapping[str, Node], wanted: Iterable[Ref], *, path: str = "") -> Plan:
    """Order what *wanted*, which is never dropped, needs of *nodes*."""
    order = sort_nodes(nodes, path=path)
    return _Planner(nodes, find_frames(order, path=path)).plan((), order, wanted)


class _Planner:
    def __init__(self, nodes: Mapping[str, Node], frames: Mapping[str, Frame]) -> None:
        self._nodes = nodes
        self._frames = frames
        self._results: dict[Frame, set[Ref]] = {}  # of loops, what others take
        for node in nodes.values():
            user = frames[node.name]
            for ref in node.inputs:
                source = frames[ref.node]
                for depth in range(len(source), 0, -1):
                    if user[:depth] == source[:depth]:
                        break
                    self._results.setdefault(source[:depth], set()).add(ref)

    def plan(self, frame: Frame, order: Sequence[Node], kept: Iterable[Ref]) -> Plan:
        """Order what *kept* need of the nodes of *order* in *frame* and the loops in it."""
        kept = list(kept)
        depth = len(frame)
        members: dict[_Key, list[Node]] = {}
        for node in order:
            inner = self._frames[node.name]
            if not self._is_head(node, frame):
                key = node.name if inner == frame else inner[: depth + 1]
                members.setdefault(key, []).append(node)
        owner = {node.name: key for key, group in members.items() for node in group}
        before = {
            key: [owner[ref.node] for node in group for ref in node.inputs if ref.node in owner]
            for key, group in members.items()
        }
        roots = [owner[ref.node] for ref in kept if ref.node in owner]
        steps: list[Node | Loop] = []
        uses: list[set[Ref]] = []
        for key in _order(roots, before):
            group = members[key]
            if isinstance(key, str):
                steps.append(group[0])
                uses.append(set(group[0].inputs))
            else:
                loop = self._loop(key, group)
                steps.append(loop)
                uses.append({*loop.captured, *loop.enters.values()})
        return Plan(steps, _drops(uses, {*kept}, owner), {*kept}.union(*uses))

    def _loop(self, frame: Frame, members: Sequence[Node]) -> Loop:
        nodes = self._nodes
        own = [node for node in members if self._frames[node.name] == frame]
        inside = {node.name for node in members}
        enters = {Ref(node.name): node.inputs[0] for node in own if node.op == "Enter"}
        carried: dict[str, tuple[Ref, Ref]] = {}
        for node in own:
            if node.op == "Merge" and self._is_head(node, frame):
                first, back = node.inputs
                if nodes[first.node].op == "NextIteration":
                    first, back = back, first
                carried[node.name] = first, nodes[back.node].inputs[0]
        (condition,) = [node.inputs[0] for node in own if node.op == "LoopCond"]
        results = self._results.get(frame, set())
        captured = {
            ref
            for node in members if Ref(node.name) not in enters
            for ref in node.inputs if ref.node not in inside
        }  # fmt: skip
        kept = sorted({condition, *results, *(back for _, back in carried.values())})
        steps = self.plan(frame, members, kept)
        return Loop(enters, carried, steps, condition, sorted(captured), sorted(results))

    def _is_head(self, node: Node, frame: Frame) -> bool:
        """Whether *node* is set before an iteration of the loop *frame* begins."""
        if not frame or self._frames[node.name] != frame:
            return False
        back = any(self._nodes[ref.node].op == "NextIteration" for ref in node.inputs)
        return node.op == "Enter" or (node.op == "Merge" and back)


def _order(roots: Iterable[_Key], before: Mapping[_Key, Iterable[_Key]]) -> list[_Key]:
    """Return *roots* and all that must come before them, depth first."""
    done: dict[_Key, None] = {}
    begun: set[_Key] = set()
    stack = [*roots][::-1]
    while stack:
        key = stack[-1]
        waiting = [each for each in before[key] if each not in done and each != key]
        if not waiting:
            done.setdefault(stack.pop())
        elif key in begun:
            raise CorruptFileError("the graph has a cycle", where=f"node {quote(str(key))}")
        else:
            begun.add(key)
            stack.extend(waiting[::-1])
    return list(done)


def _drops(uses: Sequence[set[Ref]], kept: set[Ref], owner: Mapping[str, Any]) -> list[list[Ref]]:
    """Return the values that each step is the last to use; those from outside stay."""
    seen = kept.copy()
    dropped: list[list[Ref]] = []
    for used in reversed(uses):
        dropped.append([ref for ref in used if ref not in seen and ref.node in owner])
        seen |= used
    return dropped[::-1]


def find_frames(order: Iterable[Node], *, path: str = "") -> dict[str, Frame]:
    """Return for each node, sorted, the loops that it runs in.

    A loop is where the innermost of the values is that enter it, so this is repeated until
    nothing changes: once for each level of loops.
    """
    order = list(order)
    parents: dict[str, Frame] = {}
    for _ in range(_MAX_DEPTH):
        frames: dict[str, Frame] = {}
        changed = False
        for node in order:
            inner = _innermost(frames[ref.node] for ref in node.inputs if ref.node in frames)
            if node.op == "Enter":
                name = node.attrs.get("frame_name", b"").decode("utf-8", "backslashreplace")
                if len(inner) > len(parents.get(name, ())) or name not in parents:
                    parents[name] = inner
                    changed = True
                frames[node.name] = (*parents[name], name)
            elif node.op == "Exit":
                frames[node.name] = inner[:-1]
            else:
                frames[node.name] = inner
        if not changed:
            return frames
    raise CorruptFileError(f"loops nest more than {_MAX_DEPTH} deep", path=path)


def _innermost(frames: Iterable[Frame]) -> Frame:
    return max(frames, key=len, default=())
