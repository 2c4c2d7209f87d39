"""The command line: arguments to options, errors to exit codes, messages to standard error."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from tfjs_codec import __version__
from tfjs_codec.commands import convert, inspect, verify
from tfjs_codec.commands.shared import EPILOG
from tfjs_codec.errors import TfjsCodecError, visible

_COMMANDS = (convert, inspect, verify)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    code = 0
    _prepare_streams()
    try:
        arguments = _parser().parse_args(argv)
        try:
            code = arguments.run(arguments)
            sys.stdout.flush()
        except BrokenPipeError:  # the reader of our output has left
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except TfjsCodecError as error:
        _complain(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        _complain(f"{error.filename or 'system'}: {error.strerror or error}")
        return 3
    except Exception as error:  # the last resort: one line, no traceback
        if os.environ.get("TFJS_CODEC_DEBUG"):
            raise
        _complain(
            f"internal error: {type(error).__name__}: {error}. Please report it; "
            "TFJS_CODEC_DEBUG=1 shows where it happened."
        )
        return 1
    return code


def _prepare_streams() -> None:
    """Make the standard streams usable, whatever is closed and whatever the locale can encode."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # else the next file we open took its descriptor
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), "w"))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _complain(text: str) -> None:
    print("tfjs-codec: error:", visible(text, keep="\n"), file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tfjs-codec",
        description="Convert Keras models to TensorFlow.js without TensorFlow.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"tfjs_codec {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add_parser(commands)
    return parser
