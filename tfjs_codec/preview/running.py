"""What a page needs to run a tfjs model: its files, TensorFlow.js, and how it is fed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote as quote_url

from tfjs_codec.errors import UsageError, quote
from tfjs_codec.files import strict_json
from tfjs_codec.files.source import AnySource, Source, open_source
from tfjs_codec.ir.json_types import Json, JsonObject
from tfjs_codec.options import ConvertOptions
from tfjs_codec.preview.page import Running
from tfjs_codec.readers import open_index
from tfjs_codec.snippet import TFJS_PACKAGE, Interface, read_interface

# Backends that are packages of their own, beside that of tfjs: the script of each.
_BACKENDS = {"wasm": "tf-backend-wasm.min.js", "webgpu": "tf-backend-webgpu.min.js"}
_BINARIES = ("tfjs-backend-wasm.wasm", "tfjs-backend-wasm-simd.wasm",
             "tfjs-backend-wasm-threaded-simd.wasm")  # fmt: skip
_URL = r"https?://[A-Za-z0-9.:\[\]-]+(/[\w@.~%+-]+)*/?"
_MODEL = "/model/"
_RECORDED = "/recorded.npz"


class Prepared(NamedTuple):
    """What the page gets, and the files that it fetches from its server, by path."""

    running: Running
    files: dict[str, Source]


def prepare_running(
    source: AnySource,
    options: ConvertOptions,
    stack: ExitStack,
    *,
    tfjs: str | None = None,
    recorded: AnySource | None = None,
) -> Prepared | None:
    """Return what the page needs to run *source*; None if it is no tfjs model that can be run.

    Args:
        source: Any model.
        options: How to read it.
        stack: What keeps its files readable.
        tfjs: The package ``@tensorflow/tfjs``: a directory, or a URL; by default that of a CDN.
        recorded: An ``.npz`` file of inputs and outputs to offer.

    Raises:
        UsageError: *tfjs* is neither.
        InputError: The model is damaged.
    """
    index = open_index(open_source(source), options, stack)
    if index is None:
        return None
    content = strict_json.read(index, options.limits)
    try:
        how = read_interface(content, index.path)
    except UsageError:  # mere weights
        return None
    files = {f"{_MODEL}model.json": index, **dict(_weight_files(content, index, options))}
    package, urls, fetched = _find_tfjs(tfjs or TFJS_PACKAGE, files)
    described: JsonObject = {"model": f"{_MODEL}model.json", **_describe(how), **package}
    if recorded is not None:
        files[_RECORDED] = open_source(recorded)
        described["recorded"] = _RECORDED
    return Prepared(Running(described, urls, ("'self'", *fetched)), files)


def _weight_files(
    content: Json, index: Source, options: ConvertOptions
) -> Iterator[tuple[str, Source]]:
    groups = content.get("weightsManifest") if isinstance(content, dict) else None
    for group in groups if isinstance(groups, list) else ():
        for name in group["paths"]:  # inspected before
            if index.folder is None:
                raise UsageError(
                    "the weights are in files beside this one", path=index.path,
                    hint="Pass its directory.",
                )  # fmt: skip
            file = index.folder.find(
                name.removeprefix("./"), path=index.path, limits=options.limits
            )
            yield f"{_MODEL}{quote_url(name.removeprefix('./'))}", file


def _describe(how: Interface) -> JsonObject:
    inputs: list[JsonObject] = [
        {"name": one.name, "shape": list(one.shape), "dtype": one.dtype, "below": one.below}
        for one in how.inputs
    ]
    return {
        "inputs": inputs,
        "outputs": how.outputs,
        "labels": how.labels[:2000],
        "graph": how.is_graph,
        "async": how.is_async,
    }


def _find_tfjs(
    where: str, files: dict[str, Source]
) -> tuple[JsonObject, tuple[str, ...], tuple[str, ...]]:
    """Return what the page is told of the package at *where*, its scripts, what those fetch.

    Files of a directory are added to *files*.
    """
    if "://" in where:
        if not re.fullmatch(_URL, where):
            raise UsageError(
                f"{quote(where)} is no URL of an npm package", hint=f"Such as {TFJS_PACKAGE}."
            )
        base = where.rstrip("/")
        core = f"{base}/dist/tf.min.js"
        names = {name: _sibling(base, name) for name in _BACKENDS}
    else:
        base = "/tfjs/@tensorflow/tfjs"
        package = _find_package(Path(where))
        names = {}
        core = f"{base}/dist/tf.min.js"
        files[core] = open_source(package / "dist/tf.min.js")
        for name, script in _BACKENDS.items():
            folder = Path(_sibling(str(package), name)) / "dist"
            if not (folder / script).is_file():
                continue
            names[name] = _sibling(base, name)
            for file in (script, *(_BINARIES if name == "wasm" else ())):
                if (folder / file).is_file():
                    files[f"{names[name]}/dist/{file}"] = open_source(folder / file)
    scripts = {name: f"{at}/dist/{_BACKENDS[name]}" for name, at in names.items()}
    told: JsonObject = {"tfjs": core, "backends": scripts}
    urls, fetched = (core, *scripts.values()), tuple[str, ...]()
    if "wasm" in names:
        told["binaries"] = f"{names['wasm']}/dist/"
        fetched = tuple(f"{names['wasm']}/dist/{binary}" for binary in _BINARIES)
    if "://" in where:
        return told, urls, fetched
    return told, ("'self'",), ()


def _sibling(package: str, backend: str) -> str:
    """Return the package of *backend* beside *package*, which may end in a version."""
    return re.sub(r"tfjs(@[^/]*)?$", rf"tfjs-backend-{backend}\1", package)


def _find_package(where: Path) -> Path:
    below = ("", "tfjs", "@tensorflow/tfjs", "node_modules/@tensorflow/tfjs")
    for candidate in (where / part for part in below):
        if (candidate / "dist/tf.min.js").is_file():
            return candidate.resolve()
    raise UsageError(
        "there is no package @tensorflow/tfjs", path=where,
        hint="Run npm install @tensorflow/tfjs @tensorflow/tfjs-backend-wasm, and name the "
        "directory of node_modules.",
    )  # fmt: skip
