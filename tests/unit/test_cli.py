"""The command line: every option, exit codes, and what goes to which stream."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from keras_files import dense_h5, entry, h5_model

from tfjs_codec import __version__, convert, load
from tfjs_codec.cli import main as cli
from tfjs_codec.cli import progress
from tfjs_codec.cli.program import run_guarded
from tfjs_codec.errors import UsageError
from tfjs_codec.report import Report


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.h5"
    path.write_bytes(dense_h5())
    return path


@pytest.fixture
def run(capsys):
    """Run the command line in this process: (exit code, stdout, stderr)."""

    def call(*arguments):
        try:
            code = cli.main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = end.code
        streams = capsys.readouterr()
        assert "Traceback" not in streams.err
        return code, streams.out, streams.err

    return call


def names(directory: Path):
    return sorted(path.name for path in directory.iterdir())


def index(directory: Path):
    return json.loads((directory / "model.json").read_text())


def entries(directory: Path):
    return [weight for group in index(directory)["weightsManifest"] for weight in group["weights"]]


def paths(directory: Path):
    return [path for group in index(directory)["weightsManifest"] for path in group["paths"]]


def command(*arguments, **options):
    """Run the command line in a process of its own."""
    line = [sys.executable, "-m", "tfjs_codec", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, check=False, **options)


# --- what it does ----------------------------------------------------------------------------


def test_convert_says_what_it_wrote(run, model, tmp_path):
    code, out, err = run("convert", model, tmp_path / "out")
    assert (code, err) == (0, "")
    assert out.startswith(f"{model} (keras-h5) -> {tmp_path / 'out'}\n  2 weights, 2 files, ")
    assert names(tmp_path / "out") == ["group1-shard1of1.bin", "model.json"]


def test_json_is_one_object_that_agrees_with_the_disk(run, model, tmp_path):
    code, out, err = run("convert", model, tmp_path / "out", "--json")
    assert (code, err) == (0, "")
    report = json.loads(out)
    sizes = {name: (tmp_path / "out" / name).stat().st_size for name, _ in report["files"]}
    assert sizes == dict(report["files"])
    assert report["nbytes"] == sum(sizes.values())
    assert report["weights"] == 2


def test_dry_run_writes_nothing(run, model, tmp_path):
    model.parent.chmod(0o555)
    try:
        code, out, _ = run("convert", model, tmp_path / "out", "--dry-run", "--json")
    finally:
        model.parent.chmod(0o755)
    assert code == 0
    assert names(tmp_path) == ["model.h5"]
    assert json.loads(out)["files"] == [["group1-shard1of1.bin", 60]]


def test_quiet_prints_nothing(run, model, tmp_path):
    assert run("convert", model, tmp_path / "out", "--quiet") == (0, "", "")


def test_quiet_json_still_prints_the_report(run, model, tmp_path):
    _, out, _ = run("convert", model, tmp_path / "out", "--quiet", "--json")
    assert json.loads(out)["weights"] == 2


def test_models_to_compare_come_from_standard_input(model, tmp_path):
    data = model.read_bytes()
    convert(model, tmp_path / "web")
    for line in (("diff", "-", tmp_path / "web"), ("verify", tmp_path / "web", "--against", "-")):
        assert command(*line, input=data).returncode == 0
    done = command("diff", "-", "-", input=data)
    assert done.returncode == 2
    assert b"both standard input" in done.stderr


def test_a_dash_is_standard_input(model, tmp_path):
    done = command("convert", "-", tmp_path / "out", input=model.read_bytes())
    assert done.returncode == 0
    assert len(entries(tmp_path / "out")) == 2


def test_a_dash_is_no_destination(run, model):
    code, out, err = run("convert", model, "-")
    assert (code, out) == (2, "")
    assert "cannot be written to standard output" in err


# --- options ---------------------------------------------------------------------------------


def test_weight_shard_size(run, model, tmp_path):
    run("convert", model, tmp_path / "out", "--weight-shard-size", "16B")
    assert [(tmp_path / "out" / path).stat().st_size for path in paths(tmp_path / "out")] == [
        16, 16, 16, 12,
    ]  # fmt: skip


def test_single_shard(run, model, tmp_path):
    run("convert", model, tmp_path / "out", "--weight-shard-size", "16", "--single-shard")
    assert paths(tmp_path / "out") == ["group1-shard1of1.bin"]


def test_split_weights_by_layer(run, model, tmp_path):
    layers = [entry("Dense", f"d{i}", units=3, batch_input_shape=[None, 3]) for i in (1, 2)]
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}
    weights = {f"d{i}": [(f"d{i}/kernel:0", np.ones((3, 3))), (f"d{i}/bias:0", np.ones(3))]
               for i in (1, 2)}  # fmt: skip
    model.write_bytes(h5_model(config, weights))
    run("convert", model, tmp_path / "out", "--split-weights-by-layer")
    assert paths(tmp_path / "out") == ["group1-shard1of1.bin", "group2-shard1of1.bin"]


@pytest.mark.parametrize("dtype", ["float16", "uint8", "uint16"])
def test_quantize_all(run, model, tmp_path, dtype):
    code, out, _ = run("convert", model, tmp_path / "out", f"--quantize-{dtype}=*")
    assert code == 0
    assert {weight["quantization"]["dtype"] for weight in entries(tmp_path / "out")} == {dtype}
    assert f"d/kernel: {dtype}, largest error" in out


@pytest.mark.parametrize("dtype", ["float16", "uint8", "uint16"])
@pytest.mark.parametrize("value", [1e6, np.inf, np.nan])
def test_quantize_all_keeps_whole_what_the_type_cannot_hold(run, tmp_path, dtype, value):
    kernel = np.float32([[value, 1.5], [-2, 0]])
    path = tmp_path / "model.h5"
    layer = entry("Dense", "d", units=2, batch_input_shape=[None, 2])
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [layer]}}
    weights = {"d": [("d/kernel:0", kernel), ("d/bias:0", np.float32([1, 2]))]}
    path.write_bytes(h5_model(config, weights))
    code, out, _ = run("convert", path, tmp_path / "out", f"--quantize-{dtype}=*")
    assert code == 0
    kept = dtype == "float16" or not np.isfinite(value)
    assert ("weight 'd/kernel' has " in out and "it is not quantised" in out) == kept
    assert ["quantization" in weight for weight in entries(tmp_path / "out")] == [not kept, True]
    with load(tmp_path / "out") as model:
        limit = 0 if kept else 1e6 / 255
        np.testing.assert_allclose(model.weights["d/kernel"], kernel, rtol=0, atol=limit)
    code, _, err = run("convert", path, tmp_path / "globs", f"--quantize-{dtype}=d/*")
    assert (code != 0, "weight 'd/kernel' has " in err) == (kept, kept)


def test_quantize_kernels(run, model, tmp_path):
    code, out, _ = run("convert", model, tmp_path / "out", "--quantize-uint8")
    assert code == 0
    assert ["quantization" in weight for weight in entries(tmp_path / "out")] == [True, False]
    assert "not quantised: 1 weight: d/bias" in out
    run("convert", model, tmp_path / "none", "--quantize-uint8=!*/kernel")
    assert not any("quantization" in weight for weight in entries(tmp_path / "none"))


def test_quantize_globs(run, model, tmp_path):
    run("convert", model, tmp_path / "out", "--quantize-uint8=*/kernel", "--quantize-uint16=*bias")
    dtypes = {
        weight["name"]: weight["quantization"]["dtype"] for weight in entries(tmp_path / "out")
    }
    assert dtypes == {"d/kernel": "uint8", "d/bias": "uint16"}


def test_a_glob_without_a_match_is_a_warning(run, model, tmp_path):
    code, out, _ = run("convert", model, tmp_path / "out", "--quantize-uint8=*/gamma")
    assert code == 0
    assert "warning: quantize: '*/gamma' matches no weight" in out


def test_metadata(run, model, tmp_path):
    (tmp_path / "labels.json").write_text('["cat", "dög"]')
    run("convert", model, tmp_path / "out", "--metadata", f"labels={tmp_path / 'labels.json'}")
    assert index(tmp_path / "out")["userDefinedMetadata"] == {"labels": ["cat", "dög"]}


def test_metadata_that_is_no_json(run, model, tmp_path):
    (tmp_path / "labels.json").write_text("[1,")
    flag = f"labels={tmp_path / 'labels.json'}"
    code, _, err = run("convert", model, tmp_path / "out", "--metadata", flag)
    assert code == 3
    assert "labels.json: line 1 column 4: invalid JSON" in err
    assert 'The file must hold JSON, such as ["cat", "dog"].' in err
    assert not (tmp_path / "out").exists()


def test_architecture(run, tmp_path):
    weights = [("d/kernel:0", np.ones((4, 3))), ("d/bias:0", np.ones(3))]
    (tmp_path / "w.h5").write_bytes(h5_model(None, {"d": weights}))
    layer = entry("Dense", "d", units=3, batch_input_shape=[None, 4])
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [layer]}}
    (tmp_path / "model.json").write_text(json.dumps({**config, "keras_version": "2.11.0"}))
    run("convert", tmp_path / "w.h5", tmp_path / "bare")
    assert "modelTopology" not in index(tmp_path / "bare")
    flag = ("--architecture", tmp_path / "model.json")
    assert run("convert", tmp_path / "w.h5", tmp_path / "whole", *flag)[0] == 0
    assert index(tmp_path / "whole")["modelTopology"]["model_config"]["class_name"] == "Sequential"


def test_replace(run, tmp_path):
    layers = [
        entry("Dense", "d", units=3, batch_input_shape=[None, 4]),
        entry("Lambda", "f", function=["4wEAAA==", None, None]),
    ]
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}
    weights = {"d": [("d/kernel:0", np.ones((4, 3))), ("d/bias:0", np.ones(3))]}
    (tmp_path / "m.h5").write_bytes(h5_model(config, weights))
    (tmp_path / "f.h5").write_bytes(dense_h5(name="inner", sizes=(3, 3)))
    code, _, err = run("convert", tmp_path / "m.h5", tmp_path / "out")
    assert code == 5
    assert "layer 'f' (Lambda): " in err
    flag = f"f={tmp_path / 'f.h5'}"
    assert run("convert", tmp_path / "m.h5", tmp_path / "out", "--replace", flag)[0] == 0
    assert [w["name"] for w in entries(tmp_path / "out")][2:] == ["inner/kernel", "inner/bias"]
    code, _, err = run("convert", tmp_path / "m.h5", tmp_path / "out", "--replace", f"g{flag[1:]}")
    assert code == 2
    assert "there is no layer 'g' to replace" in err


def test_training_config(run, tmp_path):
    training = {"optimizer_config": {"class_name": "SGD", "config": {"learning_rate": 0.5}},
                "loss": "mse"}  # fmt: skip
    (tmp_path / "m.h5").write_bytes(dense_h5(training_config=json.dumps(training)))
    run("convert", tmp_path / "m.h5", tmp_path / "out")
    assert "trainingConfig" not in index(tmp_path / "out")
    run("convert", tmp_path / "m.h5", tmp_path / "out", "--training-config")
    assert index(tmp_path / "out")["trainingConfig"]["loss"] == "mean_squared_error"


def test_limit(run, model, tmp_path):
    code, _, err = run("convert", model, tmp_path / "out", "--limit", "tensor_bytes=47")
    assert code == 4
    assert "more than the limit tensor_bytes = 47" in err
    assert "--limit tensor_bytes=" in err
    assert run("convert", model, tmp_path / "out", "--limit", "tensor_bytes=48")[0] == 0


def test_force(run, model, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    code, _, err = run("convert", model, tmp_path / "out")
    assert code == 2
    assert "is not empty and holds no tfjs model" in err
    assert "--force" in err
    assert run("convert", model, tmp_path / "out", "--force")[0] == 0
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"


# --- wrong usage and errors ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--weight-shard-size", "0"], "'0' is not a size"),
        (["--weight-shard-size", "4 parsecs"], "'4 parsecs' is not a size"),
        (["--limit", "tensor_bytes"], "'tensor_bytes' should read NAME=VALUE"),
        (["--limit", "nonsense=1"], "there is no limit 'nonsense'"),
        (["--limit", "tensor_bytes=-1"], "'-1' is not a size"),
        (["--metadata", "labels"], "'labels' should read KEY=FILE"),
        (["--quantize", "uint8"], "choose from 'auto'). Did you mean '--quantize-uint8'?"),
        (["--replace", "=x.h5"], "'=x.h5' should read LAYER=FILE"),
        (
            ["--quantize-uint8", "--quantize-uint16"],
            "both take all remaining weights. Name the weights of one",
        ),
        (["--quantize-uint8=d/*", "--quantize-uint16=*/bias"], "both uint8 and uint16"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_wrong_usage(run, model, tmp_path, flags, text):
    code, out, err = run("convert", model, tmp_path / "out", *flags)
    assert (code, out) == (2, "")
    assert text in err
    assert names(tmp_path) == ["model.h5"]


def test_no_command(run):
    code, out, err = run()
    assert (code, out) == (2, "")
    assert "COMMAND" in err


@pytest.mark.parametrize(
    ("name", "code", "text"),
    [
        ("missing.h5", 3, "missing.h5: No such file or directory"),
        ("empty.h5", 3, "empty.h5: this is an empty file"),
        ("bad.h5", 3, "bad.h5: "),
        ("directory", 3, "directory: the directory has neither"),
    ],
)
def test_sources_that_are_no_models(run, tmp_path, name, code, text):
    (tmp_path / "empty.h5").write_bytes(b"")
    (tmp_path / "bad.h5").write_bytes(dense_h5()[:-100])
    (tmp_path / "directory").mkdir()
    got, out, err = run("convert", tmp_path / name, tmp_path / "out")
    assert (got, out) == (code, "")
    assert err.startswith("tfjs-codec: error: ")
    assert text in err
    assert not (tmp_path / "out").exists()


@pytest.mark.posix
def test_a_named_pipe_is_no_model(run, tmp_path):
    os.mkfifo(tmp_path / "fifo.h5")
    code, out, err = run("convert", tmp_path / "fifo.h5", tmp_path / "out")
    assert (code, out) == (2, "")
    assert "fifo.h5: is a named pipe, not a regular file" in err


def test_unsupported_models_list_every_layer(run, tmp_path):
    layers = [entry("Dense", "d", units=3, batch_input_shape=[None, 4]), entry("Odd", "o\x1b[31m"),
              entry("pkg>Even", "e")]  # fmt: skip
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}
    weights = {"d": [("d/kernel:0", np.ones((4, 3))), ("d/bias:0", np.ones(3))]}
    (tmp_path / "m.h5").write_bytes(h5_model(config, weights))
    code, out, err = run("convert", tmp_path / "m.h5", tmp_path / "out")
    assert (code, out) == (5, "")
    assert "2 layers cannot be expressed" in err
    assert "\n  layer 'o\\x1b[31m' (Odd): " in err
    assert "\n  layer 'e' (pkg>Even): " in err


def test_output_that_fails(run, model, tmp_path):
    (tmp_path / "file").write_text("mine")
    code, _, err = run("convert", model, tmp_path / "file" / "out")
    assert code == 6
    assert "cannot write" in err
    code, _, err = run("convert", model, tmp_path / "file")
    assert code == 2
    assert "file: is not a directory" in err


def test_bugs_are_one_line(run, model, tmp_path, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError("x\x1b")

    monkeypatch.setattr("tfjs_codec.api.convert", broken)
    code, out, err = run("convert", model, tmp_path / "out")
    assert (code, out) == (1, "")
    assert err.startswith("tfjs-codec: error: internal error: ZeroDivisionError: x\\x1b. Please")
    assert err.count("\n") == 1
    monkeypatch.setenv("TFJS_CODEC_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        cli.main(["convert", str(model), str(tmp_path / "out")])


def test_memory_and_recursion_errors_have_a_message(run, model, tmp_path, monkeypatch):
    def full(*_, **__):
        raise MemoryError

    monkeypatch.setattr("tfjs_codec.api.convert", full)
    code, _, err = run("convert", model, tmp_path / "out")
    assert code == 1
    assert "MemoryError" in err


def test_ctrl_c_is_130_and_silent(run, model, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("tfjs_codec.api.convert", interrupted)
    assert run("convert", model, tmp_path / "out") == (130, "", "")


# --- streams ---------------------------------------------------------------------------------


def test_version(run):
    assert run("--version") == (0, f"tfjs_codec {__version__}\n", "")


def test_help_lists_the_exit_codes(run):
    for arguments in (["--help"], ["convert", "--help"]):
        code, out, _ = run(*arguments)
        assert code == 0
        assert "130 interrupted" in out


def test_a_reader_that_leaves_is_no_error(model, tmp_path):
    read, write = os.pipe()
    os.close(read)
    line = [sys.executable, "-m", "tfjs_codec", "convert", str(model), str(tmp_path / "out")]
    done = subprocess.run(line, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


def test_closed_streams_are_no_error(model, tmp_path):
    line = f"{sys.executable} -m tfjs_codec convert {model} {tmp_path / 'out'} >&- 2>&-"
    assert subprocess.run(line, shell=True, check=False).returncode == 0
    assert (tmp_path / "out" / "model.json").exists()


def test_any_locale_can_be_printed_to(tmp_path):
    (tmp_path / "mödel.h5").write_bytes(dense_h5())
    env = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for target in ("öut", "mödel.h5"):
        done = command("convert", tmp_path / "mödel.h5", tmp_path / target, env=env)
        assert done.returncode == (0 if target == "öut" else 2)
        assert b"Traceback" not in done.stderr
        assert b"internal error" not in done.stderr


@pytest.fixture
def shown(monkeypatch):
    """Runs with standard error on a terminal, all progress shown; returns what it shows."""
    monkeypatch.setattr(progress, "QUIET_S", 0)
    monkeypatch.setattr(progress, "_EVERY_S", 0)

    def run(*arguments) -> bytes:
        terminal, end = pty.openpty()
        seen = bytearray()

        def read() -> None:
            while not seen.endswith(b"\0"):
                seen.extend(os.read(terminal, 4096))

        reader = Thread(target=read)
        reader.start()
        with os.fdopen(end, "w") as stderr, redirect_stderr(stderr), redirect_stdout(StringIO()):
            code = cli.main([*map(str, arguments)])
            stderr.write("\0")  # processes of batch may keep the terminal open
        reader.join()
        os.close(terminal)
        assert code == 0
        return bytes(seen[:-1])

    return run


def test_progress_is_for_terminals(run, shown, model, tmp_path):
    line = shown("convert", model, tmp_path / "out")
    assert line.startswith(b"\rwriting [")
    assert re.search(rb"writing \[#{20}\] 0.0 MiB of 0.0 MiB, [\d.]+ MiB/s, in \d+ s +\r\n$", line)
    assert shown("convert", model, tmp_path / "out", "--quiet") == b""
    assert run("convert", model, tmp_path / "out")[2] == ""


@pytest.mark.parametrize("name", ["out.h5", "out.keras", "out.weights.h5", "out.npz", "graph"])
def test_every_output_shows_progress(shown, model, tmp_path, name):
    options = ["--to", "graph"] if name == "graph" else []
    lines = shown("convert", model, tmp_path / name, *options)
    assert lines.count(b"\rwriting [") > 1
    assert b"[####################]" in lines


def test_long_commands_show_progress(shown, model, tmp_path):
    convert(model, tmp_path / "web")
    web = tmp_path / "web"
    assert b"\rcomparing [" in shown("verify", web, "--against", model)
    assert b"\rcomparing [" in shown("diff", model, web)
    assert b"\rreading [" in shown("inspect", model, "--plot", tmp_path / "a.svg")
    assert b"1 of 1 models" in shown("batch", model, "--out", tmp_path / "many")


def test_an_error_begins_a_line_of_its_own(capsys, monkeypatch):
    monkeypatch.setattr(progress, "QUIET_S", 0)
    monkeypatch.setattr(progress, "_EVERY_S", 0)
    line = progress.ProgressLine("writing")

    def work() -> int:
        line(50 << 20, 100 << 20)
        raise UsageError("no")

    assert run_guarded("program", work) == 2
    shown = capsys.readouterr().err
    assert re.match(r"\rwriting \[#{10} {10}\] 50.0 MiB of 100.0 MiB, .* left *\nprogram: ", shown)


def test_durations_and_sizes_are_for_people():
    assert [progress._duration(s) for s in (0.4, 59, 61, 3599.6, 3723)] == [
        "0 s", "59 s", "1:01", "1:00:00", "1:02:03",
    ]  # fmt: skip
    assert [progress._size(n) for n in (0, 1 << 20, 3 << 29)] == ["0.0 MiB", "1.0 MiB", "1.5 GiB"]


def test_numbers_of_one_have_a_singular_and_many_shards_share_a_line(run, tmp_path):
    layer = entry("Dense", "d", units=40, batch_input_shape=[None, 50])
    weights = [("d/kernel:0", np.ones((50, 40), "f4")), ("d/bias:0", np.ones(40, "f4"))]
    source = tmp_path / "m.h5"
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [layer]}}
    source.write_bytes(h5_model(config, {"d": weights}))
    _, out, _ = run("convert", source, tmp_path / "o", "--weight-shard-size", "100")
    assert "  2 weights, 83 files, " in out
    assert (
        "\n  82 files group1-shard1of82.bin to group1-shard82of82.bin: 100 bytes each, or less\n"
        "  file model.json: "
    ) in out
    report = Report("m", "o", "keras-h5", (("a", 1),), 1, (("x", "Tile", ("Concatenate",)),))
    assert str(report).splitlines()[1:] == [
        "  1 weight, 1 file, 1 byte", "  file a: 1 byte",
        "  layer x: Tile became 1 layer: Concatenate",
    ]  # fmt: skip
