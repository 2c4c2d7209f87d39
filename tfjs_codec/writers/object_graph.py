"""Builds the two trees of objects of a SavedModel: in ``saved_model.pb`` and in its checkpoint.

Both number their objects alike, from the root, which is 0. Objects that hold no values, such as
functions, are in the first only; they are added last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from tfjs_codec.files.tf_dtypes import dtype_number, dtype_of_numpy
from tfjs_codec.ir.graph import Shape, Tensor
from tfjs_codec.ir.tensors import LazyTensor
from tfjs_codec.pb import messages
from tfjs_codec.writers.graph_def import fill_shape

_VALUE = "VARIABLE_VALUE"


class Spec(NamedTuple):
    """An argument or result of a function, as a Python value: a tensor called *name*."""

    name: str
    tensor: Tensor


class Objects:
    """The trees so far; ``tensors`` are the values of the variables by checkpoint key."""

    def __init__(self, identifier: str = "_generic_user_object") -> None:
        self.saved = messages.SavedObjectGraph()
        self.stored = messages.TrackableObjectGraph()
        self.tensors: dict[str, LazyTensor] = {}
        self.keys: dict[int, str] = {}
        self.user(identifier)

    def user(self, identifier: str = "_generic_user_object") -> int:
        """Add an object of the kind *identifier*; return its number."""
        node = self.saved.nodes.add()
        node.user_object.identifier = identifier
        node.user_object.version.producer = node.user_object.version.min_consumer = 1
        self.stored.nodes.add()
        return len(self.saved.nodes) - 1

    def variable(self, name: str, tensor: LazyTensor, *, trainable: bool) -> int:
        """Add a variable called *name* with the values of *tensor*; return its number."""
        node = self.saved.nodes.add()
        node.variable.dtype = dtype_number(dtype_of_numpy(tensor.dtype))
        node.variable.name, node.variable.trainable = name, trainable
        fill_shape(node.variable.shape, Shape(tensor.shape))
        key = f"variables/{len(self.tensors)}/.ATTRIBUTES/{_VALUE}"
        self.stored.nodes.add().attributes.add(name=_VALUE, full_name=name, checkpoint_key=key)
        self.tensors[key] = tensor
        number = len(self.saved.nodes) - 1
        self.keys[number] = key
        return number

    def resource(self) -> int:
        """Add a table; return its number."""
        self.saved.nodes.add().resource.SetInParent()
        self.stored.nodes.add()
        return len(self.saved.nodes) - 1

    def function(self, concrete: str, argument: str, specs: object) -> int:
        """Add the Python function of one *argument*, described by *specs*, or of none."""
        node = self.saved.nodes.add()
        node.function.concrete_functions.append(concrete)
        arguments = [argument] if argument else []
        _describe(node.function.function_spec, arguments, (specs,) if argument else ())
        return len(self.saved.nodes) - 1

    def signature(self, concrete: str, keywords: Sequence[str]) -> int:
        """Add a signature, whose arguments are called *keywords*; return its number."""
        node = self.saved.nodes.add()
        bare = node.bare_concrete_function
        bare.concrete_function_name = concrete
        bare.argument_keywords.extend(keywords)
        bare.allowed_positional_arguments = int(len(keywords) == 1)
        return len(self.saved.nodes) - 1

    def signatures(self, parent: int) -> int:
        """Add the map of the signatures of *parent*; return its number."""
        number = len(self.saved.nodes)
        node = self.saved.nodes.add()
        node.user_object.identifier = "signature_map"
        node.user_object.version.producer = node.user_object.version.min_consumer = 1
        self.link(parent, "signatures", number)
        return number

    def concrete(
        self, name: str, bound: Iterable[int], arguments: tuple[object, ...], results: object
    ) -> None:
        """Describe the function *name* of the library: what it captures, takes and returns.

        *arguments* are the positional ones and the mapping of those by name.
        """
        message = self.saved.concrete_functions[name]
        message.bound_inputs.extend(bound)
        encode(message.canonicalized_input_signature, arguments)
        encode(message.output_signature, results)

    def link(self, parent: int, name: str, child: int) -> None:
        """Make *child* the attribute *name* of *parent*."""
        self.saved.nodes[parent].children.add(node_id=child, local_name=name)
        if child < len(self.stored.nodes):
            self.stored.nodes[parent].children.add(node_id=child, local_name=name)

    def listed(self, parent: int, name: str, children: Iterable[int]) -> None:
        """Make a list of *children* the attribute *name* of *parent*."""
        number = self.user("trackable_list_wrapper")
        self.link(parent, name, number)
        for index, child in enumerate(children):
            self.link(number, str(index), child)


def _describe(
    message: messages.FunctionSpec, arguments: Sequence[str], specs: tuple[object, ...]
) -> None:
    """Make *message* a FunctionSpec: Python's FullArgSpec, and the types of the arguments."""
    spec = message.fullargspec.named_tuple_value
    spec.name = "FullArgSpec"
    fields: Mapping[str, object] = {
        "args": list(arguments), "varargs": None, "varkw": None, "defaults": None,
        "kwonlyargs": [], "kwonlydefaults": None, "annotations": {},
    }  # fmt: skip
    for key, value in fields.items():
        encode(spec.values.add(key=key).value, value)
    encode(message.input_signature, specs)


def encode(message: messages.StructuredValue, value: object) -> None:
    """Make the StructuredValue *message* hold *value*."""
    if isinstance(value, Spec):
        described = message.tensor_spec_value
        described.name = value.name
        described.dtype = dtype_number(value.tensor.dtype)
        fill_shape(described.shape, value.tensor.shape)
    elif isinstance(value, str):
        message.string_value = value
    elif isinstance(value, dict):
        message.dict_value.SetInParent()
        for key, item in value.items():
            encode(message.dict_value.fields[key], item)
    elif isinstance(value, list | tuple):
        kind = message.list_value if isinstance(value, list) else message.tuple_value
        kind.SetInParent()
        for item in value:
            encode(kind.values.add(), item)
    else:
        assert value is None  # noqa: S101
        message.none_value.SetInParent()
