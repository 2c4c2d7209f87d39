"""Data files in the package."""

from __future__ import annotations

from pkgutil import get_data  # importlib.resources imports tempfile, zipfile and much else


def read(package: str, name: str) -> bytes:
    """Return the content of the file *name* beside the modules of *package*."""
    data = get_data(package, name)
    assert data is not None  # noqa: S101  all loaders of packages can read files
    return data
