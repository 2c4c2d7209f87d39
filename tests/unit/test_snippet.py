"""``snippet``: pages say how a model is fed, and hold no markup from the model."""

from __future__ import annotations

import json

import numpy as np
import pytest
from keras_files import dense_h5

import tfjs_codec
from tfjs_codec.cli import main
from tfjs_codec.errors import UsageError
from tfjs_codec.options import ConvertOptions
from tfjs_codec.snippet import write_page

OPTIONS = ConvertOptions().begin()


def page_of(source, **options):
    return write_page(tfjs_codec.to_files(source, **options), OPTIONS)


def test_layers(fixtures_dir):
    page = page_of(fixtures_dir / "digits" / "digits.keras")
    assert 'tf.loadLayersModel("./model.json")' in page  # a bare name: weights of the root
    assert 'tf.zeros([1, 8, 8, 1], "float32")' in page
    assert len(page.splitlines()) <= 20


def test_graphs(fixtures_dir):
    page = page_of(fixtures_dir / "savedmodel_tf2.19_module" / "model")
    assert "tf.loadGraphModel(" in page
    assert "model.predict(" in page
    assert '"x": float32 [?, 1]' in page


def test_graphs_with_control_flow_run_asynchronously():
    node = {"name": "x", "op": "Placeholder", "attr": {}}
    content = {
        "format": "graph-model",
        "modelTopology": {"node": [node, {"name": "m", "op": "Merge", "input": ["x"]}]},
        "signature": {
            "inputs": {"x": {"dtype": "DT_INT64", "tensorShape": {"dim": [{"size": "-1"}]}}}
        },
        "weightsManifest": [],
    }
    page = write_page({"model.json": json.dumps(content).encode()}, OPTIONS)
    assert "await model.executeAsync(" in page
    assert 'tf.zeros([1], "int32")' in page


def test_the_script_of_tfjs_may_be_any(tmp_path, capsys):
    tfjs_codec.convert(dense_h5(), tmp_path / "web")
    assert main.main(["snippet", str(tmp_path / "web"), "--tfjs", 'tf.min.js?"><b>']) == 0
    page = capsys.readouterr().out
    assert '<script src="tf.min.js?&quot;&gt;&lt;b&gt;"></script>' in page
    assert "is the file there?" in page


def test_names_and_labels_cannot_end_the_script():
    files = tfjs_codec.to_files(
        dense_h5("</script><script>alert(1)"), metadata={"labels": ["</script>", "b"]}
    )
    page = write_page(files, OPTIONS, model="<x>/model.json")
    assert page.count("</script>") == 2
    assert "<x>" not in page
    assert "labels[" in page


def test_what_is_no_model(fixtures_dir):
    with pytest.raises(UsageError, match="Convert it first"):
        write_page(fixtures_dir / "digits" / "digits.h5", OPTIONS)
    files = tfjs_codec.to_files({"a": np.zeros(3, np.float32)})
    with pytest.raises(UsageError, match="mere weights"):
        write_page(files, OPTIONS)


def test_the_command_and_the_option(tmp_path, capsys):
    (tmp_path / "m.h5").write_bytes(dense_h5())
    line = ["convert", str(tmp_path / "m.h5"), str(tmp_path / "web"), "--with-page", "--quiet"]
    assert main.main(line) == 0
    assert main.main(line) == 0  # our own page may be replaced
    assert main.main(["snippet", str(tmp_path / "web"), "--url", "models/m/model.json"]) == 0
    assert 'loadLayersModel("models/m/model.json")' in capsys.readouterr().out
    (tmp_path / "web" / "index.html").write_text("<h1>mine</h1>")
    assert main.main(line) == 2
    assert (tmp_path / "web" / "index.html").read_text() == "<h1>mine</h1>"


def test_a_page_that_was_edited_stays(tmp_path):
    source, web = dense_h5(), tmp_path / "web"
    page = web / "index.html"
    tfjs_codec.convert(source, web, with_page=True)
    page.write_text(page.read_text().replace("\n", "\r\n"), newline="")  # is no edit
    tfjs_codec.convert(source, web)
    assert not page.exists()
    tfjs_codec.convert(source, web, with_page=True)
    page.write_text(page.read_text().replace("tf.zeros(", "tf.ones("))
    tfjs_codec.convert(source, web)
    assert "tf.ones(" in page.read_text()
    with pytest.raises(UsageError, match=r"'index\.html' exists .* --force"):
        tfjs_codec.convert(source, web, with_page=True)
    assert "tf.ones(" in page.read_text()
    tfjs_codec.convert(source, web, with_page=True, force=True)
    assert "tf.ones(" not in page.read_text()
