"""Convert, plan or inspect models in a child process and report what each cost.

Run as a script it reads requests from standard input, one JSON object a line: ``path``,
``command`` (``convert``, ``plan``, ``inspect``, ``load``), ``options``. Each is answered with one:
``error`` (class or None), ``message``, ``exit_code``, ``seconds`` (of the processor),
``grown_bytes`` (of peak memory), ``written`` (files that are new in the directory of the output).
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tfjs_codec
from tfjs_codec.errors import TfjsCodecError
from tfjs_codec.limits import Limits

SECONDS, BYTES = 2.0, 64 << 20  # what an input may cost, above the idle footprint


@dataclass(frozen=True)
class Answer:
    """What one request came to; see the module."""

    error: str | None
    message: str
    exit_code: int
    seconds: float
    grown_bytes: int
    written: list[str] = field(default_factory=list)


def ask(requests: Sequence[dict[str, Any]], warm_up: Sequence[Path]) -> list[Answer]:
    """Let one child answer *requests*, after it converted *warm_up* (good models)."""
    lines = [json.dumps({**request, "path": str(request["path"])}) for request in requests]
    run = subprocess.run(
        [sys.executable, __file__, *map(str, warm_up)],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    found = [Answer(**json.loads(line)) for line in run.stdout.splitlines()]
    assert len(found) == len(requests), f"died at {requests[len(found)]}: {run.stderr[-2000:]}"
    return found


def _do(request: dict[str, Any], output: Path) -> None:
    options = dict(request.get("options", {}))
    if "limits" in options:
        options["limits"] = Limits(**options["limits"])
    source, command = request["path"], request.get("command", "convert")
    if command == "convert":
        tfjs_codec.convert(source, output / request.get("name", "web"), **options)
    elif command == "load":
        with tfjs_codec.load(source, **options) as model:
            for name in model.weights:
                model.weights[name]
    else:
        str(getattr(tfjs_codec, command)(source, **options))


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    error: BaseException | None = None
    with tempfile.TemporaryDirectory() as output:
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak of earlier requests
        before, start = _peak_bytes(), time.process_time()
        try:
            _do(request, Path(output))
        except Exception as caught:  # noqa: BLE001  the test says which are allowed
            error = caught
        seconds, grown = time.process_time() - start, _peak_bytes() - before
        written = sorted(path.name for path in Path(output).iterdir())
    ours = isinstance(error, TfjsCodecError)
    return {
        "error": type(error).__name__ if error else None,
        "message": str(error) if error else "",
        "exit_code": error.exit_code if ours else 1 if error else 0,
        "seconds": seconds,
        "grown_bytes": grown,
        "written": written,
    }


def _peak_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) << 10


def main() -> None:
    warnings.simplefilter("error")  # numpy's would print a path of ours
    for path in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as output:
            tfjs_codec.convert(path, Path(output) / "web")
        tfjs_codec.inspect(path)
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_answer(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
