"""The private descriptor pool: current with proto/, and apart from everybody else's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tfjs_codec import pb
from tfjs_codec.errors import CorruptFileError
from tfjs_codec.pb import messages

ROOT = Path(__file__).parents[2]


def test_descriptors_and_types_are_compiled_from_the_proto_files(tmp_path):
    script = ROOT / "proto" / "compile.py"
    subprocess.run([sys.executable, script, tmp_path], check=True)
    for name in ("descriptors.bin", "messages.pyi"):
        assert (tmp_path / name).read_bytes() == (Path(pb.__file__).parent / name).read_bytes()


def test_nothing_is_registered_in_the_default_pool():
    code = (
        "from google.protobuf import descriptor_pool\n"
        "from tfjs_codec.pb import messages\n"
        "messages.SavedModel()\n"
        "try:\n"
        "    descriptor_pool.Default().FindMessageTypeByName('tfjs_codec.proto.SavedModel')\n"
        "except KeyError:\n"
        "    raise SystemExit(0)\n"
        "raise SystemExit(1)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "name",
    [
        "SavedModel",
        "MetaGraphDef",
        "GraphDef",
        "NodeDef",
        "FunctionDef",
        "FunctionDefLibrary",
        "OpDef",
        "AttrValue",
        "TensorProto",
        "SignatureDef",
        "SavedObjectGraph",
        "SaverDef",
        "CollectionDef",
        "BundleHeaderProto",
        "BundleEntryProto",
        "TrackableObjectGraph",
        "SavedMetadata",
        "VariableDef",
    ],
)
def test_messages_round_trip(name):
    kind = getattr(messages, name)
    message = kind()
    assert pb.parse(kind, message.SerializeToString(), path="x") == message


def test_unknown_fields_are_kept():
    data = b"\x08\x01\xf2\x7f\x03abc"  # field 1, and field 2046
    assert pb.parse(messages.SavedModel, data, path="x").SerializeToString() == data


@pytest.mark.parametrize(
    "data", [b"\x12\xff", b"text", b"\x0b" * 5000, b"\x12\x04\x2a\x02\x0a\x05"]
)
def test_damage_is_corrupt(data):
    with pytest.raises(CorruptFileError, match=r"model\.pb: not a valid SavedModel message"):
        pb.parse(messages.SavedModel, data, path="model.pb")


@pytest.mark.parametrize("text", ["meta_graphs {", "meta_graphs { graph_def {" * 3000, "\0"])
def test_damaged_text_is_corrupt(text):
    with pytest.raises(CorruptFileError, match="text format"):
        pb.parse_text(messages.SavedModel, text, path="model.pbtxt")


def test_text_format_knows_types_and_skips_unknown_fields():
    text = "node { name: 'a' attr { key: 'T' value { type: DT_BFLOAT16 } } new_field { x: 1 } }"
    graph = pb.parse_text(messages.GraphDef, text, path="x")
    assert graph.node[0].attr["T"].type == 14
