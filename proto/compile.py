"""Compile the .proto files to ``tfjs_codec/pb/descriptors.bin``.

    pip install grpcio-tools
    python proto/compile.py [output]

The output is a serialised ``FileDescriptorSet`` in dependency order, without comments. It is
committed: users need neither a compiler nor generated code of a matching protobuf version.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorSet
from grpc_tools import protoc

PROTO_DIR = Path(__file__).resolve().parent
OUTPUT = PROTO_DIR.parent / "tfjs_codec" / "pb" / "descriptors.bin"
PREFIX = "tfjs_codec/"


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


if __name__ == "__main__":
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else OUTPUT
    output.write_bytes(compile_protos())
