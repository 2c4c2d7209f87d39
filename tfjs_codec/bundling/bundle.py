"""``bundle``: which parts of tfjs one model needs, and the files that make a tfjs of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from tfjs_codec.bundling.needs import Needs, find_needs
from tfjs_codec.bundling.texts import CONFIG, FILES, TFJS, write_texts
from tfjs_codec.errors import (
    Problem,
    UnsupportedModelError,
    UsageError,
    count,
    quote,
    suggest,
    visible,
)
from tfjs_codec.files import strict_json
from tfjs_codec.files.remote import local
from tfjs_codec.files.sink import staged
from tfjs_codec.files.source import open_source
from tfjs_codec.ir.json_types import JsonObject
from tfjs_codec.options import ConvertOptions
from tfjs_codec.readers import open_index
from tfjs_codec.tfjs.kernels import find_kernel, functions
from tfjs_codec.verification import node

Backend: TypeAlias = Literal["webgl", "wasm", "cpu"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)
_MARK = b'"tfjsCodec"'
_MARK_WITHIN = 1 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Bundle:
    """What was found and written.

    Attributes:
        path: The model as it was named.
        destination: The directory that was written.
        backends: For which backends.
        kernels: The kernels that the model needs.
        operations: The operations of a graph model's nodes.
        classes: The classes of a Layers model.
        files: The names of the files.
        checks: What a run has proved, one sentence each.
        notes: What was not proved, and why.
    """

    path: str
    destination: str
    backends: tuple[str, ...]
    kernels: tuple[str, ...]
    operations: tuple[str, ...]
    classes: tuple[str, ...]
    files: tuple[str, ...]
    checks: tuple[str, ...]
    notes: tuple[str, ...]

    def to_json(self) -> JsonObject:
        """Return the bundle as what JSON can express."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [f"{self.path} -> {self.destination}: {count(len(self.files), 'file')}"]
        lines += [f"  backend: {', '.join(self.backends)}"]
        for noun in ("kernels", "operations", "classes"):
            names = getattr(self, noun)
            lines += [f"  {len(names)} {noun}: {', '.join(names)}"] if names else []
        lines += [f"  {check}" for check in self.checks]
        lines += [f"  note: {note}" for note in self.notes]
        lines += [f"  to build it: cd {self.destination} && npm install && npm run build"]
        return "\n".join(map(visible, lines))


def bundle(
    web: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    backends: Sequence[Backend],
    also: Sequence[str],
    how: node.Predicting,
    options: ConvertOptions,
) -> Bundle:
    """Write the files; see ``tfjs_codec.bundle``."""
    page = _page_functions(also)
    chosen = _check_backends(backends)
    target = local(destination)
    index, content = _read_index(str(local(web)), options)
    needs = find_needs(content)
    checks, notes = list[str](), list[str]()
    shown = node.trace(index, content.get("signature"), how)
    if isinstance(shown, node.Trace):
        needs = needs.after(shown.kernels, shown.classes)
        checks.append(
            f"TensorFlow.js {shown.version} predicts the same with nothing else "
            f"({shown.backend} backend)"
        )
        if shown.version != TFJS:
            notes.append(f"the files are for TensorFlow.js {TFJS}")
    elif not needs.is_graph:
        raise UsageError(
            f"{shown}, and only a run shows what a Layers model needs", path=web,
            hint="Install Node and @tensorflow/tfjs, or convert it to a graph model: --to graph.",
        )  # fmt: skip
    else:
        notes.append(f"{shown}: the kernels are those of the table, not proved by a run")
    needs = needs.beside(page)
    notes += _check_kernels(needs, chosen, os.fspath(web))
    model = os.path.relpath(index, os.path.realpath(target))
    texts = write_texts(needs, chosen, Path(model).as_posix())
    with staged(target, _owned, force=options.force, noun="bundle of tfjs") as stage:
        for name, text in texts.items():
            stage.write(name, text.encode())
    return Bundle(
        os.fspath(web), os.fspath(destination), chosen, tuple(sorted(needs.kernels)),
        tuple(sorted(needs.operations)), tuple(sorted(needs.classes)), tuple(texts),
        tuple(checks), tuple(notes),
    )  # fmt: skip


def _page_functions(also: Sequence[str]) -> frozenset[str]:
    for name in also:
        if name not in functions():
            raise UsageError(f"tfjs has no function {quote(name)}", hint=suggest(name, functions()))
    return frozenset(also)


def _check_backends(backends: Sequence[str]) -> tuple[Backend, ...]:
    for name in backends:
        if name not in BACKENDS:
            raise UsageError(
                f"{quote(name)} is not a backend that can be bundled", hint=suggest(name, BACKENDS)
            )
    if not backends:
        raise UsageError("no backend was named", hint="Name one, such as webgl.")
    return tuple(name for name in BACKENDS if name in backends)


def _read_index(web: str, options: ConvertOptions) -> tuple[Path, JsonObject]:
    """Return the path of the ``model.json`` of the model *web*, and its content.

    Raises:
        UsageError: It is no tfjs model, mere weights, or in an archive.
        InputError: It is damaged.
    """
    with ExitStack() as stack:
        source = open_source(web)
        index = open_index(source, options, stack)
        if index is None or index.file_path is None:
            raise UsageError(
                "not the directory of a tfjs model", path=web,
                hint="Convert it first: tfjs-codec convert.",
            )  # fmt: skip
        content = strict_json.read(index, options.limits)
    if not isinstance(content, dict) or not isinstance(content.get("modelTopology"), dict):
        raise UsageError("mere weights, which are no model", path=index.path)
    return Path(os.path.realpath(index.file_path)), content


def _check_kernels(needs: Needs, backends: Sequence[Backend], path: str) -> list[str]:
    """Return notes about kernels that one of *backends* lacks, and that may not be needed.

    Raises:
        UnsupportedModelError: One that a run has shown is lacking.
    """
    lacking = [
        (kernel, backend)
        for backend in backends
        for kernel in sorted(needs.kernels)
        if find_kernel(kernel, backend) is None
    ]
    problems = tuple(
        Problem(kernel, "kernel", f"tfjs lacks it on the {backend} backend", kind="kernel")
        for kernel, backend in lacking
        if kernel in needs.shown
    )
    if problems:
        raise UnsupportedModelError(
            "tfjs cannot run the model on these backends", path=path, problems=problems,
            hint="Bundle it for another backend: --backend.",
        )  # fmt: skip
    return [f"the {backend} backend has no kernel {kernel}" for kernel, backend in lacking]


def _owned(directory: Path) -> frozenset[str] | None:
    """Return the files of a bundle that are in *directory*, built ones included; None if none."""
    try:
        with (directory / CONFIG).open("rb") as file:
            ours = _MARK in file.read(_MARK_WITHIN)
    except OSError:
        return None
    return FILES if ours else None
