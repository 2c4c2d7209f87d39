"""Batches whose driver, workers and scheduler are killed, on a disk and into a store of objects.

pytest tests/batch                                            60 models of fixtures/
TFJS_CODEC_BATCH_MODELS='corpus/*/model.keras' TFJS_CODEC_BATCH_COUNT=300 pytest tests/batch
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from cluster import Cluster, Store

import tfjs_codec
from tfjs_codec.errors import UnsupportedModelError

pytestmark = [pytest.mark.cluster, pytest.mark.posix]
_COUNT = int(os.environ.get("TFJS_CODEC_BATCH_COUNT", "60"))
_WAIT_S = 300


@pytest.fixture(scope="module")
def models(tmp_path_factory, fixtures_dir):
    """Files of models, by the names that they get, and what each one's conversion is."""
    pattern = os.environ.get("TFJS_CODEC_BATCH_MODELS")
    if pattern:
        anchor = Path(pattern).anchor
        paths = sorted(Path(anchor).glob(pattern.removeprefix(anchor)))
        listed = {path.parent.name: path for path in paths}
    else:
        folder = tmp_path_factory.mktemp("models")
        with zipfile.ZipFile(fixtures_dir / "programs.zip") as archive:
            names = sorted(name for name in archive.namelist() if name.endswith(".keras"))
            archive.extractall(folder, names[: 2 * _COUNT])
        listed = {path.stem: path for path in sorted(folder.glob("*.keras"))}
    expected: dict[str, dict[str, bytes]] = {}
    for name, path in listed.items():
        if len(expected) == _COUNT:
            break
        try:
            expected[name] = tfjs_codec.to_files(path, to="auto")
        except UnsupportedModelError:
            continue
    assert len(expected) == _COUNT
    return {name: listed[name] for name in expected}, expected


def write_manifest(path: Path, sources: dict[str, str]) -> None:
    rows = ({"source": source, "name": name} for name, source in sources.items())
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def start_batch(folder: Path, *options: str, environment=None) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tfjs_codec", "batch", "models.jsonl", "--to", "auto",
               "--journal", "journal.jsonl", "--json", *options]  # fmt: skip
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def read_journal(folder: Path) -> list[dict]:
    journal = folder / "journal.jsonl"
    lines = journal.read_bytes().split(b"\n")[:-1] if journal.exists() else []
    return [json.loads(line) for line in lines if line.startswith(b"{") and line.endswith(b"}")]


def wait_for_lines(folder: Path, count: int, driver: subprocess.Popen[str]) -> None:
    end = time.monotonic() + _WAIT_S
    while len(read_journal(folder)) < count:
        assert driver.poll() is None, driver.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


def finish(driver: subprocess.Popen[str]) -> Counter:
    out, error = driver.communicate(timeout=_WAIT_S)
    assert driver.returncode == 0, (error, out[-2000:])
    return Counter(one["status"] for one in json.loads(out)["results"])


def test_a_killed_driver_leaves_whole_models_and_goes_on(models, tmp_path):
    sources, expected = models
    write_manifest(tmp_path / "models.jsonl", {name: str(path) for name, path in sources.items()})
    driver = start_batch(tmp_path, "--out", "out", "--jobs", "2")
    wait_for_lines(tmp_path, _COUNT // 3, driver)
    workers = Path(f"/proc/{driver.pid}/task/{driver.pid}/children").read_text().split()
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    end = time.monotonic() + 20
    while any(is_alive(pid) for pid in workers):  # they end with their driver
        assert time.monotonic() < end
        time.sleep(0.05)
    done = len(read_journal(tmp_path))
    assert _COUNT // 3 <= done < _COUNT
    found = read_tree(tmp_path / "out")
    assert {name: files for name, files in expected.items() if name in found} == found
    counted = finish(start_batch(tmp_path, "--out", "out", "--jobs", "2"))
    assert counted == {"unchanged": done, "converted": _COUNT - done}
    assert read_tree(tmp_path / "out") == expected
    assert finish(start_batch(tmp_path, "--out", "out", "--jobs", "2")) == {"unchanged": _COUNT}


def is_alive(pid: str) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def read_tree(folder: Path) -> dict[str, dict[str, bytes]]:
    """Return the files of each model in *folder*, without the stages that a kill left."""
    return {
        path.name: {file.name: file.read_bytes() for file in path.iterdir()}
        for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")
    }  # fmt: skip


class Reader(threading.Thread):
    """Reads each ``model.json`` as soon as the store has it, and the weight files that it lists."""

    def __init__(self, store: Store, expected: dict[str, dict[str, bytes]]) -> None:
        super().__init__(daemon=True)
        self.seen: set[str] = set()
        self.wrong: list[str] = []
        self._store, self._expected = store, expected
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(0.2):
            for path in self._store.system.find("models/out"):
                folder, _, file = path.removeprefix("models/out/").rpartition("/")
                if file != "model.json" or folder in self.seen:
                    continue
                self.seen.add(folder)
                wanted = self._expected[folder]
                for name in json.loads(self._store.system.cat_file(path))["weightsManifest"][0][
                    "paths"
                ]:
                    data = self._store.system.cat_file(f"models/out/{folder}/{name}")
                    self.wrong += [] if data == wanted[name] else [f"{folder}/{name}"]

    def close(self) -> None:
        self._stopped.set()
        self.join()


def test_a_cluster_that_is_killed_piece_by_piece_converts_all_into_a_store(models, tmp_path):
    sources, expected = models
    with closing(Store(tmp_path / "store.log")) as store:
        for name, path in sources.items():
            store.system.pipe_file(f"models/in/{name}.keras", path.read_bytes())
        urls = {name: f"s3://models/in/{name}.keras" for name in sources}
        write_manifest(tmp_path / "models.jsonl", urls)
        with closing(Cluster(tmp_path / "dask.log", store.variables, 3)) as cluster, closing(
            Reader(store, expected)
        ) as reader:  # fmt: skip
            reader.start()
            options = ("--out", "s3://models/out", "--dask", cluster.address)
            driver = start_batch(tmp_path, *options, environment=store.environment)
            wait_for_lines(tmp_path, _COUNT // 10, driver)
            cluster.workers[0].send_signal(signal.SIGKILL)
            wait_for_lines(tmp_path, _COUNT // 4, driver)
            cluster.restart()
            wait_for_lines(tmp_path, _COUNT // 2, driver)
            driver.send_signal(signal.SIGKILL)
            driver.communicate()
            done = len(read_journal(tmp_path))
            assert _COUNT // 2 <= done < _COUNT
            driver = start_batch(tmp_path, *options, environment=store.environment)
            counted = finish(driver)
            assert counted == {"unchanged": done, "converted": _COUNT - done}
            assert store.content("out") == {
                f"{name}/{file}": data
                for name, files in expected.items() for file, data in files.items()
            }  # fmt: skip
            journal = read_journal(tmp_path)
            assert Counter(line["destination"] for line in journal).most_common(1)[0][1] == 1
            assert len(journal) == _COUNT
        assert reader.seen
        assert reader.wrong == []
