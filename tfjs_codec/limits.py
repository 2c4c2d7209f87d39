"""Every cap on what an input file may ask for.

A limit is checked against what the file *declares*, before anything is allocated or read. Each
one is far above what real models need (the reason is beside it), so a model that hits one is
nearly always an attack or damaged. All can be raised: ``limits=Limits(tensor_bytes=…)`` in Python,
``--limit tensor_bytes=…`` on the command line. Pairs ``*_floor_bytes`` and ``*_ratio`` belong
together: both must be exceeded, because an honest array of zeros compresses more than 1000-fold.

What a file describes one by one takes bytes: large ones may have more layers, nodes and references,
see ``Limits.earn``.

Whatever a small file can ask for many times is paid for before it is done, from one budget for the
whole conversion: ``Limits.spend`` adds up once ``Limits.budget`` has begun one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

from tfjs_codec.errors import LimitExceededError

Where = str | Callable[[], str]  # a place in a file; a function, where making it up costs time


# Of a part of a model that a file describes; those of real models take more.
_PART_BYTES = {"layers": 200, "graph_nodes": 50, "references": 20}
_FREE_BYTES = 1 << 20  # of a file, whose parts the limits allow anyway
_MOST_EARNED_BYTES = 64 << 20  # the rest of a file is values of weights


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps on the input; sizes in bytes, the rest are counts or factors."""

    json_bytes: int = 64 << 20  # one JSON text; the largest real configs stay below 20 MB
    json_depth: int = 200  # levels of nesting; a nested model adds about 12
    json_string_chars: int = 16 << 20  # one string; whole vocabularies come as one joined string
    json_values: int = 2_000_000  # an empty list is 2 bytes of text and 64 of memory
    attr_bytes: int = 64 << 20  # one HDF5 attribute, its numbered parts together (model_config)
    layers: int = 10_000  # the deepest published networks have a few thousand; see earn()
    weights: int = 100_000  # tensors in a model; the largest Keras applications have 2,000
    rank: int = 32  # dimensions of a tensor; numpy 1 stops here, tfjs earlier
    tensor_bytes: int = 8 << 30  # one tensor; a browser tab cannot hold one of 4 GiB
    total_bytes: int = 64 << 30  # all tensors; hard links make 97 kB declare gigabytes
    expansion_floor_bytes: int = 256 << 20  # compressed HDF5 data below this is never a bomb
    expansion_ratio: int = 1000  # declared / stored; 64 MiB of honest zeros reach 1009
    zip_members: int = 10_000  # a .keras file has 3, plus its assets
    zip_floor_bytes: int = 256 << 20  # unpacked size below which a zip member is never a bomb
    zip_ratio: int = 100  # unpacked / packed; trained weights hardly compress
    inflated_bytes: int = 4 << 30  # a compressed zip member that is held in memory
    h5_objects: int = 30_000  # groups and datasets; a weight needs about 3, models have 2,000
    h5_depth: int = 64  # nested groups; a layer inside nested models needs about 3 per level
    pb_bytes: int = (2 << 30) - 1  # the protobuf wire format ends here
    pbtxt_bytes: int = 2 << 20  # protobuf as text is parsed in Python, a MiB a second
    graph_nodes: int = 20_000  # nodes, or layers for tfjs, also those that are made; see earn()
    references: int = 250_000  # inputs and results of all layers and nodes; see earn()
    index_bytes: int = 64 << 20  # variables.index; a tensor's entry takes about 100 bytes
    key_bytes: int = 16 << 20  # keys of variables.index, which stores only where they differ
    strings: int = 1_000_000  # in vocabularies and tensors; each takes about 50 bytes of memory
    steps: int = 1_000_000  # elements of compressed text, decoded one by one
    loop_steps: int = 100_000  # iterations of a prediction in numpy; a step takes a millisecond
    derived_bytes: int = 256 << 20  # constants that layers and operations become in tfjs
    sandbox_memory_bytes: int = 2 << 30  # of the child process, beyond that of its parent
    sandbox_seconds: int = 600  # of its processor; a gigabyte takes about one
    sandbox_file_bytes: int = 16 << 30  # one file that it writes
    stdin_bytes: int = 1 << 30  # standard input is held in memory
    shards: int = 20_000  # files of a tfjs model; the official size is 4 MiB each
    path_chars: int = 255  # one component of a path; more cannot exist on common file systems

    def check(
        self, name: str, value: int, what: str, *, path: object = "", where: Where = ""
    ) -> None:
        """Raise ``LimitExceededError`` if *value*, described by *what*, exceeds cap *name*.

        *what* is a noun such as ``"the tensor's size in bytes"``.
        """
        cap = self.cap(name)
        if value > cap:
            text = f"{what} is {value:,}, more than the limit {name} = {cap:,}"
            raise limit_error(name, text, path=path, where=where)

    def check_expansion(
        self, declared: int, stored: int, kind: str, what: str, *, path: object, where: Where
    ) -> None:
        """Refuse *what* if its *declared* bytes are a bomb compared to its *stored* bytes.

        *kind* is ``"expansion"`` (HDF5) or ``"zip"``.
        """
        floor: int = getattr(self, f"{kind}_floor_bytes")
        ratio: int = getattr(self, f"{kind}_ratio")
        if declared > floor and declared > ratio * stored:
            text = (
                f"{what} would unpack from {stored:,} to {declared:,} bytes, more than "
                f"{kind}_ratio = {ratio:,} times its stored size"
            )
            raise limit_error(f"{kind}_ratio", text, path=path, where=where)

    def spend(
        self, name: str, amount: int, what: str, *, path: object = "", where: Where = ""
    ) -> None:
        """Take *amount* from what is left of cap *name*; call it before the work is done.

        Raises:
            LimitExceededError: Together with what was spent since ``budget`` it is too much.
        """
        self.check(name, amount, what, path=path, where=where)

    def cap(self, name: str) -> int:
        """Return the present value of cap *name*."""
        value: int = getattr(self, name)
        return value

    def earn(self, nbytes: int) -> None:
        """Let a model that is described in *nbytes* bytes have more parts, in this conversion."""

    def budget(self) -> Limits:
        """Return the same caps for one conversion, which adds up what is spent."""
        return Budget(self)


class Budget(Limits):
    """Limits with a memory: what is spent under one name adds up."""

    __slots__ = ("_earned", "_spent")
    _spent: dict[str, int]
    _earned: int  # bytes

    def __init__(self, caps: Limits) -> None:
        super().__init__(**{each.name: getattr(caps, each.name) for each in fields(Limits)})
        object.__setattr__(self, "_spent", {})
        object.__setattr__(self, "_earned", 0)

    def cap(self, name: str) -> int:
        value: int = getattr(self, name)
        size = _PART_BYTES.get(name)
        return value + self._earned // size if size else value

    def earn(self, nbytes: int) -> None:
        earned = min(nbytes, _MOST_EARNED_BYTES) - _FREE_BYTES
        object.__setattr__(self, "_earned", max(self._earned, earned))

    def spend(
        self, name: str, amount: int, what: str, *, path: object = "", where: Where = ""
    ) -> None:
        total = self._spent.get(name, 0) + amount
        if total > getattr(self, name):  # else there is no need to ask what is earned
            self.check(name, total, what, path=path, where=where)
        self._spent[name] = total


DEFAULT_LIMITS = Limits()


def limit_error(name: str, what: str, *, path: object, where: Where) -> LimitExceededError:
    """Return the error for limit *name*; its hint says how to raise the limit."""
    where = where if isinstance(where, str) else where()
    hint = f"If you trust the file, raise it with --limit {name}=… (Python: Limits({name}=…))."
    return LimitExceededError(what, path=path, where=where, hint=hint)
