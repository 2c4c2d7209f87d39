"""``preview``: its facts, its page, its server. tests/oracle/test_preview.py looks at it."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import numpy as np
import pytest
from graph_fixtures import convert as convert_graph
from keras_files import dense_h5, entry, functional, h5_model, input_entry
from tfjs_files import dense_topology, write_model

import tfjs_codec
from tfjs_codec.cli import main as cli
from tfjs_codec.errors import CorruptFileError, UsageError
from tfjs_codec.inspection.inspection import LayerInfo
from tfjs_codec.ir.tensors import ArrayTensor, formula
from tfjs_codec.options import ConvertOptions
from tfjs_codec.preview import facts as preview_facts
from tfjs_codec.preview import histogram as histograms
from tfjs_codec.preview.facts import collect
from tfjs_codec.preview.histogram import count_values
from tfjs_codec.preview.page import write_page
from tfjs_codec.preview.running import prepare_running
from tfjs_codec.preview.scopes import group_by_block, group_by_scope
from tfjs_codec.preview.server import Server
from tfjs_codec.snippet import TFJS

OPTIONS = ConvertOptions()
HOSTILE = "</script><img src=x onerror=alert(1)><!--"


@pytest.fixture
def digits(fixtures_dir, tmp_path):
    tfjs_codec.convert(fixtures_dir / "digits" / "digits.keras", tmp_path / "digits")
    return tmp_path / "digits"


def by_name(found):
    return {node["name"]: node for node in found["nodes"]}


def named_edges(found):
    names = [node["name"] for node in found["nodes"]]
    return [(names[start], names[end]) for start, end in found["edges"]]


# ---------------------------------------------------------------------------------------- facts


def test_layers(digits):
    found = collect(str(digits), OPTIONS)
    conv = by_name(found)["conv2d"]
    assert found["title"] == "digits"
    assert found["totals"] == {"parameters": 3754, "frozen": 24, "nbytes": 15016, "tensors": 10}
    assert (conv["kind"], conv["shapes"]) == ("Conv2D", [[None, 8, 8, 12]])
    assert (conv["parameters"], conv["nbytes"], conv["parent"]) == (120, 480, None)
    names = [found["tensors"][place]["name"] for place in conv["tensors"]]
    assert names == ["conv2d/kernel", "conv2d/bias"]
    assert named_edges(found)[:2] == [
        ("input_layer", "random_translation"),
        ("random_translation", "conv2d"),
    ]
    assert json.dumps(found, allow_nan=False)


def test_operations_of_a_graph_model(fixtures_dir, tmp_path):
    source = fixtures_dir / "digits" / "digits.keras"
    tfjs_codec.convert(source, tmp_path / "web", to="graph")
    found = collect(str(tmp_path / "web"), OPTIONS)
    conv = by_name(found)["conv2d"]
    assert found["unit"] == "operation"
    assert (conv["kind"], conv["shapes"]) == ("_FusedConv2D", [[None, 8, 8, 12]])
    assert (conv["parameters"], conv["nbytes"]) == (120, 480)
    assert ("input_layer", "conv2d") in named_edges(found)
    scope = next(node for node in found["nodes"] if node["kind"] == "scope")
    inner = [node for node in found["nodes"] if node["parent"] == found["nodes"].index(scope)]
    assert scope["parameters"] == sum(node["parameters"] for node in inner) > 0
    assert "Const" not in {node["kind"] for node in found["nodes"]}


def test_what_is_an_index_is_bounded(tmp_path):
    """The table of this model has seven rows, which tfjs's error names: not in [0, 6]."""
    web = convert_graph("graph_keras2_words", tmp_path)
    assert set(collect(str(web), OPTIONS)["bounds"].values()) == {7}


def test_a_saved_model_without_layers_is_shown_as_the_graph_that_it_becomes(fixtures_dir):
    found = collect(str(fixtures_dir / "savedmodel_tf2.19_module" / "model"), OPTIONS)
    assert [node["kind"] for node in found["nodes"]] == ["Placeholder", "AddV2", "Identity"]
    assert "graph model that convert writes" in found["notes"][0]
    assert found["target"] == "a graph model"


def test_nested_models_are_nodes_with_layers_inside(fixtures_dir):
    found = collect(str(fixtures_dir / "savedmodel_tf2.15_nested" / "model"), OPTIONS)
    nodes = found["nodes"]
    inner = next(i for i, node in enumerate(nodes) if node["name"] == "inner")
    inside = [node for node in nodes if node["parent"] == inner]
    assert "Dense" in {node["kind"] for node in inside}
    assert nodes[inner]["nbytes"] == sum(node["nbytes"] for node in inside) > 0
    assert ("first", "inner") in named_edges(found)


def test_what_a_conversion_does_and_did(fixtures_dir, digits):
    source = fixtures_dir / "digits" / "digits.keras"
    lowered = [["random_translation", "RandomTranslation", ["Activation"]]]
    assert collect(str(source), OPTIONS)["lowered"] == lowered
    assert collect(str(digits), OPTIONS)["lowered"] == []
    assert collect(str(digits), OPTIONS, against=str(source))["lowered"] == lowered
    report = tfjs_codec.convert(source, digits, quantize={"uint8": True})
    found = collect(str(digits), OPTIONS, report=report)
    assert found["lowered"] == lowered
    assert found["dropped"] == list(report.dropped)
    errors = {name: error for name, _, error, *_ in report.quantization}
    known = {one["name"]: one["error"] for one in found["tensors"] if "error" in one}
    assert known == errors


def test_errors_of_quantised_values(fixtures_dir, digits):
    source = fixtures_dir / "digits" / "digits.keras"
    tfjs_codec.convert(source, digits, quantize={"uint8": "*/kernel"})
    kernel = next(one for one in collect(str(digits), OPTIONS)["tensors"]
                  if one["name"] == "dense/kernel")  # fmt: skip
    assert kernel["stored"] == "uint8"
    with tfjs_codec.load(source) as before, tfjs_codec.load(digits) as after:
        away = np.abs(before.weights["dense/kernel"] - after.weights["dense/kernel"])
        assert away.max() <= kernel["step"] / 2 + 1e-6
    found = {one["name"]: one for one in
             collect(str(digits), OPTIONS, against=str(source))["tensors"]}  # fmt: skip
    assert found["dense/kernel"]["error"] == pytest.approx(away.max(), rel=1e-5)
    assert found["dense/kernel"]["mean_error"] == pytest.approx(away.mean(), rel=1e-4)
    assert found["dense/bias"]["error"] == 0


def test_only_tfjs_models_are_compared(fixtures_dir):
    source = str(fixtures_dir / "digits" / "digits.keras")
    with pytest.raises(UsageError, match="only a tfjs model"):
        collect(source, OPTIONS, against=source)


def test_what_cannot_be_converted_is_shown_with_the_reasons():
    layers = [input_entry("x", [None, 4]), entry("Odd", "odd", [[["x", 0, 0, {}]]])]
    model = h5_model(functional(layers, [["x", 0, 0]], [["odd", 0, 0]]), {"odd": []})
    found = collect(model, OPTIONS)
    assert list(by_name(found)) == ["x", "odd"]
    assert "Odd" in found["problems"][0]
    assert found["target"] == ""


def test_large_models_are_bounded_with_a_sentence(digits, monkeypatch):
    monkeypatch.setattr(preview_facts, "_MOST_NODES", 4)
    monkeypatch.setattr(preview_facts, "_MOST_EDGES", 2)
    monkeypatch.setattr(preview_facts, "_MOST_TENSORS", 3)
    monkeypatch.setattr(preview_facts, "_READ_BYTES", 500)
    found = collect(str(digits), OPTIONS)
    assert (len(found["nodes"]), len(found["edges"])) == (4, 2)
    assert len(found["tensors"]) == 3
    assert [one["histogram"] is None for one in found["tensors"]] == [False, False, True]
    assert found["totals"]["tensors"] == 10
    assert found["notes"] == [
        "1 tensor without a histogram: values are read up to 0 MiB.",
        "The first 4 layers and operations are shown.",
        "The first 2 connections are shown.",
        "The first 3 of 10 tensors are shown.",
    ]


def test_a_damaged_model_is_an_error(tmp_path):
    web = write_model(tmp_path / "web", {"dense_Dense1/kernel": np.ones((4, 3), np.float32)},
                      topology=dense_topology())  # fmt: skip
    (web / "weights.bin").write_bytes(b"short")
    with pytest.raises(CorruptFileError):
        collect(str(web), OPTIONS)


def test_a_graph_with_a_cycle_is_an_error(tmp_path):
    nodes = [
        {"name": "a", "op": "Relu", "input": ["b"]},
        {"name": "b", "op": "Relu", "input": ["a"]},
    ]
    web = write_model(tmp_path / "web", {}, topology={"node": nodes}, format="graph-model")
    with pytest.raises(CorruptFileError):
        collect(str(web), OPTIONS)


def test_weights_alone(tmp_path):
    np.savez(tmp_path / "w.npz", a=np.ones(3))
    found = collect({"a": np.array([1.0, 2.0, 3.0], np.float32)}, OPTIONS)
    assert found["nodes"] == []
    assert found["tensors"][0]["histogram"]["mean"] == 2


# ------------------------------------------------------------------------------------ histograms


def test_a_histogram_is_that_of_numpy():
    values = np.random.default_rng(0).standard_normal(5000).astype(np.float32)
    found = count_values(ArrayTensor("x", values))
    counts, _ = np.histogram(values.astype(np.float64), len(found.counts))
    assert np.abs(np.array(found.counts) - counts).max() <= 1
    assert sum(found.counts) == 5000
    assert found.low == values.min()
    assert found.mean == pytest.approx(values.mean(), abs=1e-6)
    assert found.deviation == pytest.approx(values.std(), rel=1e-5)


def test_a_histogram_is_computed_in_pieces(monkeypatch):
    monkeypatch.setattr(histograms, "_KEPT_BYTES", 0)
    ramp = formula((1000, 1000), lambda i, j: i * 1000 + j)
    found = count_values(ramp)
    assert set(found.counts) == {25_000}
    assert (found.low, found.high, found.zeros) == (0, 999_999, 1)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 0, 1, np.nan, np.inf], {"low": 0, "high": 1, "odd": 2, "zeros": 2}),
        ([np.nan], {"low": None, "mean": None, "counts": [], "odd": 1}),
        ([2.5], {"low": 2.5, "high": 2.5, "counts": [1, 0, 0, 0, 0, 0, 0, 0]}),
        ([-3e38, 3e38], {"low": pytest.approx(-3e38), "counts": [1, 0, 0, 0, 0, 0, 0, 1]}),
    ],
)
def test_odd_values(values, expected):
    found = count_values(ArrayTensor("x", np.array(values, np.float32))).to_json()
    assert {key: found[key] for key in expected} == expected
    assert json.dumps(found, allow_nan=False)


def test_doubles_that_overflow():
    found = count_values(ArrayTensor("x", np.array([-1.7e308, 1.7e308, 1.7e308]))).to_json()
    assert sum(found["counts"]) == 3
    assert json.dumps(found, allow_nan=False)


def test_what_has_no_histogram():
    assert count_values(ArrayTensor("x", np.zeros((0, 3), np.float32))) is None
    assert count_values(ArrayTensor("x", np.array([b"a"], object))) is None
    assert count_values(ArrayTensor("x", np.ones(2, np.complex64))) is None


# ---------------------------------------------------------------------------------------- scopes


def operations(*rows):
    return [LayerInfo(name, "Op", parameters=1, inputs=tuple(inputs)) for name, *inputs in rows]


def test_scopes_become_groups_whose_edges_are_lifted():
    found = group_by_scope(operations(
        ("x",), ("m/a/MatMul", "x"), ("m/a/Relu", "m/a/MatMul"), ("m/b", "m/a/Relu"), ("y", "m/b")
    ))  # fmt: skip
    assert [(one.name, one.class_name, one.inputs) for one in found] == [
        ("x", "Op", ()), ("m", "scope", ("x",)), ("y", "Op", ("m",))
    ]  # fmt: skip
    group = found[1]
    assert group.parameters == 3
    assert [(one.name, one.inputs) for one in group.layers] == [("m/a", ()), ("m/b", ("m/a",))]
    assert [one.name for one in group.layers[0].layers] == ["m/a/MatMul", "m/a/Relu"]


def test_blocks_of_large_models_become_groups():
    names = ["stem_conv", "block1a_dw", "block1a_bn", "block_2_expand", "block_2_bn", "dense_1"]
    rows = zip(names, ["x", *names], strict=False)
    layers = operations(("x",), *((name, before) for name, before in rows))
    found = group_by_block([replace(one, frozen=1) for one in layers])
    assert [(one.name, one.inputs, one.frozen) for one in found] == [
        ("x", (), 1), ("stem_conv", ("x",), 1), ("block1a", ("stem_conv",), 2),
        ("block_2", ("block1a",), 2), ("dense_1", ("block_2",), 1),
    ]  # fmt: skip
    assert [one.name for one in found[2].layers] == ["block1a_dw", "block1a_bn"]


def test_a_scope_of_one_or_of_all_is_no_group():
    found = group_by_scope(operations(("m/x",), ("m/a/MatMul", "m/x"), ("m/y", "m/a/MatMul")))
    assert [(one.name, one.inputs) for one in found] == [
        ("m/x", ()), ("m/a/MatMul", ("m/x",)), ("m/y", ("m/a/MatMul",))
    ]  # fmt: skip


def test_scopes_of_any_depth_end():
    deep = "/".join(["a"] * 3000)
    found = group_by_scope(operations((f"{deep}/x",), (f"{deep}/y", f"{deep}/x")))
    assert [one.name[-2:] for one in found] == ["/x", "/y"]


# ------------------------------------------------------------------------------------------ page


def scripts(html):
    return re.findall(r"<script(?: type=\"module\")?>(.*?)</script>", html, re.DOTALL)


def test_the_policy_allows_what_the_page_holds_and_nothing_else(digits):
    page = write_page(collect(str(digits), OPTIONS))
    assert f'content="{page.policy}"' in page.html
    rules = dict(rule.split(" ", 1) for rule in page.policy.split("; "))
    digests = [
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in scripts(page.html)
    ]
    assert rules["script-src"] == " ".join(digests)
    assert len(digests) == 2
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["require-trusted-types-for"] == "'script'"
    assert "unsafe" not in page.policy
    assert "connect-src" not in rules  # 'none'


def test_a_page_in_a_file_refers_to_nothing_outside(digits):
    html = tfjs_codec.preview_html(digits)
    markup = re.sub(r"<(script|style).*?</\1>", "", html, flags=re.DOTALL)
    assert re.findall(r"(?:src|href)=\"([^\"]*)\"", markup) == ["data:,", "#main"]
    assert "sourceMappingURL" not in html
    assert TFJS not in html


def test_names_of_models_cannot_become_markup(tmp_path):
    files = tfjs_codec.to_files(dense_h5("zzz"), metadata={HOSTILE: HOSTILE, "labels": [HOSTILE]})
    files["model.json"] = files["model.json"].replace(b"zzz", HOSTILE.encode())
    web = tmp_path / HOSTILE.replace("/", "_")
    web.mkdir()
    for name, data in files.items():
        (web / name).write_bytes(data)
    with ExitStack() as stack:
        running = prepare_running(str(web), OPTIONS, stack).running
        facts = collect(str(web), OPTIONS)
        for page in (write_page(facts), write_page(facts, running)):
            assert by_name(facts)[HOSTILE]["parameters"] == 15
            assert HOSTILE not in page.html
            assert "<img" not in page.html
            assert page.html.count("</script>") == 3
            assert page.html.count("<!--") == 1  # our mark


def test_a_title_is_escaped(tmp_path):
    web = tmp_path / "<b>&"
    tfjs_codec.convert(dense_h5(), web)
    assert "<title>&lt;b&gt;&amp;</title>" in tfjs_codec.preview_html(web)


def test_braces_in_names_are_no_places_of_the_page(tmp_path):
    tfjs_codec.convert(dense_h5(), tmp_path / "{style}", metadata={"{data}": "{scripts}"})
    html = tfjs_codec.preview_html(tmp_path / "{style}")
    assert "<title>{style}</title>" in html
    assert "'{scripts}'" in html


# ---------------------------------------------------------------------------------------- server


@contextmanager
def serving(source, **how):
    with ExitStack() as stack:
        prepared = prepare_running(str(source), OPTIONS.begin(), stack, **how)
        page = write_page(collect(str(source), OPTIONS), prepared.running)
        server = stack.enter_context(Server(page, prepared.files))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        stack.callback(thread.join)
        stack.callback(server.shutdown)
        yield server


def ask(server, path, method="GET", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for key, value in headers.items():
        connection.putheader(key, value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def test_the_server_gives_the_page_and_the_files_of_the_model(digits):
    (digits / "secret.txt").write_text("secret")
    with serving(digits) as server:
        answer, body = ask(server, "/")
        assert answer.status == 200
        assert body == server.page.html.encode()
        assert answer.headers["Content-Security-Policy"] == server.page.policy
        assert "http-equiv" not in server.page.html
        for name in ("model.json", "group1-shard1of1.bin"):
            answer, body = ask(server, f"/model/{name}")
            assert body == (digits / name).read_bytes()
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert ask(server, "/model/model.json?x=1")[0].status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/secret.txt", "/model/secret.txt", "/model/", "/model", "/model/../secret.txt",
        "/model/%2e%2e/secret.txt", "/../../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd",
        "//model.json", "/model/./model.json", "/model/model.json/", "/model\\model.json",
        "/favicon.ico",
    ],
)  # fmt: skip
def test_the_server_gives_nothing_else(digits, path):
    (digits / "secret.txt").write_text("secret")
    with serving(digits) as server:
        answer, body = ask(server, path)
        assert answer.status == 404
        assert b"secret" not in body.replace(b"secret.txt", b"")


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1:{}", 200), ("localhost:{}", 200), ("LOCALHOST:{}", 200), ("evil.example", 421),
     ("evil.example:{}", 421), ("127.0.0.1", 421), ("", 421)],
)  # fmt: skip
def test_the_server_answers_to_its_own_name_only(digits, host, status):
    with serving(digits) as server:
        answer, body = ask(server, "/model/model.json", Host=host.format(server.server_port))
        assert answer.status == status
        assert (b"modelTopology" in body) == (status == 200)


def test_head_and_other_methods(digits):
    with serving(digits) as server:
        answer, body = ask(server, "/model/model.json", "HEAD")
        assert int(answer.headers["Content-Length"]) == (digits / "model.json").stat().st_size
        assert (answer.status, body) == (200, b"")
        assert ask(server, "/", "HEAD")[1] == b""
        assert ask(server, "/", "POST")[0].status == 501


def test_a_file_that_vanished_is_not_found(digits):
    with serving(digits) as server:
        (digits / "group1-shard1of1.bin").unlink()
        assert ask(server, "/model/group1-shard1of1.bin")[0].status == 404


def test_a_file_that_was_written_again_is_whole(digits):
    with serving(digits) as server:
        (digits / "model.json").write_text("{}")
        answer, body = ask(server, "/model/model.json")
        assert (answer.headers["Content-Length"], body) == ("2", b"{}")


def test_the_address_is_of_this_machine_only(digits):
    with serving(digits) as server:
        assert server.server_address[0] == "127.0.0.1"


def make_tfjs(root, *backends):
    for name in ("", *(f"-backend-{backend}" for backend in backends)):
        dist = root / "@tensorflow" / f"tfjs{name}" / "dist"
        dist.mkdir(parents=True)
        (dist / f"tf{name}.min.js").write_text(f"// {name}")
    return root


@pytest.mark.parametrize("below", ["", "@tensorflow", "@tensorflow/tfjs"])
def test_tensorflow_js_from_a_directory(digits, tmp_path, below):
    root = make_tfjs(tmp_path / "node_modules", "wasm")
    with serving(digits, tfjs=str(root / below)) as server:
        run = json.loads(re.search(r'id="model">(.*?)</script>', server.page.html)[1])["run"]
        assert ask(server, run["tfjs"])[1] == b"// "
        assert list(run["backends"]) == ["wasm"]
        assert ask(server, run["backends"]["wasm"])[1] == b"// -backend-wasm"
        assert "cdn" not in server.page.policy
        assert "https:" not in server.page.policy


def test_tensorflow_js_from_the_cdn(digits):
    with serving(digits) as server:
        rules = dict(rule.split(" ", 1) for rule in server.page.policy.split("; "))
        assert TFJS in rules["script-src"].split()
        wasm = TFJS.replace("tfjs@", "tfjs-backend-wasm@").rpartition("/")[0]
        assert f"{wasm}/tfjs-backend-wasm.wasm" in rules["connect-src"].split()
        assert "'unsafe-eval'" not in rules["script-src"]


def test_tensorflow_js_that_is_not_there(digits, tmp_path):
    with pytest.raises(UsageError, match="npm install"), ExitStack() as stack:
        prepare_running(str(digits), OPTIONS, stack, tfjs=str(tmp_path))
    for url in ("https://x.example/a;script-src *", "https://x/' 'unsafe-eval", "ftp://x/y"):
        with pytest.raises(UsageError, match="no URL"), ExitStack() as stack:
            prepare_running(str(digits), OPTIONS, stack, tfjs=url)


def test_what_a_page_cannot_run(fixtures_dir, tmp_path):
    tfjs_codec.convert({"a": np.zeros(3, np.float32)}, tmp_path / "web")
    for source in (fixtures_dir / "digits" / "digits.keras", tmp_path / "web"):
        with ExitStack() as stack:
            assert prepare_running(str(source), OPTIONS, stack) is None


def test_models_in_a_zip_are_served(fixtures_dir, tmp_path):
    tfjs_codec.convert(fixtures_dir / "digits" / "digits.keras", tmp_path / "web.zip")
    with serving(tmp_path / "web.zip") as server:
        assert ask(server, "/model/model.json")[0].status == 200
        assert len(ask(server, "/model/group1-shard1of1.bin")[1]) == 15016


# ------------------------------------------------------------------------------------ the command


def test_export(digits, tmp_path, capsys):
    file = tmp_path / "report.html"
    line = ["preview", str(digits), "--export-html", str(file)]
    assert cli.main(line) == 0
    assert "report.html: " in capsys.readouterr().out
    assert file.read_text() == tfjs_codec.preview_html(digits)
    assert cli.main([*line, "--json"]) == 0  # our own page may be replaced
    assert json.loads(capsys.readouterr().out)["nbytes"] == file.stat().st_size
    file.write_text("<!doctype html>\n<p>mine")
    assert cli.main(line) == 2
    assert file.read_text() == "<!doctype html>\n<p>mine"
    assert cli.main([*line, "--force", "--sandbox"]) == 0
    assert "dagre" in file.read_text()


@pytest.mark.parametrize(
    "options", [["--sandbox"], ["--port", "70000"], ["--against", "missing.keras"]]
)
def test_wrong_use(digits, options):
    assert cli.main(["preview", str(digits), "--no-open", *options]) in (2, 3)


def test_only_what_runs_takes_tensorflow_js(fixtures_dir, capsys):
    source = str(fixtures_dir / "digits" / "digits.keras")
    assert cli.main(["preview", source, "--no-open", "--tfjs", "."]) == 2
    assert "for tfjs models" in capsys.readouterr().err


@pytest.mark.posix
@pytest.mark.posix
@pytest.mark.parametrize("command", ["preview", "convert"])
def test_it_serves_until_it_is_interrupted(digits, fixtures_dir, tmp_path, command):
    source = str(fixtures_dir / "digits" / "digits.keras")
    line = ["preview", str(digits), "--no-open", "--json"]
    if command == "convert":
        line = ["convert", source, str(tmp_path / "web"), "--preview", "--quiet"]
    process = subprocess.Popen(
        [sys.executable, "-m", "tfjs_codec", *line], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env={**os.environ, "BROWSER": "true"},
        # A shell that started the tests in the background lets them ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )  # fmt: skip
    port = re.search(r"http://127.0.0.1:(\d+)/", process.stdout.readline())[1]
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=10)
    connection.request("GET", "/")
    assert b"<title>" in connection.getresponse().read()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")


def test_convert_with_preview_writes_for_sure(fixtures_dir, tmp_path):
    line = ["convert", str(fixtures_dir / "digits" / "digits.keras"), str(tmp_path / "web")]
    assert cli.main([*line, "--preview", "--dry-run"]) == 2
