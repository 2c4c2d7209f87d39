"""If, Case and While in the primitives that tfjs runs on every backend and with tensor lists.

A branch becomes a Switch for each of its arguments and a Merge for each result. A loop variable
goes ``Enter -> Merge -> Switch``, from there out by ``Exit`` or through the body to
``NextIteration`` and back into the Merge; the condition, computed from the Merges, is LoopCond.

A result that does not depend on any Switch, as a constant, would be there on both sides, or before
the iteration it belongs to: it is gated by a Switch of its own. Whether it depends is known only
when all is expanded, so a ``_Gate`` (value, predicate) stands for it until then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tfjs_codec.graph.importing.inline import Expansion
from tfjs_codec.ir.graph import ARGUMENT, Function, Node, Ref, const
from tfjs_codec.ir.tensors import Array

_IFS = frozenset(("If", "StatelessIf"))
_CASES = frozenset(("Case", "StatelessCase"))
_WHILES = frozenset(("While", "StatelessWhile"))
CONTROL = _IFS | _CASES | _WHILES
_GATE = "_Gate"
_HANDLES = frozenset(
    ("VarHandleOp", "HashTableV2", "HashTable", "MutableHashTableV2", "AnonymousHashTable")
)
_FALSE_OF = {"string": b"", "bool": False}


class ControlFlow:
    """Lowers control flow in *work*."""

    def __init__(self, work: Expansion) -> None:
        self._work = work
        self._switches: dict[str, set[str]] = {}  # by predicate: its Switch nodes
        self._gates: list[str] = []

    def lower(self, node: Node) -> None:
        """Replace the control flow operation *node*."""
        if node.op in _WHILES:
            results, controls = self._while(node)
        elif node.op in _IFS:
            results, controls = self._if(node)
        else:
            results, controls = self._case(node)
        self._work.replace_results(node.name, results, controls)

    def _if(self, node: Node) -> tuple[list[Ref], tuple[str, ...]]:
        branches = [
            self._branch(node, node.attrs.get(f"{side}_branch")) for side in ("else", "then")
        ]
        name = node.name
        known = self._find_constant(node.inputs[:1])
        if known is not None:
            return self._work.splice(name, branches[bool(known)], node.inputs[1:], node)
        predicate = self._bool(node.inputs[0], node.attrs.get("Tcond", "bool"), name)
        then, other = self._choose(name, predicate, node.inputs[1:], _types(node, "Tin"))
        first, one = self._work.splice(f"{name}/then", branches[1], then, node)
        second, two = self._work.splice(f"{name}/else", branches[0], other, node)
        return self._merge(node, name, predicate, first, second), one + two

    def _case(self, node: Node) -> tuple[list[Ref], tuple[str, ...]]:
        listed = node.attrs.get("branches") or (None,)
        branches = [self._branch(node, value) for value in listed]
        last = len(branches) - 1
        known = self._find_constant(node.inputs[:1])
        if known is not None:
            number = int(known) if 0 <= int(known) <= last else last
            return self._work.splice(node.name, branches[number], node.inputs[1:], node)
        given: Sequence[Ref] = node.inputs
        types = ("int32", *_types(node, "Tin"))
        levels: list[tuple[str, Ref, list[Ref]]] = []
        controls: tuple[str, ...] = ()
        for number, branch in enumerate(branches[:-1]):
            name = f"{node.name}/case_{number}"
            label = self._const(f"{name}/label", np.array(number, np.int32))
            predicate = self._work.make(
                f"{name}/equal",
                "Equal",
                (given[0], label),
                T="int32",
                incompatible_shape_error=True,
            )
            here, given = self._choose(name, predicate, given, types)
            results, more = self._work.splice(name, branch, here[1:], node)
            controls += more
            levels.append((name, predicate, results))
        results, more = self._work.splice(f"{node.name}/default", branches[last], given[1:], node)
        for name, predicate, chosen in reversed(levels):
            results = self._merge(node, name, predicate, chosen, results)
        return results, controls + more

    def _while(self, node: Node) -> tuple[list[Ref], tuple[str, ...]]:
        work, name = self._work, node.name
        cond = self._branch(node, node.attrs.get("cond"))
        body = self._branch(node, node.attrs.get("body"))
        types = _types(node, "T")
        if not len(types) == len(node.inputs) == len(body.returns):
            raise self._work.corrupt("its variables and the results of its body differ", node.name)
        merges = list(node.inputs)
        turning = [number for number in range(len(types)) if not self._is_fixed(node, body, number)]
        for number in turning:
            enter = work.make(
                f"{name}/enter_{number}", "Enter", (node.inputs[number],),
                T=types[number], frame_name=name.encode(), is_constant=False,
                parallel_iterations=10,
            )  # fmt: skip
            # The second input is set below, when there is something to come back.
            merges[number] = work.make(
                f"{name}/merge_{number}", "Merge", (enter, enter), T=types[number], N=2
            )
        conditions, one = work.splice(f"{name}/cond", cond, merges, node)
        if len(conditions) != 1:
            raise self._work.corrupt("its condition is not a scalar", node.name)
        dtype = cond_dtype(cond)
        going = self._bool(conditions[0], dtype, f"{name}/cond")
        loop = work.make(f"{name}/loop_cond", "LoopCond", (going,))
        given, results = list(merges), list(merges)
        for number in turning:
            switch = self._switch(f"{name}/switch_{number}", merges[number], loop, types[number])
            given[number] = Ref(switch.node, 1)
            results[number] = work.make(f"{name}/exit_{number}", "Exit", (switch,), T=types[number])
        returned, two = work.splice(f"{name}/body", body, given, node)
        for number in turning:
            gate = self._gate(f"{name}/gate_{number}", returned[number], loop, 1, types[number])
            back = work.make(f"{name}/next_{number}", "NextIteration", (gate,), T=types[number])
            merge = work.nodes[merges[number].node]
            work.nodes[merge.name] = replace(merge, inputs=(merge.inputs[0], back))
        return results, one + two

    def _is_fixed(self, node: Node, body: Function, number: int) -> bool:
        """Tell whether variable *number* of a loop is a constant or handle that never changes."""
        op = self._work.nodes[self._work.source(node.inputs[number]).node].op
        if op != "Const":
            return op in _HANDLES
        ref = body.returns[number]
        for _ in range(len(body.nodes)):
            inner = body.nodes[ref.node]
            if inner.op == ARGUMENT:
                return inner.name == body.args[number]
            if inner.op != "Identity" or not inner.inputs:
                return False
            ref = inner.inputs[0]
        return False

    def _choose(
        self, name: str, predicate: Ref, given: Sequence[Ref], types: Sequence[str]
    ) -> tuple[list[Ref], list[Ref]]:
        """Return the arguments as they reach the side of a true and of a false predicate."""
        yes, no = list(given), list(given)
        for number, ref in enumerate(given):
            op = self._work.nodes[self._work.source(ref).node].op
            if op == "Const" or op in _HANDLES:
                continue
            dtype = types[number] if number < len(types) else "float32"
            switch = self._switch(f"{name}/switch_{number}", ref, predicate, dtype)
            yes[number], no[number] = Ref(switch.node, 1), switch
        return yes, no

    def _merge(
        self, node: Node, name: str, predicate: Ref, yes: Sequence[Ref], no: Sequence[Ref]
    ) -> list[Ref]:
        types = _types(node, "Tout")
        if not len(yes) == len(no) == len(types):
            raise self._work.corrupt("its branches return different numbers of results", node.name)
        return [
            self._work.make(
                f"{name}/merge_{k}", "Merge",
                (
                    self._gate(f"{name}/false_{k}", no[k], predicate, 0, dtype),
                    self._gate(f"{name}/true_{k}", yes[k], predicate, 1, dtype),
                ),
                T=dtype, N=2,
            )
            for k, dtype in enumerate(types)
        ]  # fmt: skip

    def _switch(self, name: str, value: Ref, predicate: Ref, dtype: str) -> Ref:
        ref = self._work.make(name, "Switch", (value, predicate), T=dtype)
        self._switches.setdefault(predicate.node, set()).add(ref.node)
        return ref

    def _gate(self, name: str, value: Ref, predicate: Ref, side: int, dtype: str) -> Ref:
        ref = self._work.make(name, _GATE, (value, predicate), T=dtype, side=side)
        self._gates.append(ref.node)
        return ref

    def settle_gates(self) -> None:
        """Make a Switch of each gate that is needed, and remove the others."""
        work = self._work
        known: dict[str, bool] = {}
        last = ""  # gates of one If or While follow each other
        for name in self._gates:
            gate = work.nodes[name]
            value, predicate = map(work.resolve, gate.inputs)
            if gate.inputs[1].node != last:
                last, known = gate.inputs[1].node, {}
            if self._depends(value, self._switches.get(last, set()), known):
                work.moved[Ref(name)] = value
                del work.nodes[name]
                continue
            switch = self._work.make(
                f"{name}/switch", "Switch", (value, predicate), T=gate.attrs["T"]
            )
            work.moved[Ref(name)] = Ref(switch.node, gate.attrs["side"])
            del work.nodes[name]

    def _depends(self, value: Ref, switches: set[str], known: dict[str, bool]) -> bool:
        """Tell whether *value* exists only if one of *switches* lets it through.

        A Merge does if each of its inputs does, any other node if one of them does. The search
        ends at the switches, beyond which a branch or body has nothing but constants. *known* keeps
        what is found for other values of the same branches.
        """
        work = self._work
        stack = [value.node]
        while stack:
            name = stack[-1]
            if name in known:
                stack.pop()
                continue
            if name in switches:
                known[stack.pop()] = True
                continue
            node = work.nodes[name]
            before = [work.resolve(ref).node for ref in node.inputs]
            if node.op == "Merge":
                before = [each for each in before if work.nodes[each].op != "NextIteration"]
            waiting = [each for each in before if each not in known]
            if not waiting:
                every = all if node.op == "Merge" else any
                known[stack.pop()] = bool(before) and every(known[each] for each in before)
            elif len(stack) > len(work.nodes):
                raise self._work.corrupt("the graph has a cycle", node.name)
            else:
                stack.append(waiting[0])
        return known[value.node]

    def _find_constant(self, refs: Sequence[Ref]) -> Any:
        """Return the value of a constant predicate or index, None if it is no constant."""
        for ref in refs:
            node = self._work.nodes[self._work.source(ref).node]
            if node.op == "Const" and node.value.size == 1:
                return node.value.numpy().reshape(-1)[0]
        return None

    def _bool(self, ref: Ref, dtype: str, name: str) -> Ref:
        """Return *ref* as a bool: TensorFlow takes numbers and strings for predicates."""
        if dtype == "bool":
            return ref
        kind = object if dtype == "string" else np.dtype(dtype)
        zero = self._const(f"{name}/zero", np.array(_FALSE_OF.get(dtype, 0), kind))
        return self._work.make(
            f"{name}/not_zero", "NotEqual", (ref, zero), T=dtype, incompatible_shape_error=True
        )

    def _const(self, name: str, array: Array) -> Ref:
        return self._work.add(const(self._work.names.fresh(name), array))

    def _branch(self, node: Node, value: object) -> Function:
        if not node.inputs and node.op not in _WHILES:
            raise self._work.corrupt("it has no predicate", node.name)
        return self._work.function(value, node)


def cond_dtype(cond: Function) -> str:
    """Return the dtype of the condition, bool unless it is passed on from an argument."""
    node = cond.nodes[cond.returns[0].node]
    dtype = node.attrs.get("T") if node.op in ("Identity", ARGUMENT) else "bool"
    return dtype if isinstance(dtype, str) else "bool"


def _types(node: Node, attr: str) -> tuple[str, ...]:
    types = node.attrs.get(attr)
    return types if isinstance(types, tuple) else ()
