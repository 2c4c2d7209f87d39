"""Inputs and outputs of predictions in files: ``.npz``, by name, and JSON."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from tfjs_codec.conversion.destinations import find_place, staged_output
from tfjs_codec.errors import CorruptFileError
from tfjs_codec.files import strict_json
from tfjs_codec.files.source import ZIP_MAGIC, AnySource, open_source
from tfjs_codec.ir.json_types import plain_float
from tfjs_codec.ir.tensors import Array, ArrayTensor
from tfjs_codec.limits import Limits
from tfjs_codec.writers import npz

if TYPE_CHECKING:
    from tfjs_codec.ir.json_types import Json
    from tfjs_codec.prediction.predictor import Inputs, Outputs


def read_inputs(what: AnySource, limits: Limits) -> Inputs:
    """Return the inputs in *what*: an ``.npz`` of arrays by name, or JSON.

    In JSON they are nested lists, or an object of them by name.

    Raises:
        CorruptFileError: It is neither.
        LimitExceededError: ``stdin_bytes`` for an ``.npz``, the limits of JSON.
    """
    source = open_source(what)
    with source.open() as file:
        if file.read(len(ZIP_MAGIC)) != ZIP_MAGIC:
            found: Inputs = strict_json.read(source, limits)
            return found
    data = io.BytesIO(source.read("stdin_bytes", limits))
    try:
        with np.load(data, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (ValueError, EOFError, KeyError, TypeError, OSError, zipfile.BadZipFile) as error:
        raise CorruptFileError(
            f"not an .npz file of arrays of numbers or texts ({error})", path=source.path
        ) from None


def write_outputs(
    outputs: Mapping[str, Array], destination: str | os.PathLike[str], *, force: bool
) -> None:
    """Write *outputs* by name into the ``.npz`` file *destination*.

    Raises:
        UsageError: There is another file, and not *force*.
        UnsupportedModelError: An output holds texts, which ``.npz`` does not.
        OutputError: Writing failed.
    """
    tensors = {name: ArrayTensor(name, array) for name, array in outputs.items()}
    with staged_output(find_place(destination), (npz.MAGIC,), force=force) as (stage, name):
        npz.write(tensors, stage, name)
        stage.settle()


def as_json(outputs: Outputs) -> Json:
    """Return *outputs* in their structure as nested lists; complex numbers are pairs.

    What is not finite is ``"NaN"``, ``"Infinity"`` or ``"-Infinity"``.
    """
    if isinstance(outputs, dict):
        return {name: as_json(array) for name, array in outputs.items()}
    if isinstance(outputs, list):
        return [as_json(array) for array in outputs]
    if outputs.dtype.kind == "c":
        outputs = np.stack([outputs.real, outputs.imag], -1)
    return _plain(outputs.tolist())


def _plain(value: object) -> Json:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    assert isinstance(value, bool | int | float | str)  # noqa: S101  of an array of numbers
    return plain_float(value) if isinstance(value, float) else value
