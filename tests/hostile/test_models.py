"""Rows 7-12, 19, 20, 22 and 32-35 of the hostile-input list: what a model says about itself.

Every case is one wrong thing in a small good model. It must give one error that names the file
and the place; nothing in it may be executed, opened or imported, and nothing is written.
"""

from __future__ import annotations

import io
import json
import sys
import time
from typing import Any

import h5py
import numpy as np
import pytest
from keras_files import (
    call3,
    dense_h5,
    entry,
    functional,
    h5_model,
    input_entry,
    tensor3,
    v3_model,
)

import tfjs_codec
from tfjs_codec.errors import (
    CorruptFileError,
    LimitExceededError,
    TfjsCodecError,
    UnsupportedModelError,
)
from tfjs_codec.limits import Limits

WEIGHTS = {"d": [("d/kernel:0", np.ones((3, 2))), ("d/bias:0", np.ones(2))]}


def sequential(*layers: Any) -> Any:
    return {"class_name": "Sequential", "config": {"name": "s", "layers": list(layers)}}


def dense(**config: Any) -> Any:
    return entry("Dense", "d", **{"units": 2, "batch_input_shape": [None, 3], **config})


def graph(*layers: Any, inputs: Any = (("x", 0, 0),), outputs: Any = (("d", 0, 0),)) -> Any:
    first = input_entry("x", [None, 3])
    return functional([first, *layers], [list(i) for i in inputs], [list(o) for o in outputs])


def d(*nodes: Any, name: str = "d") -> Any:
    return entry("Dense", name, [[list(node) for node in nodes]], units=2)


def refused(source: Any, error: type[TfjsCodecError], *texts: str) -> str:
    """Convert *source*, which must fail fast, and return the message."""
    start = time.process_time()
    with pytest.raises(TfjsCodecError) as caught:
        tfjs_codec.convert(source, "/nonexistent/never")
    assert time.process_time() - start < 2
    message = str(caught.value)
    assert type(caught.value) is error, message
    assert message.startswith("<bytes>: ")
    for text in texts:
        assert text in message
    return message


# --- 7-9: the text ---------------------------------------------------------------------------


def h5_with_text(text: Any) -> bytes:
    memory = io.BytesIO(h5_model(sequential(dense()), WEIGHTS))
    with h5py.File(memory, "r+") as file:
        file.attrs["model_config"] = text
    return memory.getvalue()


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("", CorruptFileError, "model_config:1:1: invalid JSON: the text ends"),
        ('{"class_name": "Sequential", ', CorruptFileError, "ends too early (truncated?)"),
        ('{"a": 1} x', CorruptFileError, "extra data"),
        ('\n\n {"a": 01}', CorruptFileError, ":3:"),
        ('{"a": {"b": [1, NaN]}}', CorruptFileError, "model_config.class_name"),  # Keras has NaN
        ('{"a": 1e999}', CorruptFileError, "too large"),
        ('{"a": 1, "a": 2}', CorruptFileError, "a: invalid JSON: this key occurs twice"),
        ('{"a": %s}' % ("9" * 5000), CorruptFileError, "an integer of 5,000 digits"),
        (r'{"a": "\ud800"}', CorruptFileError, "an unpaired surrogate"),
        ("[" * 50_000, LimitExceededError, "json_depth = 200"),
        ('{"a":' * 50_000, LimitExceededError, "json_depth = 200"),
        (np.bytes_(b'{"a": "\xff"}'), CorruptFileError, "not valid UTF-8"),
        (np.bytes_(b"\xef\xbb\xbf{}"), CorruptFileError, "byte order mark"),
        ([1, 2], CorruptFileError, "the attribute is not text"),
    ],
)
def test_the_text_of_a_config(text, error, said):
    refused(h5_with_text(text), error, "model_config", said)


# --- 10: right JSON, wrong types -------------------------------------------------------------


@pytest.mark.parametrize(
    "config",
    [
        [], 5, "Sequential", {}, {"class_name": "Sequential"}, {"class_name": 5, "config": {}},
        {"class_name": "Sequential", "config": None}, {"class_name": "Sequential", "config": 5},
        {"class_name": "Sequential", "config": {"name": "s", "layers": {}}},
        {"class_name": "Sequential", "config": {"name": "s", "layers": [5]}},
        {"class_name": "Sequential", "config": {"name": "s", "layers": [None]}},
        {"class_name": "Sequential", "config": {"name": 5, "layers": []}},
        sequential({"class_name": "Dense", "config": None}),
        sequential({"class_name": None, "config": {"name": "d"}}),
        sequential({"class_name": "Dense", "config": {"name": 5, "units": 2}}),
        sequential(dense(batch_input_shape="3")),
        sequential(dense(batch_input_shape=[None, -1])),
        sequential(dense(batch_input_shape=[None, 1.5])),
        sequential(dense(batch_input_shape=[None, "3"])),
        sequential(dense(batch_input_shape=[None, True])),
        sequential(dense(batch_input_shape=[None, 2**63])),
        sequential(dense(batch_input_shape=[None, [3]])),
        sequential(dense(batch_input_shape=[])),
        sequential(dense(units=-5)), sequential(dense(units="2")), sequential(dense(units=None)),
        sequential(dense(units=[2])), sequential(dense(units=2.5)), sequential(dense(units=10**30)),
        sequential(dense(activation=5)), sequential(dense(activation=["relu"])),
        sequential(dense(use_bias="no")),
        sequential(entry("Conv2D", "d", filters=2, kernel_size="3",
                         batch_input_shape=[None, 4, 4, 3])),
        sequential(entry("Conv2D", "d", filters=2, kernel_size=[0, 3],
                         batch_input_shape=[None, 4, 4, 3])),
        sequential(entry("Conv2D", "d", filters=2, kernel_size=[3], strides=[0, 0],
                         batch_input_shape=[None, 4, 4, 3])),
        sequential(entry("Reshape", "d", target_shape=[-1, -1], batch_input_shape=[None, 4])),
        sequential(entry("Reshape", "d", target_shape=[0], batch_input_shape=[None, 4])),
        sequential(entry("Permute", "d", dims=[1, 1], batch_input_shape=[None, 4, 2])),
        sequential(entry("RepeatVector", "d", n=-1, batch_input_shape=[None, 4])),
        sequential(entry("LSTM", "d", units={}, batch_input_shape=[None, 4, 2])),
        sequential(entry("Bidirectional", "d", layer=5, batch_input_shape=[None, 4, 2])),
        sequential(entry("TimeDistributed", "d", layer=None, batch_input_shape=[None, 4, 2])),
        graph({**d(("x", 0, 0, {})), "inbound_nodes": 5}),
        graph({**d(("x", 0, 0, {})), "inbound_nodes": [5]}),
        graph({**d(("x", 0, 0, {})), "inbound_nodes": [[[5]]]}),
        graph({**d(("x", 0, 0, {})), "inbound_nodes": [[["x", "0", 0, {}]]]}),
        graph({**d(("x", 0, 0, {})), "inbound_nodes": [[["x", -1, 0, {}]]]}),
        graph({**d(("x", 0, 0, {})), "inbound_nodes": [{"args": 5, "kwargs": {}}]}),
    ],
)  # fmt: skip
def test_wrong_types(config):
    weights = WEIGHTS if "Conv2D" not in json.dumps(config) else {
        "d": [("d/kernel:0", np.ones((3, 3, 3, 2))), ("d/bias:0", np.ones(2))]}  # fmt: skip
    start = time.process_time()
    with pytest.raises(TfjsCodecError) as caught:
        tfjs_codec.convert(h5_model(config, weights), "/nonexistent/never")
    assert time.process_time() - start < 2
    assert str(caught.value).startswith("<bytes>: ")
    assert len(str(caught.value)) < 700


# --- 11: the graph ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "texts"),
    [
        (graph(d(("y", 0, 0, {}))), ["'y'"]),
        (graph(d(("x", 1, 0, {}))), ["'x'"]),
        (graph(d(("x", 0, 1, {}))), ["'x'"]),
        (graph(d(("d", 0, 0, {}))), ["'d'"]),
        (graph(d(("e", 0, 0, {})), d(("d", 0, 0, {}), name="e")), ["'d'", "'e'"]),
        (graph(d(("x", 0, 0, {})), outputs=[("y", 0, 0)]), ["'y'"]),
        (graph(d(("x", 0, 0, {})), outputs=[("d", 7, 0)]), ["'d'"]),
        (graph(d(("x", 0, 0, {})), outputs=[("d", 0, 7)]), ["'d'"]),
        (graph(d(("x", 0, 0, {})), inputs=[("y", 0, 0)]), ["'y'"]),
        (graph(d(("x", 0, 0, {})), d(("x", 0, 0, {}))), ["'d'"]),
        (sequential(dense(), dense()), ["'d'"]),
    ],
)
def test_broken_graphs(config, texts):
    refused(h5_model(config, WEIGHTS), CorruptFileError, *texts)


def test_a_model_4_000_layers_deep_is_no_trouble():
    layers = [entry("Activation", f"a{i}", activation="relu") for i in range(4_000)]
    layers[0]["config"]["batch_input_shape"] = [None, 3]
    start = time.process_time()
    tfjs_codec.plan(v3_model(sequential(*layers), {}))
    assert time.process_time() - start < 8


def test_models_nested_beyond_the_limit():
    model: Any = sequential(dense())
    for number in range(100):
        model = sequential({**model, "name": f"m{number}"})
    refused(v3_model(model, {}), LimitExceededError, "json_depth = 200")


def test_more_layers_than_the_limit():
    layers = [entry("Activation", f"a{i}", activation="relu") for i in range(9)]
    layers[0]["config"]["batch_input_shape"] = [None, 3]
    with pytest.raises(LimitExceededError, match="layers = 8"):
        tfjs_codec.plan(v3_model(sequential(*layers), {}), limits=Limits(layers=8))


# --- 12: versions ----------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["9.9", "3", "", "nonsense", "-1", "3.0.0-\x1b[31m"])
def test_versions_that_lie(version):
    report = tfjs_codec.plan(h5_model(sequential(dense()), WEIGHTS, version=version))
    assert report.weights == 2
    assert "\x1b" not in str(report)


# --- 19 and 20: weights ----------------------------------------------------------------------


def test_a_shape_that_disagrees_names_both():
    weights = {"d": [("d/kernel:0", np.ones((3, 5))), ("d/bias:0", np.ones(2))]}
    source = h5_model(sequential(dense()), weights)
    refused(source, CorruptFileError, "d/kernel: its shape is (3, 5), the config needs (3, 2)")


@pytest.mark.parametrize(
    ("weights", "text"),
    [
        ({}, "config needs"),
        ({"d": []}, "config needs"),
        (
            {"d": WEIGHTS["d"][:1]},
            "layer 'd': the file holds 1 weight (kernel), the config needs 2",
        ),
        ({"d": [*WEIGHTS["d"], ("d/more:0", np.ones(1))]}, "file holds 3 weights"),
        ({"d": [("d/a:0", np.ones((3, 2))), ("d/b:0", np.ones(2))]}, "the weights a, b"),
        ({**WEIGHTS, "e": WEIGHTS["d"]}, "weights of 2 layers"),
    ],
)
def test_weights_that_are_not_the_config_s(weights, text):
    refused(h5_model(sequential(dense()), weights), CorruptFileError, text)


def test_kernels_of_wrong_ranks():
    for shape in ((), (3,), (3, 2, 1)):
        weights = {"d": [("d/kernel:0", np.ones(shape)), WEIGHTS["d"][1]]}
        refused(h5_model(sequential(dense()), weights), CorruptFileError, f"its shape is {shape}")
    flat = entry("Flatten", "f", batch_input_shape=[None, 3])
    source = h5_model(sequential(flat, dense()), {"d": [("d/kernel:0", 1.0), WEIGHTS["d"][1]]})
    refused(source, CorruptFileError, "d/kernel: its shape is ()")


def test_composed_recurrent_layers_check_their_weights():
    gru = entry("GRU", "r", units=2, reset_after=True, batch_input_shape=[None, 4, 3])
    good = {"kernel": (3, 6), "recurrent_kernel": (2, 6), "bias": (2, 6)}
    for name in good:
        shapes = {**good, name: ()}
        weights = {"r": [(f"r/{key}:0", np.ones(shape)) for key, shape in shapes.items()]}
        refused(h5_model(sequential(gru), weights), CorruptFileError, "r")


def test_arguments_and_models_without_what_makes_them():
    node = {"args": [{"class_name": {}, "config": {}}], "kwargs": {}}
    layers = [input_entry("x", [None, 3], "batch_shape"), {**dense(), "name": "d"}]
    layers[1]["inbound_nodes"] = [node]
    refused(v3_model(functional(layers, ["x", 0, 0], ["d", 0, 0]), {}), CorruptFileError)
    inner = {"class_name": "Functional", "config": {"name": "m", "layers": []}}
    refused(h5_model(sequential(inner), WEIGHTS), CorruptFileError, "a model with layers")


def changed(change: Any) -> bytes:
    memory = io.BytesIO(h5_model(sequential(dense()), WEIGHTS))
    with h5py.File(memory, "r+") as file:
        change(file["model_weights"])
    return memory.getvalue()


def test_attributes_and_links_of_weights():
    def without(key: str, *path: str) -> Any:
        return lambda top: (top["/".join(path)] if path else top).attrs.__delitem__(key)

    def names(*values: bytes) -> Any:
        return lambda top: top["d"].attrs.__setitem__("weight_names", list(values))

    good = b"d/kernel:0"
    for change, text in (
        (without("layer_names"), "layer_names is missing"),
        (without("weight_names", "d"), "weight_names is missing"),
        (names(good, b"d/other"), "d/other"),
        (names(good, b"../d/d/bias:0"), "leads out of its group"),
        (names(good, b"/model_weights/d/d/bias:0"), ""),
        (names(good, b"\xff"), "not valid UTF-8"),
        (names(good, b"d"), ""),
        (names(good, good), ""),
        (lambda top: top.attrs.__setitem__("layer_names", [b"e"]), "e"),
        (lambda top: top.attrs.__setitem__("layer_names", [b"d", b"d"]), "twice"),
        (lambda top: top.attrs.__setitem__("layer_names", 5), "not text"),
    ):
        refused(changed(change), CorruptFileError, text)


def test_nan_is_kept_unless_quantised(tmp_path):
    kernel = np.full((3, 2), np.nan, np.float32)
    source = h5_model(sequential(dense()), {"d": [("d/kernel:0", kernel), WEIGHTS["d"][1]]})
    tfjs_codec.convert(source, tmp_path / "out")
    with pytest.raises(ValueError, match="'d/kernel' has NaN or infinite"):
        tfjs_codec.convert(source, tmp_path / "q", quantize={"uint8": "d/kernel"})
    assert not (tmp_path / "q").exists()


# --- 32: what must never be executed ---------------------------------------------------------

MARSHAL = "4wEAAAAAAAAAAAAAAAEAAAADAAAAUwAAAHMEAAAAfABTACkBTqkAKQHaAXhyAQAAAHIBAAAA"
EVIL = (
    entry("Lambda", "f", function=[MARSHAL, None, None], function_type="lambda", module="os"),
    entry("Lambda", "f", function="system", function_type="function", module="os"),
    entry("Lambda", "f", function={"class_name": "__lambda__", "config": {"code": MARSHAL}}),
    entry("TFSMLayer", "f", filepath="/etc/passwd"),
    entry("TorchModuleWrapper", "f", module="gASVHgAAAA=="),
    {**entry("get_file", "f", origin="http://127.0.0.1:9/x"), "module": "keras.utils"},
    {**entry("system", "f", command="touch /tmp/owned"), "module": "os", "registered_name": "os"},
    entry("StringLookup", "f", vocabulary="/etc/passwd"),
    entry("StringLookup", "f", vocabulary="http://127.0.0.1:9/vocabulary.txt"),
    entry("TextVectorization", "f", vocabulary="/etc/passwd"),
    entry("Activation", "f", activation="os.system"),
    entry("Activation", "f", activation={"class_name": "function", "config": "os>system",
                                          "module": "os", "registered_name": "system"}),
    entry("Dense", "f", units=2, kernel_initializer={"class_name": "__lambda__", "module": "os",
                                                     "config": {"value": MARSHAL}}),
)  # fmt: skip
OBSERVED: list[str] = []
WATCHING = [False]
FORBIDDEN = ("exec", "marshal.", "pickle.", "socket.", "subprocess.", "os.system", "ctypes.",
             "os.exec", "os.fork", "os.posix_spawn", "urllib.", "code.__new__")  # fmt: skip


def _observe(event: str, arguments: tuple[Any, ...]) -> None:
    if WATCHING[0] and (event in ("open", "import", "compile") or event.startswith(FORBIDDEN)):
        OBSERVED.append(f"{event} {arguments[:1]!r:.100}")


sys.addaudithook(_observe)


@pytest.mark.parametrize("evil", EVIL, ids=lambda layer: layer["class_name"])
@pytest.mark.parametrize("make", ["h5", "keras"])
def test_nothing_in_a_file_is_executed_or_opened(evil, make):
    config = sequential(dense(), evil)
    if make == "h5":
        source = h5_model(config, WEIGHTS)
    else:
        tensors = {"layers/dense/vars/0": np.ones((3, 2)), "layers/dense/vars/1": np.ones(2)}
        source = v3_model(config, tensors)
    with pytest.raises(TfjsCodecError):  # everything is imported now
        tfjs_codec.plan(source)
    del OBSERVED[:]
    WATCHING[0] = True
    try:
        with pytest.raises(TfjsCodecError) as caught:
            tfjs_codec.plan(source)
    finally:
        WATCHING[0] = False
    # h5py opens the bytes we gave it as a file object; Python compiles nothing.
    assert [event for event in OBSERVED if "site-packages" not in event] == []
    assert MARSHAL not in str(caught.value)
    if evil["class_name"] != "Dense":
        assert isinstance(caught.value, UnsupportedModelError)


# --- 33-35: names and secrets ----------------------------------------------------------------

NAMES = ["a\x1b[31mb", "a\nb", "<script>alert(1)</script>", "a\u202eb", "__proto__", "constructor",
         "toString", "hasOwnProperty", "a" * 5000, "/etc/x", "a b", ":", "é", " "]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names_are_harmless_in_output_and_report(name, tmp_path):
    layers = [entry("Activation", name, activation="relu", batch_input_shape=[None, 3]), dense()]
    tfjs = tmp_path / "out"
    report = tfjs_codec.convert(h5_model(sequential(*layers), WEIGHTS), tfjs)
    text = str(report)
    assert all(char.isprintable() or char == "\n" for char in text)
    index = json.loads((tfjs / "model.json").read_text(encoding="ascii"))
    found = json.dumps(index["modelTopology"])
    layer = index["modelTopology"]["model_config"]["config"]["layers"][1]["config"]["name"]
    assert layer.replace("/", "").replace("_", "").replace("-", "").replace(".", "").isalnum()
    assert layer[0].isalnum()
    assert layer not in ("__proto__", "constructor", "toString", "hasOwnProperty")
    assert "<script>" not in found
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_names_that_lead_out_are_no_paths(tmp_path):
    layers = [entry("Activation", "../../x", activation="relu", batch_input_shape=[None, 3])]
    web = tmp_path / "a" / "b" / "web"
    tfjs_codec.convert(h5_model(sequential(*layers, dense()), WEIGHTS), web)
    assert "../" not in (web / "model.json").read_text()
    assert [path.name for path in tmp_path.rglob("*")] == [
        "a", "b", "web", *[path.name for path in web.rglob("*")]
    ]  # fmt: skip


def test_messages_quote_little_of_the_file():
    secret = "secret " * 100_000
    config = sequential(entry("x" + secret, "d", batch_input_shape=[None, 3]))
    for model in (config, sequential(dense(units=secret)), sequential(dense(activation=secret))):
        with pytest.raises(TfjsCodecError) as caught:
            tfjs_codec.plan(v3_model(model, {}))
        assert len(str(caught.value)) < 1000


def test_good_models_are_good():
    """The base of all cases above."""
    assert tfjs_codec.plan(h5_model(sequential(dense()), WEIGHTS)).weights == 2
    assert tfjs_codec.plan(h5_model(graph(d(("x", 0, 0, {}))), WEIGHTS)).weights == 2
    assert tfjs_codec.plan(dense_h5()).weights == 2


# --- sizes that a config only claims ---------------------------------------------------------


def operation(class_name: str, shape: list[int | None], *args: Any, **config: Any) -> bytes:
    """Return a model of Keras 3 of one operation on an input of *shape*."""
    node = {
        "class_name": class_name, "module": "keras.src.ops.numpy", "name": "o",
        "config": {"name": "o", **config}, "inbound_nodes": [call3(tensor3("x"), *args)],
    }  # fmt: skip
    first = input_entry("x", [None, *shape], "batch_shape")
    return v3_model(functional([first, node], [["x", 0, 0]], [["o", 0, 0]]), {})


def image_layer(class_name: str, **config: Any) -> bytes:
    layer = entry(class_name, "o", batch_input_shape=[None, 4, 4, 1], **config)
    return h5_model(sequential(layer), {})


HUGE = {
    "cumsum": lambda: operation("Cumsum", [300_000], axis=1),
    "diff": lambda: operation("Diff", [300_000], n=1, axis=1),
    "flip": lambda: operation("Flip", [300_000], axis=1),
    "repeat": lambda: operation("Repeat", [4], repeats=10**12, axis=1),
    "tile": lambda: operation("Tile", [4], repeats=[1, 10**12]),
    "tril": lambda: operation("Tril", [300_000, 300_000], k=0),
    "resizing": lambda: image_layer("Resizing", height=10**9, width=4, interpolation="bilinear"),
    "category_encoding": lambda: h5_model(
        sequential(
            entry(
                "CategoryEncoding",
                "o",
                batch_input_shape=[None, 1],
                num_tokens=10**6,
                output_mode="one_hot",
            )
        ),
        {},
    ),
    "adaptive_pooling": lambda: v3_model(
        sequential(
            input_entry("x", [None, 4, 4, 1], "batch_shape"),
            entry("AdaptiveAveragePooling2D", "o", output_size=[10**10, 2]),
        ),
        {},
    ),
}


@pytest.mark.parametrize("name", HUGE)
def test_constants_are_not_made_before_their_size_is_checked(name):
    refused(HUGE[name](), UnsupportedModelError, "more than the limit derived_bytes")
