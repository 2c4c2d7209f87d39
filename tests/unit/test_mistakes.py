"""Natural mistakes on the command line: what is said of each, and that nothing is written."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from keras_files import dense_h5, entry, h5_model

import tfjs_codec
from tfjs_codec.cli import main

LONGEST = 300
RANDOM = np.random.default_rng(1).integers(0, 256, 400, np.uint8).tobytes()


def zipped(*names: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return data.getvalue()


def npy(save: Callable[..., None]) -> bytes:
    data = io.BytesIO()
    save(data, np.zeros(3))
    return data.getvalue()


HEADER = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()

# Files that are no model of ours: name, content, words of the message. All end with code 3.
FILES: dict[str, tuple[bytes, str, str]] = {
    "m.onnx": (b"\x08\x08\x12\x07pytorch\x1a\x032.1:\x02\x0a\x00", "ONNX", "Keras file or SavedModel"),
    "renamed.h5": (b"\x08\x07\x12\x07pytorch", "ONNX", "Keras file"),
    "m.tflite": (b"\x1c\0\0\0TFL3" + bytes(90), "TFLite", "Keras file or SavedModel"),
    "m.pt": (zipped("m/data.pkl", "m/version", "m/data/0"), "PyTorch", "Export"),
    "old.pth": (pickle.dumps({"a": 1}, 2), "pickle, which is never loaded", "model.save()"),
    "m2.pkl": (pickle.dumps({"a": 1}, 2), "pickle", "model.save()"),
    "m3.pkl": (pickle.dumps({"a": 1}, 3), "pickle", "model.save()"),
    "m4.pkl": (pickle.dumps({"a": 1}, 4), "pickle", "model.save()"),
    "m5.pkl": (pickle.dumps({"a": 1}, 5), "pickle", "model.save()"),
    "m.safetensors": (struct.pack("<Q", len(HEADER)) + HEADER + bytes(4), "safetensors", "Export"),
    "m.gguf": (b"GGUF\x03\0\0\0" + bytes(60), "GGUF", "no runtime"),
    "m.npz": (npy(np.savez), "numpy .npz", "numpy.load"),
    "m.npy": (npy(np.save), "numpy array", "mapping"),
    "ckpt.data-00000-of-00001": (RANDOM, "part of a TensorFlow checkpoint", "prefix"),
    "ckpt.meta": (RANDOM, "TensorFlow 1 checkpoint", "SavedModel"),
    "checkpoint": (b'model_checkpoint_path: "ckpt"\n', "list of checkpoints", "prefix"),
    "group1-shard1of2.bin": (RANDOM, "weight file of a tfjs model", "model.json"),
    "group1-shard1of2": (RANDOM, "weight file of a tfjs model", "model.json"),
    "model.weights.bin": (RANDOM, "weight file of a tfjs model", "model.json"),
    "lfs.h5": (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer", "git lfs pull"),
    "page.h5": (b"<!DOCTYPE html><html>404", "HTML page", "Download"),
    "page.keras": (b"\n<html><body>Sign in", "HTML page", "Download"),
    "feed.xml": (b'<?xml version="1.0"?>', "XML", "Name the model"),
    "empty.h5": (b"", "empty file", "again"),
    "empty.keras": (b"PK\x05\x06" + bytes(18), "empty zip", "again"),
    "saved.zip": (zipped("m/saved_model.pb", "m/variables/variables.index"), "saved_model.pb", "truncated"),
    "a.docx": (zipped("word/document.xml"), "office document", "Name the model"),
    "other.zip": (zipped("readme.txt"), "neither config.json nor model.json", "tfjs model"),
    "cat.png": (b"\x89PNG\r\n\x1a\n" + bytes(20), "an image", "Name the model"),
    "cat.jpg": (b"\xff\xd8\xff\xe0" + bytes(20), "an image", "Name the model"),
    "m.h5.bz2": (b"BZh91AY" + bytes(20), "bzip2", "Unpack"),
    "m.h5.xz": (b"\xfd7zXZ\0" + bytes(20), "xz file", "Unpack"),
    "m.7z": (b"7z\xbc\xaf\x27\x1c" + bytes(20), "7z archive", "Unpack"),
    "paper.pdf": (b"%PDF-1.7", "PDF", "Name the model"),
    "train.py": (b"import keras\n", "Python script, which is never run", "model.save()"),
    "train.ipynb": (b"not json", "notebook", "model.save()"),
    "m.mlmodel": (b"\x08\x05\x12\x04ab", "Core ML", "Keras file"),
    "saved_model.pb": (b"\x08\x01\x12\x00", "graph of a SavedModel", "Name its directory"),
    "notes.txt": (b"hello world\n", "no known format", "Looked for"),
    "package.json": (b'{"name": "page", "version": "1.0.0"}', "no known format", "Looked for"),
    "cut.h5": (dense_h5()[:900], "truncated", "again"),
}  # fmt: skip


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run the command line in a directory of its own: (exit code, message)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))

    def call(*arguments):
        before = sorted(tmp_path.rglob("*"))
        code = main.main([str(argument) for argument in arguments])
        streams = capsys.readouterr()
        assert sorted(tmp_path.rglob("*")) == before, "something was written"
        assert streams.out == ""
        assert streams.err.startswith("tfjs-codec: error: ")
        return code, streams.err

    return call


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_model(run, tmp_path, name):
    content, what, advice = FILES[name]
    (tmp_path / name).write_bytes(content)
    code, message = run("convert", name, "web")
    assert code == 3
    assert name in message
    assert what in message
    assert advice in message
    assert len(message) <= LONGEST


def folder(*names: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        (path / "given").mkdir()
        for name in names:
            (path / "given" / name).write_bytes(b"x")

    return make


def nothing(path: Path) -> None:
    (path / "m.h5").write_bytes(dense_h5())


def web(path: Path) -> None:
    nothing(path)
    tfjs_codec.convert(path / "m.h5", path / "web")


def weights(path: Path) -> None:
    layer = [("d/kernel:0", np.zeros((4, 3))), ("d/bias:0", np.zeros(3))]
    (path / "w.h5").write_bytes(h5_model(None, {"d": layer}))


def custom(class_name: str, **config: object) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        layer = entry(class_name, "mine", batch_input_shape=[None, 3], **config)
        model = {"class_name": "Sequential", "config": {"name": "s", "layers": [layer]}}
        (path / "m.h5").write_bytes(h5_model(model, {}))

    return make


class Mistake(NamedTuple):
    """What is there, what is typed, the exit code and words of the message."""

    make: Callable[[Path], None]
    line: str
    code: int
    words: tuple[str, ...]


MISTAKES = [
    Mistake(nothing, "convert", 2, ("SRC, DST", "--help")),
    Mistake(nothing, "convert m.h5", 2, ("DST", "--help")),
    Mistake(nothing, "conver m.h5 web", 2, ("no command 'conver'", "Did you mean 'convert'?")),
    Mistake(nothing, "m.h5 web", 2, ("no command 'm.h5'", "'convert'")),
    Mistake(nothing, "convert m.h5 web --quantise-uint8", 2, ("Did you mean '--quantize-uint8'?",)),
    Mistake(nothing, "convert m.h5 web --quantize_uint8", 2, ("Did you mean '--quantize-uint8'?",)),
    Mistake(nothing, "convert m.h5 web --input_format=keras", 2, ("unrecognized", "input_format")),
    Mistake(nothing, "convert m.h5 web --to grph", 2, ("'grph' is not a target", "'graph'?")),
    Mistake(nothing, "convert m.h5 web --to tflite", 2, ("'tflite' is not a target", "There are")),
    Mistake(nothing, "convert m.h5 web --weight-shard-size 4XB", 2, ("'4XB' is not a size", "8MiB")),
    Mistake(nothing, "convert m.h5 web --weight-shard-size 0", 2, ("'0' is not a size",)),
    Mistake(nothing, "convert m.h5 web --limit layer=3", 2, ("no limit 'layer'", "'layers'?")),
    Mistake(nothing, "convert m.h5 web --limit layers=x", 2, ("'x' is not a size",)),
    Mistake(nothing, "convert m.h5 web --rename e=f", 2, ("no layer 'e'", "'d'")),
    Mistake(nothing, "convert m.h5 web --rename e", 2, ("--rename", "OLD=NEW")),
    Mistake(nothing, "convert m.h5 web --replace dd=m.h5", 2, ("no layer 'dd'", "'d'")),
    Mistake(nothing, "convert m.h5 web --replace d=none.h5", 3, ("none.h5", "No such file")),
    Mistake(nothing, "convert m.h5 web --metadata a=none.json", 3, ("none.json", "No such file")),
    Mistake(nothing, "convert m.h5 web --to graph --outputs dd", 2, ("no layer 'dd'", "'d'")),
    Mistake(nothing, "convert m.h5 web --outputs d", 2, ("outputs has no effect", "Layers model")),
    Mistake(nothing, "convert m.h5 web --signature-name x", 2, ("signature_name", "HDF5 file")),
    Mistake(nothing, "convert m.h5 web --tags serve", 2, ("tags has no effect", "HDF5 file")),
    Mistake(nothing, "convert m.h5 web --dequantize", 2, ("dequantize has no effect",)),
    Mistake(nothing, "convert m.h5 out.keras --quantize-uint8", 2, ("quantize has no effect", "Keras")),
    Mistake(nothing, "convert m.h5 web --architecture m.h5", 3, ("invalid JSON",)),
    Mistake(nothing, "convert m.h5 m.h5", 2, ("is the source file", "another")),
    Mistake(nothing, "convert m.h5 out.tflite", 2, (".tflite files are not written", "TFLiteConverter")),
    Mistake(nothing, "convert m.h5 out.onnx", 2, (".onnx files are not written", "tf2onnx")),
    Mistake(nothing, "convert m.h5 out.pb", 2, (".pb files are not written", "--to savedmodel")),
    Mistake(nothing, "convert m.h5 out.pt", 2, (".pt files are not written", ".npz")),
    Mistake(nothing, "convert m.h5 out.json", 2, (".json files are not written", "directory")),
    Mistake(nothing, "convert m.h5 https://host/web", 2, ("https://host/web", "not written")),
    Mistake(nothing, "convert m.h5 zip://web::m.zip", 3, ("zip://web::m.zip", "No such file")),
    Mistake(nothing, "bundle s3://bucket/web --out out", 2, ("s3://bucket/web", "not a URL")),
    Mistake(nothing, "bundle web --out s3://bucket/out", 2, ("s3://bucket/out", "not a URL")),
    Mistake(nothing, "batch m.h5 --out out --journal s3://bucket/j", 2, ("s3://bucket/j", "not a URL")),
    Mistake(nothing, "inspect s4://bucket/m.h5", 2, ("s4://bucket/m.h5", "Protocol not known: s4")),
    Mistake(nothing, "convert m.h5 -", 2, ("directory", "standard output")),
    Mistake(nothing, "convert - web", 3, ("empty",)),
    Mistake(nothing, "convert none.h5 web", 3, ("none.h5", "No such file")),
    Mistake(nothing, "verify m.h5", 2, ("m.h5", "not a tfjs model", "model.json")),
    Mistake(nothing, "diff m.h5", 2, ("B", "--help")),
    Mistake(web, "convert web web --quantize-uint8", 2, ("is the source",)),
    Mistake(web, "convert web/model.json web/model.json", 2, ("is the source",)),
    Mistake(web, "convert m.h5 web/group1-shard1of1.bin", 2, (".bin files", "directory")),
    Mistake(web, "verify web --against none.h5", 3, ("none.h5", "No such file")),
    Mistake(folder("a.txt"), "convert given web", 3, ("neither saved_model.pb nor model.json",)),
    Mistake(folder("ckpt.index", "ckpt.data-00000-of-00001"), "convert given web", 3,
            ("directory of checkpoints", "prefix", "ckpt")),
    Mistake(folder("variables.index", "variables.data-00000-of-00001"), "convert given web", 3,
            ("variables of a SavedModel", "above")),
    Mistake(folder("group1-shard1of1.bin"), "convert given web", 3, ("without its model.json",)),
    Mistake(weights, "convert w.h5 back.keras", 5, ("w.h5", "--architecture")),
    Mistake(weights, "convert w.h5 web --to graph", 5, ("w.h5", "--architecture")),
    Mistake(custom("Lambda", function=["x", None, None]), "convert m.h5 web", 5,
            ("'mine'", "--replace mine=", "Python")),
    Mistake(custom("MyLayer"), "convert m.h5 web", 5, ("'mine'", "MyLayer", "--replace mine=")),
]  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.line)
def test_a_mistake_on_the_command_line(run, tmp_path, mistake):
    mistake.make(tmp_path)
    code, message = run(*mistake.line.split())
    assert code == mistake.code
    for word in mistake.words:
        assert word in message
    assert "secret" not in message
    assert len(message) <= LONGEST


def test_there_are_as_many_as_promised():
    assert len(FILES) + len(MISTAKES) >= 80
