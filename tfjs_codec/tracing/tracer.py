"""The tracer: applies a rule to every call of a model and collects what is refused."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from tfjs_codec.errors import (
    NONSENSE,
    CorruptFileError,
    Problem,
    RuleError,
    TfjsCodecError,
    UnsupportedModelError,
    brief,
    count,
    quote,
)
from tfjs_codec.ir.keras import Call, KerasGraph, KerasLayer, Ref
from tfjs_codec.ir.references import calls_in_order, map_call
from tfjs_codec.keras.signatures import signature
from tfjs_codec.tracing.accounting import check_call, check_cast, check_config, name_arguments
from tfjs_codec.tracing.lost_masks import REMOVES_MASKS, lost_masks
from tfjs_codec.tracing.nested import check_outputs
from tfjs_codec.tracing.refusal import LAYER, Refusal, ShapeRefusal
from tfjs_codec.tracing.registry import Entry, Registry


class Value(Protocol):
    """A tensor of a target. A ``poisoned`` one depends on a call that was refused."""

    @property
    def poisoned(self) -> bool: ...

    @property
    def shape(self) -> tuple[int | None, ...]: ...

    @property
    def dtype(self) -> str: ...

    __dataclass_fields__: ClassVar[dict[str, Any]]  # one of them is the mask


V = TypeVar("V", bound=Value)

_COMPUTE = {
    "graph": "compute with b.ops, such as b.ops.add(x, y).",
    "layers": 'compute with layers of tfjs, such as b.add("Add", [x, y]).',
}

# A config that passed the reader's checks has every key, so a missing one is a rule's fault.
_BUGS = (AssertionError, KeyError)


@dataclass(slots=True)
class Tracer(Generic[V]):
    """Traces models for one target.

    Args:
        registry: The target's rules.
        path: The model's file, for messages.
        generation: The generation of Keras whose model it is.
        version: The first two numbers of its version.
        kind: The class of the target's tensors.
        stand_in: Makes the tensor that stands for the output of a refused call, from the
            call's inputs, so that later layers are looked at, too.
    """

    registry: Registry
    path: str
    generation: int
    version: tuple[int, int]
    kind: type[V]
    stand_in: Callable[[Sequence[V]], V]
    problems: list[Problem] = field(default_factory=list)
    _names: list[str] = field(default_factory=list)

    def trace(
        self,
        graph: KerasGraph,
        inputs: Mapping[Ref, V],
        apply: Callable[[Entry, KerasLayer, Call], list[V]],
    ) -> list[V]:
        """Apply all calls of *graph* to *inputs* and return the values of its outputs.

        Raises:
            CorruptFileError: A call or an output refers to a tensor that does not exist.
        """
        values: dict[tuple[str, int], list[V]] = {
            (ref.layer, ref.call): [value] for ref, value in inputs.items()
        }

        def value(ref: Ref) -> V:
            outputs = values.get((ref.layer, ref.call), [])
            if ref.tensor < len(outputs):
                return outputs[ref.tensor]
            if outputs and outputs[-1].poisoned:  # nobody knows how many there are
                return outputs[-1]
            raise CorruptFileError(
                f"output {ref.tensor} of call {ref.call} does not exist",
                path=self.path,
                where=f"layer '{ref.layer}'",
            )

        lost = lost_masks(graph) if self.version >= REMOVES_MASKS else {}

        def seen(ref: Ref, hidden: Collection[Ref]) -> V:
            return replace(value(ref), mask=None) if ref in hidden else value(ref)

        for layer, number in calls_in_order(graph):
            hidden = lost.get((layer.name, number))
            change = partial(seen, hidden=hidden) if hidden else value
            call = map_call(layer.calls[number], change)
            values[layer.name, number] = made = self.call(layer, call, apply)
            if layer.replaced:
                check_outputs(layer, number, made, self.path)
        return [value(ref) for ref in graph.outputs]

    def call(
        self,
        layer: KerasLayer,
        call: Call,
        apply: Callable[[Entry, KerasLayer, Call], list[V]],
    ) -> list[V]:
        """Apply one *call*, with values in place of Refs; on refusal note it, return stand-ins.

        *apply* gets the rule, the layer, and the call with its arguments by name.
        """
        given = self.values_in(call)
        poisoned, refused = any(value.poisoned for value in given), len(self.problems)
        entry = None
        try:
            entry = self.registry.find(layer)
            made = self._apply(entry, layer, call, given, apply)
            return [replace(one, poisoned=True) for one in made] if poisoned else made
        except Refusal as refusal:
            if not (poisoned and isinstance(refusal, ShapeRefusal)):
                self.refuse(layer, refusal)
        except (TfjsCodecError, RecursionError):
            if not poisoned:
                raise
        except Exception as error:
            poisoned = poisoned or len(self.problems) > refused  # something inside was refused
            is_bug = entry is not None and (entry.is_user or isinstance(error, _BUGS))
            if entry is not None and is_bug and not poisoned:
                raise self._rule_error(layer, entry, error) from error
            if not is_bug and not isinstance(error, NONSENSE):
                raise
            if not poisoned:
                raise CorruptFileError(
                    f"its config or arguments are not valid ({type(error).__name__}: {error})",
                    path=self.path,
                    where=f"layer '{layer.name}' ({layer.class_name})",
                ) from error
        return [self.stand_in(given)]

    def _rule_error(self, layer: KerasLayer, entry: Entry, error: Exception) -> RuleError:
        """Return the error for a rule that failed with *error*, naming the line in its file."""
        frames = traceback.extract_tb(error.__traceback__)
        file = entry.function.__code__.co_filename
        lines = (frame.lineno for frame in reversed(frames) if frame.filename == file)
        line = next(lines, entry.function.__code__.co_firstlineno)
        class_name = layer.registered_name or layer.class_name
        return RuleError(
            f"the rule for {quote(class_name)} failed with {type(error).__name__}: {error}",
            path=self.path,
            where=f"layer {quote(layer.name)}: {file}:{line}",
            hint=self._advice(layer, entry, error),
        )

    def _advice(self, layer: KerasLayer, entry: Entry, error: Exception) -> str:
        if not entry.is_user:
            return "This is a bug: please report it."
        if "0" in layer.weights and isinstance(error, KeyError):
            return "A .keras file numbers weights: name them with register_rule(…, weights=[…])."
        kind = self.kind.__name__
        if isinstance(error, AttributeError | TypeError) and kind in str(error):
            return f"A {kind} is symbolic: {_COMPUTE[self.registry.target]}"
        return "Correct the rule."

    def _apply(
        self,
        entry: Entry,
        layer: KerasLayer,
        call: Call,
        given: Sequence[V],
        apply: Callable[[Entry, KerasLayer, Call], list[V]],
    ) -> list[V]:
        """Apply the rule *entry* to *layer* and account for all that it has not read."""
        if layer.is_op:
            return apply(entry, layer, call)
        call = name_arguments(layer, call, self.generation)
        outputs = apply(entry, layer, call)
        poisoned = any(value.poisoned for value in given)
        if poisoned or not any(value.poisoned for value in outputs):  # else one inside is refused
            check_call(entry, call.kwargs, self.generation)
            if not entry.is_user:
                check_config(layer)
                check_cast(layer, [value.dtype for value in given], self.generation)
        return outputs

    def results(self, entry: Entry, made: Any) -> list[V]:
        """Return the values of *made*, which a rule returned.

        Raises:
            TypeError: The rule of a user returned something else.
        """
        found = self.values_in(made)
        if entry.is_user and not (found and (made is found[0] or found == list(made))):
            kind = self.kind.__name__
            raise TypeError(f"it returned {quote(str(made))}, not a {kind} or a list of them")
        return found

    def values_in(self, argument: Any) -> list[V]:
        """Return all values of an argument or a Call."""
        if isinstance(argument, self.kind):
            return [argument]
        inner: Iterable[Any] = ()
        if isinstance(argument, Call):
            inner = (*argument.args, *argument.kwargs.values())
        elif isinstance(argument, list | tuple):
            inner = argument
        elif isinstance(argument, dict):
            inner = argument.values()
        return [value for item in inner for value in self.values_in(item)]

    def read_input(self, layer: KerasLayer) -> tuple[tuple[int | None, ...], str]:
        """Return the shape and the dtype of an input of the model.

        Raises:
            CorruptFileError: Its config has no shape.
        """
        shape = layer.config.get("batch_shape")
        if not isinstance(shape, list) or not shape:
            raise CorruptFileError(
                "an InputLayer without a shape", path=self.path, where=f"layer '{layer.name}'"
            )
        if layer.config.get("sparse") or layer.config.get("ragged"):
            self.refuse(layer, Refusal("sparse and ragged inputs do not exist in tfjs"))
        return tuple(shape), layer.config.get("dtype") or "float32"

    # ------------------------------------------------------------------------------- problems

    @contextmanager
    def inside(self, layer: KerasLayer) -> Iterator[None]:
        """Within, problems are those of layers inside *layer*."""
        self._names.append(layer.name)
        try:
            yield
        finally:
            self._names.pop()

    def place(self, layer: KerasLayer) -> str:
        """Return the name of *layer* after those of the layers and models around it."""
        return "/".join([*self._names, layer.name])

    def refuse(self, layer: KerasLayer, refusal: Refusal) -> None:
        """Record that *layer* is refused."""
        class_name = layer.registered_name or layer.class_name
        hint = refusal.hint.replace(LAYER, brief(layer.name))
        problem = Problem(self.place(layer), class_name, refusal.reason, hint)
        self.problems.append(problem)

    def check(self) -> None:
        """Raise all problems at once, if there are any.

        Raises:
            UnsupportedModelError: Lists every layer that has no counterpart.
        """
        if self.problems:
            problems = tuple(dict.fromkeys(self.problems))
            layers = count(len(problems), "layer")
            raise UnsupportedModelError(
                f"{layers} cannot be expressed exactly in tfjs", path=self.path, problems=problems
            )


def first_argument(call: Call) -> Any:
    """Return the first argument of a layer's call, which may be given by name."""
    if call.args:
        return call.args[0]
    return next((call.kwargs[name] for name in call.kwargs), [])


def bind(entry: Entry, name: str, call: Call) -> tuple[list[Any], dict[str, Any]]:
    """Match the arguments of operation *name* to the parameters of its rule after the builder.

    Operands may come after an option that is given by keyword. What is missing has the default of
    ``keras.ops``, if the rule has none.

    Raises:
        Refusal: There are options or operands that the rule does not know.
    """
    parameters = list(inspect.signature(entry.function).parameters.values())[1:]
    names = [parameter.name for parameter in parameters]
    for key, value in call.kwargs.items():
        if key not in names and not _is_idle(key, value):
            raise Refusal(f"the option '{key}' of this operation")
    options = {key: value for key, value in call.kwargs.items() if key in names}
    args: list[Any] = []
    waiting = list(call.args)
    for parameter in parameters:
        if not waiting:
            break
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            return [*args, *waiting], options
        if parameter.name in options:
            args.append(options.pop(parameter.name))
        else:
            args.append(waiting.pop(0))
    if waiting:
        raise Refusal("more operands than this operation is known to have")
    defaults = signature(name).defaults
    for parameter in parameters[len(args) :]:
        if parameter.default is parameter.empty and parameter.name in defaults:
            options.setdefault(parameter.name, defaults[parameter.name])
    return args, options


def _is_idle(key: str, value: Any) -> bool:
    """Tell whether an option of an operation says nothing."""
    if key == "dtype" and isinstance(value, str):
        return value.startswith("float")
    return value is None or value is False or key in ("name", "training")
