"""JSON as RFC 8259 has it: one text, one meaning, or an error that says where.

Python's :mod:`json` takes more than JSON: NaN and Infinity, numbers beyond float64, the last of
duplicate keys, lone surrogates, UTF-16, any nesting until the interpreter's stack is full. All of
that is refused here, but for NaN and Infinity in the configs of Keras, which Python wrote
(``keras.ops.clip(x, 0, inf)``): *constants* takes them.

Size, nesting and number of values are checked on the text by a few passes at C speed; only then
does the C scanner of the standard library parse it. Syntax errors carry ``line:column``; values
that are well formed but not allowed carry their key path (``config.layers[3].name``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from tfjs_codec.errors import CorruptFileError, quote
from tfjs_codec.files.source import Source
from tfjs_codec.limits import DEFAULT_LIMITS, Limits

_MAX_INT_CHARS = 64  # far beyond 64-bit seeds; conversion to int takes quadratic time
_BOMS = (
    (b"\xef\xbb\xbf", "UTF-8 with a byte order mark"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
    (b"{\0", "UTF-16"),
    (b"\0{", "UTF-16"),
)
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89abAB]|\\u[dD][c-fC-F]")
_NO_BACKSLASH = re.compile(r"[^\\]")
_WINDOW_CHARS = 1 << 20
_NOT_STRUCTURE = bytes(set(range(256)) - set(b'[]{},"'))
_WIDE = bytes(range(128, 256))
_CONTINUATION = bytes(range(0x80, 0xC0))  # all bytes of a UTF-8 character but its first
_WIDE_RUN = re.compile(rb"[\x80-\xff]+")
_RARE = 64  # one byte in so many
_STEP = [0] * 256
_STEP[ord("[")] = _STEP[ord("{")] = 1
_STEP[ord("]")] = _STEP[ord("}")] = -1


def read(source: Source, limits: Limits) -> Any:
    """Parse the file *source*, as :func:`loads` does."""
    return loads(source.read("json_bytes", limits), path=source.path, limits=limits)


def loads(
    data: bytes | str,
    *,
    path: object = "",
    where: str = "",
    limits: Limits = DEFAULT_LIMITS,
    constants: bool = False,
) -> Any:
    """Parse *data*, the JSON text at *where* in file *path*.

    Raises:
        CorruptFileError: not strict JSON.
        LimitExceededError: ``json_bytes``, ``json_depth``, ``json_values`` or
            ``json_string_chars``.
    """
    text = _decode(data, path, where, limits)
    _check_structure(text, path, where, limits)
    parser = _Parser(constants=constants)
    try:
        value = parser.decoder.decode(text)
    except json.JSONDecodeError as error:
        what = error.msg[:1].lower() + error.msg[1:]
        if error.pos >= len(text.rstrip()):
            what = f"the text ends too early (truncated?): {what}"
        if isinstance(data, str) or not text.isascii():
            raise _syntax_error(what, text, error.pos, path, where) from None
        raise _syntax_error(what, data, _original(data, error.pos), path, where) from None
    except RecursionError:  # only when the caller's own stack is nearly full
        raise CorruptFileError("nested too deeply", path=path, where=where) from None
    if parser.has_flaw or _SURROGATE_ESCAPE.search(text):
        for key_path, what in _flaws(value):
            place = ": ".join(part for part in (where, key_path) if part)
            raise CorruptFileError(f"invalid JSON: {what}", path=path, where=place)
    return value


def load_config(
    data: bytes | str, *, path: object = "", where: str = "", limits: Limits = DEFAULT_LIMITS
) -> Any:
    """Parse a config that Keras wrote: with NaN and Infinity, perhaps as a string within JSON.

    Raises:
        CorruptFileError, LimitExceededError: As :func:`loads`.
    """
    value = loads(data, path=path, where=where, limits=limits, constants=True)
    if isinstance(value, str):  # json.dump(model.to_json(), file)
        value = loads(value, path=path, where=where, limits=limits, constants=True)
    return value


def _decode(data: bytes | str, path: object, where: str, limits: Limits) -> str:
    """Return the text; for bytes and str alike it must be encodable as UTF-8 without a mark."""
    if isinstance(data, str):
        limits.check(
            "json_bytes", len(data), "the JSON text's size in bytes", path=path, where=where
        )
        try:
            data.encode()
        except UnicodeEncodeError as error:
            raise _syntax_error("not valid UTF-8", data, error.start, path, where) from None
        if data.startswith("\ufeff"):
            raise _syntax_error("starts with a byte order mark", data, 0, path, where)
        return data
    limits.check("json_bytes", len(data), "the JSON text's size in bytes", path=path, where=where)
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            raise _syntax_error(f"the text is {encoding}, not plain UTF-8", "", 0, path, where)
    try:
        return _compact(bytes(data))
    except UnicodeDecodeError:
        pass
    try:
        return bytes(data).decode("utf-8")
    except UnicodeDecodeError as error:
        raise _syntax_error("not valid UTF-8", data, error.start, path, where) from None


def _compact(data: bytes) -> str:
    """Decode *data* such that a character takes no more memory than its bytes need.

    One character beyond ASCII makes Python store a whole text in two or four bytes a character.
    Where such characters are rare they become escapes, which mean the same within strings; there
    is no other place for them in JSON.
    """
    wide = len(data) - len(data.translate(None, _WIDE))
    if not wide or wide > len(data) // _RARE:
        return data.decode("utf-8")
    return _WIDE_RUN.sub(_escape, data).decode("ascii")


def _original(data: bytes, position: int) -> int:
    """Return where in *data* is what has *position* in ``_compact(data)``."""
    shift = 0
    for run in _WIDE_RUN.finditer(data):
        if run.start() + shift >= position:
            break
        shift += len(_escape(run)) - len(run[0])
    return position - shift


def _escape(run: re.Match[bytes]) -> bytes:
    return json.dumps(run[0].decode("utf-8"))[1:-1].encode("ascii")


def _check_structure(text: str, path: object, where: str, limits: Limits) -> None:
    """Bound strings, values and nesting without parsing; wrong syntax is left to the parser.

    Without the escapes ``\\\\`` and ``\\"`` every quote begins or ends a string, so every other
    piece between quotes is outside strings. One window of the text after the other is looked at:
    *text* may be large, copies of it would be as large.
    """
    values = "the number of values in the JSON text"
    in_string, string_chars, quotes, count, depth = False, 0, 0, 1, 0
    for window in _windows(text):
        if "\\" in window:
            window = window.replace("\\\\", "").replace('\\"', "")  # noqa: PLW2901
        if string_chars + len(window) > limits.json_string_chars:
            lengths = [len(piece) for piece in window.split('"')]
            lengths[0] += string_chars
            longest = max(lengths[not in_string :: 2], default=0)
            what = "the length of a string"
            limits.check("json_string_chars", longest, what, path=path, where=where)
        pieces = window.encode("ascii", "replace").translate(None, _NOT_STRUCTURE).split(b'"')
        structure = b"".join(pieces[in_string::2])
        opening = structure.count(b"[") + structure.count(b"{")
        count += structure.count(b",") + opening
        quotes += len(pieces) - 1
        limits.check("json_values", max(count, quotes // 4), values, path=path, where=where)
        deepest = max(accumulate(map(_STEP.__getitem__, structure), initial=depth))
        limits.check("json_depth", deepest, "the JSON nesting", path=path, where=where)
        depth += opening - structure.count(b"]") - structure.count(b"}")
        if len(pieces) > 1:
            in_string ^= len(pieces) % 2 == 0
            string_chars = 0
        if in_string:
            string_chars += len(window) - 1 - window.rfind('"')


def _windows(text: str) -> Iterator[str]:
    """Cut *text* into pieces of about a MiB, never between a backslash and what it escapes."""
    start = 0
    while start < len(text):
        after = _NO_BACKSLASH.search(text, start + _WINDOW_CHARS - 1)
        end = after.end() if after else len(text)
        yield text[start:end]
        start = end


class _Flaw:
    """Stands in the parsed tree for something that is not allowed there."""

    def __init__(self, what: str) -> None:
        self.what = what


class _Parser:
    """A strict decoder. The C scanner tells its hooks no position, so they leave flaws behind."""

    def __init__(self, *, constants: bool) -> None:
        self.has_flaw = False
        self.decoder = json.JSONDecoder(
            object_pairs_hook=self._object,
            parse_constant=float if constants else self._constant,
            parse_float=self._float,
            parse_int=self._int,
        )

    def _flaw(self, what: str) -> _Flaw:
        self.has_flaw = True
        return _Flaw(what)

    def _constant(self, text: str) -> _Flaw:
        return self._flaw(f"{text} is not a JSON number")

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            seen: set[str] = set()
            repeated = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            result[repeated] = self._flaw("this key occurs twice")
        return result

    def _float(self, text: str) -> float | _Flaw:
        value = float(text)
        if value in (float("inf"), float("-inf")):
            return self._flaw(f"{quote(text)} is too large for a number")
        return value

    def _int(self, text: str) -> int | _Flaw:
        if len(text) > _MAX_INT_CHARS:
            return self._flaw(f"an integer of {len(text):,} digits")
        return int(text)


def _flaws(root: Any) -> Iterator[tuple[str, str]]:
    """Yield ``(key path, what)`` of all flaws and lone surrogates, first in text order first."""
    stack: list[tuple[str, Any]] = [("", root)]
    while stack:
        key_path, value = stack.pop()
        if isinstance(value, _Flaw):
            yield key_path, value.what
        elif isinstance(value, str):
            if _has_surrogate(value):
                yield key_path, "a string with an unpaired surrogate"
        elif isinstance(value, list):
            items = [(f"{key_path}[{index}]", item) for index, item in enumerate(value)]
            stack.extend(reversed(items))
        elif isinstance(value, dict):
            for key in value:
                if _has_surrogate(key):
                    yield key_path, "a key with an unpaired surrogate"
            items = [(_join(key_path, key), item) for key, item in value.items()]
            stack.extend(reversed(items))


def _join(key_path: str, key: str) -> str:
    """Append *key*, quoted unless it is a plain word."""
    word = key if key.isidentifier() and key.isascii() and len(key) <= 80 else quote(key)
    return f"{key_path}.{word}" if key_path else word


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= char <= "\udfff" for char in text) if not text.isascii() else False


def _syntax_error(
    what: str, text: str | bytes, pos: int, path: object, where: str
) -> CorruptFileError:
    if isinstance(text, str):
        line = text.count("\n", 0, pos) + 1
        column = pos - text.rfind("\n", 0, pos)
    else:
        line = text.count(b"\n", 0, pos) + 1
        start = text.rfind(b"\n", 0, pos) + 1
        column = len(text[start:pos].translate(None, _CONTINUATION)) + 1
    place = f"{where}:{line}:{column}" if where else f"line {line} column {column}"
    return CorruptFileError(f"invalid JSON: {what}", path=path, where=place)
