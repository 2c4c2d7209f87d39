"""Compile the .proto files to ``tfjs_codec/pb/descriptors.bin`` and ``messages.pyi`` beside it.

    pip install grpcio-tools
    python proto/compile.py [directory]

The first is a serialised ``FileDescriptorSet`` in dependency order, without comments; the second
tells type checkers the fields of the messages. Both are committed: users need neither a compiler
nor generated code of a matching protobuf version.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorSet,
)
from grpc_tools import protoc

PROTO_DIR = Path(__file__).resolve().parent
OUTPUT = PROTO_DIR.parent / "tfjs_codec" / "pb"
PREFIX = "tfjs_codec/"
FIELD_TYPES = {
    **dict.fromkeys((FieldDescriptorProto.TYPE_FLOAT, FieldDescriptorProto.TYPE_DOUBLE), "float"),
    FieldDescriptorProto.TYPE_BOOL: "bool",
    FieldDescriptorProto.TYPE_STRING: "str",
    FieldDescriptorProto.TYPE_BYTES: "bytes",
}  # all others are whole numbers
STUB_HEAD = """\
# The messages of proto/*.proto, for type checkers. Made by proto/compile.py.
# ruff: noqa: N802

from collections.abc import Iterable, MutableMapping, Sequence
from typing import TypeVar, overload

from typing_extensions import Self

_T = TypeVar("_T")

class Message:
    def __init__(self, **fields: object) -> None: ...
    @classmethod
    def FromString(cls, data: bytes) -> Self: ...
    def SerializeToString(self, *, deterministic: bool = ...) -> bytes: ...
    def CopyFrom(self, other: Self) -> None: ...
    def HasField(self, name: str) -> bool: ...
    def ListFields(self) -> Sequence[tuple[Field, Sequence[object]]]: ...
    def SetInParent(self) -> None: ...
    def WhichOneof(self, name: str) -> str | None: ...

class Field:
    name: str

class Repeated(Sequence[_T]):
    @overload
    def __getitem__(self, index: int) -> _T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[_T]: ...
    def __len__(self) -> int: ...
    def append(self, value: _T) -> None: ...
    def extend(self, values: Iterable[_T]) -> None: ...

class Messages(Repeated[_T]):
    def add(self, **fields: object) -> _T: ...
"""


def compile_protos() -> bytes:
    """Return the descriptor set of all .proto files of this directory."""
    sources = sorted(path.name for path in PROTO_DIR.glob("*.proto"))
    with tempfile.TemporaryDirectory() as scratch:
        raw = Path(scratch, "raw.bin")
        options = [
            f"--proto_path={PROTO_DIR}",
            f"--descriptor_set_out={raw}",
            "--include_imports",
        ]
        if protoc.main(["protoc", *options, *sources]) != 0:
            raise SystemExit("protoc failed")
        files = FileDescriptorSet.FromString(raw.read_bytes())
    for file in files.file:  # names of our own, in case somebody uses the default pool
        file.name = PREFIX + file.name
        file.dependency[:] = [PREFIX + name for name in file.dependency]
        _strip(file.message_type)
    return files.SerializeToString(deterministic=True)


def _strip(messages: Iterable[DescriptorProto]) -> None:
    """Remove the JSON names, which we do not use and not every compiler writes."""
    for message in messages:
        for field in message.field:
            field.ClearField("json_name")
        _strip(message.nested_type)


def make_stub(descriptors: bytes) -> str:
    """Return what type checkers need to know of the messages in *descriptors*."""
    lines = [STUB_HEAD]
    for file in FileDescriptorSet.FromString(descriptors).file:
        for message in file.message_type:
            lines += [*_class(message, f".{file.package}."), ""]
    return "\n".join(lines)


def _class(message: DescriptorProto, package: str) -> Iterator[str]:
    """Yield the lines of the class of *message*."""
    entries = {one.name: one for one in message.nested_type if one.options.map_entry}
    yield f"class {message.name}(Message):" + ("" if message.field else " ...")
    for inner in message.nested_type:
        if inner.name not in entries:
            yield from (f"    {line}".rstrip() for line in _class(inner, package))
            yield ""
    for field in message.field:
        entry = entries.get(field.type_name.rpartition(".")[2])
        kind = _type(field, package)
        if entry is not None:
            kind = f"MutableMapping[{', '.join(_type(one, package) for one in entry.field)}]"
        elif field.label == FieldDescriptorProto.LABEL_REPEATED:
            many = "Messages" if field.type == FieldDescriptorProto.TYPE_MESSAGE else "Repeated"
            kind = f"{many}[{kind}]"
        yield f"    {field.name}: {kind}"


def _type(field: FieldDescriptorProto, package: str) -> str:
    if field.type == FieldDescriptorProto.TYPE_MESSAGE:
        return field.type_name.removeprefix(package)
    return FIELD_TYPES.get(field.type, "int")


if __name__ == "__main__":
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else OUTPUT
    compiled = compile_protos()
    (output / "descriptors.bin").write_bytes(compiled)
    (output / "messages.pyi").write_text(make_stub(compiled))
