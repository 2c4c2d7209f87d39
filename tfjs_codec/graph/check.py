"""The last pass: can tfjs 4.22 execute every operation, and did an earlier pass find a problem?"""

from __future__ import annotations

from collections.abc import Iterable

from tfjs_codec.errors import Problem, UnsupportedModelError
from tfjs_codec.ir.graph import Graph, Node
from tfjs_codec.tfjs.graph_ops import in_tfjs

_INPUT_DTYPES = frozenset(
    (
        *("float16", "bfloat16", "float32", "float64", "bool", "string", "complex64"),
        *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "complex128"),
    )
)
_NAMED = 3  # nodes of an op that a message names
# What to do about ops people meet; the rest get no advice but the general one.
_HINTS = {
    "XlaCallModule": "JAX exported the model as StableHLO, which tfjs lacks: convert the .keras "
    "file of the Keras model, or export it with the TensorFlow backend.",
    "Cholesky": "Compute it outside of the model.",
    "PyFunc": "Python code is not in the file: express it in TensorFlow operations.",
    "EagerPyFunc": "Python code is not in the file: express it in TensorFlow operations.",
    **dict.fromkeys(
        ("StringLower", "StringUpper", "StringSplitV2", "RegexReplace", "RegexFullMatch"),
        "Prepare the text in JavaScript and start the model at the tokens or numbers.",
    ),
    **dict.fromkeys(
        ("DecodeJpeg", "DecodePng", "DecodeImage", "DecodeBmp", "DecodeGif", "DecodeRaw"),
        "Decode in the browser (tf.browser.fromPixels) and start the model at the pixels.",
    ),
    **dict.fromkeys(
        ("CudnnRNN", "CudnnRNNV2", "CudnnRNNV3"), "Save the model on a machine without GPU."
    ),
}


# What the kernels of tfjs compute for complex numbers, too.
_COMPLEX = frozenset(
    (
        *("Add", "AddV2", "Cast", "ComplexAbs", "ConcatV2", "Enter", "Exit", "ExpandDims", "FFT"),
        *("Fill", "IFFT", "IRFFT", "Identity", "Imag", "Merge", "Mul", "NextIteration", "Pack"),
        *("Real", "Reshape", "Shape", "Squeeze", "Sub", "Switch", "ZerosLike"),
    )
)


def check(graph: Graph) -> Graph:
    """Return *graph* if tfjs can execute it.

    Raises:
        UnsupportedModelError: It cannot. ``problems`` are those of the passes before, and every
            operation that tfjs lacks with the nodes that use it.
    """
    known = {problem.layer for problem in graph.problems}
    nodes = [node for node in graph.nodes.values() if node.name not in known]
    lacking = [*_unknown(nodes), *_unknown(graph.initializer.values())]
    problems = [*graph.problems, *lacking, *_complex(nodes)]
    problems += [
        Problem(key, graph.nodes[tensor.ref.node].op, f"its type is {tensor.dtype}", kind="input")
        for key, tensor in graph.inputs.items()
        if tensor.dtype not in _INPUT_DTYPES
    ]
    if lacking:
        ops = ", ".join(problem.class_name for problem in lacking)
        raise UnsupportedModelError(
            f"tfjs has no operation for {ops}", path=graph.path, problems=tuple(problems),
            hint="Leave these operations out of the signature, or choose other ones.",
        )  # fmt: skip
    if problems:
        raise UnsupportedModelError(
            "tfjs cannot run this graph", path=graph.path,
            problems=tuple(problems),
        )  # fmt: skip
    return graph


def _complex(nodes: Iterable[Node]) -> list[Problem]:
    return [
        Problem(node.name, node.op, "tfjs computes it for real numbers only", kind="node")
        for node in nodes
        if str(node.attrs.get("T")).startswith("complex") and node.op not in _COMPLEX
    ]


def _unknown(nodes: Iterable[Node]) -> list[Problem]:
    users: dict[str, list[str]] = {}
    for node in nodes:
        if not in_tfjs(node.op):
            users.setdefault(node.op, []).append(node.name)
    return [
        Problem(names[0], op, _reason(names), _HINTS.get(op, ""), kind="node")
        for op, names in sorted(users.items())
    ]


def _reason(names: list[str]) -> str:
    others = names[1:_NAMED]
    text = "tfjs cannot execute this operation"
    if others:
        text += "; also in " + ", ".join(others)
    if len(names) > _NAMED:
        text += f" and {len(names) - _NAMED} more"
    return text
