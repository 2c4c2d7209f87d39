"""What a file that no reader knows seems to be: people pass the wrong one by mistake.

Signatures are those of the formats' own specifications (ONNX ``ModelProto``, TFLite's file
identifier ``TFL3``, safetensors' length and JSON header, GGUF's magic, pickle's protocol byte).
"""

from __future__ import annotations

import re
from typing import NamedTuple

_KERAS = "Convert the Keras file or SavedModel that it was made of."
_TORCH = "Export the model to Keras or a TensorFlow SavedModel first."
_AGAIN = "Download the model again."


_LISTED = 5  # models of a directory


class Guess(NamedTuple):
    """What a file seems to be, and what to do."""

    what: str
    hint: str


_PICKLE = Guess("a Python pickle, which is never loaded", "Save the model with model.save().")
_IMAGE = Guess("an image", "Name the model file.")
_STARTS = (
    (b"version https://git-lfs", Guess(
        "a Git LFS pointer, not the file itself", "Run git lfs pull.")),
    (b"<!doctype", Guess("an HTML page, probably of an error", _AGAIN)),
    (b"<html", Guess("an HTML page, probably of an error", _AGAIN)),
    (b"<?xml", Guess("an XML file", "Name the model file.")),
    (b"gguf", Guess("a GGUF language model", "tfjs has no runtime for it.")),
    (b"\x89png", _IMAGE),
    (b"\xff\xd8\xff", _IMAGE),
    (b"gif8", _IMAGE),
    (b"bzh", Guess("a bzip2 file", "Unpack it first.")),
    (b"\xfd7zxz", Guess("an xz file", "Unpack it first.")),
    (b"7z\xbc\xaf", Guess("a 7z archive", "Unpack it first.")),
    (b"rar!", Guess("a RAR archive", "Unpack it first.")),
    (b"%pdf", Guess("a PDF document", "Name the model file.")),
    (b"\x7felf", Guess("a program", "Name the model file.")),
    (b"\x93numpy", Guess("a numpy array, not a model", "Pass a mapping of names to arrays.")),
    (b"model_checkpoint_path", Guess(
        "the list of checkpoints in a directory", "Name a checkpoint by the prefix of its files.")),
    *((bytes((0x80, protocol)), _PICKLE) for protocol in range(2, 6)),
)  # fmt: skip
_NAMES = (
    (r".*\.data-\d{5}-of-\d{5}", Guess(
        "a part of a TensorFlow checkpoint", "Name the checkpoint by the prefix of its files.")),
    (r"group\d+-shard\d+of\d+(\.bin)?|.*weights\.bin", Guess(
        "a weight file of a tfjs model", "Name its directory or its model.json.")),
    (r"saved_model\.pb(txt)?", Guess("the graph of a SavedModel", "Name its directory.")),
    (r".*\.meta", Guess("the graph of a TensorFlow 1 checkpoint", "Export a SavedModel.")),
    (r".*\.(pt|pth|ckpt)", Guess("a PyTorch checkpoint", _TORCH)),
    (r".*\.mlmodel|.*\.mlpackage", Guess("a Core ML model", _KERAS)),
    (r".*\.onnx", Guess("an ONNX model", _KERAS)),
    (r".*\.tflite", Guess("a TFLite model", _KERAS)),
    (r".*\.py", Guess("a Python script, which is never run", "Save the model with model.save().")),
    (r".*\.ipynb", Guess("a notebook, which is never run", "Save the model with model.save().")),
)  # fmt: skip


def guess(head: bytes, name: str, size: int) -> Guess | None:
    """Return what the file called *name*, of *size* bytes, that begins with *head* seems to be."""
    if size == 0:
        return Guess("an empty file", "Copy or download it again.")
    start = head.lstrip().lower()
    for signature, found in _STARTS:
        if start.startswith(signature):
            return found
    for pattern, found in _NAMES:
        if re.fullmatch(pattern, name.lower()):
            return found
    if head[4:8] == b"TFL3":
        return Guess("a TFLite model", _KERAS)
    if head[8:10] == b'{"' and 0 < int.from_bytes(head[:8], "little") < size:
        return Guess("a safetensors file: weights without an architecture", _TORCH)
    if head[:1] == b"\x08" and head[2:3] in (b"\x12", b"\x1a", b"\x3a"):
        return Guess("an ONNX model", _KERAS)
    return None


def guess_zip(names: list[str]) -> Guess | None:
    """Return what a zip with the members *names*, which is no model we read, seems to be."""
    if not names:
        return Guess("an empty zip archive", "Copy or download it again.")
    if any(name.endswith("data.pkl") for name in names):
        return Guess("a PyTorch checkpoint", _TORCH)
    if all(name.endswith(".npy") for name in names):
        return Guess("a numpy .npz: arrays without an architecture", "Read it with numpy.load.")
    if any(name.endswith("saved_model.pb") for name in names):
        return Guess(
            "a zipped SavedModel with very many files", "Unpack it, and name its directory."
        )
    if any(name.startswith("word/") for name in names):
        return Guess("an office document", "Name the model file.")
    return None


def guess_directory(names: list[str]) -> Guess | None:
    """Return what a directory of the files *names*, which is no model we read, seems to be."""
    if "variables.index" in names or "variables.data-00000-of-00001" in names:
        return Guess("the variables of a SavedModel", "Name the directory above it.")
    index = next((name for name in sorted(names) if name.endswith(".index")), None)
    if index is not None:
        prefix = index.removesuffix(".index")
        return Guess("a directory of checkpoints", f"Name one by its prefix: {prefix}.")
    if any(re.fullmatch(_NAMES[1][0], name) for name in names):
        return Guess("weight files of a tfjs model without its model.json", _AGAIN)
    return None


def several_models(noun: str, names: list[str]) -> Guess:
    """Return what the *noun* seems to be that holds the models *names*."""
    listed = ", ".join(names[:_LISTED]) + (", …" if len(names) > _LISTED else "")
    return Guess(f"a {noun} of several models", f"Name one of them: {listed}.")
