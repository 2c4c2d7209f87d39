"""Where we are in a parsed JSON text, and checked access to what should be there."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

from tfjs_codec.errors import CorruptFileError, quote
from tfjs_codec.ir.json_types import Json, JsonObject

Keys: TypeAlias = "tuple[str | int, Keys | None]"

_MAX_DIM = 2**31 - 1
_KEY_CHARS = 80  # longer ones are quoted, and cut


class Place(NamedTuple):
    """A value's place: the file (for messages) and the key path, as ``config.layers[3].name``.

    A reader makes thousands and shows few, so that the path is only put together for a message:
    ``keys`` are linked, the last one first.
    """

    path: str = ""
    start: str = ""
    keys: Keys | None = None

    def at(self, key: str | int) -> Place:
        """Return the place of item *key* of the object or list here."""
        path, start, keys = self
        return tuple.__new__(Place, (path, start, (key, keys)))  # half the time of Place(…)

    @property
    def where(self) -> str:
        """The key path from the beginning of the file."""
        keys, parts = self.keys, list[str]()
        while keys is not None:
            key, keys = keys
            if isinstance(key, int):
                parts.append(f"[{key}]")
            elif key.isidentifier() and key.isascii() and len(key) <= _KEY_CHARS:
                parts.append(f".{key}")
            else:
                parts.append(f"[{quote(key)}]")
        where = self.start + "".join(reversed(parts))
        return where if self.start else where.removeprefix(".")

    def error(self, what: str, hint: str = "") -> CorruptFileError:
        return CorruptFileError(what, path=self.path, where=self.where, hint=hint)

    def expect(self, kind: str, value: object) -> CorruptFileError:
        """Return the error for *value*, which is not *kind* (a noun with its article)."""
        return self.error(f"expected {kind}, found {quote(value)}")

    def mapping(self, value: object) -> JsonObject:
        if not isinstance(value, dict):
            raise self.expect("an object", value)
        return value

    def items(self, value: object) -> list[Json]:
        if not isinstance(value, list):
            raise self.expect("a list", value)
        return value

    def text(self, value: object) -> str:
        if not isinstance(value, str) or not value:
            raise self.expect("a non-empty string", value)
        return value

    def whole(self, value: object, least: int = 0) -> int:
        """Return an integer from *least* to 2**31 - 1; floats that are whole are taken as such."""
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _MAX_DIM:
            raise self.expect(f"an integer from {least} to {_MAX_DIM}", value)
        return value

    def wholes(self, values: list[Any], least: int = 0) -> list[int]:
        """Return a list of such integers."""
        return [
            value if type(value) is int and least <= value <= _MAX_DIM
            else self.at(i).whole(value, least)
            for i, value in enumerate(values)
        ]  # fmt: skip

    def number(self, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.expect("a number", value)
        return value

    def shape(self, value: object) -> list[int | None]:
        """Return a shape: a list of sizes, None where the size is not fixed."""
        dims = self.items(value)
        return [None if dim is None else self.at(i).whole(dim) for i, dim in enumerate(dims)]


class Nowhere(Place):
    """A place that does not follow where we are, which saves a fifth of the time of a reader.

    Its errors name a place too far out; what raises one is to be read again with a :class:`Place`.
    """

    __slots__ = ()

    def at(self, key: str | int) -> Place:  # noqa: ARG002  as Place has it
        return self
