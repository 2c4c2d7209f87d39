"""Open files as a reader would, as deep as containers go, and report what happened.

Run as a script it reads paths, one a line, from stdin and prints one JSON object per path:
``error`` (class or None), ``message``, ``is_ours``, ``exit_code``, ``seconds``, ``grown_bytes``
(of peak memory) and ``opened`` (other files Python opened). A crash of libhdf5 is then a missing
line, not a dead test run.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfjs_codec.errors import TfjsCodecError
from tfjs_codec.files import strict_json
from tfjs_codec.files.archive import open_archive
from tfjs_codec.files.detection import sniff, unknown_format
from tfjs_codec.files.hdf5 import Group, open_hdf5
from tfjs_codec.files.paths import existing_child
from tfjs_codec.files.source import Source, open_source
from tfjs_codec.ir.loaded import TensorFlowGraph
from tfjs_codec.limits import DEFAULT_LIMITS
from tfjs_codec.readers import open_model, saved_model  # noqa: F401  it is imported late, which would look like a file that was opened

_CONFIGS = ("model_config", "training_config")


def look(what: Any) -> None:
    """Read everything in *what*, keeping nothing."""
    source = open_source(what)
    kind = sniff(source)
    if kind == "hdf5":
        _look_hdf5(source)
    elif kind == "zip":
        _look_zip(source)
    elif kind == "json":
        _look_json(source)
    elif kind in ("saved_model", "checkpoint"):
        _look_variables(source)
    else:
        raise unknown_format(source)


def _look_hdf5(source: Source) -> None:
    with open_hdf5(source) as file:
        for name in _CONFIGS:
            text = file.root.attr(name)
            if isinstance(text, str):
                strict_json.loads(text, path=source.path, where=name)
        if "model_weights" in file.root:
            _look_legacy(file.root.group("model_weights"))
        for _, tensor in file.walk():
            for _chunk in tensor.chunks(1 << 20):
                pass


def _look_legacy(weights: Group) -> None:
    for layer in weights.attr("layer_names") or []:
        group = weights.group(layer)
        for name in group.attr("weight_names") or []:
            group.tensor(name)


def _look_zip(source: Source) -> None:
    with open_archive(source) as archive:
        for name in archive.names():
            if name.endswith(".json"):
                data = archive.read(name, DEFAULT_LIMITS.json_bytes)
                strict_json.loads(data, path=source.path, where=name)
            elif name.endswith(".h5"):
                archive.check(name)
                _look_hdf5(archive.source(name))
            else:
                archive.check(name)
        archive.read("config.json", DEFAULT_LIMITS.json_bytes)
        archive.source("model.weights.h5")


def _look_json(source: Source) -> None:
    model = strict_json.loads(source.read("json_bytes"), path=source.path)
    for group in model.get("weightsManifest", []) if isinstance(model, dict) else []:
        for name in group["paths"]:
            base = Path(source.path).parent
            existing_child(base, name, path=source.path, where="weightsManifest")


def _look_variables(source: Source) -> None:
    with open_model(source) as model:
        found = model.layers_or_weights() if isinstance(model, TensorFlowGraph) else model
        for tensor in found.named_weights().values():
            for _chunk in tensor.chunks(1 << 20):
                pass


def _outcome(path: str, opened: list[str]) -> dict[str, Any]:
    error: BaseException | None = None
    del opened[:]
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of earlier files
    before, start = _peak_bytes(), time.process_time()
    try:
        look(path)
    except Exception as caught:  # noqa: BLE001  the test says which are allowed
        error = caught
    return {
        "path": path,
        "error": type(error).__name__ if error else None,
        "message": str(error) if error else "",
        "is_ours": isinstance(error, TfjsCodecError),
        "exit_code": getattr(error, "exit_code", 0),
        "seconds": time.process_time() - start,
        "grown_bytes": _peak_bytes() - before,
        "opened": [name for name in opened if not name.startswith((_inside(path), "/proc/self/"))],
    }


def _inside(path: str) -> str:
    """The path that all files belonging to *path* begin with: a checkpoint has several."""
    return path.removesuffix(".index")


def _peak_bytes() -> int:
    """Peak resident memory of this process since it was last reset."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) << 10


def outcomes(paths: Sequence[Path], warm_up: Path) -> list[dict[str, Any]]:
    """Let one child look at *paths*, after *warm_up* (a good file), and return what it says."""
    run = subprocess.run(
        [sys.executable, __file__, str(warm_up)],
        input="".join(json.dumps(str(path)) + "\n" for path in paths),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    found = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(found) == len(paths), f"died at {paths[len(found)]}: {run.stderr[-2000:]}"
    return found


def main() -> None:
    opened: list[str] = []
    warm_up = Path(sys.argv[1])
    look(str(warm_up))  # what is imported or allocated once is no file's fault

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(args[0], str):
            opened.append(args[0])

    sys.addaudithook(hook)
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_outcome(json.loads(line), opened)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
