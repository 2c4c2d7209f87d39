"""Kills and errors at every write point of every output format: the old file or the new one."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from keras_files import dense_h5
from test_costs import FLOAT, X, constant, graph, node, tensor

from tfjs_codec.outputs import FILES, TARGETS

FAULTY = Path(__file__).with_name("faulty.py")
# Every row of the tables of outputs: files by their suffixes, and directories by their targets.
NAMES = (*(f"back{row.suffixes[0]}" for row in FILES), "web.zip",
         *(target for target in TARGETS if target not in (*(row.name for row in FILES), "auto")),
         )  # fmt: skip


class Runner:
    """Converts with faults in child processes, see faulty.py."""

    def __init__(self, directory: Path) -> None:
        self.sources = {}
        for age, size in (("old", 8), ("new", 4)):
            layers, frozen = directory / f"{age}.h5", directory / f"{age}.pb"
            layers.write_bytes(dense_h5(age, (size, 3)))
            value = constant("c", tensor(np.arange(size, dtype=np.float32)), FLOAT)
            frozen.write_bytes(graph(X, value, node("y", "AddV2", "x", "c", T=FLOAT)))
            self.sources[age] = layers, frozen
        self._process = subprocess.Popen(
            [sys.executable, str(FAULTY)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for name in NAMES:
            self("old", directory / name, "warm up")

    def __call__(self, age: str, destination: Path, action: str = "", number: int = 0):
        name = destination.name
        source = self.sources[age][name == "graph"]
        request = {"source": str(source), "destination": str(destination), "action": action,
                   "number": number, "call": "", "exchange": True,
                   "to": name if name in TARGETS else None}  # fmt: skip
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="module")
def convert(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    runner = Runner(tmp_path_factory.mktemp("sources"))
    yield runner
    runner.close()


def held(path: Path) -> object:
    if path.is_dir():
        files = (each for each in path.rglob("*") if each.is_file())
        return {str(each.relative_to(path)): each.read_bytes() for each in files}
    return path.read_bytes() if path.exists() else None


def put(path: Path, content: object) -> None:
    """Write what :func:`held` returned."""
    if isinstance(content, bytes):
        path.parent.mkdir()
        path.write_bytes(content)
    else:
        path.mkdir(parents=True)
        for name, data in content.items():
            (path / name).parent.mkdir(exist_ok=True)
            (path / name).write_bytes(data)


def left(path: Path) -> list[str]:
    return [each.name for each in path.parent.iterdir() if each != path]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("replaces", [True, False])
@pytest.mark.parametrize("actions", [["kill"], ["ENOSPC", "EDQUOT", "EIO"]])
def test_every_write_point(convert, tmp_path, name, replaces, actions):
    target = tmp_path / "0" / name
    if replaces:
        assert convert("old", target)["error"] is None
    old, calls = held(target), convert("new", target)["calls"]
    new = held(target)
    assert new != old
    for number in range(1, len(calls) + 1):
        target = tmp_path / str(number) / name
        action = actions[number % len(actions)]
        if replaces:
            put(target, old)
        answer = convert("new", target, action, number)
        at = f"{action} at call {number}, {calls[number - 1]}: {answer['error']}"
        if action != "kill" and answer["error"]:
            assert answer["error"].startswith("OutputError: "), at
        assert held(target) in (old, new), at
        if action == "kill" or calls[number - 1] in ("unlink", "rmdir"):
            continue  # what cannot be removed stays for the next run
        if target.parent.exists():
            assert left(target) == [], at
    for number in (1, len(calls) // 2, len(calls)):  # the next run finds nothing in its way
        target = tmp_path / str(number) / name
        assert convert("new", target)["error"] is None
        assert held(target) == new
        assert left(target) == []


@pytest.mark.parametrize("name", NAMES)
def test_another_file_system(convert, name):
    """Memory is a file system of its own, apart from those of the source and of /tmp."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        target = Path(directory) / "out" / name
        for age in ("old", "new", "new"):
            assert convert(age, target)["error"] is None
        calls = convert("new", target)["calls"]
        new = held(target)
        for action in ("ENOSPC", "kill"):
            convert("old", target, action, len(calls) // 2)
            assert held(target) == new
        assert convert("old", target)["error"] is None
        assert held(target) != new
        assert left(target) == []


@pytest.mark.parametrize("name", NAMES)
def test_two_writers_at_once(convert, tmp_path, name):
    """Each ends well or says that the other one writes; the result is wholly one of them."""
    target, expected = tmp_path / "0" / name, []
    for age in ("old", "new"):
        assert convert(age, target)["error"] is None
        expected.append(held(target))
    sources = [convert.sources[age][name == "graph"] for age in ("old", "new")]
    option = ["--to", name] if name in TARGETS else []
    size = ["--weight-shard-size", "60"] if not Path(name).suffix and name != "savedmodel" else []
    line = [sys.executable, "-m", "tfjs_codec", "convert", "--force", *option, *size]
    runs = [
        subprocess.Popen([*line, str(source), str(target)], stderr=subprocess.PIPE, text=True,
                         stdout=subprocess.DEVNULL)
        for source in sources * 2
    ]  # fmt: skip
    said = [(run.communicate()[1], run.returncode) for run in runs]
    assert any(code == 0 for _, code in said), said
    assert all(code == 0 or "written" in text for text, code in said), said
    assert held(target) in expected
    assert left(target) == []
