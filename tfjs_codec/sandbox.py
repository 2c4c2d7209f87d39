"""Work in a child process with limits on memory, time and the size of files.

libhdf5 and protobuf are C: what a file does to them may end the process, and what it costs is not
always known before. In a child that is one error. The child is a fork (POSIX only), so that rules
of users and models in memory are there, too; its answer comes back as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path

from tfjs_codec import errors
from tfjs_codec.errors import Problem, TfjsCodecError, UnsafeFileError, UsageError
from tfjs_codec.ir.json_types import Json, JsonObject
from tfjs_codec.limits import Limits

_ANSWER_BYTES = 64 << 20  # far more than any report


def run_apart(work: Callable[[], Json], limits: Limits) -> Json:
    """Return what *work* returns, as JSON has it, after running it in a child process.

    The limits are ``sandbox_memory_bytes`` beyond what this process has, ``sandbox_seconds`` of the
    processor, ``sandbox_file_bytes`` for each file that is written.

    Raises:
        UnsafeFileError: The child crashed or used more than it may.
        UsageError: This system cannot fork.
        TfjsCodecError: What *work* raised, as an error of the same class.
    """
    if not hasattr(os, "fork"):
        raise UsageError("there is no sandbox on this system", hint="Use a container.")
    sys.stdout.flush()
    sys.stderr.flush()
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        _answer(work, limits, writer)
    os.close(writer)
    try:
        with os.fdopen(reader, "rb") as pipe:
            text = pipe.read(_ANSWER_BYTES)
    except BaseException:  # Ctrl-C goes to both
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGINT)
        os.waitpid(child, 0)
        raise
    _, status = os.waitpid(child, 0)
    return _result(text, os.waitstatus_to_exitcode(status))


def _answer(work: Callable[[], Json], limits: Limits, writer: int) -> None:
    """Run *work* in the child, write what came of it to *writer*, and end the process."""
    code = 0
    try:
        _restrain(limits)
        answer: JsonObject = {"result": work()}
    except TfjsCodecError as error:
        fields = {key: getattr(error, key) for key in ("what", "path", "where", "hint")}
        listed = [astuple(problem) for problem in getattr(error, "problems", ())]
        answer = {"error": type(error).__name__, **fields, "problems": listed}
    except MemoryError:
        answer = {"overrun": f"more than {limits.sandbox_memory_bytes:,} bytes of memory"}
    except KeyboardInterrupt:
        answer, code = {}, 130
    except Exception as error:  # noqa: BLE001  said by the parent
        answer = {"crash": f"{type(error).__name__}: {error}"[:400]}
    with suppress(OSError):
        sys.stdout.flush()
    view = memoryview(json.dumps(answer).encode())
    while view:
        view = view[os.write(writer, view) :]
    os._exit(code)


def _restrain(limits: Limits) -> None:
    import resource  # noqa: PLC0415  (POSIX only)

    used = 0
    with suppress(OSError):  # Linux
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    seconds = limits.sandbox_seconds
    spent = resource.getrusage(resource.RUSAGE_SELF)
    seconds += int(spent.ru_utime + spent.ru_stime)
    for kind, most in (
        (resource.RLIMIT_AS, used + limits.sandbox_memory_bytes),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, limits.sandbox_file_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (least, least))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writing fails instead


def _result(text: bytes, code: int) -> Json:
    if code == 130:
        raise KeyboardInterrupt
    hint = "Do not trust the file; the limits are raised with --limit sandbox_…=…."
    if code == -signal.SIGXCPU or (code == -signal.SIGKILL and not text):
        raise UnsafeFileError("the sandbox stopped it: it took too long", hint=hint)
    try:
        answer = json.loads(text)
    except ValueError:
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        raise UnsafeFileError(f"reading it crashed ({name})", hint=hint) from None
    if "overrun" in answer:
        raise UnsafeFileError(f"the sandbox stopped it: it needs {answer['overrun']}", hint=hint)
    if "crash" in answer:
        raise UnsafeFileError(f"reading it failed ({answer['crash']})", hint=hint)
    if "error" not in answer:
        result: Json = answer["result"]
        return result
    kind = getattr(errors, answer["error"])
    fields = {key: answer[key] for key in ("path", "where", "hint")}
    if answer["problems"]:
        fields["problems"] = tuple(Problem(*problem) for problem in answer["problems"])
    raise kind(answer["what"], **fields)
