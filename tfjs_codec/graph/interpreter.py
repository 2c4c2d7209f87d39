"""Runs a graph in numpy: predictions without TensorFlow and without tfjs.

No function is called in the graph (:func:`tfjs_codec.graph.passes.simplify` sees to that), and
control flow is Switch, Merge, Enter, Exit, NextIteration and LoopCond. A loop is one step of what
surrounds it (:mod:`tfjs_codec.graph.plan`). What a branch not taken would compute has no value;
whoever needs it is not computed either, except a Merge, which takes the input that has a value.

Nodes run depth first from the outputs, and a value is dropped after its last use. So a constant is
read just before it is needed, and memory is that of the largest values that live together.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tfjs_codec.errors import Problem, UnsupportedModelError, UsageError, quote
from tfjs_codec.graph.kernels import KERNELS, compute
from tfjs_codec.graph.kernels.core import KernelError
from tfjs_codec.graph.kernels.lists import Table
from tfjs_codec.graph.plan import Loop, Plan, make_plan
from tfjs_codec.ir.graph import Graph, Node, Ref, Tensor
from tfjs_codec.ir.tensors import Array
from tfjs_codec.limits import Limits

Values = dict[Ref, Any]

_SAME = frozenset(
    {"EnsureShape", "Identity", "IdentityN", "LoopCond", "PlaceholderWithDefault", "Print",
     "Snapshot", "StopGradient", "Enter", "Exit", "NextIteration"}
)  # fmt: skip
TABLES = frozenset({"HashTable", "HashTableV2"})
_NOTHING = frozenset({"NoOp", "TensorArrayCloseV3"})
_HERE = _SAME | TABLES | _NOTHING | {"Const", "Merge", "Placeholder", "Switch"}


class Program:
    """A graph that is ready to run; its hash tables are filled.

    Raises:
        UnsupportedModelError: An operation has no kernel.
    """

    def __init__(self, graph: Graph) -> None:
        nodes = {**graph.nodes, **graph.initializer}
        problems = tuple(
            Problem(node.name, node.op, "numpy has no kernel for it", kind="node")
            for node in nodes.values()
            if not has_kernel(node.op)
        )
        if problems:
            raise UnsupportedModelError(
                "cannot be run in numpy", path=graph.path, problems=problems
            )
        self.graph = graph
        context = _Context(graph.path, graph.limits)
        self._tables = context.tables
        everything = [Ref(name) for name in graph.initializer]
        filling = make_plan(graph.initializer, everything, path=graph.path)
        _run_steps(filling, {}, context)
        wanted = [tensor.ref for tensor in graph.outputs.values()]
        self._plan = make_plan(graph.nodes, wanted, path=graph.path)

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Array]:
        """Return the outputs by key for *inputs* by key.

        Raises:
            UsageError: An input is missing, unknown, or of another shape or type.
            UnsupportedModelError: An operation cannot be computed for these inputs.
            LimitExceededError: ``loop_steps``.
        """
        graph, values = self.graph, Values()
        for key in inputs.keys() - graph.inputs.keys():
            raise UsageError(f"no input is called {quote(key)}", hint=f"Inputs: {[*graph.inputs]}.")
        for key, tensor in graph.inputs.items():
            if key in inputs:
                values[tensor.ref] = feed(key, tensor, inputs[key])
            elif graph.nodes[tensor.ref.node].op == "Placeholder":
                raise UsageError(f"input {quote(key)} is missing")
        _run_steps(self._plan, values, _Context(graph.path, graph.limits, self._tables))
        return {key: values[tensor.ref] for key, tensor in graph.outputs.items()}


def run(graph: Graph, inputs: Mapping[str, Any]) -> dict[str, Array]:
    """Return what *graph* predicts for *inputs*; see :class:`Program`."""
    return Program(graph).run(inputs)


def has_kernel(op: str) -> bool:
    """Tell whether operations called *op* can be run."""
    return op in KERNELS or op in _HERE


def feed(key: str, tensor: Tensor, value: Any) -> Array:
    """Return *value* as an array for the input *tensor*, called *key*.

    Numbers are cast as far as they are the same numbers in the type of the input.

    Raises:
        UsageError: It has another shape, or the input's type cannot hold its values.
    """
    try:
        with warnings.catch_warnings():  # numpy before 1.24 warns, and makes an array of lists
            warnings.simplefilter("error", UserWarning)
            given = np.asarray(value)
    except (ValueError, UserWarning):
        raise UsageError(f"input {quote(key)} is not an array: its rows differ in length") from None
    array = _texts(given) if tensor.dtype == "string" else _numbers(given, tensor.dtype)
    if array is None:
        raise UsageError(
            f"input {quote(key)} holds {given.dtype} values that are no {tensor.dtype}",
            hint=f"The type of this input is {tensor.dtype}.",
        )
    dims = tensor.shape.dims
    if dims is not None and (
        len(dims) != array.ndim
        or any(size not in (-1, got) for size, got in zip(dims, array.shape, strict=True))
    ):
        wanted = [None if size < 0 else size for size in dims]
        raise UsageError(f"input {quote(key)} is {list(array.shape)}, the model takes {wanted}")
    return array


def _texts(array: Array) -> Array | None:
    """Return *array* as bytes objects, None if it holds anything but texts."""
    flat = array.reshape(-1).tolist()
    if not all(isinstance(item, str | bytes) for item in flat):
        return None
    texts = np.empty(array.size, np.object_)
    texts[:] = [item.encode() if isinstance(item, str) else item for item in flat]
    return texts.reshape(array.shape)


def _numbers(array: Array, dtype: str) -> Array | None:
    """Return *array* cast to *dtype*, None if whole numbers or bools cannot be its values."""
    wanted = np.dtype(np.float32 if dtype in ("", "bfloat16") else dtype)
    if array.dtype.kind not in "biufc" or (array.dtype.kind == "c" and wanted.kind != "c"):
        return None
    with np.errstate(invalid="ignore"):
        cast = array.astype(wanted)
        return cast if wanted.kind in "fc" or bool((cast == array).all()) else None


# --- Execution ------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Context:
    """What all steps of a run share; ``iterations`` are those of all loops so far."""

    path: str
    limits: Limits
    tables: dict[str, Table] = field(default_factory=dict)
    iterations: int = 0

    def iterate(self) -> None:
        self.iterations += 1
        what = "the number of iterations of all loops"
        self.limits.check("loop_steps", self.iterations, what, path=self.path)


def _run_steps(plan: Plan, values: Values, context: _Context) -> None:
    """Add the results of the steps to *values*, and remove those that no later step uses."""
    for step, dropped in zip(plan.steps, plan.dropped, strict=True):
        if isinstance(step, Loop):
            _run_loop(step, values, context)
        elif Ref(step.name) not in values:  # else it is fed
            for number, value in enumerate(_execute(step, values, context)):
                ref = Ref(step.name, number)
                if value is not None and ref in plan.needed:
                    values[ref] = value
        for ref in dropped:
            values.pop(ref, None)


def _run_loop(loop: Loop, outside: Values, context: _Context) -> None:
    fixed = {ref: outside[ref] for ref in loop.captured if ref in outside}
    fixed |= {ref: outside[source] for ref, source in loop.enters.items() if source in outside}
    state = {name: fixed.get(first) for name, (first, _) in loop.carried.items()}
    while True:
        values = dict(fixed)
        values.update({Ref(name): value for name, value in state.items() if value is not None})
        context.iterate()
        _run_steps(loop.plan, values, context)
        if not values.get(loop.condition, False):
            break
        state = {name: values.get(back) for name, (_, back) in loop.carried.items()}
    outside.update({ref: values[ref] for ref in loop.results if ref in values})


def _execute(node: Node, values: Values, context: _Context) -> Sequence[Any]:
    """Return the outputs of *node*: None for those, if any, that are on a branch not taken."""
    inputs = [values.get(ref) for ref in node.inputs]
    if node.op == "Merge":
        return next(
            ([value, np.array(number, np.int32)] for number, value in enumerate(inputs)
             if value is not None), []
        )  # fmt: skip
    if any(value is None for value in inputs):
        return []
    if node.op == "Const":
        return [node.value.numpy()]
    if node.op == "Switch":
        data, taken = inputs
        return [None, data] if taken else [data, None]
    if node.op in _SAME:
        return inputs
    if node.op in TABLES:
        return [context.tables.setdefault(node.name, Table())]
    if node.op in _NOTHING:
        return []
    try:
        return compute(node.op, node.attrs, inputs)
    except KernelError as error:
        problem = Problem(node.name, node.op, str(error), kind="node")
        raise UnsupportedModelError(
            "cannot be run in numpy", path=context.path, problems=(problem,)
        ) from error
