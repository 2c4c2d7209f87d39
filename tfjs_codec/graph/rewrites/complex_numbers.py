"""Complex numbers by their parts.

Few kernels of tfjs compute complex numbers, wasm has none of them, and cpu broadcasts them wrongly.
So both parts are computed, and ``Complex`` joins them where something needs a complex tensor.
"""

from __future__ import annotations

import numpy as np

from tfjs_codec.graph.build import Build
from tfjs_codec.graph.rewrites.registry import LACKS, WRONG, op, wrong_on
from tfjs_codec.ir.graph import Node, Ref

_FLOAT = {"T": "float32"}


def is_complex(dtype: object) -> bool:
    """Tell whether *dtype* is one of complex numbers."""
    return str(dtype).startswith("complex")


def parts(build: Build, x: Ref) -> tuple[Ref, Ref]:
    """Return the real and the imaginary part of *x*."""
    node = build.nodes[x.node]
    if node.op == "Complex":
        real, imaginary = node.inputs
        return real, imaginary
    if node.op == "Const":
        values = node.value.numpy()
        both = (np.real(values), np.imag(values))
        real, imaginary = (build.const(np.asarray(each, np.float32), "float32") for each in both)
        return real, imaginary
    real, imaginary = (build.op(part, x, Tout="float32", T=build.type_of(x)) for part in _PARTS)
    return real, imaginary


def join(build: Build, real: Ref, imaginary: Ref) -> list[Ref]:
    """Put the complex tensor of two parts of the same shape in the place of the node."""
    return build.same("Complex", real, imaginary, T="float32", Tout="complex64")


_PARTS = ("Real", "Imag")


@op("Complex", because=WRONG)
def spread(build: Build, node: Node) -> list[Ref] | None:
    """Broadcast both parts to the same shape."""
    given = node.inputs
    shapes = [build.shape(part) for part in given]
    if shapes[0] == shapes[1] and shapes[0] is not None and shapes[0].count(None) <= 1:
        return None
    if any(ref.node in build.nodes and build.nodes[ref.node].op == "ZerosLike" for ref in given):
        return None
    both = [
        build.op("AddV2", one, build.op("ZerosLike", other)) for one, other in (given, given[::-1])
    ]
    return build.same("Complex", *both, Tout=node.attrs["Tout"])


@op("Real", "Imag", because=LACKS)
def take_part(build: Build, node: Node) -> list[Ref] | None:
    """Take the part that is known."""
    source = build.nodes[node.inputs[0].node].op
    if source not in ("Complex", "Const"):
        return None
    return [parts(build, node.inputs[0])[node.op == "Imag"]]


@op("Cast", because=LACKS)
def cast(build: Build, node: Node) -> list[Ref] | None:
    """Give real numbers an imaginary part of zero, or drop it."""
    x, given, wanted = node.inputs[0], node.attrs["SrcT"], node.attrs["DstT"]
    if is_complex(given) == is_complex(wanted):
        return [x] if is_complex(given) else None
    if is_complex(given):
        return [build.cast(parts(build, x)[0], "float32", wanted)]
    real = x if given == "float32" else build.cast(x, given, "float32")
    return join(build, real, build.op("ZerosLike", real, **_FLOAT))


@op(
    *("Add", "AddN", "AddV2", "BatchToSpaceND", "BroadcastTo", "ConcatV2", "Cumsum", "ExpandDims"),
    *("Fill", "GatherNd", "GatherV2", "Mean", "MirrorPad", "Neg", "Pack", "Pad", "PadV2"),
    *("Reshape", "ReverseV2", "Roll", "ScatterNd", "SelectV2", "Slice", "SpaceToBatchND", "Split"),
    *("SplitV", "Squeeze", "StridedSlice", "Sub", "Sum", "Tile", "Transpose", "Unpack"),
    *("ZerosLike", "MatrixDiag", "MatrixDiagPart", "MatrixBandPart", "TensorScatterUpdate"),
    because=wrong_on("wasm", "cpu"),
)
def each_part(build: Build, node: Node) -> list[Ref] | None:
    """Do the same to both parts."""
    if not is_complex(build.dtype):
        return None
    pairs = [
        parts(build, ref) if is_complex(build.type_of(ref)) else (ref, ref) for ref in node.inputs
    ]
    attrs = {key: "float32" if is_complex(value) else value for key, value in node.attrs.items()}
    attrs |= _FLOAT
    made = [build.op(node.op, *(pair[part] for pair in pairs), **attrs) for part in (0, 1)]
    count = int(node.attrs.get({"Split": "num_split", "Unpack": "num"}.get(node.op, ""), 1))
    if node.op == "SplitV":
        count = int(node.attrs["num_split"])
    if count == 1:
        return join(build, *made)
    return [
        build.op("Complex", *(Ref(ref.node, number) for ref in made), Tout="complex64", **_FLOAT)
        for number in range(count)
    ]


@op(
    "Conj",
    "Cos",
    "Exp",
    "Log",
    "OnesLike",
    "Sin",
    "Sqrt",
    "Square",
    because=wrong_on("wasm", "cpu"),
)
def compute(build: Build, node: Node) -> list[Ref] | None:
    """Compute a function of one complex number."""
    if not is_complex(build.dtype):
        return None
    a, b = parts(build, node.inputs[0])

    def real(name: str, *inputs: Ref, **attrs: str) -> Ref:
        return build.op(name, *inputs, **{**_FLOAT, **attrs})

    if node.op == "Conj":
        return join(build, a, real("Neg", b))
    if node.op == "Exp":
        size = real("Exp", a)
        return join(build, real("Mul", size, real("Cos", b)), real("Mul", size, real("Sin", b)))
    if node.op == "Log":
        size = real("Log", real("ComplexAbs", node.inputs[0], T="complex64", Tout="float32"))
        return join(build, size, real("Atan2", b, a))
    if node.op == "Sqrt":  # the real part is not negative
        size = real("ComplexAbs", node.inputs[0], T="complex64", Tout="float32")
        half, none = (build.value(number, "float32") for number in (0.5, 0))
        sums = real("AddV2", size, a), real("Sub", size, a)
        first, second = (
            real("Sqrt", real("Maximum", real("Mul", each, half), none)) for each in sums
        )
        below = real("Less", b, none)
        second = real("SelectV2", below, real("Neg", second), second)
        return join(build, first, second)
    if node.op in ("Cos", "Sin"):
        other = "Sin" if node.op == "Cos" else "Cos"
        first = real("Mul", real(node.op, a), real("Cosh", b))
        second = real("Mul", real(other, a), real("Sinh", b))
        return join(build, first, real("Neg", second) if node.op == "Cos" else second)
    if node.op == "OnesLike":
        return join(build, real("OnesLike", a), real("ZerosLike", a))
    product = real("Mul", a, b)
    return join(
        build, real("Sub", real("Square", a), real("Square", b)), real("AddV2", product, product)
    )


@op(
    *("BatchMatMul", "BatchMatMulV2", "Div", "MatMul", "Mul", "RealDiv"),
    because=wrong_on("wasm", "cpu"),
)
def combine(build: Build, node: Node) -> list[Ref] | None:
    """Multiply or divide two complex numbers, or matrices of them."""
    if not is_complex(build.dtype):
        return None
    (a, b), (c, d) = (parts(build, ref) for ref in node.inputs)

    def real(name: str, *inputs: Ref) -> Ref:
        return build.op(name, *inputs, **_FLOAT)

    name, attrs, scale = node.op, {**node.attrs, **_FLOAT}, None
    if name in ("Div", "RealDiv"):
        scale = real("AddV2", real("Square", c), real("Square", d))
        name, attrs, d = "Mul", dict(_FLOAT), real("Neg", d)

    def product(one: Ref, other: Ref) -> Ref:
        return build.op(name, one, other, **attrs)

    both = [
        real("Sub", product(a, c), product(b, d)), real("AddV2", product(a, d), product(b, c)),
    ]  # fmt: skip
    if scale is not None:
        both = [real("RealDiv", each, scale) for each in both]
    return join(build, *both)


@op("Pow", "Reciprocal", "Rsqrt", "Tan", "Tanh", because=wrong_on("wasm", "cpu"))
def compose(build: Build, node: Node) -> list[Ref] | None:
    """Compute a function by others."""
    if not is_complex(build.dtype):
        return None
    x, *rest = node.inputs
    if node.op == "Pow":
        return build.same("Exp", build.op("Mul", rest[0], build.op("Log", x)))
    if node.op == "Tan":
        return build.same("RealDiv", build.op("Sin", x), build.op("Cos", x))
    if node.op == "Tanh":  # 1 - 2 / (exp(2 x) + 1)
        power = build.op("AddV2", build.op("Exp", build.op("AddV2", x, x)), build.number(1))
        return build.same(
            "Sub", build.number(1), build.op("RealDiv", build.number(2), power)
        )  # fmt: skip
    bottom = build.op("Sqrt", x) if node.op == "Rsqrt" else x
    return build.same("RealDiv", build.number(1), bottom)


@op("ComplexAbs", because=wrong_on("wasm"))
def absolute(build: Build, node: Node) -> list[Ref]:
    """Compute the length of both parts."""
    squares = [build.op("Square", each, **_FLOAT) for each in parts(build, node.inputs[0])]
    return build.same("Sqrt", build.op("AddV2", *squares, **_FLOAT), **_FLOAT)


@op("Angle", because=LACKS)
def angle(build: Build, node: Node) -> list[Ref]:
    """Compute the angle of both parts."""
    return build.same("Atan2", *parts(build, node.inputs[0])[::-1], **_FLOAT)


@op("Shape", "Size", "Rank", because=wrong_on("wasm"))
def measure(build: Build, node: Node) -> list[Ref] | None:
    """Take the shape of the real part."""
    if not is_complex(build.type_of(node.inputs[0])):
        return None
    return build.same(node.op, parts(build, node.inputs[0])[0], **{**node.attrs, **_FLOAT})


@op("Equal", "NotEqual", because=wrong_on("wasm", "cpu"))
def compare(build: Build, node: Node) -> list[Ref] | None:
    """Compare both parts."""
    if not is_complex(build.dtype):
        return None
    pairs = zip(*(parts(build, ref) for ref in node.inputs), strict=True)
    attrs = {**node.attrs, **_FLOAT}
    return build.same(
        "LogicalAnd" if node.op == "Equal" else "LogicalOr",
        *(build.op(node.op, *pair, **attrs) for pair in pairs),
        T="bool",
    )
