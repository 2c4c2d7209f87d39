"""Rules from the command line: files that the user names, the only foreign code ever run."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from importlib.util import module_from_spec, spec_from_file_location

from tfjs_codec.errors import UsageError
from tfjs_codec.files.remote import local


def load(paths: Sequence[str]) -> None:
    """Run the Python files *paths*, which register rules with ``tfjs_codec.register_rule``.

    Raises:
        UsageError: A file is no Python file, or fails.
    """
    for number, path in enumerate(paths):
        if not local(path).is_file():
            raise UsageError("there is no such file of rules", path=path)
        spec = spec_from_file_location(f"tfjs_codec_rules_{number}", path)
        if spec is None or spec.loader is None:
            raise UsageError("is not a Python file", path=path, hint="Name it rules.py.")
        try:
            spec.loader.exec_module(module_from_spec(spec))
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            line = next(
                (frame.lineno for frame in reversed(frames) if frame.filename == path), None
            )
            where = "" if line is None else f"line {line}"
            raise UsageError(f"{type(error).__name__}: {error}", path=path, where=where) from error
