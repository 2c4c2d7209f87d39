"""Paths stay inside, and strict JSON is JSON."""

from __future__ import annotations

import json
import os
import tempfile
import warnings
from pathlib import Path

from configurations import at_least, took
from hypothesis import example, given
from hypothesis import strategies as st

from tfjs_codec.errors import CorruptFileError, TfjsCodecError, UnsafeFileError, quote
from tfjs_codec.files import strict_json
from tfjs_codec.files.paths import safe_child, unsafe_reason

parts = st.one_of(
    st.sampled_from(["..", ".", "", "a", "a ", "a.", "con", "NUL.txt", "C:", "~", "%2e%2e", "é"]),
    st.text(max_size=5),
)
paths = st.builds(lambda names, between: between.join(names), st.lists(parts, max_size=5),
                  st.sampled_from(["/", "\\", "//"]))  # fmt: skip


@at_least(0.05)
@given(st.one_of(paths, st.text()))
@example("../x")
@example("a/../../x")
@example("\x00")
def test_children_are_inside(name):
    with tempfile.TemporaryDirectory() as base:
        root = Path(base).resolve()
        try:
            child = safe_child(root, name)
        except UnsafeFileError:
            took(taken=False)
            return
        took(taken=True)
        assert child.is_relative_to(root)
        assert child != root
        assert os.fspath(child) == f"{root}/{name}"  # nothing was read into the name


@at_least(0.05)
@given(st.one_of(paths, st.text()))
def test_the_verdict_does_not_depend_on_the_system(name):
    """What is accepted means the same path to Windows."""
    from pathlib import PurePosixPath, PureWindowsPath

    safe = unsafe_reason(name) is None
    took(taken=safe)
    if safe:
        assert PureWindowsPath(name).parts == PurePosixPath(name).parts == tuple(name.split("/"))
        with warnings.catch_warnings():  # what replaces it is on Windows only
            warnings.simplefilter("ignore", DeprecationWarning)
            assert not PureWindowsPath(name).is_reserved()


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(values, st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_what_json_writes_is_read(value, ascii_only, indent):
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    assert strict_json.loads(text) == value
    assert strict_json.loads(text.encode()) == value


WORDS = ("1", "-0", "1e5", "null", "true", '"a"', "NaN", "\\u", "\\ud800", "\\udc00", "Infinity")
tokens = st.lists(st.sampled_from([*'[]{}:,"\\ \n\x00é', *WORDS]))


@at_least(0.01)
@given(st.one_of(tokens.map("".join), st.text(), st.binary()))
@example("[1]")
@example('{"a": null}')
def test_what_is_read_is_what_json_reads(text):
    try:
        value = strict_json.loads(text)
    except CorruptFileError:
        took(taken=False)
        return
    took(taken=True)
    assert value == json.loads(text)
    json.dumps(value, allow_nan=False).encode()


@given(st.one_of(st.text(), values))
def test_quotes_are_short_and_harmless(value):
    shown = quote(value)
    assert len(shown) <= 80
    assert shown.isprintable()


@given(st.text(), st.text(), st.text(), st.text())
def test_messages_have_one_form(what, path, where, hint):
    text = str(TfjsCodecError(what, path=path, where=where, hint=hint))
    assert text.startswith(path)
    assert text.endswith(hint)
