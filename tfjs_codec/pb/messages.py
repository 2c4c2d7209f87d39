"""The messages of ``proto/*.proto``: ``messages.SavedModel`` is the class of that name.

Classes are made when they are first asked for. ``messages.pyi`` tells type checkers their fields.
"""

from __future__ import annotations

from functools import cache

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

from tfjs_codec import resources

__all__ = ["Message"]


@cache
def _pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    data = resources.read(__package__, "descriptors.bin")
    for file in descriptor_pb2.FileDescriptorSet.FromString(data).file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


def __getattr__(name: str) -> type[Message]:
    try:
        found = _pool().FindMessageTypeByName(f"tfjs_codec.proto.{name}")
    except KeyError:
        raise AttributeError(name) from None
    return globals().setdefault(name, message_factory.GetMessageClass(found))
