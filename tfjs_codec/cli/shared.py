"""What the subcommands share: common options, standard input, printing of results."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, NoReturn, Protocol

from tfjs_codec.cli.program import say
from tfjs_codec.errors import CorruptFileError, UsageError, quote, suggest

if TYPE_CHECKING:
    from tfjs_codec.ir.json_types import Json, JsonObject
    from tfjs_codec.limits import Limits
    from tfjs_codec.options import ReadingChoices

EPILOG = """exit codes: 0 done, 1 internal error, 2 wrong usage, 3 damaged or unknown input,
4 unsafe input, 5 tfjs cannot express the model, 6 output failed, 7 a check failed,
130 interrupted"""
_STDIN_BYTES = 1 << 20  # read at a time


class Result(Protocol):
    """What a command prints: it has a text and a JSON form."""

    def to_json(self) -> JsonObject:
        """Return the result as what JSON can express."""
        ...


class Command(Protocol):
    """What a module of a subcommand holds."""

    WHAT: str  # what it does, for --help

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments and options to *parser*."""
        ...

    def run(self, arguments: argparse.Namespace) -> int:
        """Do the work and return the exit code."""
        ...


class Parser(argparse.ArgumentParser):
    """A parser whose errors are as short as all others, and say what may have been meant."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError for *message* of argparse."""
        unknown = re.fullmatch(r"unrecognized arguments: (--[a-z][\w-]*).*", message)
        choice = re.match(r"argument ([\w-]+): invalid choice: '([^']*)'", message)
        inner = [action.choices for action in self._actions if isinstance(action.choices, dict)]
        hint = f"See {self.prog} --help."
        if unknown:
            parsers = [self, *(parser for choices in inner for parser in choices.values())]
            flags = [flag for one in parsers for action in one._actions
                     for flag in action.option_strings]  # fmt: skip
            hint = suggest(unknown[1], flags)
        elif choice and (longer := f"{choice[1]}-{choice[2]}") in self._option_string_actions:
            hint = suggest(longer, [longer])
        elif choice and inner and not choice[1].startswith("-"):
            message = f"there is no command {quote(choice[2])}"
            hint = suggest(choice[2], [name for choices in inner for name in choices])
        raise UsageError(message, hint=hint)


class Help(argparse.RawDescriptionHelpFormatter):
    """Help as wide as the terminal.

    argparse makes a formatter for each option that it adds, which then asks for the width: that
    alone would take as long as the rest of ``--version``.
    """

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)


@cache
def _columns() -> int:
    try:
        return int(os.environ.get("COLUMNS", "0")) or os.get_terminal_size().columns or 80
    except (ValueError, OSError):
        return 80


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that all subcommands have."""
    add = parser.add_argument
    add("--limit", metavar="NAME=VALUE", action=Pairs, default={}, help="raise a safety limit")
    add("--sandbox", action="store_true", help="work in a child process with limited resources")
    add("--json", action="store_true", help="print the result as JSON")
    add("--quiet", action="store_true", help="print nothing but errors")


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how to read a model."""
    add = parser.add_argument
    add("--architecture", metavar="FILE", help="the model.to_json() of a weights-only file")
    add("--tags", metavar="TAGS", help="the MetaGraph of a SavedModel, such as serve,gpu")
    add("--signature-name", metavar="NAME", help="the signature of a SavedModel")
    add("--output-node-names", metavar="NAMES",
        help="the outputs of a frozen graph, such as y,boxes:1")  # fmt: skip
    add("--no-checksums", action="store_true", help="do not verify the checksums of a SavedModel")


def reading(arguments: argparse.Namespace) -> ReadingChoices:
    """Return what the options of :func:`add_reading` and ``--limit`` say."""
    return {
        "architecture": arguments.architecture,
        "tags": split_names(arguments.tags),
        "signature_name": arguments.signature_name,
        "output_node_names": split_names(arguments.output_node_names),
        "verify_checksums": not arguments.no_checksums,
        "limits": limits(arguments.limit),
    }


def add_changes(parser: argparse.ArgumentParser) -> None:
    """Add the options that change a Keras model before it is converted."""
    add = parser.add_argument
    add("--rename", metavar="OLD=NEW", action=Pairs, default={},
        help="give a layer another name")  # fmt: skip
    add("--replace", metavar="LAYER=FILE", action=Pairs, default={},
        help="a Keras model to put in the place of a layer (a Lambda, a custom layer)")  # fmt: skip
    add("--rules", metavar="FILE", action="append", default=[],
        help="a Python file that registers rules for custom layers; it is run")  # fmt: skip


def show(result: Result, arguments: argparse.Namespace) -> None:
    """Print *result* as the options ask."""
    if arguments.json:
        say(json.dumps(result.to_json()))
    elif not arguments.quiet:
        say(str(result))


def source(text: str, limits: Limits) -> str | bytes:
    """Return what to read: the path *text*, or for ``-`` the bytes of standard input."""
    if text != "-":
        return text
    if not sys.stdin.readable():
        raise UsageError("standard input is closed", hint="Name a file, or pipe one in.")
    data = bytearray()
    while piece := sys.stdin.buffer.read(_STDIN_BYTES):
        what = "the number of bytes in standard input"
        limits.check("stdin_bytes", len(data) + len(piece), what, path="<stdin>")
        data += piece
    return bytes(data)


def split_names(text: str | None) -> list[str] | None:
    """Return the names that *text* lists with commas."""
    return None if text is None else [name for name in text.split(",") if name]


class Pairs(argparse.Action):
    """Collects in a dict what reads as the metavar of its option, such as ``OLD=NEW``."""

    def __call__(
        self,
        parser: object,  # noqa: ARG002
        namespace: argparse.Namespace,
        values: object,
        *_: object,
    ) -> None:
        """Add one pair.

        Raises:
            UsageError: It is none.
        """
        key, equals, value = str(values).partition("=")
        if not (key and equals and value):
            raise UsageError(f"{self.option_strings[0]}: {values!r} should read {self.metavar}")
        setattr(namespace, self.dest, {**getattr(namespace, self.dest), key: value})


def json_file(file: str) -> Json:
    """Return the content of a JSON file.

    Raises:
        CorruptFileError: It is none.
    """
    from tfjs_codec.files.source import open_source
    from tfjs_codec.files.strict_json import loads

    try:
        content: Json = loads(open_source(file).read("json_bytes"), path=file, where="")
    except CorruptFileError as error:
        error.hint = 'The file must hold JSON, such as ["cat", "dog"].'
        raise
    return content


def limits(items: Mapping[str, str]) -> Limits:
    """Return the default limits with the pairs of ``--limit`` applied."""
    from dataclasses import fields, replace

    from tfjs_codec.limits import DEFAULT_LIMITS
    from tfjs_codec.options import parse_size

    known = [field.name for field in fields(DEFAULT_LIMITS)]
    changes = {}
    for name, value in items.items():
        if name not in known:
            raise UsageError(f"there is no limit {quote(name)}", hint=suggest(name, known))
        changes[name] = parse_size(value)
    return replace(DEFAULT_LIMITS, **changes)
