"""The variables of every Keras layer: ONE table, used by all weight readers.

For each class the variables in Keras's order of creation: their role, the sub-path under which
``.keras`` files keep them (attributes of the layer, as ``cell`` of an LSTM), whether they are
trained, and the config they depend on. Names and orders were compared with files of Keras 2.0 to
3.15.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tfjs_codec.ir.keras import Config, KerasGraph, KerasLayer
from tfjs_codec.keras import keras1
from tfjs_codec.keras.dialect import is_known


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable: *role* is its name in ``KerasLayer.weights``, *path* its ``.keras`` sub-path."""

    role: str
    path: str = ""
    trainable: bool = True
    present: Callable[[Config], object] = lambda config: True


def _when(key: str) -> Callable[[Config], object]:
    return lambda config: config.get(key)


_KERNEL = Variable("kernel")
_BIAS = Variable("bias", present=_when("use_bias"))
_GAMMA = Variable("gamma", present=lambda config: config.get("scale") or config.get("rms_scaling"))
_BETA = Variable(
    "beta", present=lambda config: config.get("center") and not config.get("rms_scaling")
)


def _state(role: str, key: str = "") -> Variable:
    return Variable(role, trainable=False, present=_when(key) if key else lambda config: True)


def _recurrent(path: str) -> tuple[Variable, ...]:
    return (
        Variable("kernel", path),
        Variable("recurrent_kernel", path),
        Variable("bias", path, present=_when("use_bias")),
    )


def _attention(*parts: str) -> tuple[Variable, ...]:
    return tuple(
        Variable(f"{part}/{short}", _DENSE_OF[part], present=present)
        for part in parts
        for short, present in (("kernel", lambda config: True), ("bias", _when("use_bias")))
        if part != "gate" or short
    )


_DENSE_OF = {
    "query": "query_dense",
    "key": "key_dense",
    "value": "value_dense",
    "gate": "gate_dense",
    "attention_output": "output_dense",
}
_DEPTHWISE = (Variable("depthwise_kernel"), _BIAS)
_SEPARABLE = (Variable("depthwise_kernel"), Variable("pointwise_kernel"), _BIAS)
_CONV = (_KERNEL, _BIAS)

VARIABLES: dict[str, tuple[Variable, ...]] = {
    "Dense": _CONV,
    "EinsumDense": (_KERNEL, Variable("bias", present=_when("bias_axes"))),
    **{f"Conv{n}D": _CONV for n in (1, 2, 3)},
    **{f"Conv{n}DTranspose": _CONV for n in (1, 2, 3)},
    **{f"DepthwiseConv{n}D": _DEPTHWISE for n in (1, 2)},
    **{f"SeparableConv{n}D": _SEPARABLE for n in (1, 2)},
    "Embedding": (Variable("embeddings"),),
    "ReversibleEmbedding": (
        Variable("embeddings"),
        Variable("reverse_embeddings", present=lambda config: not config.get("tie_weights", True)),
    ),
    "BatchNormalization": (
        _GAMMA,
        _BETA,
        _state("moving_mean"),
        _state("moving_variance"),
        _state("renorm_mean", "renorm"),
        _state("renorm_stddev", "renorm"),
    ),
    "LayerNormalization": (_GAMMA, _BETA),
    "GroupNormalization": (_GAMMA, _BETA),
    "RMSNormalization": (Variable("scale"),),
    "PReLU": (Variable("alpha"),),
    "Normalization": tuple(
        Variable(role, trainable=False, present=lambda config: config.get("mean") is None)
        for role in ("mean", "variance", "count")
    ),
    **{kind: _recurrent("cell") for kind in ("SimpleRNN", "LSTM", "GRU")},
    **{f"ConvLSTM{n}D": _recurrent("cell") for n in (1, 2, 3)},
    **{kind: _recurrent("") for kind in ("SimpleRNNCell", "LSTMCell", "GRUCell")},
    **{f"ConvLSTM{n}DCell": _recurrent("") for n in (1, 2, 3)},
    "MultiHeadAttention": _attention("query", "key", "value", "attention_output"),
    "GroupQueryAttention": _attention("query", "key", "value", "attention_output"),
    "Attention": (
        Variable("scale", present=_when("use_scale")),
        Variable(
            "concat_score_weight", present=lambda config: config.get("score_mode") == "concat"
        ),
    ),
    "AdditiveAttention": (Variable("scale", present=_when("use_scale")),),
    # The kernel is also the wrapped layer's, where both readers look for it.
    "SpectralNormalization": (_KERNEL, _state("vector_u")),
    "LayerScale": (Variable("gamma"),),
}
# Spellings of a role in files: Keras 3 calls a depthwise kernel just that.
# ConvNeXt's LayerScale does not name its variable.
SPELLINGS = {
    "depthwise_kernel": ("depthwise_kernel", "kernel"),
    "alpha": ("alpha", "alphas"),
    "gamma": ("gamma", "variable", "Variable"),
}
_QUANTISED = ("int8_from_", "int4_from_")


def own_variables(layer: KerasLayer, generation: int = 3) -> list[Variable] | None:
    """Return the variables *layer* itself has, or None for a class that is not Keras's.

    For generation 1 the roles are the ends of Keras 1's names; see
    :func:`tfjs_codec.keras.keras1.convert_weights`.
    """
    if layer.graph is not None or layer.is_op:
        return []
    if generation == 1 and (names := keras1.variable_names(layer)):
        stats = ("running_mean", "running_std")
        return [Variable(name, trainable=name not in stats) for name in names]
    kind = layer.class_name
    if kind not in VARIABLES:
        return [] if is_known(kind) else None
    found = [variable for variable in VARIABLES[kind] if variable.present(layer.config)]
    policy = layer.config.get("dtype")
    if isinstance(policy, str) and policy.startswith(_QUANTISED) and kind in _QUANTISABLE:
        found.append(Variable(_QUANTISABLE[kind], trainable=False))
    return found


_QUANTISABLE = {"Dense": "kernel_scale", "EinsumDense": "kernel_scale",
                "Embedding": "embeddings_scale"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for a tensor: variable *role* of *layer*.

    *owner* is the layer of the innermost graph it belongs to (its name is part of the names of
    variables in HDF5 files), "" if that is the layer whose group is read. *trained* tells whether
    the variable by itself is trained, *frozen* whether a layer around it has ``trainable: false``.
    """

    layer: KerasLayer
    role: str
    owner: str
    trained: bool
    frozen: bool

    @property
    def short_names(self) -> tuple[str, ...]:
        """Names the variable can have in a file, without the path before."""
        short = self.role.rpartition("/")[2]
        return SPELLINGS.get(short, (short,))


def slots(
    layer: KerasLayer, generation: int, *, owner: str = "", frozen: bool = False, skip: str = ""
) -> Iterator[Slot]:
    """Yield the slots of *layer* and all layers inside, own variables first, in Keras's order.

    A layer of unknown class yields one slot with the role ``*`` for whatever it has.
    """
    frozen = frozen or not layer.trainable
    if layer.graph is not None:
        yield from graph_slots(layer.graph, generation, frozen=frozen)
        return
    own = own_variables(layer, generation)
    if own is None:
        yield Slot(layer, "*", owner, True, frozen)
        return
    wrapped = None
    for variable in own:
        if layer.class_name == "SpectralNormalization" and variable.role == "kernel":
            # One variable with two owners: listed first, given to the wrapped layer.
            inner = list(slots(layer.children["layer"], generation, owner=owner, frozen=frozen))
            wrapped = inner[1:]
            yield from inner[:1]
        elif variable.role != skip:
            yield Slot(layer, variable.role, owner, variable.trainable, frozen)
    if wrapped is not None:
        yield from wrapped
        return
    for child in layer.children.values():
        yield from slots(child, generation, owner=owner, frozen=frozen)


def graph_slots(graph: KerasGraph, generation: int, *, frozen: bool = False) -> Iterator[Slot]:
    """Yield the slots of all layers of *graph* in order."""
    for layer in graph.layers:
        yield from slots(layer, generation, owner=layer.name, frozen=frozen)
