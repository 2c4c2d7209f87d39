"""The files of a bundle: those of the official ``tfjs-custom-module``, and how to build them.

``custom_tfjs_config.json`` is what that tool reads; the three modules are laid out as it writes
them (tfjs 4.22, ``tfjs/tools/custom_module``), but with the modules of kernels that it does not
find (``FFT``, ``LRN``, ``FusedBatchNorm``). ``tfjsCodec`` in the config is for ``build.mjs`` alone.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence

from tfjs_codec import resources
from tfjs_codec.bundling.needs import Needs
from tfjs_codec.tfjs.kernels import find_kernel, functions

TFJS = "4.22.0"
ESBUILD = "0.28.2"
CONFIG = "custom_tfjs_config.json"
_CORE = "@tensorflow/tfjs-core/dist"
_MARK = "// Written by tfjs_codec.\n"
# What every page may use beside the loader: no kernels.
_PAGE = ("Tensor", "disposeVariables", "dispose", "engine", "env", "getBackend", "keep", "memory",
         "nextFrame", "ready", "setBackend", "tensor", "tidy", "version_core", "zeros")  # fmt: skip
# All that is written, and what build.mjs makes.
FILES = frozenset(
    (CONFIG, "custom_tfjs.js", "custom_tfjs_core.js", "custom_ops_for_converter.js", "entry.js",
     "build.mjs", "package.json", "tf.min.js", "tf.min.mjs", "tfjs-backend-wasm.wasm",
     "tfjs-backend-wasm-simd.wasm", "tfjs-backend-wasm-threaded-simd.wasm")
)  # fmt: skip
_WASM = ("setThreadsCount", "setWasmPath", "setWasmPaths")


def write_texts(needs: Needs, backends: Sequence[str], model: str) -> dict[str, str]:
    """Return the files of a bundle by name; *model* is where its ``model.json`` is from there."""
    return {
        CONFIG: _config(needs, backends, model),
        "custom_tfjs.js": _tfjs(needs, backends),
        "custom_tfjs_core.js": _core(),
        "custom_ops_for_converter.js": _converter_functions(needs),
        "entry.js": _entry(needs, backends),
        "build.mjs": resources.read(__package__, "build.mjs").decode(),
        "package.json": _package(backends),
    }


def _config(needs: Needs, backends: Sequence[str], model: str) -> str:
    config = {
        "tfjsCodec": {
            "classes": sorted(needs.classes),
            "operations": sorted(needs.operations),
            "training": needs.trains,
        },
        "models": [model] if needs.is_graph else [],
        "backends": list(backends),
        "kernels": sorted(needs.kernels),
        "forwardModeOnly": True,
        "outputPath": ".",
    }
    return json.dumps(config, indent=2) + "\n"


def _core() -> str:
    return f"""{_MARK}import {{registerKernel}} from '{_CORE}/base';
import '{_CORE}/base_side_effects';
export * from '{_CORE}/base';
"""


def _tfjs(needs: Needs, backends: Sequence[str]) -> str:
    lines = [_core() + ("export * from '@tensorflow/tfjs-converter';" if needs.is_graph else "")]
    for backend in backends:
        package = f"@tensorflow/tfjs-backend-{backend}/dist"
        lines += ["", f"// backend = {backend}", f"export * from '{package}/base';"]
        for kernel in sorted(needs.kernels):
            local = f"{kernel}_{backend}"
            if found := find_kernel(kernel, backend):
                lines += [
                    f"import {{{found.name} as {local}}} from '{package}/kernels/{found.module}';",
                    f"registerKernel({local});",
                ]
    return "\n".join(lines) + "\n"


def _converter_functions(needs: Needs) -> str:
    """Return the module that exports the functions of operations, namespaces as objects."""
    return _MARK + "\n".join(_exports(sorted(needs.functions))) + "\nexport {};\n"


def _exports(names: Sequence[str]) -> Iterator[str]:
    spaces: dict[str, list[str]] = defaultdict(list)
    for name in names:
        space, _, short = name.rpartition(".")
        module = f"{_CORE}/ops/{functions()[name].module}"
        if space:
            spaces[space].append(short)
            yield f"import {{{short} as {short}_{space}}} from '{module}';"
        else:
            yield f"export {{{short}}} from '{module}';"
    for space, shorts in spaces.items():
        members = ", ".join(f"{short}: {short}_{space}" for short in shorts)
        yield f"export const {space} = {{{members}}};"


def _entry(needs: Needs, backends: Sequence[str]) -> str:
    lines = [
        "// What the page may call: tfjs-codec bundle --also NAMES adds more, with their kernels.",
        "import './custom_tfjs.js';",
        f"export {{{', '.join(_PAGE)}}} from '{_CORE}/base';",
        *_exports(sorted(needs.page.difference(_PAGE))),
    ]
    if needs.is_graph:
        lines += ["export {loadGraphModel} from '@tensorflow/tfjs-converter';"]
    else:
        lines += [
            "import '@tensorflow/tfjs-layers/dist/flags_layers';",
            "import '@tensorflow/tfjs-layers/dist/exports_layers';",
            "export {loadLayersModel} from '@tensorflow/tfjs-layers/dist/models';",
        ]
    if needs.trains:  # tfjs makes the optimizer of the training configuration
        lines += [
            f"import {{registerOptimizers}} from '{_CORE}/optimizers/register_optimizers';",
            "registerOptimizers();",
        ]
    if "wasm" in backends:
        lines += [f"export {{{', '.join(_WASM)}}} from '@tensorflow/tfjs-backend-wasm/dist/base';"]
    return _MARK + "\n".join(lines) + "\n"


def _package(backends: Sequence[str]) -> str:
    wasm = {"@tensorflow/tfjs-backend-wasm": TFJS} if "wasm" in backends else {}
    package = {
        "name": "custom-tfjs",
        "description": "TensorFlow.js for one model, written by tfjs_codec",
        "private": True,
        "type": "module",
        "scripts": {"build": "node build.mjs"},
        "dependencies": {"@tensorflow/tfjs": TFJS, **wasm, "esbuild": ESBUILD},
    }
    return json.dumps(package, indent=2) + "\n"
