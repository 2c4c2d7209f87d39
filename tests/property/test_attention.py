"""Attention and einsum layers: tfjs computes what Keras computes, or we refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from configurations import SUFFIXES, either, equal_or_refused, examples
from hypothesis import given
from hypothesis import strategies as st
from programs import layer, numbers, op, program, ref

pytestmark = [pytest.mark.oracle, pytest.mark.node]


@st.composite
def heads(draw: st.DrawFn) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Multi-head attention: any number of heads, sources, masks and axes."""
    batch, width = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    grouped = draw(either(False, False, True))
    extra = [] if grouped else draw(either([], [], [2], [2, 3]))
    steps, places = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    shapes = [[*extra, steps, width]]
    config: dict[str, Any] = {"use_bias": draw(st.booleans())}
    if grouped:
        groups = draw(st.integers(1, 2))
        config |= {"head_dim": 2, "num_key_value_heads": groups}
        config["num_query_heads"] = groups * draw(st.integers(1, 2))
        name = "GroupQueryAttention"
    else:
        config |= {"num_heads": draw(st.integers(1, 3)), "key_dim": 2}
        config |= {"value_dim": draw(either(None, 3)), "output_shape": draw(either(None, 5))}
        if extra:
            config["attention_axes"] = draw(either(None, [1], [len(extra) + 1], [1, 2]))
        name = "MultiHeadAttention"
    args = [ref(0), ref(0)]
    crossed = draw(st.booleans())
    if crossed and not extra:
        shapes.append([places, width])
        args[1] = ref(1)
        if draw(st.booleans()):
            args.append(ref(1))
    call: dict[str, Any] = {"use_causal_mask": draw(either(False, False, True))}
    inputs = [numbers(batch, *shape, seed=i) for i, shape in enumerate(shapes)]
    model_inputs = [{"shape": shape, "dtype": "float32"} for shape in shapes]
    if not extra and draw(either(False, False, True)):
        wide = places if args[1] == ref(1) else steps
        model_inputs.append({"shape": [steps, wide], "dtype": "bool"})
        call["attention_mask"] = ref(len(shapes))
        mask = np.random.default_rng(wide).random((batch, steps, wide)) > 0.3
        mask[..., 0] = True
        inputs.append(mask)
    scores = draw(either(False, False, False, True))
    if scores:
        call["return_attention_scores"] = True
    step = layer(name, *args, call=call, **config)
    at = len(model_inputs)
    outputs = [ref(at, 0), ref(at, 1)] if scores else [ref(at)]
    return {"inputs": model_inputs, "steps": [step], "outputs": outputs}, inputs


@examples(25)
@given(made=heads(), suffix=SUFFIXES)
def test_multi_head_attention(exact, made, suffix):
    model, inputs = made
    equal_or_refused(exact, model, inputs, suffix=suffix)


@st.composite
def plain(draw: st.DrawFn) -> tuple[dict[str, Any], list[np.ndarray]]:
    batch, steps, places = (draw(st.integers(1, 3)) for _ in range(3))
    shapes = [[steps, 4], [places, 4]]
    sources = [ref(0), ref(1)]
    if draw(st.booleans()):
        shapes.append([places, 4])
        sources.append(ref(2))
    call: dict[str, Any] = {"use_causal_mask": draw(either(False, False, True))}
    name = draw(either("Attention", "AdditiveAttention"))
    config: dict[str, Any] = {"use_scale": draw(st.booleans())}
    if name == "Attention":
        config["score_mode"] = draw(either("dot", "dot", "concat"))
    at = len(shapes)
    outputs = [ref(at)]
    if draw(either(False, False, True)):
        call["return_attention_scores"] = True
        outputs = [ref(at, 0), ref(at, 1)]
    model = program(shapes, layer(name, sources, call=call, **config), outputs=outputs)
    return model, [numbers(batch, *shape, seed=i) for i, shape in enumerate(shapes)]


@examples(10)
@given(made=plain(), suffix=SUFFIXES)
def test_attention(exact, made, suffix):
    model, inputs = made
    equal_or_refused(exact, model, inputs, suffix=suffix)


EQUATIONS = {
    "ab,bc->ac": ([3], [5]),
    "abc,cd->abd": ([2, 3], [None, 5]),
    "abc,cde->abde": ([2, 3], [None, 2, 4]),
    "abcd,cde->abe": ([2, 3, 4], [None, 5]),
    "...x,xy->...y": ([2, 3], [None, 5]),
    "abc,bd->adc": ([2, 3], [5, 3]),
    "abc,bcd->abd": ([2, 3], [2, 5]),
    "abcd,bde->abce": ([2, 3, 4], [2, 3, 5]),
    "abc,dc->abd": ([2, 3], [None, 5]),
}


@examples(10)
@given(
    equation=st.sampled_from(list(EQUATIONS)),
    bias=st.booleans(),
    activation=either(None, "relu", "softmax"),
)
def test_einsum_dense(exact, equation, bias, activation):
    shape, output_shape = EQUATIONS[equation]
    axes = equation.partition("->")[2].replace("...", "")[-1] if bias else None
    config = {"output_shape": output_shape, "bias_axes": axes, "activation": activation}
    model = program([shape], layer("EinsumDense", equation=equation, **config))
    equal_or_refused(exact, model, [numbers(2, *shape)])


@examples(10, taken=0.1)  # Layers have products of stacks only
@given(
    pair=either(
        ([3, 4], [4, 2]), ([3, 4], [4]), ([2, 3, 4], [2, 4, 5]), ([2, 3, 4], [4, 5]), ([4], [4, 5]),
        ([2, 3, 4], [1, 4, 5]), ([1, 3, 4], [2, 4, 5]),
    ),
    name=either("matmul", "dot", "einsum"),
)  # fmt: skip
def test_products_of_tensors(exact, pair, name):
    first, second = pair
    if name == "einsum":
        text = "bij,bjk->bik" if len(first) == 2 else "bhij,bhjk->bhik"
        step = op(name, text, ref(0), ref(1))
    else:
        step = op(name, ref(0), ref(1))
    model = program([first, second], step)
    equal_or_refused(exact, model, [numbers(2, *first), numbers(2, *second, seed=1)])
