"""What a tfjs model needs of tfjs: operations, functions, kernels and classes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tfjs_codec.ir.json_types import JsonObject
from tfjs_codec.tfjs.graph_topology import nodes_of
from tfjs_codec.tfjs.kernels import ALWAYS, functions_of, kernels_of


@dataclass(frozen=True, slots=True)
class Needs:
    """What a model needs.

    Attributes:
        is_graph: It is a graph model, not a Layers model.
        operations: The operations of its nodes.
        functions: The functions of tfjs-core that these may call.
        page: The functions that the page calls itself.
        kernels: What these may run, by the table, and what a run has shown.
        shown: The kernels that a run has shown; every backend must have them.
        classes: The classes that loading it looks up; empty for a graph model.
        trains: It carries a training configuration, which tfjs compiles when it loads it.
    """

    is_graph: bool
    operations: frozenset[str] = frozenset()
    functions: frozenset[str] = frozenset()
    page: frozenset[str] = frozenset()
    kernels: frozenset[str] = frozenset()
    shown: frozenset[str] = frozenset()
    classes: frozenset[str] = frozenset()
    trains: bool = False

    def after(self, shown: frozenset[str], classes: frozenset[str]) -> Needs:
        """Return the needs with those that a run has *shown*.

        What the table has beside them stays: other shapes and values may need it.
        """
        return replace(self, kernels=self.kernels | shown, shown=shown, classes=classes)

    def beside(self, page: frozenset[str]) -> Needs:
        """Return the needs with those of the functions *page*, which the page calls itself."""
        return replace(self, kernels=self.kernels | kernels_of(page), page=page)


def find_needs(content: JsonObject) -> Needs:
    """Return the needs of the ``model.json`` *content*, kernels of a graph by the table.

    Those of a Layers model can only be shown by a run.
    """
    topology = content.get("modelTopology")
    if not isinstance(topology, dict) or "node" not in topology:
        return Needs(is_graph=False, trains=bool(content.get("trainingConfig")))
    initializer = content.get("modelInitializer")
    parts = [topology, initializer] if isinstance(initializer, dict) else [topology]
    operations = frozenset(str(node.get("op")) for part in parts for node in nodes_of(part))
    functions = frozenset(name for op in operations for name in functions_of(op))
    return Needs(
        is_graph=True,
        operations=operations,
        functions=functions,
        kernels=ALWAYS | kernels_of(functions),
    )
