"""A source that is written to while it is converted: nothing is published."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from keras_files import dense_h5

import tfjs_codec
from tfjs_codec.errors import CorruptFileError
from tfjs_codec.files.stage import Stage

FIXTURES = Path(__file__).parents[2] / "fixtures"


def make(kind, folder):
    """Return a source of *kind*, the file of it that changes, and options."""
    if kind in ("h5", "file"):
        (folder / "m.h5").write_bytes(dense_h5())
        return folder / "m.h5", folder / "m.h5", {}
    if kind == "tfjs":
        tfjs_codec.convert(dense_h5(), folder / "web")
        return folder / "web", folder / "web" / "group1-shard1of1.bin", {}
    if kind == "keras":
        shutil.copy(FIXTURES / "digits" / "digits.keras", folder / "m.keras")
        return folder / "m.keras", folder / "m.keras", {}
    if kind == "frozen":
        shutil.copy(FIXTURES / "graph_frozen" / "model.pb", folder / "m.pb")
        return folder / "m.pb", folder / "m.pb", {"output_node_names": outputs("graph_frozen")}
    source = folder / "model"
    zipfile.ZipFile(FIXTURES / "graph_conv_bn" / "model.zip").extractall(source)
    (changes,) = source.glob("variables/*.data*")
    return source, changes, {}


def outputs(case):
    return json.loads((FIXTURES / case / "case.json").read_text())["outputs"]


KINDS = ["h5", "file", "keras", "tfjs", "frozen", "saved_model"]
TARGETS = ["layers", "graph", "savedmodel", "out.zip", "out.npz", "out.h5", "out.keras"]
CASES = [
    (kind, target) for kind in KINDS for target in TARGETS
    if target in {"frozen": ("graph", "out.zip"), "saved_model": ("graph", "savedmodel", "out.npz")}
    .get(kind, TARGETS)
]  # fmt: skip


@pytest.mark.parametrize("change", ["time", "size"])
@pytest.mark.parametrize(("kind", "target"), CASES)
def test_nothing_is_published(kind, target, change, tmp_path, monkeypatch):
    source, changes, options = make(kind, tmp_path)
    if "." not in target:
        options["to"] = target
    settle = Stage.settle

    def overwrite(stage):
        settle(stage)
        with changes.open("r+b") as file:
            first = file.read(1)
            file.seek(0)
            file.write(first)
            if change == "size":
                file.seek(0, os.SEEK_END)
                file.write(b"\0")
        status = changes.stat()
        os.utime(changes, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000))

    monkeypatch.setattr(Stage, "settle", overwrite)
    with (
        source.open("rb") if kind == "file" else nullcontext(source) as given,
        pytest.raises(CorruptFileError, match="changed while it was read") as caught,
    ):
        tfjs_codec.convert(given, tmp_path / target, **options)
    assert caught.value.path == str(changes)
    assert not (tmp_path / target).exists()


def test_replacements_are_watched(tmp_path, monkeypatch):
    (tmp_path / "inner.h5").write_bytes(dense_h5())
    settle = Stage.settle

    def overwrite(stage):
        settle(stage)
        (tmp_path / "inner.h5").unlink(missing_ok=True)

    monkeypatch.setattr(Stage, "settle", overwrite)
    with pytest.raises(CorruptFileError, match="vanished while it was read"):
        tfjs_codec.convert(dense_h5(), tmp_path / "o", replace={"d": tmp_path / "inner.h5"})


def test_unchanged_sources_are_published(tmp_path):
    source, _, _ = make("h5", tmp_path)
    np.testing.assert_array_equal(tfjs_codec.convert(source, tmp_path / "o").weights, 2)
