"""Small files that ask for much: each is refused, or served, for little time and memory.

One child process (see conversion_probe) answers for all. For each input: the class of the error,
its exit code and words, under 2 s of the processor, under 64 MiB above the idle footprint, and
nothing written.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import conversion_probe
import h5py
import numpy as np
import pytest
from bundle_files import block, entry, header, table, varint
from conversion_probe import BYTES, SECONDS, Answer
from keras_files import call3, dense_h5, functional, h5_model, input_entry, tensor3, v3_model
from keras_files import entry as layer
from tfjs_files import write_model

from tfjs_codec.pb import messages

EXIT_CODES = {
    None: 0, "CorruptFileError": 3, "UnknownFormatError": 3, "UnsafeFileError": 4,
    "LimitExceededError": 4, "UnsupportedModelError": 5,
}  # fmt: skip
Maker = Callable[[Path], Path | None]
# name -> (maker of the input at or below a path, request, class of the error, words of it)
CASES: dict[str, tuple[Maker, dict[str, Any], str | None, str]] = {}


def case(
    name: str, error: str | None, text: str = "", /, **request: Any
) -> Callable[[Maker], Maker]:
    def add(make: Maker) -> Maker:
        assert name not in CASES
        CASES[name] = (make, request, error, text)
        return make

    return add


def file(name: str, make: Callable[[], bytes], error: str | None, text: str = "", **request: Any):
    def write(path: Path) -> None:
        path.write_bytes(make())

    assert name not in CASES
    CASES[name] = (write, request, error, text)


def limit(name: str) -> str:
    return f"more than the limit {name} = "


# --- graphs: attributes that multiply ----------------------------------------------------------


def node(name: str, op: str, *inputs: str, **attrs: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "op": op, "input": inputs, "attr": attrs}


def graph(*nodes: dict[str, Any]) -> bytes:
    message = messages.GraphDef()
    for each in nodes:
        made = message.node.add(name=each["name"], op=each["op"], input=each["input"])
        for key, fields in each["attr"].items():
            for kind, value in fields.items():
                if kind == "shape":
                    for size in value:
                        made.attr[key].shape.dim.add(size=size)
                elif kind == "tensor":
                    made.attr[key].tensor.CopyFrom(value)
                else:
                    setattr(made.attr[key], kind, value)
    return message.SerializeToString()


FLOAT, INT, STRING = {"type": 1}, {"type": 3}, {"type": 7}
X = node("x", "Placeholder", dtype=FLOAT, shape={"shape": [4]})


def tensor(values: np.ndarray | None = None, *, dtype: int = 1, shape: tuple[int, ...] = ()) -> Any:
    made = messages.TensorProto(dtype=dtype)
    if values is not None:
        made.tensor_content, shape = values.tobytes(), values.shape
    for size in shape:
        made.tensor_shape.dim.add(size=size)
    return made


def constant(name: str, value: Any, dtype: dict[str, int]) -> dict[str, Any]:
    return node(name, "Const", dtype=dtype, value={"tensor": value})


AXIS = constant("axis", tensor(np.array(0, np.int32), dtype=3), INT)
COUNTED = {
    # op: (its attribute that counts, whether it counts results, its inputs)
    "AddN": ("N", False, ("x", "x")),
    "ConcatV2": ("N", False, ("x", "x", "axis")),
    "Pack": ("N", False, ("x", "x")),
    "Split": ("num_split", True, ("axis", "x")),
    "Unpack": ("num", True, ("x",)),
}
for _op, (_key, _results, _inputs) in COUNTED.items():
    for _number in (10**8, 2**31, 2**62, -(2**62)):
        _attrs = {_key: {"i": _number}, "T": FLOAT, "Tidx": INT}
        _bytes = graph(X, AXIS, node("y", _op, *_inputs, **_attrs))
        if not _results:
            _expected = ("CorruptFileError", "inputs and has")
        elif _number > 0:
            _expected = ("LimitExceededError", limit("references"))
        else:
            _expected = (None, "")  # no results at all: what it makes is not looked at
        if _expected[0]:
            file(f"{_op}_{_number}.pb", lambda data=_bytes: data, *_expected)

for _number in (200, 2**31 - 1, -1):
    file(
        f"dtype_{_number}.pb",
        lambda number=_number: graph(
            X, node("y", "Cast", "x", SrcT=FLOAT, DstT={"type": number}),
        ),
        "CorruptFileError",
        f"there is no data type number {_number}",
    )  # fmt: skip


@case("functions.pb", "LimitExceededError", limit("references"))
def _functions(path: Path) -> None:
    """Functions that call each other twice: few nodes, but each has many inputs."""
    message = messages.GraphDef.FromString(graph(X, node("y", "f0", "x")))
    for number in range(12):
        function = message.library.function.add()
        function.signature.name = f"f{number}"
        function.signature.input_arg.add(name="a", type=1)
        function.signature.output_arg.add(name="r", type=1)
        last = number == 11
        made = function.node_def.add(name="n", op="AddN")
        made.attr["T"].type = 1
        if last:
            made.input.extend(["a"] * 3000)
            made.attr["N"].i = 3000
        else:
            for call in ("p", "q"):
                function.node_def.add(name=call, op=f"f{number + 1}", input=["a"])
            made.input.extend(["p:r:0", "q:r:0"])
            made.attr["N"].i = 2
        function.ret["r"] = "n:sum:0"
    path.write_bytes(message.SerializeToString())


@case("strings.pb", "LimitExceededError", limit("strings"))
def _strings(path: Path) -> None:
    value = tensor(dtype=7, shape=(5_000_000,))
    value.string_val.append(b"")
    path.write_bytes(graph(X, constant("s", value, STRING), node("y", "Identity", "s", T=STRING)))


@case("text.pbtxt", "LimitExceededError", limit("pbtxt_bytes"))
def _pbtxt(path: Path) -> Path:
    path.mkdir()
    (path / "saved_model.pbtxt").write_text("# comment\n" * 400_000)
    return path


# --- checkpoints -------------------------------------------------------------------------------


def prefixed(count: int, size: int) -> bytes:
    """Return a block of *count* keys of *size* bytes that share all but their last two."""
    content = b"\0" + varint(0) + varint(len(header())) + header()
    content += b"\0" + varint(size) + b"\0" + b"k" * (size - 2) + b"\0\0"
    for number in range(1, count):
        content += varint(size - 2) + b"\2\0" + number.to_bytes(2, "big")
    return content + b"\0\0\0\0" + (1).to_bytes(4, "little")


def checkpoint(name: str, index: Callable[[], bytes], *expected: str) -> None:
    @case(name, *expected, command="load")
    def _write(path: Path) -> Path:
        path.with_name(f"{path.name}.index").write_bytes(index())
        path.with_name(f"{path.name}.data-00000-of-00001").write_bytes(b"")
        return path


checkpoint("prefixed", lambda: table(prefixed(20_000, 30_000), b"\xff"), "LimitExceededError",
           limit("key_bytes"))  # fmt: skip
checkpoint("many_keys", lambda: table(
    b"\0\0" + varint(len(header())) + header()
    + b"".join(b"\0\3\0" + number.to_bytes(3, "big") for number in range(1, 150_000))
    + b"\0\0\0\0" + (1).to_bytes(4, "little"), b"\xff" * 3),
    "LimitExceededError", limit("weights"))  # fmt: skip


def copies(size: int, offset: int) -> bytes:
    """Return snappy data: *offset* literal bytes, then *size* bytes copied in elements of four."""
    text = varint(offset + size) + b"\xf4" + (offset - 1).to_bytes(2, "little") + bytes(offset)
    return text + (b"\x0e" + offset.to_bytes(2, "little")) * (size // 4)


def packed(data: bytes) -> bytes:
    return table(data, b"\xff", compression=1)


checkpoint("copies_far", lambda: packed(copies(2_000_000, 60_000)), "CorruptFileError", "")
checkpoint("copies_many", lambda: packed(copies(6_000_000, 60_000)), "LimitExceededError",
           limit("steps"))  # fmt: skip
checkpoint("copies_large", lambda: packed(varint(100 << 20) + bytes(5 << 20)),
           "LimitExceededError", limit("index_bytes"))  # fmt: skip


@case("strings_ckpt", "LimitExceededError", limit("strings"), command="load")
def _string_tensor(path: Path) -> Path:
    index = {b"": header(), b"s": entry([10 << 20], (10 << 20) + 4, dtype=7)}
    path.with_name(f"{path.name}.index").write_bytes(table(block(index), b"s"))
    path.with_name(f"{path.name}.data-00000-of-00001").write_bytes(bytes((10 << 20) + 4))
    return path


# --- archives, texts, other containers ---------------------------------------------------------


def tar(*members: tuple[tarfile.TarInfo, bytes], **options: Any) -> bytes:
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w", **options) as archive:
        for info, data in members:
            info.size = info.size or len(data)
            archive.addfile(info, io.BytesIO(data))
    return gzip.compress(memory.getvalue(), 1)


def member(name: str, **fields: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for key, value in fields.items():
        setattr(info, key, value)
    return info


file("dot.tar.gz", lambda: tar((member("."), bytes(300 << 20))), "UnsafeFileError",
     "is not a plain file path")  # fmt: skip
for _kind, _type in {"link": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE, "fifo": tarfile.FIFOTYPE,
                     "device": tarfile.CHRTYPE}.items():  # fmt: skip
    file(f"{_kind}.tar.gz", lambda kind=_type: tar((member("x", type=kind), b"")),
         "UnsafeFileError", "is a link or a device")  # fmt: skip
file("sparse.tar.gz", lambda: tar((member("x", type=tarfile.GNUTYPE_SPARSE), b"")),
     "CorruptFileError", "a sparse file")  # fmt: skip
for _version, _headers in {
    "00": {"GNU.sparse.size": "9", "GNU.sparse.offset": "x"},
    "01": {"GNU.sparse.map": "0,0," * 10_000 + "x"},
    "10": {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"},
}.items():
    file(f"sparse{_version}.tar.gz",
         lambda headers=_headers: tar(
             (member("x", pax_headers=headers), b"9" * 512), format=tarfile.PAX_FORMAT),
         "CorruptFileError", "a sparse file")  # fmt: skip
for _name in ("../x", "/x", "a//../..", "C:/x", "a\\x"):
    file(f"name_{_name!r}.tar.gz".replace("/", "_"), lambda name=_name: tar((member(name), b"")),
         "UnsafeFileError")  # fmt: skip


def activations(count: int) -> dict[str, Any]:
    layers = [layer("Activation", f"a{i}", activation="relu") for i in range(count)]
    layers[0]["config"]["batch_input_shape"] = [None, 3]
    return {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}


for _command in ("convert", "inspect"):
    file(f"layers_{_command}.keras", lambda: v3_model(activations(12_000), {}),
         "LimitExceededError", limit("layers"), command=_command)  # fmt: skip
    file(f"layers_allowed_{_command}.keras", lambda: v3_model(activations(9_000), {}),
         None, command=_command)  # fmt: skip


def text_with(character: str) -> bytes:
    config = activations(2)
    config["config"]["x"] = ["a" * 1000] * 8_000 + [character]
    text = json.dumps(config, ensure_ascii=False)
    memory = io.BytesIO(v3_model(config, {}))
    buffer = io.BytesIO()
    with zipfile.ZipFile(memory) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            new.writestr(name, text if name == "config.json" else old.read(name))
    return buffer.getvalue()


for _name, _character in {"latin": "é", "chinese": "中", "emoji": "😀"}.items():
    file(f"wide_{_name}.keras", lambda character=_character: text_with(character), None)


@case("groups.h5", "LimitExceededError", limit("h5_objects"))
def _groups(path: Path) -> None:
    with h5py.File(path, "w", libver="latest") as made:
        for number in range(31_000):
            made.create_group(str(number))


@case("strings_tfjs", "LimitExceededError", limit("strings"), command="load")
def _tfjs_strings(path: Path) -> Path:
    write_model(path, {"s": np.zeros(10, np.float32)})
    index = json.loads((path / "model.json").read_text())
    index["weightsManifest"][0]["weights"] = [
        {"name": "s", "shape": [10_000_000], "dtype": "string"}
    ]
    (path / "model.json").write_text(json.dumps(index))
    (path / "weights.bin").write_bytes(bytes(40_000_000))
    return path


# --- layers: references, constants, loops --------------------------------------------------------


def v3_layer(kind: str, name: str, *calls: Any, **config: Any) -> dict[str, Any]:
    return {
        "class_name": kind, "module": "keras.layers", "name": name,
        "config": {"name": name, "trainable": True, **config},
        "inbound_nodes": [call3(*call) for call in calls],
    }  # fmt: skip


def model3(
    name: str, layers: list[Any], *expected: Any, size: Any = 4, outputs: Any = None
) -> None:
    first = input_entry("x", [None, *(size if isinstance(size, list) else [size])], "batch_shape")
    ends = outputs or [[layers[-1]["name"], 0, 0]]
    config = functional([first, *layers], [["x", 0, 0]], ends)
    for command in ("convert", "inspect"):
        error = expected[0] if command == "convert" else None
        file(f"{name}_{command}.keras", lambda: v3_model(config, {}), error,
             *(expected[1:] if error else ()), command=command)  # fmt: skip


X3 = tensor3("x")
RELU = v3_layer("Activation", "a", [X3], activation="relu")
MANY = [v3_layer("Activation", f"a{i}", [X3], activation="relu") for i in range(4000)]
REFUSED = "UnsupportedModelError"
model3("output_50000_times", [RELU], REFUSED, limit("graph_nodes"), outputs=[["a", 0, 0]] * 50_000)
model3("output_5000_times", [RELU], None, outputs=[["a", 0, 0]] * 5000)
model3("add_4000", [*MANY, v3_layer("Add", "y", [[tensor3(f"a{i}") for i in range(4000)]])], None)
model3("add_itself", [RELU, v3_layer("Add", "y", [[tensor3("a")] * 50_000])], REFUSED,
       limit("graph_nodes"))  # fmt: skip
model3("called_5000_times", [v3_layer("Activation", "a", *[[X3]] * 5000, activation="relu")], None)
model3(
    "called_on_itself",
    [
        v3_layer(
            "Activation", "a", [X3], *([tensor3("a", i)] for i in range(5000)), activation="relu"
        )
    ],
    None,
)
OPERATIONS = {
    "cumsum": ("Cumsum", 8000, {"axis": 1}), "diff": ("Diff", 8000, {"n": 4000, "axis": 1}),
    "flip": ("Flip", 8000, {"axis": 1}), "repeat": ("Repeat", 8000, {"repeats": 9, "axis": 1}),
    "tile": ("Tile", 8000, {"repeats": [1, 9]}), "roll": ("Roll", 8000, {"shift": 1, "axis": 1}),
    "tril": ("Tril", [3000, 3000], {"k": 0}), "triu": ("Triu", [3000, 3000], {"k": 0}),
    "pad": ("Pad", 8000, {"pad_width": [[0, 0], [7000, 7000]], "mode": "reflect"}),
    "split": ("Split", 10**6, {"indices_or_sections": 10**6, "axis": 1}),
}  # fmt: skip
for _name, (_class, _size, _config) in OPERATIONS.items():
    _layers = [
        {**v3_layer(_class, f"o{i}", [tensor3(f"o{i - 1}") if i else X3], **_config),
         "module": "keras.src.ops.numpy"}
        for i in range(1 if _name in ("repeat", "tile", "split") else 30)
    ]  # fmt: skip
    model3(f"op_{_name}", _layers, REFUSED, "more than the limit", size=_size)


def sequential(name: str, shape: list[Any], layers: list[Any], weights: dict[str, Any],
               *expected: Any, command: str = "convert") -> None:  # fmt: skip
    layers[0]["config"]["batch_input_shape"] = [None, *shape]
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}
    groups = {
        key: [(f"{key}/{n}:0", np.zeros(s)) for n, s in value] for key, value in weights.items()
    }
    file(f"{name}.h5", lambda: h5_model(config, groups), *expected, command=command)


sequential("encodings", [1], [layer("CategoryEncoding", f"c{i}", num_tokens=8000,
                                    output_mode="multi_hot") for i in range(12)], {},
           REFUSED, limit("derived_bytes"))  # fmt: skip
sequential("grouped", [4, 4, 20_000], [layer("Conv2D", "u", filters=20_000, kernel_size=[1, 1],
           groups=10_000, use_bias=False)], {"u": [("kernel", (1, 1, 2, 20_000))]},
           REFUSED, limit("derived_bytes"))  # fmt: skip
sequential("dilated", [4, 4, 4], [layer("DepthwiseConv2D", "u", kernel_size=[3, 3],
           dilation_rate=[20_000, 20_000], padding="same", use_bias=False)],
           {"u": [("depthwise_kernel", (3, 3, 4, 1))]},
           REFUSED, limit("derived_bytes"))  # fmt: skip
for _method in ("nearest", "bilinear", "bicubic", "area", "lanczos3", "gaussian"):
    sequential(f"resize_{_method}", [2500, 2500, 1], [layer("Resizing", "r", height=2500,
               width=2501, interpolation=_method)], {}, None)  # fmt: skip
    sequential(f"resizes_{_method}", [9000, 9000, 1], [layer("Resizing", "r", height=9001,
               width=9001, interpolation=_method)], {},
               REFUSED, limit("derived_bytes"))  # fmt: skip
for _kind in ("Average", "Max"):
    sequential(f"adaptive_{_kind}", [9000, 9000, 1], [layer(
        f"Adaptive{_kind}Pooling2D", "p", output_size=[8999, 8999])], {},
        REFUSED, "more than the limit")  # fmt: skip


# --- escapes -----------------------------------------------------------------------------------

for _nodes in (7, True, "x", {"a": 1}, 1.5):
    file(f"inbound_nodes_{_nodes!r}.keras".replace("'", ""), lambda nodes=_nodes: v3_model(
        functional([input_entry("x", [None, 3], "batch_shape"), {**RELU, "inbound_nodes": nodes}],
                   [["x", 0, 0]], [["a", 0, 0]]), {}), "CorruptFileError")  # fmt: skip
for _output in ([["a", 0, 1]], [["a", 0, 9]], [["a", 3, 0]], [["b", 0, 0]], [["a", 0, -1]]):
    file(f"output_{_output}.keras", lambda output=_output: v3_model(functional(
        [input_entry("x", [None, 3], "batch_shape"), RELU], [["x", 0, 0]], output), {}),
        "CorruptFileError")  # fmt: skip
for _number in (1e308, -1e308, 1e39, [1e308] * 3, [[1e308]]):
    sequential(f"scale_{_number}", [3], [layer("Rescaling", "r", scale=_number, offset=0)], {},
               REFUSED, "beyond what float32 holds")  # fmt: skip


# --- damaged models ------------------------------------------------------------------------------

INNER = {"class_name": "Sequential", "name": "s", "config": {"name": "s", "layers": [
    layer("Dense", "d", units=2, batch_input_shape=[None, 3])]}}  # fmt: skip
EMPTY = {"class_name": "Functional", "config": functional([], [], [])["config"]}
ON_ANOTHER = functional(
    [input_entry("x", [None, 4]), {**INNER, "inbound_nodes": [[["x", 0, 0, {}]]]}],
    [["x", 0, 0]], [["s", 0, 0]],
)  # fmt: skip
WEIGHTS = {"s": [("d/kernel:0", np.ones((3, 2))), ("d/bias:0", np.ones(2))]}


def tfjs(config: dict[str, Any], weights: dict[str, np.ndarray]) -> Maker:
    def write(path: Path) -> Path:
        write_model(path, weights)
        index = json.loads((path / "model.json").read_text())
        index |= {"format": "layers-model", "modelTopology": {"model_config": config}}
        (path / "model.json").write_text(json.dumps(index))
        return path

    return write


DENSE = {"d/kernel": np.ones((3, 2), np.float32), "d/bias": np.ones(2, np.float32)}
for _target in ({}, {"to": "graph"}, {"to": "layers"}):
    file(f"empty_{_target.get('to')}.h5", lambda: h5_model(EMPTY, {}),
         "CorruptFileError", "the model has no layers", options=_target)  # fmt: skip
    file(f"another_shape_{_target.get('to')}.h5", lambda: h5_model(ON_ANOTHER, WEIGHTS),
         REFUSED, "its input 0 has shape [None, 3]", options=_target)  # fmt: skip
for _name in ("web", "back.keras", "back.h5"):
    case(f"empty_tfjs_{_name}", REFUSED, "the model has no layers", name=_name)(tfjs(EMPTY, {}))
    case(f"another_shape_tfjs_{_name}", REFUSED, "'d/kernel' has shape [3, 2]", name=_name)(
        tfjs(ON_ANOTHER, DENSE)
    )


# --- the test ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Answer]:
    directory = tmp_path_factory.mktemp("costs")
    warm_up = []
    for name, data in (("good.h5", dense_h5()), ("good.keras", v3_model(activations(2), {})),
                       ("good.pb", graph(X, node("y", "Relu", "x", T=FLOAT)))):  # fmt: skip
        warm_up.append(directory / name)
        warm_up[-1].write_bytes(data)
    requests = []
    for name, (make, request, _, _) in CASES.items():
        path = directory / name
        requests.append({**request, "path": make(path) or path})
    return dict(zip(CASES, conversion_probe.ask(requests, warm_up), strict=True))


@pytest.mark.parametrize("name", CASES)
def test_little_asks_for_much(answers: dict[str, Answer], name: str) -> None:
    _, request, error, text = CASES[name]
    answer = answers[name]
    assert answer.error == error, answer.message
    assert answer.exit_code == EXIT_CODES[error]
    assert text in answer.message
    assert len(answer.message) < (10_000 if error == REFUSED else 1000)
    assert answer.seconds < SECONDS
    assert answer.grown_bytes < BYTES
    writes = error is None and request.get("command", "convert") == "convert"
    assert answer.written == (["web"] if writes else [])
