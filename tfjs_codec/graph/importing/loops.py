"""Values from outside a loop, carried through it.

tfjs computes an operation in the frame of its inputs, and frees a tensor when its consumers have
run once. A value that a loop uses but does not compute, be it an outer result or something made of
constants alone, would be gone in the second iteration; only Consts stay. So it goes round with the
loop's own variables: ``Enter -> Merge -> Switch -> NextIteration``. (TensorFlow has ``Enter`` with
``is_constant`` for it, which makes parallel loops of tfjs wait for each other for ever.)
"""

from __future__ import annotations

from dataclasses import replace

from tfjs_codec.errors import CorruptFileError, quote
from tfjs_codec.graph.plan import Frame, find_frames
from tfjs_codec.ir.graph import Graph, Node, Ref, fresh_names, prune, sort_nodes
from tfjs_codec.tfjs.graph_ops import op_def

_EVERYWHERE = frozenset(("Const", "HashTableV2", "HashTable"))  # never freed


def carry(graph: Graph) -> Graph:
    """Return *graph* with all that its loops take from outside as variables of the loops.

    Raises:
        CorruptFileError: A loop has no condition, or its parts belong to no frame.
    """
    if not any(node.op == "Enter" for node in graph.nodes.values()):
        return graph
    return _Carrying(graph).carry()


class _Carrying:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._nodes = dict(graph.nodes)
        self._names = fresh_names(graph)
        order = sort_nodes(graph.nodes, path=graph.path)
        self._frames = find_frames(order, path=graph.path)
        self._conditions = {
            self._frames[node.name]: node.name
            for node in graph.nodes.values()
            if node.op == "LoopCond"
        }
        self._before = self._above_conditions()
        self._merges: dict[tuple[Ref, Frame], Ref] = {}
        self._switch: dict[Ref, str] = {}  # by Merge

    def carry(self) -> Graph:
        for node in list(self._graph.nodes.values()):
            frame = self._frames[node.name]
            if node.op == "Enter":
                frame = frame[:-1]
            if not frame or node.op in ("Const", "Exit"):
                continue
            inputs = tuple(self._inside(ref, node, frame) for ref in node.inputs)
            if inputs != node.inputs:
                self._nodes[node.name] = replace(self._nodes[node.name], inputs=inputs)
        return prune(replace(self._graph, nodes=self._nodes))

    def _inside(self, ref: Ref, user: Node, frame: Frame) -> Ref:
        """Return *ref* as *user*, in *frame*, is to take it."""
        source = self._graph.nodes[ref.node]
        if source.op == "Enter" and source.attrs.get("is_constant"):
            ref, source = source.inputs[0], self._graph.nodes[source.inputs[0].node]
        gated = user.op == "NextIteration" or (user.op == "Enter" and len(frame) > 0)
        if source.op in _EVERYWHERE:
            if gated and source.op == "Const":
                return self._gate(ref, frame)
            return ref
        if self._frames[ref.node] == frame or (user.op, source.op) == ("Merge", "NextIteration"):
            return ref
        early = user.name in self._before.get(frame, ())
        return self._through(ref, frame, early=early)

    def _gate(self, ref: Ref, frame: Frame) -> Ref:
        """Return the constant *ref*, there once for every iteration of the innermost loop."""
        dtype = self._dtype(ref)
        name = self._names.fresh(f"{ref.node}/gate")
        inputs = (ref, Ref(self._condition(frame)))
        self._nodes[name] = Node(name, "Switch", inputs, {"T": dtype})
        return Ref(name, 1)

    def _through(self, ref: Ref, frame: Frame, *, early: bool) -> Ref:
        """Carry *ref* into *frame*, through the loops around it; *early*: for its condition."""
        start = len(self._frames[ref.node])
        if frame[:start] != self._frames[ref.node]:
            raise CorruptFileError(
                "it takes a value out of a loop that has not ended", path=self._graph.path,
                where=f"node {quote(ref.node)}",
            )  # fmt: skip
        for depth in range(start + 1, len(frame) + 1):
            merge = self._cycle(ref, frame[:depth])
            last = depth == len(frame)
            ref = merge if last and early else Ref(self._switch[merge], 1)
        return ref

    def _cycle(self, ref: Ref, frame: Frame) -> Ref:
        """Return the Merge of a variable of loop *frame* that is always *ref*."""
        if (ref, frame) in self._merges:
            return self._merges[ref, frame]
        dtype = self._dtype(ref)
        loop = self._condition(frame)
        base = f"{ref.node}/carried"
        enter, merge, switch, back = (
            self._names.fresh(f"{base}/{role}") for role in ("enter", "merge", "switch", "next")
        )
        attrs = {
            "T": dtype, "frame_name": frame[-1].encode(), "is_constant": False,
            "parallel_iterations": 10,
        }  # fmt: skip
        for node in (
            Node(enter, "Enter", (ref,), attrs),
            Node(merge, "Merge", (Ref(enter), Ref(back)), {"T": dtype, "N": 2}),
            Node(switch, "Switch", (Ref(merge), Ref(loop)), {"T": dtype}),
            Node(back, "NextIteration", (Ref(switch, 1),), {"T": dtype}),
        ):
            self._nodes[node.name] = node
        self._merges[ref, frame] = Ref(merge)
        self._switch[Ref(merge)] = switch
        return Ref(merge)

    def _condition(self, frame: Frame) -> str:
        if frame not in self._conditions:
            raise CorruptFileError(
                "the loop has no condition", path=self._graph.path, where=f"loop {quote(frame[-1])}"
            )
        return self._conditions[frame]

    def _dtype(self, ref: Ref) -> str:
        node = self._nodes[ref.node]
        known = op_def(node.op)
        dtypes = known.output_dtypes(node.attrs) if known else ()
        return dtypes[ref.output] if ref.output < len(dtypes) else "float32"

    def _above_conditions(self) -> dict[Frame, set[str]]:
        """Return by frame the nodes that its condition needs."""
        found = {}
        for frame, loop in self._conditions.items():
            seen, stack = {loop}, [loop]
            while stack:
                node = self._graph.nodes[stack.pop()]
                if node.op == "Merge" or self._frames[node.name] != frame:
                    continue
                for ref in node.inputs:
                    if ref.node not in seen:
                        seen.add(ref.node)
                        stack.append(ref.node)
            found[frame] = seen
        return found
