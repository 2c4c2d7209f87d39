"""Every operation that a graph has, on huge tensors and with huge options, costs little.

What it needs is paid for before it is made: the sizes are only claims of a small file.
"""

from __future__ import annotations

import hashlib
import inspect
from pathlib import Path
from typing import Any

import conversion_probe
import pytest
from conversion_probe import BYTES, SECONDS, Answer
from keras_files import call3, functional, input_entry, tensor3, v3_model
from test_costs import EXIT_CODES

from tfjs_codec.operations.catalogue import REGISTRY

HUGE = 10**9
OPTIONS = {
    "num_classes": HUGE, "repeats": HUGE, "n": HUGE, "num": HUGE, "indices_or_sections": HUGE,
    "shift": HUGE, "k": HUGE, "size": [HUGE, HUGE], "output_size": HUGE, "num_segments": HUGE,
    "minlength": HUGE, "N": HUGE, "sequence_length": HUGE, "sequence_stride": 1,
    "fft_length": 2**30, "kernel_size": [40_000, 40_000], "sections": HUGE, "shape": [HUGE, HUGE],
}  # fmt: skip
SHAPES = ([30_000, 30_000], [2**30, 3], [2**31 - 1], [3, 3, 3])
MODES = {"pad": ("constant", "edge", "wrap", "reflect")}  # options of text that matter


def models() -> dict[str, bytes]:
    """Return a model of each operation, by its name, the input's shape and a mode."""
    found = {}
    for name, rule in sorted(REGISTRY.ops.items()):
        _, first, *rest = inspect.signature(rule.function).parameters.values()
        for shape in SHAPES:
            for mode in MODES.get(name, (None,)):
                args, options = [tensor3("x")], {} if mode is None else {"mode": mode}
                if first.kind is first.VAR_POSITIONAL:
                    args *= 3
                for each in rest:
                    if each.name == "pad_width":
                        options["pad_width"] = [[0, 0], *[[HUGE, HUGE]] * len(shape)]
                    elif each.name in OPTIONS:
                        options[each.name] = OPTIONS[each.name]
                    elif each.default is each.empty and each.kind is each.POSITIONAL_OR_KEYWORD:
                        args.append(tensor3("x"))
                found[f"{name} {shape} {mode or ''}"] = model(name, shape, args, options)
    return found


def model(name: str, shape: list[int], args: list[Any], options: dict[str, Any]) -> bytes:
    words = "".join(word.capitalize() for word in name.split("_"))
    node = {
        "class_name": words, "module": "keras.src.ops.numpy", "name": "o",
        "config": {"name": "o", **options}, "inbound_nodes": [call3(*args, **options)],
    }  # fmt: skip
    layers = [input_entry("x", [None, *shape], "batch_shape"), node]
    return v3_model(functional(layers, [["x", 0, 0]], [["o", 0, 0]]), {})


MODELS = models()


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Answer]:
    directory = tmp_path_factory.mktemp("operations")
    requests = []
    for number, data in enumerate(MODELS.values()):
        path: Path = directory / f"{number}.keras"
        path.write_bytes(data)
        requests.append({"path": path, "options": {"to": "graph"}})
    good = directory / "good.keras"
    good.write_bytes(model("relu", [3, 3], [tensor3("x")], {}))
    return dict(zip(MODELS, conversion_probe.ask([{**requests[0], "path": good}, *requests],
                                                 [good])[1:], strict=True))  # fmt: skip


@pytest.mark.parametrize("name", sorted({key.partition(" ")[0] for key in MODELS}))
def test_huge_sizes_cost_little(answers: dict[str, Answer], name: str) -> None:
    for key, answer in answers.items():
        if key.partition(" ")[0] != name:
            continue
        assert answer.error in EXIT_CODES, (key, answer.message)
        assert answer.exit_code == EXIT_CODES[answer.error]
        assert answer.seconds < SECONDS, key
        assert answer.grown_bytes < BYTES, key
        assert answer.written == ([] if answer.error else ["web"])
        assert len(answer.message) < 1000


def test_the_inputs_differ() -> None:
    assert len({hashlib.sha256(data).digest() for data in MODELS.values()}) >= 400
