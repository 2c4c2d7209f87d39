"""What a row of the table of Keras classes says, and the parts that many rows share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal, NamedTuple

from tfjs_codec.ir.keras import Config
from tfjs_codec.keras.checks import Check

REQUIRED: Final = object()  # in place of a default: every Keras writes the key
_NOTHING: Config = {}

# Keys of every layer's config. They never change predictions; a dtype other than that of
# floating-point numbers does, and is looked at by itself.
COMMON_KEYS = frozenset((
    "name", "trainable", "dtype", "autocast", "activity_regularizer", "batch_input_shape",
    "batch_size", "input_shape", "input_dtype", "dynamic",
))  # fmt: skip


class Variable(NamedTuple):
    """A variable of a layer.

    Attributes:
        role: Its name in ``KerasLayer.weights``.
        path: The sub-path under which ``.keras`` files keep it (an attribute of the layer).
        trainable: Whether training changes it.
        key: The config key that says whether the layer has it, and says nothing else.
        present: Tells from the config whether the layer has it, where it is not that simple.
        convolves: Whether it is the kernel of a convolution, which Theano applies flipped.
    """

    role: str
    path: str = ""
    trainable: bool = True
    key: str = ""
    present: Callable[[Config], object] = lambda config: True
    convolves: bool = False

    def is_in(self, config: Config) -> bool:
        """Tell whether a layer with this *config* has the variable."""
        return bool(config.get(self.key) if self.key else self.present(config))


class Gates(NamedTuple):
    """The blocks of columns in a recurrent layer's kernels.

    ``seen_by`` lists, for an activation's key, the blocks that only this activation is applied to.
    """

    number: int
    seen_by: Mapping[str, tuple[int, ...]]


Mask = Literal["pass", "drop", "own"]
Family = Literal[
    "core", "activation", "merge", "convolution", "pooling", "reshaping", "normalization",
    "recurrent", "cell", "wrapper", "attention", "preprocessing", "augmentation",
]  # fmt: skip


class KerasClass(NamedTuple):
    """All that is known of one class of Keras, or of ``keras.applications``.

    Attributes:
        name: The canonical name.
        family: What kind of layer it is.
        config: The config keys that can change predictions, each with the value that a missing
            key means, or :data:`REQUIRED`.
        inert: The keys that never change predictions, besides :data:`COMMON_KEYS`.
        older_defaults: Defaults of Keras 2 that are others in Keras 3.
        checks: What a key must hold, where it is not what the key means elsewhere.
        aliases: Other names under which Keras itself has written or accepted the class.
        generations: The first and last generation that has the class.
        variables: In Keras's order of creation.
        told: The config keys of which the shapes of the variables tell as much.
        layers: The config keys that hold layers.
        outputs: How many outputs a call has; None if that depends.
        mask: What becomes of the first input's mask: ``pass`` hands it on, ``drop`` loses it,
            ``own`` means that the class decides by itself.
        older_mask: The same for Keras 2, where it differs.
        call: The call's parameters, in the order of Keras 3.
        older_call: The same in Keras 2, where the order differs.
        inert_arguments: Those that never change predictions.
        pointwise: Whether it works on each value, or on the last axis, by itself.
        gates: Of a recurrent layer.
    """

    name: str
    family: Family
    config: Config = _NOTHING
    inert: tuple[str, ...] = ()
    older_defaults: Config = _NOTHING
    checks: Mapping[str, Check] = _NOTHING
    aliases: tuple[str, ...] = ()
    generations: tuple[int, int] = (1, 3)
    variables: tuple[Variable, ...] = ()
    told: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    outputs: int | None = 1
    mask: Mask = "drop"
    older_mask: Mask | None = None
    call: tuple[str, ...] = ("inputs",)
    older_call: tuple[str, ...] = ()
    inert_arguments: tuple[str, ...] = ()
    pointwise: bool = False
    gates: Gates | None = None

    def call_in(self, generation: int) -> tuple[str, ...]:
        """Return the call's parameters in a generation of Keras, in order."""
        return self.older_call if self.older_call and generation < 3 else self.call

    def mask_in(self, generation: int) -> Mask:
        """Return what becomes of a mask in a generation of Keras."""
        return self.older_mask if self.older_mask and generation < 3 else self.mask

    @property
    def keys(self) -> frozenset[str]:
        """All keys that some Keras writes into the config."""
        return COMMON_KEYS | self.config.keys() | set(self.inert) | set(self.layers)

    @property
    def defaults(self) -> Config:
        """The keys that can be missing, with the value this means."""
        return {key: value for key, value in self.config.items() if value is not REQUIRED}


def rows_by_name(*rows: KerasClass) -> dict[str, KerasClass]:
    """Return *rows* by name; each name may occur once."""
    table = {row.name: row for row in rows}
    assert len(table) == len(rows)  # noqa: S101
    return table


def training_keys(*variables: str) -> tuple[str, ...]:
    """Return the config keys about the training of *variables*."""
    kinds = ("initializer", "regularizer", "constraint")
    return tuple(f"{variable}_{kind}" for variable in variables for kind in kinds)


KERNEL = Variable("kernel")
BIAS = Variable("bias", key="use_bias")
LINEAR: Config = {"activation": "linear", "use_bias": True}
CAST: Config = {"dtype": "float32"}  # of layers that cast their inputs themselves
CHANNELS: Config = {"data_format": "channels_last"}
