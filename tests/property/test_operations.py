"""Operations in a graph: tfjs computes what Keras computes, or we refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from configurations import BACKENDS, SUFFIXES, either, equal_or_refused, examples
from hypothesis import given
from hypothesis import strategies as st
from programs import layer, numbers, op, program, ref

pytestmark = [pytest.mark.oracle, pytest.mark.node]

BINARY = ("add", "subtract", "multiply", "divide", "maximum", "minimum", "power", "mod",
          "greater", "less_equal", "equal", "arctan2", "floor_divide")  # fmt: skip
UNARY = (
    "abs", "negative", "square", "relu", "relu6", "sigmoid", "tanh", "softplus", "softsign", "silu",
    "log_sigmoid", "leaky_relu", "hard_sigmoid", "elu", "selu", "gelu", "softmax", "log_softmax",
    "celu", "hard_silu", "hard_tanh", "tanh_shrink", "soft_shrink", "hard_shrink", "threshold",
    "sparse_plus", "sparse_sigmoid", "squareplus", "sparsemax", "exp", "log", "sqrt", "rsqrt",
    "sign", "sin", "cos", "reciprocal", "floor", "round", "expm1", "log1p", "exp2", "cosh", "sinh",
    "logaddexp", "erf", "isnan", "isfinite", "ones_like", "zeros_like", "full_like", "glu",
    "nan_to_num", "stop_gradient", "cbrt", "trunc", "signbit", "heaviside", "deg2rad", "rad2deg",
)  # fmt: skip
REDUCTIONS = ("mean", "sum", "max", "min", "var", "std", "prod", "logsumexp", "norm", "any", "all",
              "argmax", "argmin", "median", "average", "amax", "amin", "nansum")  # fmt: skip


def _shape(draw: st.DrawFn, low: int = 1, high: int = 3) -> list[int]:
    return [draw(st.integers(1, 4)) for _ in range(draw(st.integers(low, high)))]


@st.composite
def arithmetic(draw: st.DrawFn) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Two operands that broadcast, tensors or constants, in either order."""
    batch, shape = draw(st.integers(1, 3)), _shape(draw)
    other = [draw(either(size, size, 1)) for size in shape]
    shapes = [shape]
    if draw(st.booleans()):
        shapes.append(other[draw(either(0, 0, 1)) :])
        operand: Any = ref(1)
    elif draw(st.booleans()):
        operand = draw(either(2.0, -0.5, 3, 1))
    else:
        constant = numbers(*other[draw(st.integers(0, len(other))) :], seed=3)
        operand = {"array": constant.tolist()}
    made = ref(len(shapes))
    pair = [made, operand]
    if draw(st.booleans()):
        pair.reverse()
    step = op(draw(st.sampled_from(BINARY)), *pair)
    after = [layer("Activation", ref(len(shapes) + 1), activation="linear")]
    if step["op"] in ("greater", "less_equal", "equal"):
        after = [op("where", ref(len(shapes) + 1), made, operand if draw(st.booleans()) else 0.5)]
    model = program(shapes, layer("Rescaling", scale=1.5), step, *after)
    return model, [numbers(batch, *s, seed=i) for i, s in enumerate(shapes)]


@examples(25)
@given(made=arithmetic(), suffix=SUFFIXES, backend=BACKENDS)
def test_arithmetic(exact, made, suffix, backend):
    model, inputs = made
    equal_or_refused(exact, model, inputs, suffix=suffix, backend=backend)


@examples(40)
@given(name=st.sampled_from(UNARY), shape=either([4], [2, 4], [2, 3, 4]), positive=st.booleans())
def test_functions(exact, name, shape, positive):
    values = 3 * numbers(2, *shape)
    extra = [ref(1)] if name == "logaddexp" else [0.3] if name == "threshold" else []
    extra += [0.5] if name == "threshold" else []
    model = program(
        [shape],
        layer("Rescaling", scale=1.5),  # inputs are special in tfjs: it never disposes of them
        op(name, ref(1), *extra),
        layer("Activation", ref(2), activation="elu"),  # the ReLU of wasm makes 0 of NaN
    )
    equal_or_refused(exact, model, [abs(values) if positive else values])


@st.composite
def reductions(draw: st.DrawFn) -> tuple[dict[str, Any], list[np.ndarray]]:
    shape = _shape(draw)
    axes = sorted(draw(st.sets(st.integers(1, len(shape)), min_size=1)))
    axis: Any = draw(either(axes[0], axes[0] - len(shape) - 1, axes, None))
    name = draw(st.sampled_from(REDUCTIONS))
    options = {} if name == "average" else {"keepdims": draw(st.booleans())}
    if name.startswith("arg") and isinstance(axis, list):
        axis = axes[0]
    step = op(name, ref(0), axis=axis, **options)
    return program([shape], step), [numbers(draw(st.integers(1, 3)), *shape)]


@examples(20)
@given(made=reductions(), suffix=SUFFIXES)
def test_reductions(exact, made, suffix):
    model, inputs = made
    equal_or_refused(exact, model, inputs, suffix=suffix, atol=3e-5)


def _index(draw: st.DrawFn, size: int) -> Any:
    kind = draw(either("all", "one", "part", "steps", "new"))
    if kind == "all":
        return {"slice": [None, None, None]}
    if kind == "one":
        return draw(st.integers(-size, size - 1))
    if kind == "new":
        return None
    start, stop = draw(either(None, 0, 1, -2)), draw(either(None, size, size - 1, -1))
    return {"slice": [start, stop, draw(either(2, -1, 3)) if kind == "steps" else None]}


@st.composite
def indexings(draw: st.DrawFn) -> tuple[dict[str, Any], list[np.ndarray]]:
    shape = [draw(st.integers(2, 5)) for _ in range(draw(st.integers(1, 3)))]
    key = [{"slice": [None, None, None]}]
    for size in shape:
        key.append(_index(draw, size))
        if key[-1] is None:
            key.append(_index(draw, size))
    if draw(either(False, False, True)):
        key = [*key[:1], {"ellipsis": True}, *key[-1:]]
    return program([shape], op("getitem", ref(0), key)), [numbers(2, *shape)]


@examples(15)
@given(made=indexings(), suffix=SUFFIXES)
def test_indexing(exact, made, suffix):
    model, inputs = made
    equal_or_refused(exact, model, inputs, suffix=suffix)


@st.composite
def rearrangements(draw: st.DrawFn) -> tuple[dict[str, Any], list[np.ndarray]]:
    rank = draw(st.integers(1, 3))
    shape = [draw(st.integers(1, 4)) for _ in range(rank)]
    axis = draw(st.integers(1, rank))
    signed = draw(either(axis, axis - rank - 1))
    order = [0, *draw(st.permutations(range(1, rank + 1)))]
    size = shape[axis - 1]
    total = int(np.prod(shape))
    table: dict[str, list[Any]] = {
        "reshape": [draw(either([-1, total], [-1, 1, total], [-1, *reversed(shape)]))],
        "transpose": [order],
        "swapaxes": [axis, rank],
        "moveaxis": [axis, rank],
        "expand_dims": [draw(st.integers(1, rank + 1))],
        "squeeze": [signed],
        "flip": [signed],
        "roll": [draw(st.integers(-3, 3)), signed],
        "repeat": [2, signed],
        "tile": [[1, *[draw(st.integers(1, 2)) for _ in shape]]],
        "pad": [[[0, 0], *[[draw(st.integers(0, 2)), 1] for _ in shape]]],
        "split": [draw(either(size, 1, [1])), signed],
        "unstack": [None, axis],
        "take": [draw(either(0, [0, -1], [[0], [size - 1]])), signed],
        "cumsum": [signed],
        "diff": [1, signed],
        "sort": [signed],
        "concatenate": [signed],
        "stack": [signed],
        "tril": [],
        "triu": [],
        "diagonal": [0, 1, 2],
        "broadcast_to": [[None, 2, *shape]],
        "view_as_real": [],
        "rot90": [],
        "meshgrid": [],
        "average_pool": [2],
        "one_hot": [4],
        "flatten": [],
        "ravel": [],
        "normalize": [],
        "unit_normalize": [],
        "slice": [[0] * (rank + 1), [2, *[max(s - 1, 1) for s in shape]]],
        "top_k": [1],
        "erf": [],
        "left_shift": [1],
    }
    name = draw(st.sampled_from(list(table)))
    first: Any = [ref(0), ref(0)] if name in ("concatenate", "stack") else ref(0)
    kwargs: dict[str, Any] = {}
    if name == "pad":
        kwargs["mode"] = draw(either("constant", "reflect", "symmetric"))
    step = op(name, first, *table[name], **kwargs)
    outputs = [ref(1)]
    if name == "split":
        count = 2 if isinstance(table[name][0], list) else table[name][0]
        outputs = [ref(1, i) for i in range(count)]
    if name == "unstack":
        outputs = [ref(1, i) for i in range(size)]
    if name == "top_k":
        outputs = [ref(1, 0)]
    return program([shape], step, outputs=outputs), [numbers(2, *shape)]


@examples(20)
@given(made=rearrangements(), suffix=SUFFIXES)
def test_rearrangements(exact, made, suffix):
    model, inputs = made
    equal_or_refused(exact, model, inputs, suffix=suffix)


LAYERS_OF_OPS = {
    "Reshape": {"target_shape": [3, 2, 2]}, "Permute": {"dims": [2, 1]}, "Flatten": {},
    "RepeatVector": {"n": 3}, "ReLU": {"max_value": 2, "negative_slope": 0.1, "threshold": 0.5},
    "LeakyReLU": {}, "ELU": {"alpha": 0.5}, "PReLU": {"shared_axes": [1]}, "Softmax": {"axis": 1},
    "Rescaling": {"scale": 2.0, "offset": [1, 2, 3]},
}  # fmt: skip


@pytest.mark.parametrize("class_name", sorted(LAYERS_OF_OPS))
def test_small_layers(exact, class_name):
    shape = [4] if class_name == "RepeatVector" else [4, 3]
    model = program([shape], layer(class_name, **LAYERS_OF_OPS[class_name]))
    exact(model, [numbers(2, *shape)])
