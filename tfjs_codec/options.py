"""What a caller can choose."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, TypedDict

from tfjs_codec.errors import UsageError, quote, suggest
from tfjs_codec.limits import DEFAULT_LIMITS, Limits
from tfjs_codec.outputs import QUANTIZE_DTYPES, TARGETS, Target

if TYPE_CHECKING:
    from tfjs_codec.ir.json_types import Json

AUTO = "auto"  # the smallest of these that is near enough

_SIZE = r"(?i)([0-9]+(?:\.[0-9]+)?)\s*(?:([kmg]?)(i?)b|([kmg]))?"


Quantize: TypeAlias = Mapping[str, bool | str | Sequence[str]]
Names: TypeAlias = Sequence[str]


class ReadingChoices(TypedDict, total=False):
    """The options that say how to read a source, as keywords; see ``ConvertOptions``."""

    architecture: str | os.PathLike[str] | bytes | BinaryIO | None
    tags: Names | None
    signature_name: str | None
    output_node_names: Names | None
    verify_checksums: bool
    limits: Limits


class InspectChoices(ReadingChoices, total=False):
    """Those that a Keras model's description depends on, too."""

    training_config: bool
    allow_approximate: bool


class CompareChoices(ReadingChoices, total=False):
    """Those that change what a model is compared as, too."""

    outputs: Names | None
    rename: Mapping[str, str]
    allow_approximate: bool


class ConvertChoices(InspectChoices, total=False):
    """All attributes of ``ConvertOptions``, as keywords."""

    to: Target | None
    shard_size_bytes: int
    single_shard: bool
    split_weights_by_layer: bool
    quantize: Quantize
    rescale: bool
    max_error: float | None
    max_bytes: int | None
    dequantize: bool
    metadata: Mapping[str, Json] | None
    structured_outputs: bool
    outputs: Names | None
    rename: Mapping[str, str]
    checksums: bool
    with_page: bool
    force: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertOptions:
    """Options of a conversion. They are checked when this is created.

    Attributes:
        to: What to write, one of ``TARGETS``. By default the destination's suffix says it,
            and anything without ``.h5``, ``.keras``, ``.weights.h5`` or ``.npz`` is the directory
            of a tfjs Layers model, or of a graph model if the source is a graph or has no exact
            layers. ``auto`` is a Layers model if it is exact, else a graph model; ``savedmodel``
            the directory of a SavedModel.
        shard_size_bytes: Size of the weight files, except the last of a group.
        single_shard: One weight file per group, whatever its size.
        split_weights_by_layer: A group, and so files of its own, for every layer with weights.
        quantize: Which weights to store smaller: ``float16``, ``uint8`` or ``uint16`` to True for
            all kernels and embeddings, or to a glob or a list of globs over tfjs weight names. The
            glob ``*`` means all weights; ``!`` before a glob leaves out what it matches, of the
            kernels and embeddings if there are only such. True and ``*`` leave alone what globs
            of other types match, and what the type cannot hold. ``auto`` in the place of a type
            chooses one for each weight.
        rescale: Before kernels are quantised because *quantize* is True, move factors between the
            channels of kernels, normalisations and biases, so that rounding loses less. What the
            model predicts before the rounding does not change.
        max_error: For ``auto``: how much the output channels of a kernel may change, as a root mean
            square relative to their own; 0.01 by default.
        max_bytes: For ``auto``, instead: the size of all weights; the error becomes as small as
            that allows.
        dequantize: Store the weights of a quantised tfjs model as float32, as tfjs reads them.
        metadata: Stored as ``userDefinedMetadata``, beside what a tfjs source has; JSON.
        training_config: Keep optimizer, loss and metrics, so far as the target has them.
        architecture: For weights-only files: a JSON file as ``model.to_json()`` writes it.
        tags: Which MetaGraph of a SavedModel is meant, by all its tags. By default the only one,
            or the one tagged ``serve``.
        signature_name: Which signature of a SavedModel becomes a graph model. By default
            ``serving_default``, or the only one.
        output_node_names: What a frozen graph returns: ``node`` or ``node:1``.
        structured_outputs: ``model.predict`` of a graph model returns a map by output keys.
        outputs: Names of the layers whose outputs a graph model of a Keras model returns, instead
            of the model's own. A layer of a model inside is ``model/layer``.
        rename: New names of layers by their old ones; weights follow their layers.
        checksums: Write down the SHA-256 of each weight file, in ``userDefinedMetadata``.
        with_page: Write an ``index.html`` beside a tfjs model that loads it and predicts.
        verify_checksums: Compare the values of a SavedModel with the checksums in it.
        allow_approximate: Accept lowerings that are only nearly exact; the report names them.
        force: Write into a directory that holds other things than a tfjs model.
        limits: Caps on what the source may ask for.

    Raises:
        UsageError: A value makes no sense.
    """

    to: Target | None = None
    shard_size_bytes: int = 4 << 20  # the largest file browsers keep in their HTTP cache
    single_shard: bool = False
    split_weights_by_layer: bool = False
    quantize: Quantize = field(default_factory=dict)
    rescale: bool = True
    max_error: float | None = None
    max_bytes: int | None = None
    dequantize: bool = False
    metadata: Mapping[str, Json] | None = None
    training_config: bool = False
    architecture: str | os.PathLike[str] | bytes | BinaryIO | None = None
    tags: Names | None = None
    signature_name: str | None = None
    output_node_names: Names | None = None
    structured_outputs: bool = False
    outputs: Names | None = None
    rename: Mapping[str, str] = field(default_factory=dict)
    checksums: bool = False
    with_page: bool = False
    verify_checksums: bool = True
    allow_approximate: bool = False
    force: bool = False
    limits: Limits = DEFAULT_LIMITS

    def begin(self) -> ConvertOptions:
        """Return the options of one conversion, whose limits add up what it spends."""
        return replace(self, limits=self.limits.budget())

    def __post_init__(self) -> None:
        if self.to is not None and self.to not in TARGETS:
            raise UsageError(
                f"{quote(self.to)} is not a target", hint=suggest(str(self.to), TARGETS)
            )
        size = self.shard_size_bytes
        if not isinstance(size, int) or isinstance(size, bool) or size <= 0:
            raise UsageError(f"shard_size_bytes must be a positive integer, not {quote(size)}")
        object.__setattr__(self, "quantize", _check_quantize(self.quantize))
        if self.max_error is not None or self.max_bytes is not None:
            if AUTO not in self.quantize:
                raise UsageError("max_error and max_bytes are for quantize={'auto': True}")
            if None not in (self.max_error, self.max_bytes):
                raise UsageError("max_error and max_bytes exclude each other", hint="Give one.")
        _check_metadata(self.metadata)
        for name in ("tags", "output_node_names", "outputs"):
            if isinstance(given := getattr(self, name), str):
                raise UsageError(f"{name} must be a list of strings", hint=f"Write [{given!r}].")

    def __hash__(self) -> int:
        return hash(tuple(_freeze(getattr(self, name)) for name in OPTIONS))

    @property
    def chosen(self) -> frozenset[str]:
        """The names of the options that are not what they are by default."""
        return frozenset(name for name in OPTIONS if getattr(self, name) != getattr(_NONE, name))


OPTIONS = tuple(field.name for field in fields(ConvertOptions))


def choose(
    options: ConvertOptions | None, choices: Mapping[str, Any], known: type = ConvertChoices
) -> ConvertOptions:
    """Return the options that a caller passed at once, as *options*, or one by one, as *choices*.

    Raises:
        UsageError: Both were passed, or a keyword that is not among those of the class *known*.
    """
    if options is not None:
        if choices:
            listed = ", ".join(choices)
            raise UsageError(
                f"options were passed together with the keywords {listed}",
                hint=f"Pass dataclasses.replace(options, {next(iter(choices))}=…).",
            )
        return options
    for name in choices:
        if name not in OPTIONS:
            raise UsageError(f"there is no option {quote(name)}", hint=suggest(name, OPTIONS))
        if name not in known.__optional_keys__:  # type: ignore[attr-defined]
            raise no_effect(name, "this function")
    return replace(_NONE, **choices)


def _freeze(value: object) -> Hashable:
    """Return something hashable that is equal for equal values of options."""
    if isinstance(value, Mapping):
        return frozenset((key, _freeze(one)) for key, one in value.items())
    if isinstance(value, list | tuple):
        return tuple(map(_freeze, value))
    return value if isinstance(value, Hashable) else id(value)


def no_effect(name: str, noun: str) -> UsageError:
    """Return the error for an option that means nothing for what *noun* names."""
    return UsageError(f"the option {name} has no effect on {noun}", hint="Leave it out.")


def _check_quantize(value: object) -> dict[str, bool | tuple[str, ...]]:
    """Return *value* with globs as tuples."""
    if not isinstance(value, Mapping):
        raise UsageError(
            f"quantize must map dtypes to globs, not be {quote(value)}",
            hint="For example {'uint8': '*/kernel'}, or {'uint8': True} for all kernels.",
        )
    checked: dict[str, bool | tuple[str, ...]] = {}
    for dtype, globs in value.items():
        if dtype not in (*QUANTIZE_DTYPES, AUTO):
            raise UsageError(
                f"quantize: {quote(dtype)} is not a quantisation dtype",
                hint=f"There are {', '.join(QUANTIZE_DTYPES)} and {AUTO}.",
            )
        several = (globs,) if isinstance(globs, str) else globs
        if isinstance(several, bool):
            checked[dtype] = several
        elif isinstance(several, Sequence) and all(isinstance(glob, str) for glob in several):
            checked[dtype] = tuple(several)
        else:
            raise UsageError(f"quantize: {quote(globs)} is neither True nor a glob nor a list")
    return checked


def _check_metadata(value: object) -> None:
    if value is None:
        return
    if not isinstance(value, Mapping):
        raise UsageError(f"metadata must be a mapping, not {type(value).__name__}")
    try:
        json.dumps(dict(value), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"metadata cannot be written as JSON: {error}") from None


def parse_size(text: str) -> int:
    """Return the number of bytes *text* means: ``1024``, ``4MB`` (10⁶), ``8MiB`` or ``8M`` (2²⁰).

    Raises:
        UsageError: It means none, or a fraction of a byte.
    """
    match = re.fullmatch(_SIZE, text.strip())
    if match:
        number, prefix, binary, bare = match.groups()
        base = 1024 if binary or bare else 1000
        size = float(number) * base ** " kmg".index((prefix or bare or " ").lower())
        if size.is_integer() and size > 0 and not (binary and not prefix):
            return int(size)
    raise UsageError(
        f"{quote(text)} is not a size", hint="Write bytes, or a unit as in 512KiB, 8MiB, 4MB."
    )


_NONE = ConvertOptions()
