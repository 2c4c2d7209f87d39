"""What a conversion did."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from tfjs_codec.errors import count, visible
from tfjs_codec.html import write_line, write_list, write_table
from tfjs_codec.ir.json_types import JsonObject

_SHARD = re.compile(r"-shard\d+of")
_WORST = 10  # quantised weights that the text lists
_LISTED = 8  # weight files of a group, or weights, that the text lists one by one


@dataclass(frozen=True, slots=True)
class Report:
    """What was read and written, and how.

    Attributes:
        source: The source as it was named.
        destination: The directory, or "" for a plan.
        format: What the source is.
        files: ``(name, bytes)`` of every file, written or planned.
        weights: Number of tensors in the manifest.
        lowered: ``(keras layer, keras class, tfjs classes)`` of each layer that did not become
            the tfjs layer of the same class.
        renamed: ``(old, new)`` layer names.
        dropped: State needed only for training that was left out.
        warnings: What the reader of the report should know.
        quantization: ``(weight, dtype, largest absolute error, step, relative error)`` per
            quantised tensor; the last is the root mean square of the errors relative to that of
            the values.
        whole_nbytes: Bytes of the weights if none were quantised.
        gzip_nbytes: Bytes of all files as a server sends them with gzip, where weights were
            quantised and the model is not large; else 0.
        brotli_nbytes: The same with brotli, if that package is installed (extra ``brotli``).
        kept_whole: Weights that are not quantised beside others: they are no kernels or embeddings,
            or ``auto`` found no type that is near enough.
        calibration: ``(output, samples, agreement, largest error, mean error, divergence)`` of
            predictions, see ``tfjs_codec.verification.calibration.Agreement``.
        rescaled: Weights between which factors were moved before they were quantised, without
            effect on predictions, so that rounding loses less.
        corrected: For the inputs of a calibration: kernels rounded so that errors change outputs
            little, and biases that take back what rounding does to the mean of outputs.
    """

    source: str
    destination: str
    format: str
    files: tuple[tuple[str, int], ...] = ()
    weights: int = 0
    lowered: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    dropped: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    quantization: tuple[tuple[str, str, float, float, float], ...] = ()
    whole_nbytes: int = 0
    gzip_nbytes: int = 0
    brotli_nbytes: int = 0
    kept_whole: tuple[str, ...] = ()
    calibration: tuple[tuple[str, int, float | None, float, float, float | None], ...] = ()
    rescaled: tuple[str, ...] = ()
    corrected: tuple[str, ...] = ()

    @property
    def nbytes(self) -> int:
        """Bytes of all files."""
        return sum(nbytes for _, nbytes in self.files)

    @property
    def weight_nbytes(self) -> int:
        """Bytes of the weight files."""
        return sum(nbytes for name, nbytes in self.files if name.endswith(".bin"))

    @classmethod
    def from_json(cls, content: JsonObject) -> Report:
        """Return the report that ``to_json`` gave *content* of."""
        known = {key: _tuples(content[key]) for key in cls.__dataclass_fields__}
        return cls(**known)

    def to_json(self) -> JsonObject:
        """Return the report as what JSON can express."""
        return {**asdict(self), "nbytes": self.nbytes}

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        goal = self.destination or "(nothing written)"
        files = [("file", "bytes"), *((name, f"{nbytes:,}") for name, nbytes in self.files)]
        lowered = [(name, kind, ", ".join(into)) for name, kind, into in self.lowered]
        head = f"{self.source} ({self.format}) → {goal}"
        return "".join(
            [
                f"<p>{write_line(head)}</p>",
                write_table(files, 1),
                write_table([("layer", "class", "became"), *lowered]) if lowered else "",
                write_list("Renamed", (f"{old} to {new}" for old, new in self.renamed)),
                write_list("Left out", self.dropped),
                write_list("Warnings", self.warnings),
            ]
        )

    def __str__(self) -> str:
        goal = f" -> {self.destination}" if self.destination else " (nothing written)"
        lines = [f"{self.source} ({self.format}){goal}"]
        files = count(len(self.files), "file")
        lines.append(f"  {count(self.weights, 'weight')}, {files}, {count(self.nbytes, 'byte')}")
        lines += _list_files(self.files)
        lines += [
            f"  layer {name}: {kind} became {count(len(into), 'layer')}: {', '.join(into)}"
            for name, kind, into in self.lowered
        ]
        lines += [f"  renamed {old} to {new}" for old, new in self.renamed]
        lines += [f"  left out: {what}" for what in self.dropped]
        lines += self._list_losses()
        for what, names in (
            ("not quantised", self.kept_whole),
            ("rescaled before rounding, without effect on predictions", self.rescaled),
            ("corrected for the calibration inputs", self.corrected),
        ):
            lines += [f"  {what}: {_list_names(names)}"] if names else []
        lines += map(_describe_agreement, self.calibration)
        lines += [f"  warning: {text}" for text in self.warnings]
        return "\n".join(map(visible, lines))

    def _list_losses(self) -> Iterator[str]:
        """Yield what quantisation saves and costs: the weights with the largest relative errors."""
        if not self.quantization:
            return
        saved = f"  quantised: {self.whole_nbytes:,} bytes of weights became {self.weight_nbytes:,}"
        saved += f", all files with gzip {self.gzip_nbytes:,}" if self.gzip_nbytes else ""
        yield saved + (f", with brotli {self.brotli_nbytes:,}" if self.brotli_nbytes else "")
        worst = sorted(self.quantization, key=lambda loss: -loss[4])
        for name, dtype, error, _, relative in worst[:_WORST]:
            yield f"  {name}: {dtype}, largest error {error:.3g}, relative error {relative:.2%}"
        if len(worst) > _WORST:
            yield f"  {len(worst) - _WORST:,} more with smaller relative errors"


def _describe_agreement(
    row: tuple[str, int, float | None, float, float, float | None],
) -> str:
    output, samples, agreement, largest, mean, divergence = row
    parts = [
        f"  output {output} for {count(samples, 'input')}:",
        "" if agreement is None else f"agreement {agreement:.2%},",
        f"largest error {largest:.3g}, mean error {mean:.3g}",
    ]
    end = "" if divergence is None else f", KL divergence {divergence:.3g}"
    return " ".join(part for part in parts if part) + end


def _list_names(names: Sequence[str]) -> str:
    """Return the number of weights and their names, or the first of them."""
    more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    return f"{count(len(names), 'weight')}: {', '.join(names[:_LISTED])}{more}"


def _list_files(files: Sequence[tuple[str, int]]) -> Iterator[str]:
    """Yield a line for each file, or for all weight files of a group if there are many."""
    for _, group in groupby(files, lambda file: _SHARD.sub("", file[0])):
        members = list(group)
        (first, nbytes), (last, _) = members[0], members[-1]
        if len(members) <= _LISTED:
            yield from (f"  file {name}: {count(nbytes, 'byte')}" for name, nbytes in members)
        else:
            yield f"  {len(members):,} files {first} to {last}: {nbytes:,} bytes each, or less"


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
