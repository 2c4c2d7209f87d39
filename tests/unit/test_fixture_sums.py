"""The fixtures are what their makers wrote: ``fixtures/make/sums.sh`` lists every file."""

from __future__ import annotations

import hashlib
from pathlib import Path

FIXTURES = Path(__file__).parents[2] / "fixtures"


def test_no_fixture_has_changed():
    lines = (FIXTURES / "SHA256SUMS").read_text().splitlines()
    listed = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    files = {
        path.relative_to(FIXTURES).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in FIXTURES.rglob("*")
        if path.is_file() and path.relative_to(FIXTURES).parts[0] != "make"
    }
    files.pop("SHA256SUMS")
    assert files == listed, "run fixtures/make/sums.sh after making a fixture"
