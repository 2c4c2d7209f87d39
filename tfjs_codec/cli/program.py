"""What every program of the package does around its work: streams, errors, exit codes."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from tfjs_codec.cli.progress import end_line
from tfjs_codec.errors import OutputError, TfjsCodecError, visible

if TYPE_CHECKING:
    from tfjs_codec.ir.json_types import JsonObject


def run_guarded(
    name: str,
    work: Callable[[], int],
    spell: Callable[[str], str] = str,
    *,
    as_json: bool = False,
) -> int:
    """Run *work* of the program *name*; return its exit code, or that of the error it raises.

    *spell* turns the message of an error into the words of the program. With *as_json* standard
    output gets ``{"error": …}``, too.
    """
    code = 0
    _prepare_streams()
    try:
        try:
            code = work()
        finally:  # also when argparse leaves, after --help
            end_line()
            _flush()
    except TfjsCodecError as error:
        _complain(name, spell(str(error)))
        if as_json:
            _say_error(error.to_json())
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        _complain(name, f"{error.filename or 'system'}: {error.strerror or error}")
        if as_json:
            _say_error({"type": type(error).__name__, "path": str(error.filename or ""),
                        "what": str(error.strerror or error)})  # fmt: skip
        return 3
    except Exception as error:  # the last resort: one line, no traceback
        if os.environ.get("TFJS_CODEC_DEBUG"):
            raise
        _complain(
            name,
            f"internal error: {type(error).__name__}: {error}. Please report it; "
            "TFJS_CODEC_DEBUG=1 shows where it happened.",
        )
        return 1
    return code


def _say_error(described: JsonObject) -> None:
    import json

    with suppress(OSError):  # nobody listens
        print(json.dumps({"error": described}), flush=True)


def say(text: str) -> None:
    """Print *text*; who reads it may leave at any time.

    Raises:
        OutputError: Standard output cannot be written, as on a full disk.
    """
    end_line()
    try:
        print(text)
    except OSError as error:
        _give_up(error)


def _flush() -> None:
    try:
        sys.stdout.flush()
    except OSError as error:
        _give_up(error)


def _give_up(error: OSError) -> None:
    """Throw away what standard output did not take, so that Python does not try again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if not isinstance(error, BrokenPipeError):  # the reader of our output has left
        raise OutputError(f"cannot write: {error.strerror}", path="standard output") from error


def _prepare_streams() -> None:
    """Make the standard streams usable, whatever is closed and whatever the locale can encode."""
    for name in ("stdin", "stdout", "stderr"):  # shared.source() asks whether the first can be read
        if getattr(sys, name) is None:  # else the next file we open took its descriptor
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), "w"))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _complain(name: str, text: str) -> None:
    with suppress(OSError):  # nobody listens
        print(f"{name}: error:", visible(text, keep="\n"), file=sys.stderr)
