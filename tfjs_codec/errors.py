"""Every error the package raises, split by whose fault it is.

``str(error)`` is ``<path>: <where>: <what>. <hint>``; the parts are attributes. File content is
quoted through ``quote``, which bounds it and makes control characters visible.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfjs_codec.ir.json_types import JsonObject

_QUOTE_CHARS = 80
_REASON_CHARS = 400
_LISTED = 100  # problems in a message
_SAID = 3  # problems in a summary
_SUGGESTED = 8  # names in a hint


def quote(value: object) -> str:
    """Return *value* as a bounded, printable, single-line literal for a message."""
    return brief(f"'{value[:_QUOTE_CHARS]}'" if isinstance(value, str) else ascii(value))


def brief(text: str) -> str:
    """Return *text* bounded and printable."""
    shown = visible(text[: _QUOTE_CHARS + 2])
    return shown if len(shown) <= _QUOTE_CHARS else shown[: _QUOTE_CHARS - 1] + "…"


def count(number: int, noun: str) -> str:
    """Return *number* and *noun*, a singular: ``1 layer``, ``1,234 layers``."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def visible(text: str, keep: str = "") -> str:
    """Return *text* with all that a terminal would obey written as escapes, except *keep*."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else ascii(c)[1:-1] for c in text)


def suggest(name: str, known: Iterable[str]) -> str:
    """Return the hint for a *name* that is not one of *known*: the nearest, or all of them."""
    from difflib import get_close_matches  # noqa: PLC0415  few need it

    names = list(known)
    near = get_close_matches(name, names, 1)
    if near:
        return f"Did you mean {quote(near[0])}?"
    listed = ", ".join(map(quote, names[:_SUGGESTED]))
    more = ", …" if len(names) > _SUGGESTED else ""
    return f"There are: {listed}{more}." if names else ""


class TfjsCodecError(Exception):
    """Base of all errors. ``path`` is the file, ``where`` the place in it, ``hint`` what to do."""

    exit_code = 1

    def __init__(self, what: str, *, path: object = "", where: str = "", hint: str = "") -> None:
        self.what = what.rstrip(".")
        self.path = str(path)
        self.where = where
        self.hint = hint
        super().__init__(what)

    def to_json(self) -> JsonObject:
        """Return ``type``, ``path``, ``where``, ``what``, ``hint`` and, if there are, ``problems``.

        Each problem has ``layer``, ``class_name``, ``reason``, ``hint`` and ``kind``.
        """
        described: JsonObject = {"type": type(self).__name__}
        described |= {key: getattr(self, key) for key in ("path", "where", "what", "hint")}
        problems = getattr(self, "problems", ())
        return {
            **described,
            **({"problems": [asdict(one) for one in problems]} if problems else {}),
        }

    def __str__(self) -> str:
        parts = [part for part in (self.path, self.where, self.what) if part]
        text = ": ".join(parts)
        end = "" if text.endswith("?") else "."
        return f"{text}{end} {self.hint}" if self.hint else text


class UsageError(TfjsCodecError, ValueError):
    """The caller asked for something that makes no sense (exit code 2)."""

    exit_code = 2


class RuleError(TfjsCodecError):
    """A rule failed, a registered one or ours (exit code 1); ``__cause__`` is its exception."""


# What code raises that takes damaged values for sound ones.
NONSENSE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class InputError(TfjsCodecError, ValueError):
    """The input file is at fault (exit code 3)."""

    exit_code = 3


class UnknownFormatError(InputError):
    """The file is none of the formats we read; the message lists what was looked for."""


class CorruptFileError(InputError):
    """Truncated, checksum mismatch, invalid JSON, sizes or shapes that disagree."""


class UnsafeFileError(InputError):
    """The file reaches outside itself: external links, path traversal, … (exit code 4)."""

    exit_code = 4


class LimitExceededError(UnsafeFileError):
    """A limit of ``tfjs_codec.limits`` was exceeded; the hint names the option to raise it."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason why a model cannot be converted.

    ``layer`` is the Keras layer's name (with the names of the models around it, joined by
    ``/``), ``class_name`` its Keras class, ``reason`` one clause, ``hint`` the way out. With
    ``kind`` "node" the first two are a graph node's name and op.
    """

    layer: str
    class_name: str
    reason: str
    hint: str = ""
    kind: str = "layer"

    def __str__(self) -> str:
        what = f"{self.kind} {quote(self.layer)} ({brief(self.class_name)})"
        reason = visible(self.reason[:_REASON_CHARS]).rstrip(".")
        text = f"{what}: {reason}{'…' * (len(self.reason) > _REASON_CHARS)}."
        return f"{text} {self.hint}" if self.hint else text


class UnsupportedModelError(InputError):
    """The model is valid but tfjs cannot express it; ``problems`` lists all of it (exit code 5)."""

    exit_code = 5

    def __init__(
        self,
        what: str,
        *,
        path: object = "",
        where: str = "",
        hint: str = "",
        problems: tuple[Problem, ...] = (),
    ) -> None:
        super().__init__(what, path=path, where=where, hint=hint)
        self.problems = problems

    def reasons(self, kind: str = "model") -> tuple[Problem, ...]:
        """Return the problems or, if there are none, this error as the one of a *kind* of thing."""
        return self.problems or (Problem(self.path, kind, self.what, self.hint),)

    def summary(self) -> str:
        """Return what is wrong, with the first problems, in one line."""
        return "; ".join([self.what, *map(str, self.problems[:_SAID])])

    def __str__(self) -> str:
        listed = list(map(str, self.problems[:_LISTED]))
        more = len(self.problems) - _LISTED
        return "\n  ".join([super().__str__(), *listed, *[f"… and {more} more."] * (more > 0)])


class OutputError(TfjsCodecError, OSError):
    """The result could not be written; the destination is as it was (exit code 6)."""

    exit_code = 6


class RemoteError(TfjsCodecError, OSError):
    """A URL could not be read or written, whatever lies there (exit code 3)."""

    exit_code = 3


class VerificationError(TfjsCodecError):
    """A check of written data failed; ``failures`` lists all that did (exit code 7)."""

    exit_code = 7

    def __init__(self, what: str, *, failures: tuple[str, ...] = (), **place: Any) -> None:
        super().__init__(what, **place)
        self.failures = failures or (what,)

    def to_json(self) -> JsonObject:
        """Return also ``failures``."""
        return {**super().to_json(), "failures": list(self.failures)}
