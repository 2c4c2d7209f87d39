"""The rules of one target: one per Keras class and per operation.

A rule is ``rule(b, layer, x) -> outputs``: ``b`` is what the target builds with, ``layer`` the
``KerasLayer``, ``x`` its input: a tensor of the target, or a list of
them when Keras passes a list. It returns one tensor or a list. The first line of its docstring is
its row in the supported-layers table; ``b.call`` holds the other arguments of the call.

An operation's rule is ``rule(b, *args, **kwargs)`` with the call's arguments (tensors and
constants) bound to the names of the ``keras.ops`` function; ``b.layer`` is its node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeVar, get_args

from tfjs_codec.errors import UsageError, quote
from tfjs_codec.ir.keras import KerasGraph, KerasLayer
from tfjs_codec.keras.classes import CLASSES, KerasClass, Mask, is_namesake
from tfjs_codec.keras.signatures import OPERATIONS
from tfjs_codec.tracing.refusal import CODE_HINT, Refusal

# What no target can express, by class: why, and the way out.
_REFUSED = {
    "Lambda": ("its Python code cannot be converted, and is never executed", CODE_HINT),
    "DenseFeatures": (
        "its feature columns are Python code", "Feed the model from the next layer on.",
    ),
    **dict.fromkeys(
        ("TFSMLayer", "TorchModuleWrapper", "FlaxLayer", "JaxLayer"),
        ("it runs code of another framework", "Convert that model by itself."),
    ),
    **dict.fromkeys(
        ("LocallyConnected1D", "LocallyConnected2D"),
        (
            "its kernel differs from position to position, for which there is no rule",
            "Use a convolution, or a rule of your own (tfjs_codec.register_rule).",
        ),
    ),
    **dict.fromkeys(
        ("Pipeline", "MaxNumBoundingBoxes"),
        ("it prepares training data, or dictionaries", "Save the model without it."),
    ),
}  # fmt: skip

Rule = Callable[..., Any]
R = TypeVar("R", bound=Rule)

Target = Literal["layers", "graph"]
TARGETS: tuple[Target, ...] = get_args(Target)

# Rules of users by class name: those that hold everywhere, and those of a local_rules() block.
_Rules = dict[Target, dict[str, "Entry"]]
_global: _Rules = {target: {} for target in TARGETS}
_local: ContextVar[_Rules | None] = ContextVar("local_rules", default=None)


@contextmanager
def local_rules() -> Iterator[None]:
    """Let what is registered inside the block hold until its end, in this thread or task only."""
    outer = _local.get()
    token = _local.set({target: dict((outer or {}).get(target, {})) for target in TARGETS})
    try:
        yield
    finally:
        _local.reset(token)


def register_rule(
    class_name: str, *, target: Target = "layers", mask: Mask = "drop", weights: Sequence[str] = ()
) -> Callable[[R], R]:
    """Register a rule for a custom Keras class, for example ``"MyPackage>MyLayer"``.

    The decorated function is called as ``rule(b, layer, x)``. For the target ``"layers"`` *b* is a
    ``tfjs_codec.Scope``, for ``"graph"`` a ``tfjs_codec.GraphScope``; a class may have a
    rule for each. *mask* is ``"pass"`` if the layer hands its input's mask on
    (``supports_masking``). A later registration replaces an earlier one; rules for Keras's own
    classes can be replaced too.

    HDF5 files name the variables that ``layer.weights`` has, ``.keras`` files number them
    (``"0"``): *weights* are their names in the order in which the layer makes them, under
    which the rule finds them whatever the file.

    Raises:
        UsageError: There is no such target.
    """
    if target not in TARGETS:
        raise UsageError(
            f"there is no target {quote(str(target))}", hint='Targets are "layers" and "graph".'
        )

    def register(function: R) -> R:
        rules = (_local.get() or _global)[target]
        rules[class_name] = Entry(function, None, mask, True, tuple(weights))
        return function

    return register


class Entry(NamedTuple):
    """A registered rule.

    ``row`` is what is known of the Keras class, None for operations and rules of users; for
    these ``mask`` says what becomes of a mask. ``is_user`` marks the rule of a user, whose
    ``weights`` are the names of the layer's variables in the order of their creation.
    """

    function: Rule
    row: KerasClass | None = None
    mask: Mask = "own"
    is_user: bool = False
    weights: tuple[str, ...] = ()

    def mask_in(self, generation: int) -> Mask:
        """Return what becomes of a mask in a generation of Keras."""
        return self.mask if self.row is None else self.row.mask_in(generation)

    @property
    def summary(self) -> str:
        """How the class is lowered, one line."""
        return (self.function.__doc__ or "").strip().split("\n")[0]


@dataclass(frozen=True, slots=True)
class Registry:
    """The rules of *target*, and its refusals: by class name ``(reason, hint)``.

    ``unknown_layer`` and ``unknown_op`` are the verdicts about all other classes and operations;
    a ``{}`` in the reason stands for the name.
    """

    target: Target
    unknown_layer: tuple[str, str]
    unknown_op: tuple[str, str]
    layers: dict[str, Entry] = field(default_factory=dict)
    ops: dict[str, Entry] = field(default_factory=dict)
    refused: dict[str, tuple[str, str]] = field(default_factory=lambda: dict(_REFUSED))

    @property
    def user(self) -> dict[str, Entry]:
        """The rules of users for this target, by class name."""
        return _global[self.target]

    def rule(self, *class_names: str) -> Callable[[R], R]:
        """Register the decorated function as the rule of Keras classes, which must have rows."""
        return self._register(self.layers, {name: CLASSES[name] for name in class_names})

    def op(self, *names: str) -> Callable[[R], R]:
        """Register the decorated function as the rule of operations, which must have signatures."""
        assert OPERATIONS.issuperset(names), names
        return self._register(self.ops, dict.fromkeys(names))

    @staticmethod
    def _register(
        rules: dict[str, Entry], rows: Mapping[str, KerasClass | None]
    ) -> Callable[[R], R]:
        def register(function: R) -> R:
            for name, row in rows.items():
                assert name not in rules, name
                rules[name] = Entry(function, row)
            return function

        return register

    def refuse(self, *names: str, reason: str, hint: str = "") -> None:
        """Register classes or operations that have no exact counterpart."""
        for name in names:
            self.refused[name] = (reason, hint)

    def name_weights(self, graph: KerasGraph) -> KerasGraph:
        """Return *graph* with the names that users gave to variables that have only numbers."""
        if not any(entry.weights for entry in _user_rules(self.target).values()):
            return graph
        graph = graph.copy()
        for layer in graph.walk():
            entry = _of_user(self.target, layer)
            names = {str(i): name for i, name in enumerate(entry.weights if entry else ())}
            layer.weights = {names.get(key, key): one for key, one in layer.weights.items()}
        return graph

    def find(self, layer: KerasLayer) -> Entry:
        """Return the rule for *layer*: the user's, an operation's or a layer class's.

        Raises:
            Refusal: There is none.
        """
        user = _of_user(self.target, layer)
        if user is not None:
            return user
        name = layer.class_name if layer.graph is None else "Functional"
        entry = (self.ops if layer.is_op else self.layers).get(name)
        if entry is not None:
            return entry
        reason, hint = self.refused.get(
            name, self.unknown_op if layer.is_op else self.unknown_layer
        )
        if is_namesake(name):
            reason = "it bears the name of a class of Keras, but is another one"
        (other,) = (target for target in TARGETS if target != self.target)
        if _of_user(other, layer) is not None:
            reason, hint = _ONE_RULE[self.target]
        raise Refusal(reason.format(name), hint)


# Why a class is refused whose user registered a rule for the other target only.
_ONE_RULE: Mapping[Target, tuple[str, str]] = {
    "layers": (
        "it has a rule for graph models, and none for Layers models",
        'Convert it with --to graph, or register a rule for target="layers", too.',
    ),
    "graph": (
        "it has a rule for Layers models, and none for graph models",
        'Convert it with --to layers, or register a rule for target="graph", too.',
    ),
}


def _user_rules(target: Target) -> Mapping[str, Entry]:
    local = _local.get()
    return _global[target] | local[target] if local else _global[target]


def _of_user(target: Target, layer: KerasLayer) -> Entry | None:
    rules = _user_rules(target)
    return rules.get(layer.registered_name) or rules.get(layer.class_name)
