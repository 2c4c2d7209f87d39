"""Every option of every layer class, one at a time: what Keras makes of it, and what we do.

Each class has a small base model. An option (a config key or a call argument) gets values other
than its default; a value that Keras refuses is left out. The models run in the tests' numpy
interpreters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from compare import assert_close
from keras_server import KerasError, KerasServer
from layers_interpreter import load
from programs import Program, inner, layer, numbers, program, ref

import tfjs_codec
from tfjs_codec.errors import CorruptFileError, UnsupportedModelError
from tfjs_codec.graph.importing.tfjs_graph import parse
from tfjs_codec.graph.interpreter import run
from tfjs_codec.ir.loaded import TfjsGraph
from tfjs_codec.keras.classes import CLASSES, COMMON_KEYS
from tfjs_codec.readers import open_model

Options = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Base:
    """The model in which a class is tried.

    Attributes:
        shapes: Of the inputs, without batch.
        config: The options that the class needs.
        listed: Whether the inputs are one argument, a list.
        dtype: Of the inputs.
        within: The class and key of a layer that holds this one, which is no layer by itself.
        masked: Whether the first input has a mask, which an LSTM after the layer shows.
        shown: Whether there is such an LSTM in any case.
    """

    shapes: Sequence[Sequence[int]]
    config: Options = field(default_factory=dict)
    listed: bool = False
    dtype: str = "float32"
    within: tuple[str, str] | None = None
    masked: bool = False
    shown: bool = False

    def build(self, name: str, config: Options, call: Options) -> Program:
        """Return the model with more *config* and arguments of the *call*."""
        count = len(self.shapes)
        refs = [ref(number) for number in range(count)]
        before = [layer("Masking", refs[0])] if self.masked else []
        if before:
            refs[0] = ref(count)
        args = [refs] if self.listed else refs
        options = {**self.config, **config}
        if self.within:
            held = {self.within[1]: inner(name, **options)}
            step = layer(self.within[0], *args, call=dict(call), **held)
        else:
            step = layer(name, *args, call=dict(call), **options)
        shown = self.masked or self.shown
        after = [layer("LSTM", ref(count + len(before)), units=2)] if shown else []
        return program(self.shapes, *before, step, *after, dtype=self.dtype)

    def inputs(self) -> list[np.ndarray]:
        """Return values for the inputs: whole numbers for integers, some steps of 0 if masked."""
        if self.dtype != "float32":
            rng = np.random.default_rng(3)
            return [rng.integers(0, 5, (2, *shape)).astype(self.dtype) for shape in self.shapes]
        values = [numbers(2, *shape, seed=7 + i) for i, shape in enumerate(self.shapes)]
        if self.masked:
            values[0][0, 3:] = values[0][1, 1] = 0
        return values


SEQUENCE, IMAGE, VOLUME = [5, 4], [6, 6, 4], [6, 6, 6, 4]
BY_RANK = {1: [8, 4], 2: IMAGE, 3: VOLUME}
UNITS = {"units": 3}
FILTERS = {"filters": 4, "kernel_size": 3}


def bases() -> dict[str, Base]:
    """Return a base for each class that Keras 3 on JAX, or tf_keras, can run."""
    found: dict[str, Base] = {
        "Dense": Base([[3, 4]], UNITS),
        "EinsumDense": Base([[3, 4]], {"equation": "abc,cd->abd", "output_shape": [None, 5],
                                       "bias_axes": "d"}),
        "Embedding": Base([[5]], {"input_dim": 7, "output_dim": 4}, dtype="int32", shown=True),
        "ReversibleEmbedding": Base([[5]], {"input_dim": 7, "output_dim": 4}, dtype="int32"),
        "Reshape": Base([[3, 4]], {"target_shape": [2, 6]}),
        "Permute": Base([[3, 4]], {"dims": [2, 1]}),
        "RepeatVector": Base([[4]], {"n": 3}),
        "Masking": Base([SEQUENCE], shown=True),
        "Activation": Base([[3, 4]], {"activation": "relu"}),
        "Rescaling": Base([[3, 4]], {"scale": 1.5}),
        "GroupNormalization": Base([IMAGE], {"groups": 2}),
        "SpectralNormalization": Base([[3, 4]], {"layer": inner("Dense", units=2)}),
        "Normalization": Base([[3, 4]], {"mean": [0.1, 0.2, 0.3, 0.4],
                                         "variance": [1.0, 2.0, 0.5, 0.1]}),
        "BatchNormalization": Base([IMAGE]), "LayerNormalization": Base([IMAGE]),
        "RMSNormalization": Base([IMAGE]), "UnitNormalization": Base([IMAGE]),
        "Dot": Base([[4, 4], [4, 4]], {"axes": [1, 2]}, listed=True),
        "Resizing": Base([[6, 8, 2]], {"height": 3, "width": 5}),
        "CenterCrop": Base([[6, 8, 2]], {"height": 3, "width": 4}),
        "RandomCrop": Base([[6, 8, 2]], {"height": 3, "width": 4}),
        "RNN": Base([SEQUENCE], {"cell": inner("GRUCell", units=3)}),
        "StackedRNNCells": Base([SEQUENCE], {"cells": [inner("GRUCell", units=3),
                                                       inner("LSTMCell", units=2)]},
                                within=("RNN", "cell")),
        "Bidirectional": Base([SEQUENCE], {"layer": inner("LSTM", units=3)}),
        "TimeDistributed": Base([SEQUENCE], {"layer": inner("Dense", units=3)}),
        "MultiHeadAttention": Base([[5, 4], [6, 4]], {"num_heads": 2, "key_dim": 3}),
        "GroupQueryAttention": Base([[5, 8], [6, 8]], {"head_dim": 3, "num_query_heads": 4,
                                                       "num_key_value_heads": 2}),
        "Attention": Base([[5, 4], [6, 4]], listed=True),
        "AdditiveAttention": Base([[5, 4], [6, 4]], listed=True),
        "CategoryEncoding": Base([[5]], {"num_tokens": 6}, dtype="int32"),
        "Discretization": Base([[5]], {"bin_boundaries": [-0.5, 0.0, 1.0]}),
        "IntegerLookup": Base([[5]], {"vocabulary": [1, 2, 4]}, dtype="int32"),
        "Hashing": Base([[5]], {"num_bins": 3}, dtype="int32"),
        "HashedCrossing": Base([[1], [1]], {"num_bins": 5}, listed=True, dtype="int32"),
        "MelSpectrogram": Base([[400]], {"sequence_length": 64, "fft_length": 64}),
        "STFTSpectrogram": Base([[100, 1]], {"frame_length": 16, "frame_step": 8,
                                             "fft_length": 16}),
        "Solarization": Base([IMAGE]),
    }  # fmt: skip
    for name in ("Flatten", "Identity", "ActivityRegularization", "Dropout", "GaussianNoise",
                 "GaussianDropout", "AlphaDropout", "ReLU", "LeakyReLU", "ELU", "PReLU",
                 "Softmax"):  # fmt: skip
        required = {"stddev": 0.3} if name == "GaussianNoise" else {"rate": 0.3}
        found[name] = Base([[3, 4]], required if "Dropout" in name or "Noise" in name else {})
    for name in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"):
        found[name] = Base([[3, 4], [3, 4]], listed=True)
    for rank, shape in BY_RANK.items():
        found[f"Conv{rank}D"] = found[f"Conv{rank}DTranspose"] = Base([shape], FILTERS)
        found[f"SeparableConv{rank}D"] = Base([shape], FILTERS)
        found[f"DepthwiseConv{rank}D"] = Base([shape], {"kernel_size": 3})
        found[f"SpatialDropout{rank}D"] = Base([shape], {"rate": 0.3})
        for kind in ("Max", "Average"):
            found[f"{kind}Pooling{rank}D"] = found[f"Global{kind}Pooling{rank}D"] = Base([shape])
            found[f"Adaptive{kind}Pooling{rank}D"] = Base([shape], {"output_size": 3})
        for name in ("UpSampling", "ZeroPadding", "Cropping"):
            found[f"{name}{rank}D"] = Base([shape])
        sequence = [[3, *[4] * rank, 2]]
        found[f"ConvLSTM{rank}D"] = Base(sequence, {**FILTERS, "kernel_size": 2})
    for name in ("SimpleRNN", "LSTM", "GRU"):
        found[name] = Base([SEQUENCE], UNITS)
        found[f"{name}Cell"] = Base([SEQUENCE], UNITS, within=("RNN", "cell"))
    for name, row in CLASSES.items():
        if row.family == "augmentation" and name not in found:
            found[name] = Base([[6, 6, 3]], AUGMENTATIONS.get(name, {}))
    return {name: base for name, base in found.items() if name in CLASSES}


AUGMENTATIONS: dict[str, Options] = {
    **{name: {"factor": 0.3} for name in (
        "RandomBrightness", "RandomContrast", "RandomRotation", "RandomHue", "RandomSharpness",
        "RandomColorDegeneration", "RandomSaturation",
    )},
    "RandomPosterization": {"factor": 4},
    "RandomTranslation": {"height_factor": 0.2, "width_factor": 0.2},
    "RandomZoom": {"height_factor": 0.2},
}  # fmt: skip

ACTIVATIONS = ["relu", "gelu", "leaky_relu", "softmax", "hard_sigmoid"]
TRUTH = [True, False]
# Values by key; a class's own come before those of all classes.
VALUES: dict[str, list[Any]] = {
    "activation": ACTIVATIONS, "recurrent_activation": ["hard_sigmoid", "relu"],
    "units": [2], "filters": [6], "kernel_size": [2], "strides": [2, 3],
    "padding": ["same", "causal", "valid"], "dilation_rate": [2], "groups": [2, -1, 1],
    "data_format": ["channels_first"], "output_padding": [0, 1], "depth_multiplier": [2],
    "pool_size": [3], "output_size": [2, 4], "size": [3], "cropping": [2], "axis": [1, 2, [1, 2]],
    "epsilon": [0.3], "momentum": [0.5], "scale": [False, 0.3, [1.0, 2.0, 3.0, 4.0]],
    "offset": [0.5, [1.0, 2.0, 3.0, 4.0]], "center": [False], "rate": [0.6],
    "noise_shape": [[2, 1, 4]], "stddev": [1.0], "max_value": [0.5, 6.0],
    "negative_slope": [0.4], "threshold": [0.3], "alpha": [0.4], "shared_axes": [[1], [1, 2]],
    "mask_value": [1.0, 1], "mask_zero": [True], "target_shape": [[-1, 2], [4, 3]], "n": [2],
    "dims": [[1, 2]], "axes": [2, [2, 1], -1], "merge_mode": ["sum", "mul", "ave"],
    "mean": [0.3], "variance": [2.0], "num_heads": [3], "key_dim": [2], "value_dim": [2],
    "output_shape": [6, [None, 6]], "attention_axes": [[1], 1], "sliding_window": [2],
    "head_dim": [2], "num_query_heads": [2], "num_key_value_heads": [1, 4], "dropout": [0.4],
    "recurrent_dropout": [0.4], "recurrent_initializer": ["ones"], "seed": [11],
    "score_mode": ["concat"], "interpolation": ["nearest", "bilinear", "bicubic", "lanczos3"],
    "height": [4, 9], "width": [3, 9], "fill_mode": ["constant", "reflect"], "fill_value": [0.7],
    "num_tokens": [8], "output_mode": ["one_hot", "multi_hot", "count", "int"],
    "bin_boundaries": [[-1.0, 0.2]], "vocabulary": [[0, 3]], "num_oov_indices": [0, 2],
    "oov_token": [-2], "mask_token": [0], "max_tokens": [9], "num_bins": [4], "salt": [5],
    "logit_soft_cap": [2.0], "input_dim": [8], "output_dim": [3], "lora_rank": [2],
    "equation": ["abc,cd->abd", "abc,dc->abd"], "bias_axes": ["bd", None],
    "dtype": ["float16", "bfloat16", "float64", "mixed_float16", "int32"],
    "layer": [inner("GRU", units=2), inner("Dense", units=3, activation="relu")],
    "cell": [inner("LSTMCell", units=2)], "cells": [[inner("SimpleRNNCell", units=2)]],
    "backward_layer": [inner("LSTM", units=3, go_backwards=True, activation="relu")],
    "activity_regularizer": ["l2"], "power_iterations": [2], "implementation": [1],
    "factor": [0.5], "value_range": [[0, 1]], "mode": ["horizontal", "log"], "l1": [0.1],
    "l2": [0.1], "causal": [],  # tf_keras does not write it
    "name": ["other"], "batch_size": [2], "input_shape": [[5, 4]],
}  # fmt: skip
KINDS: dict[str, list[Any]] = {
    "initializer": ["ones"], "regularizer": ["l2"], "constraint": ["non_neg", "max_norm"],
}  # fmt: skip


def values_of(key: str) -> Iterator[Any]:
    """Return values for *key* that are probably not its default."""
    if key in VALUES:
        yield from VALUES[key]
    elif key.rpartition("_")[2] in KINDS:
        yield from KINDS[key.rpartition("_")[2]]
    else:
        yield from TRUTH


def constant(array: np.ndarray) -> dict[str, Any]:
    return {"array": array.tolist(), "dtype": str(array.dtype)}


def arguments_of(  # noqa: C901  a table
    name: str, base: Base, generation: int
) -> Iterator[tuple[str, Any]]:
    """Return arguments for the call of a layer of class *name* with values."""
    rng = np.random.default_rng(5)

    def mask(*shape: int) -> dict[str, Any]:
        bits = rng.random((2, *shape)) < 0.6
        bits[..., 0] = True
        return constant(bits)

    def state(*shape: int) -> dict[str, Any]:
        return constant(numbers(2, *shape, seed=4))

    steps = base.shapes[0][0]
    other = base.shapes[-1][0]
    for key in CLASSES[name].call_in(generation)[1:]:
        if key in ("mask", "query_mask", "value_mask", "key_mask"):
            if base.listed:
                yield key, [mask(steps), mask(other)]
            if name == "Softmax":
                yield key, mask(*base.shapes[0])
            yield key, mask(other if key in ("value_mask", "key_mask") else steps)
        elif key == "attention_mask":
            yield key, mask(steps, other)
        elif key == "initial_state":
            size = base.config.get("units", 3)
            for count in (1, 2, 3, 4):
                yield key, [state(size)] * count
            if "ConvLSTM" in name:
                yield key, [state(*[3] * (len(base.shapes[0]) - 2), 4)] * 2
        elif key == "key":
            yield key, constant(numbers(2, *base.shapes[-1], seed=4))
        elif key == "value":
            continue
        elif key == "count_weights":
            yield key, constant(numbers(2, *base.shapes[0], seed=4))
        else:
            yield key, True


class Trial(NamedTuple):
    """One option with one value."""

    name: str
    kind: Literal["config", "call", "config, masked"]
    key: str
    value: Any


class Outcome(NamedTuple):
    """What came of a trial: ``same``, ``refused``, or in what ours is wrong."""

    trial: Trial
    effect: bool
    layers: str
    graph: str


def trials(keras: KerasServer, generation: int = 3) -> list[Trial]:
    """Return all trials of a generation's classes, class by class."""
    found = []
    for name, base in bases().items():
        row = CLASSES[name]
        if not row.generations[0] <= generation <= row.generations[1]:
            continue
        keys = dict.fromkeys((*row.config, *row.layers, *row.inert, *keras.options(name)))
        keys.update(dict.fromkeys(sorted(COMMON_KEYS)))
        keys.pop("batch_input_shape", None)
        found += [
            Trial(name, "config", key, value)
            for key in keys for value in values_of(key) if base.config.get(key) != value
        ]  # fmt: skip
        found += [
            Trial(name, "call", key, value) for key, value in arguments_of(name, base, generation)
        ]
        if base.within is None and base.shapes[0] == SEQUENCE and not base.shown:
            found += [
                Trial(name, "config, masked", key, value)
                for key in row.config for value in values_of(key) if base.config.get(key) != value
            ]  # fmt: skip
    return found


class Audit:
    """Makes trials, with files called *name*."""

    def __init__(self, keras: KerasServer, directory: Path, name: str = "model.keras") -> None:
        self._keras = keras
        self._directory = directory
        self._source = directory / name
        self._bases = bases()
        self._plain: dict[str, list[np.ndarray]] = {}

    def __call__(self, trial: Trial) -> Outcome | None:
        """Return what comes of *trial*; None if Keras refuses it."""
        base = self._bases[trial.name]
        if trial.kind == "config, masked":
            sequences = {"return_sequences": True}
            if CLASSES[trial.name].family != "recurrent":
                sequences = {}
            elif trial.name == "Bidirectional":
                sequences = {"layer": inner("LSTM", units=3, return_sequences=True)}
            base = replace(base, config={**base.config, **sequences}, masked=True)
        source, inputs = self._source, base.inputs()
        request = base.build(trial.name, {}, {})
        try:
            if repr(request) not in self._plain:
                self._plain[repr(request)] = self._keras.make(request, inputs, source)
        except KerasError:  # this Keras lacks the class, or what the class needs
            return None
        plain = self._plain[repr(request)]
        option = {trial.key: trial.value}
        config, call = ({}, option) if trial.kind == "call" else (option, {})
        try:
            want = self._keras.make(base.build(trial.name, config, call), inputs, source)
        except KerasError:
            return None
        dtype = str(trial.value) if trial.key == "dtype" else ""
        results = [
            self._convert(source, target, inputs, want, dtype) for target in ("layers", "graph")
        ]
        return Outcome(trial, not equal(plain, want), *results)

    def _convert(self, source: Path, target: str, inputs: list[np.ndarray],
                 want: list[np.ndarray], dtype: str) -> str:  # fmt: skip
        web = self._directory / target
        near = 3e-2 if "float16" in dtype else 3e-4
        try:
            tfjs_codec.convert(source, web, to=target)
        except UnsupportedModelError:
            return "refused"
        except CorruptFileError as error:
            return f"refused: {error}"
        try:
            if target == "layers":
                got = load(web).predict(inputs)
            else:
                with open_model(web) as model:
                    assert isinstance(model, TfjsGraph)
                    graph = parse(model)
                    got = list(run(graph, dict(zip(graph.inputs, inputs, strict=True))).values())
            assert_close(
                [each.astype("f4") for each in got], [each.astype("f4") for each in want],
                atol=near, rtol=near,
            )  # fmt: skip
        except (AssertionError, ValueError) as error:
            if not str(error):  # an assumption of the interpreter
                return "not run"
            return f"wrong: {' '.join(str(error).split())[:300]}"
        return "same"


def equal(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    """Tell whether two predictions are the same."""
    return len(one) == len(other) and all(
        a.shape == b.shape and np.allclose(a, b, atol=1e-6, equal_nan=True)
        for a, b in zip(one, other, strict=True)
    )
