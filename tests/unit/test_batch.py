"""Batches: what they are asked for, what they skip and do again, what a lost worker does."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import uuid
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ThreadPoolExecutor
from pathlib import Path

import fsspec
import pytest
from keras_files import dense_h5, entry, h5_model

import tfjs_codec
from tfjs_codec.batches import batch as batches
from tfjs_codec.batches import task as tasks
from tfjs_codec.batches.engines import ExecutorEngine
from tfjs_codec.batches.manifest import Item, list_items, stem
from tfjs_codec.cli.main import main
from tfjs_codec.errors import UsageError


@pytest.fixture
def models(tmp_path, monkeypatch):
    """A directory of three models, one of them in another directory."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "models"
    (folder / "deep").mkdir(parents=True)
    for number, name in enumerate(("a.h5", "b.h5", "deep/c.h5"), 2):
        (folder / name).write_bytes(dense_h5(sizes=(number, 3)))
    return folder


@pytest.fixture
def threads():
    with ThreadPoolExecutor(2) as executor:
        yield executor


def statuses(done: tfjs_codec.Batch) -> dict[str, str]:
    return {one.name: one.status for one in done.results}


# --- what is asked for ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("m.keras", "m"), ("a/b.weights.h5", "b"), ("a/b/model.json", "b"), ("model.json", "model"),
        ("saved/", "saved"), ("x/saved_model.pb", "x"), ("s3://b/k/m.h5?versionId=1", "m"),
        ("zip://deep/m.h5::https://host/z.zip", "m"), ("hub.tar.gz", "hub"), ("noext", "noext"),
    ],
)  # fmt: skip
def test_a_model_is_called_as_its_file_or_directory(source, name):
    assert stem(source) == name


def test_patterns_keep_directories_below_their_fixed_part(models):
    found = list_items(["models/**/*.h5"], {})
    assert [(item.name, os.path.relpath(item.source, models)) for item in found] == [
        ("a", "a.h5"), ("b", "b.h5"), ("deep/c", "deep/c.h5"),
    ]  # fmt: skip
    with pytest.raises(UsageError, match="nothing matches"):
        list_items(["models/*.keras"], {})
    with pytest.raises(UsageError, match=r"would both be written to 'a', .* in the list of models"):
        list_items(["models/a.h5", "models/*.h5"], {})
    with pytest.raises(UsageError, match="nothing to convert"):
        list_items([], {})


def test_manifests_say_the_same_in_both_forms(models, monkeypatch):
    (models / "list.jsonl").write_text(
        '{"source": "a.h5", "name": "one", "quantize": {"uint8": true}, "checksums": true, '
        '"rescale": false}\n\n'
        '{"source": "deep/c.h5", "to": "keras", "rename": {"d": "e"}, "outputs": ["d"], '
        '"quantize": {"auto": true}, "max_error": 0.5}\n'
    )
    (models / "list.csv").write_text(
        "source,name,quantize,checksums,rescale,to,rename,outputs,max_error\n"
        "a.h5,one,uint8,yes,no,,,,\n"
        'deep/c.h5,,auto,,,keras,"{""d"": ""e""}",d,0.5\n'
    )
    expected = [
        Item(str(models / "a.h5"), "one",
             {"quantize": {"uint8": True}, "checksums": True, "rescale": False}),
        Item(str(models / "deep/c.h5"), "c.keras",
             {"to": "keras", "rename": {"d": "e"}, "outputs": ["d"], "quantize": {"auto": True},
              "max_error": 0.5}),
    ]  # fmt: skip
    assert list_items([str(models / "list.jsonl")], {}) == expected
    assert list_items([str(models / "list.csv")], {}) == expected
    assert list_items(["models/list.csv"], {"to": "graph"})[0].options["to"] == "graph"
    monkeypatch.chdir(models)  # what sources are relative to in a manifest that is no file
    for name in ("list.jsonl", "list.csv"):
        assert list_items([(models / name).read_bytes()], {}) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"source": "a.h5", "quantise": {}}', "there is no column 'quantise'. Did you mean"),
        ('{"name": "a"}', "line 1: there is no source"),
        ('\n{"source": "a.h5", "to": "graf"}', "line 2: 'graf' is not a target"),
        ('{"source": "a.h5", "name": "../a"}', "the name '../a' leads out of its directory"),
        ('{"source": "a.h5", "shard_size_bytes": "x"}', "line 1: shard_size_bytes must be"),
        ("[1]", "line 1: expected an object"),
        ("source,sorce\na.h5,b", "line 1: there is no column 'sorce'. Did you mean 'source'?"),
        ("source,force\na.h5,perhaps", "line 2: force is 'perhaps', not true or false"),
        ("source,max_error\na.h5,small", "line 2: max_error is 'small', not a number"),
        ("source,force\na.h5", "line 2: not as many cells as columns"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_manifest_names_its_line(tmp_path, text, message):
    file = tmp_path / ("list.csv" if text.startswith("source") else "list.jsonl")
    file.write_text(text)
    with pytest.raises(UsageError) as raised:
        list_items([str(file)], {})
    assert message in str(raised.value)


# --- what is done, and done again -----------------------------------------------------------


def test_what_is_done_is_not_done_again(models, threads):
    def run(**options):
        return statuses(tfjs_codec.batch(["models/**/*.h5"], "out", executor=threads, **options))

    assert set(run().values()) == {"converted"}
    for name in ("a", "b", "deep/c"):
        files = {path.name: path.read_bytes() for path in (models.parent / "out" / name).iterdir()}
        assert files == tfjs_codec.to_files(models / f"{name}.h5")
    assert set(run().values()) == {"unchanged"}
    (models / "a.h5").write_bytes(dense_h5(sizes=(9, 3)))
    assert run() == {"a": "converted", "b": "unchanged", "deep/c": "unchanged"}
    shutil.rmtree(models.parent / "out" / "b")
    assert run() == {"a": "unchanged", "b": "converted", "deep/c": "unchanged"}
    assert set(run(checksums=True).values()) == {"converted"}


def test_the_key_holds_all_that_is_read(models, threads):
    tfjs_codec.convert(models / "a.h5", models / "web")
    (models / "weights.h5").write_bytes(dense_h5(sizes=(2, 3)))
    rows = [{"source": "models/web/model.json"}, {"source": "models/web", "name": "whole"}]

    def run():
        return statuses(tfjs_codec.batch(rows, "out", executor=threads))

    run()
    assert set(run().values()) == {"unchanged"}
    shard = models / "web" / "group1-shard1of1.bin"
    shard.write_bytes(bytes(len(shard.read_bytes())))
    assert set(run().values()) == {"converted"}
    (models / "web" / "notes.txt").write_text("of no interest")
    assert set(run().values()) == {"unchanged"}


def test_one_bad_model_does_not_stop_the_rest(models, threads, tmp_path):
    (models / "bad.h5").write_bytes(b"\x89HDF\r\n\x1a\nnot really")
    done = tfjs_codec.batch(
        ["models/*.h5", "models/none.h5"], "out", executor=threads, results="results.jsonl"
    )
    assert statuses(done) == {"a": "converted", "b": "converted", "bad": "failed", "none": "failed"}
    assert [one.name for one in done.failed] == ["bad", "none"]
    assert "bad.h5: truncated" in str(done)
    assert "none.h5: No such file" in str(done)
    assert "4 models: 2 converted, 2 failed" in done.summary
    told = {
        line["name"]: line
        for line in map(json.loads, Path("results.jsonl").read_text().splitlines())
    }
    assert told["bad"]["error"]["type"] == "CorruptFileError"
    assert told["a"]["files"]
    assert not (tmp_path / "out" / "bad").exists()


def test_a_journal_that_was_cut_off_is_read_as_far_as_it_goes(models, threads):
    def run():
        return statuses(tfjs_codec.batch(["models/*.h5"], "out", executor=threads))

    run()
    journal = models.parent / "out" / batches.JOURNAL
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(lines[0] + lines[1][:-20])
    assert sorted(run().values()) == ["converted", "unchanged"]
    assert set(run().values()) == {"unchanged"}
    held = batches.Journal(journal)
    with pytest.raises(UsageError, match="another process writes it"):
        run()
    held.close()


def test_batches_go_to_urls(models, threads):
    base = uuid.uuid4().hex
    rows = [{"source": "models/a.h5"}, {"source": "models/b.h5", "to": "h5"}]

    def run():
        return statuses(tfjs_codec.batch(rows, f"memory://{base}", executor=threads))

    assert set(run().values()) == {"converted"}
    assert set(run().values()) == {"unchanged"}
    assert (models.parent / batches.JOURNAL).exists()
    system = fsspec.filesystem("memory")
    assert {name.removeprefix(f"/{base}/") for name in system.find(f"/{base}")} == {
        "a/model.json", "a/group1-shard1of1.bin", "b.h5",
    }  # fmt: skip
    found = list_items([f"memory://{base}/*/model.json"], {})
    assert [(one.source, one.name) for one in found] == [(f"memory://{base}/a/model.json", "a")]
    again = tfjs_codec.batch([f"memory://{base}/*/model.json"], "out", executor=threads)
    assert statuses(again) == {"a": "converted"}
    system.rm(f"/{base}", recursive=True)
    assert set(run().values()) == {"converted"}


def test_a_dry_run_writes_nothing(models, threads, tmp_path):
    (models / "bad.h5").write_bytes(b"\x89HDF\r\n\x1a\nnot really")

    def run(**options):
        return tfjs_codec.batch(["models/*.h5"], "out", executor=threads, **options)

    planned = run(dry_run=True)
    assert statuses(planned) == {"a": "planned", "b": "planned", "bad": "failed"}
    assert "3 models: 2 planned, 1 failed, in " in planned.summary
    assert not (tmp_path / "out").exists()
    done = run()
    sizes = [dict(one.files) for one in done.results]
    assert [{name: dict(one.files)[name] for name in dict(one.files) if name.endswith(".bin")}
            for one in planned.results] == [
        {name: size for name, size in one.items() if name.endswith(".bin")} for one in sizes
    ]  # fmt: skip
    assert statuses(run(dry_run=True)) == {"a": "unchanged", "b": "unchanged", "bad": "failed"}


# --- lost workers ---------------------------------------------------------------------------


class Flaky(Executor):
    """Runs tasks at once; the next ones fail as *failures* say."""

    def __init__(self, failures):
        self.failures = list(failures)

    def submit(self, work, /, *arguments):
        future = Future()
        error = self.failures.pop(0) if self.failures else None
        if isinstance(error, CancelledError):
            future.cancel()
            future.set_running_or_notify_cancel()
        elif error is not None:
            future.set_exception(error)
        else:
            future.set_result(work(*arguments))
        return future


class Renewed(ExecutorEngine):
    """An engine that comes back."""

    renewals = 0

    def renew(self):
        self.renewals += 1
        return True


def run_flaky(models, engine):
    items = list_items([str(models / "**" / "*.h5")], {})
    return batches.run_batch(items, str(models.parent / "out"), lambda: engine, limits={})


def test_what_a_lost_worker_took_along_is_done_again(models):
    done = run_flaky(models, ExecutorEngine(Flaky([RuntimeError("killed worker")] * 3)))
    assert set(statuses(done).values()) == {"converted"}
    assert sorted(one.tries for one in done.results) == [2, 2, 2]
    done = run_flaky(models, ExecutorEngine(Flaky([RuntimeError("killed worker")] * 9)))
    assert [one.error["text"] for one in done.failed] == [
        "its worker was lost 3 times (RuntimeError: killed worker)"
    ] * 3


def test_a_lost_engine_is_renewed_a_bounded_number_of_times(models):
    engine = Renewed(Flaky([CancelledError()] * 8))
    assert set(statuses(run_flaky(models, engine)).values()) == {"converted"}
    assert engine.renewals == 3
    engine = Renewed(Flaky([BrokenExecutor()] * 100))
    assert {one.error["text"] for one in run_flaky(models, engine).failed} == {"the engine is gone"}
    assert engine.renewals == 5
    gone = run_flaky(models, ExecutorEngine(Flaky([BrokenExecutor()])))
    assert statuses(gone) == {"a": "failed", "b": "unchanged", "deep/c": "unchanged"}


class Narrow(ExecutorEngine):
    """An engine that takes one chunk at a time; notes the number of tasks in each."""

    window = 1

    def __init__(self, failures=()):
        super().__init__(Flaky(failures))
        self.sizes = []

    def submit(self, work, tasks):
        self.sizes.append(len(tasks))
        return super().submit(work, tasks)


def run_in_chunks(models, engine, monkeypatch, count, long_s=60.0):
    """Convert a model *count* times; workers hand back what is not done after *long_s* seconds."""
    monkeypatch.setattr(batches, "CHUNK_S", 60.0)
    monkeypatch.setattr(tasks, "CHUNK_S", long_s)
    items = list_items(
        [{"source": str(models / "a.h5"), "name": f"m{number:02}"} for number in range(count)], {}
    )
    return batches.run_batch(items, str(models.parent / "out"), lambda: engine, limits={})


def test_many_short_conversions_are_submitted_together(models, monkeypatch):
    engine = Narrow()
    done = run_in_chunks(models, engine, monkeypatch, 20)
    assert [one.name for one in done.results] == [f"m{number:02}" for number in range(20)]
    assert {(one.status, one.tries) for one in done.results} == {("converted", 1)}
    assert engine.sizes == [1, 1, 3, 7, 8]


def test_a_chunk_that_takes_long_is_handed_back(models, monkeypatch):
    engine = Narrow()
    done = run_in_chunks(models, engine, monkeypatch, 5, long_s=0)
    assert {(one.status, one.tries) for one in done.results} == {("converted", 1)}
    assert engine.sizes == [1, 1, 3, 2, 1]


def test_the_tasks_of_a_lost_chunk_are_tried_one_by_one(models, monkeypatch):
    engine = Narrow([None, None, *[RuntimeError("killed worker")] * 3])
    done = run_in_chunks(models, engine, monkeypatch, 5)
    assert {one.status for one in done.results} == {"converted"}
    assert engine.sizes == [1, 1, 3, *[1] * 5]
    assert sorted(one.tries for one in done.results) == [1, 1, 2, 3, 3]


@pytest.mark.posix
def test_a_model_that_kills_its_process_fails_alone(models, tmp_path):
    layer = entry("Killer", "k", batch_input_shape=[None, 4])
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [layer]}}
    (models / "killer.h5").write_bytes(h5_model(config, {}))
    rules = tmp_path / "rules.py"
    rules.write_text(
        "import os, signal\nimport tfjs_codec\n\n"
        "@tfjs_codec.register_rule('Killer')\n"
        "def killer(b, layer, x):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-m", "tfjs_codec", "batch", "models/**/*.h5", "--out", "out",
               "--jobs", "2", "--rules", "rules.py", "--json"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stderr
    found = {one["name"]: one for one in json.loads(done.stdout)["results"]}
    assert found["killer"]["error"]["text"] == "its worker was lost 3 times (its process died)"
    assert {found[name]["status"] for name in ("a", "b", "deep/c")} == {"converted"}


def test_the_command_says_what_it_did(models, capsys, monkeypatch):
    used = []
    monkeypatch.setattr(
        "tfjs_codec.batches.engines.LocalEngine", lambda jobs: used.append(jobs) or SameProcess()
    )
    assert main(["batch", "models/*.h5", "--out", "out", "--jobs", "3", "--quantize-uint8"]) == 0
    assert used == [3]
    said = capsys.readouterr().out.splitlines()
    assert said[0].split() == ["model", "status", "format", "bytes"]
    assert said[1].split()[:3] == ["a", "converted", "keras-h5"]
    assert said[-1].startswith("2 models: 2 converted, in ")
    content = json.loads((models.parent / "out" / "a" / "model.json").read_bytes())
    assert "quantization" in content["weightsManifest"][0]["weights"][0]
    (models / "b.h5").write_bytes(b"nonsense")
    assert main(["batch", "models/*.h5", "--out", "out", "--sandbox", "--quiet"]) == 1
    rows = io.TextIOWrapper(io.BytesIO(b'{"source": "models/a.h5", "name": "piped"}'))
    monkeypatch.setattr("sys.stdin", rows)
    capsys.readouterr()
    assert main(["batch", "-", "--out", "out", "--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:2] == ["piped", "planned"]
    assert main(["batch", "models/*.h5", "--out", "out", "--jobs", "0"]) == 2
    assert main(["batch", "models/*.h5", "--out", "out", "--jobs", "1", "--dask", "x"]) == 2


class SameProcess(ExecutorEngine):
    def __init__(self):
        super().__init__(Flaky([]))


@pytest.mark.parametrize("option", [["--preview"], ["--calibrate", "io.npz"]])
def test_options_of_a_single_conversion_are_none_of_a_batch(tmp_path, option, capsys):
    assert main(["batch", "model.keras", "--out", str(tmp_path / "out"), *option]) == 2
    assert option[0] in capsys.readouterr().err
