"""Every limit is a bound: one less than an input needs refuses it, what it needs lets it pass."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import h5py
import numpy as np
import pytest
from bundle_files import block, header, table, varint, write_bundle
from keras_files import dense_h5, entry, h5_model, v3_model
from test_costs import FLOAT, X, activations, constant, graph, member, node, tar, tensor
from tfjs_files import write_model

import tfjs_codec
from tfjs_codec.errors import LimitExceededError, TfjsCodecError, UnsafeFileError
from tfjs_codec.limits import Limits

Maker = Callable[[Path], object]


def dense(_: Path) -> bytes:
    return dense_h5()


def keras(_: Path) -> bytes:
    return v3_model(activations(5), {})


def deflated(_: Path) -> bytes:
    memory = io.BytesIO()
    old = zipfile.ZipFile(io.BytesIO(v3_model(activations(5), {})))
    with old, zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return memory.getvalue()


def web(path: Path) -> Path:
    return write_model(path / "web", {"a": np.zeros((2, 3), np.float32)})


def strings(path: Path) -> Path:
    return write_model(path / "web", {"a": np.array([b"x", b"yz"], object)})


def checkpoint(path: Path) -> Path:
    write_bundle(path / "ckpt", [("a", np.zeros(3, np.float32)), ("b", np.zeros(2, np.float32))])
    return path / "ckpt"


def snappy_checkpoint(path: Path) -> Path:
    plain = block({b"": header()})
    text = b"".join(bytes([0]) + plain[i : i + 1] for i in range(len(plain)))
    data = table(varint(len(plain)) + text, b"\xff", compression=1)
    (path / "c.index").write_bytes(data)
    return path / "c"


def frozen(_: Path) -> bytes:
    value = constant("c", tensor(np.ones(4, np.float32)), FLOAT)
    return graph(X, value, node("y", "AddV2", "x", "c", T=FLOAT))


def pbtxt(path: Path) -> Path:
    (path / "m").mkdir()
    (path / "m" / "saved_model.pbtxt").write_text("meta_graphs {}\n")
    return path / "m"


def encoding(_: Path) -> bytes:
    layer = entry("CategoryEncoding", "c", num_tokens=5, output_mode="multi_hot")
    layer["config"]["batch_input_shape"] = [None, 1]
    return h5_model({"class_name": "Sequential", "config": {"name": "s", "layers": [layer]}}, {})


def archive(_: Path) -> bytes:
    return tar((member("m/saved_model.pb"), b"\x12\x00"))


def groups(path: Path) -> Path:
    with h5py.File(path / "w.h5", "w") as file:
        file["layers/dense/vars/0"] = np.zeros(3, np.float32)
        file["layers/other/vars/0"] = np.zeros(3, np.float32)
    return path / "w.h5"


CASES: dict[str, tuple[str, Maker]] = {
    "json_bytes": ("plan", dense), "json_depth": ("plan", dense), "json_values": ("plan", dense),
    "json_string_chars": ("plan", dense), "attr_bytes": ("plan", dense), "layers": ("plan", keras),
    "weights": ("plan", dense), "rank": ("plan", dense), "tensor_bytes": ("plan", dense),
    "total_bytes": ("plan", dense), "zip_members": ("plan", keras),
    "inflated_bytes": ("load", archive), "h5_objects": ("load", groups),
    "h5_depth": ("load", groups), "pb_bytes": ("plan", frozen), "pbtxt_bytes": ("load", pbtxt),
    "graph_nodes": ("plan", frozen), "references": ("plan", frozen),
    "index_bytes": ("load", checkpoint), "key_bytes": ("load", checkpoint),
    "strings": ("load", strings), "steps": ("load", snappy_checkpoint),
    "derived_bytes": ("plan", encoding), "shards": ("load", web), "path_chars": ("load", web),
}  # fmt: skip
ELSEWHERE = {
    "stdin_bytes": "tests/faults/test_publishing.py",
    "loop_steps": "tests/unit/test_interpreter.py",
    **dict.fromkeys(
        ("sandbox_memory_bytes", "sandbox_seconds", "sandbox_file_bytes"),
        "tests/faults/test_sandbox.py",
    ),
}
PAIRS = ("expansion_floor_bytes", "expansion_ratio", "zip_floor_bytes", "zip_ratio")


def refusal(command: str, source: object, limits: Limits) -> str | None:
    """Return what refuses *source* because of a limit, None if nothing does."""
    try:
        if command == "plan":
            tfjs_codec.plan(source, limits=limits)
        else:
            with tfjs_codec.load(source, limits=limits) as model:
                list(model.weights)
    except TfjsCodecError as error:
        text = str(error)
        return text if "limit" in text or isinstance(error, UnsafeFileError) else None
    return None


@pytest.mark.parametrize("name", CASES)
def test_what_is_needed_passes_and_one_less_does_not(name, tmp_path):
    command, make = CASES[name]
    source, value = make(tmp_path), 0
    while (text := refusal(command, source, Limits(**{name: value}))) is not None:
        found = re.search(rf"([\d,]+), more than the limit {name} = ", text)
        needed = int(found[1].replace(",", "")) if found else value + 1
        assert name in text or name == "path_chars", text
        assert needed > value
        value = needed
    assert value > 0
    assert refusal(command, source, Limits(**{name: value - 1})) is not None
    assert refusal(command, source, Limits(**{name: value + 1})) is None


def zeros(path: Path) -> Path:
    with h5py.File(path / "z.h5", "w") as file:
        file.create_dataset("layers/d/vars/0", data=np.zeros(1 << 20, np.float32),
                            compression="gzip", chunks=(1 << 20,))  # fmt: skip
    return path / "z.h5"


@pytest.mark.parametrize(("kind", "make"), [("expansion", zeros), ("zip", deflated)])
def test_pairs_of_floor_and_ratio_refuse_together(kind, make, tmp_path):
    source = make(tmp_path)
    low = {f"{kind}_floor_bytes": 1, f"{kind}_ratio": 1}
    command = "load" if kind == "expansion" else "plan"
    with pytest.raises(LimitExceededError, match=f"{kind}_ratio"):
        getattr(tfjs_codec, command)(source, limits=Limits(**low))
    for name in low:
        assert refusal(command, source, Limits(**{**low, name: 10**12})) is None


def test_every_limit_has_a_test():
    assert {each.name for each in fields(Limits)} == {*CASES, *ELSEWHERE, *PAIRS}
    for name, path in ELSEWHERE.items():
        assert name in (Path(__file__).parents[2] / path).read_text()


def test_a_budget_adds_up():
    budget = Limits(steps=10).budget()
    budget.spend("steps", 6, "steps")
    with pytest.raises(LimitExceededError, match="steps is 11"):
        budget.spend("steps", 5, "steps")
    budget.spend("steps", 4, "steps")
    Limits(steps=10).spend("steps", 10, "steps")


def test_larger_files_may_have_more_parts():
    """What a file really holds costs bytes; only what it makes needs a cap of its own."""
    limits = Limits(layers=10, graph_nodes=10, references=10)
    budget = limits.budget()
    budget.earn(1 << 20)  # nothing beyond the first MiB
    assert [budget.cap(name) for name in ("layers", "graph_nodes", "references")] == [10, 10, 10]
    budget.earn((1 << 20) + 2000)
    assert [budget.cap(name) for name in ("layers", "graph_nodes", "references")] == [20, 50, 110]
    budget.earn(100)  # a second, smaller file takes nothing away
    assert budget.cap("layers") == 20
    budget.earn(1 << 40)
    assert budget.cap("layers") == 10 + (63 << 20) // 200
    assert budget.cap("steps") == limits.cap("steps")
    limits.earn(1 << 30)  # the caps themselves do not change
    assert limits.cap("layers") == 10
