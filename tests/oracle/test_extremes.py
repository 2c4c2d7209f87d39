"""Numbers at the ends of float32's range, and beside 0: Keras's are tfjs's there, too."""

from __future__ import annotations

import numpy as np
import pytest
from programs import layer, numbers, op, program, ref

from tfjs_codec.errors import UnsupportedModelError

pytestmark = [pytest.mark.oracle, pytest.mark.node]

SMALL = np.array([[0.1257, -0.132, 0.64, 0.1049], [-2e6, 2e6, 1e-3, 0]], np.float32)


@pytest.mark.parametrize("bounds", [(-1e6, 1e6), (0.0, 1e6), (0.0, 0.0), (0.1, 0.5), (1.0, -1.0)])
def test_clip_keeps_every_digit(exact, bounds):
    exact(program([[4]], op("clip", ref(0), *bounds)), [SMALL], atol=0)


def test_relu_with_a_large_maximum(exact):
    step = layer("ReLU", max_value=1e6, threshold=0.1, negative_slope=0.1)
    exact(program([[4]], step), [SMALL], atol=0)


LARGE = np.array([[1, 2, 100, 200], [0, -1, 11, 9], [-100, 10, 88, 5]], np.float32)


@pytest.mark.parametrize("name", ["minimum", "maximum"])
def test_extremum_of_what_overflows_and_a_constant(exact, name):
    exact(program([[4]], op("exp", ref(0)), op(name, ref(1), 5.0)), [LARGE])


@pytest.mark.parametrize("backend", ["wasm", "cpu"])
def test_where_one_branch_overflows(exact, backend):
    model = program(
        [[4]], op("greater", ref(0), 10.0), op("exp", ref(0)), op("where", ref(1), ref(0), ref(2)),
        op("where", ref(1), ref(2), ref(0)), op("where", ref(1), 3.0, ref(2)),
        outputs=[ref(3), ref(4), ref(5)],
    )  # fmt: skip
    exact(model, [LARGE], backend=backend)


@pytest.mark.parametrize("keepdims", [True, False])
def test_logsumexp_of_entries_far_apart(exact, keepdims):
    far = np.array([[-1e9, 1, 2, 3], [0, 1, 2, -1e9], [90, 100, 1e4, 7]], np.float32)
    exact(program([[4]], op("logsumexp", ref(0), axis=-1, keepdims=keepdims)), [far])


def test_logsumexp_over_an_axis_of_unknown_size(exact):
    exact(program([[None, 4]], op("logsumexp", ref(0), axis=1)), [numbers(2, 3, 4)])


def test_unit_normalization_of_short_vectors(exact):
    short = np.array([[0, 0, 0, 0], [1e-8, 0, 0, 1e-7], [0, 3e-6, 0, 0]], np.float32)
    exact(program([[4]], layer("UnitNormalization")), [short])


def test_normalize_with_a_large_epsilon_is_refused(exact):
    with pytest.raises(UnsupportedModelError, match="its epsilon is large"):
        exact(program([[4]], op("normalize", ref(0), epsilon=1.0)), [SMALL])


@pytest.mark.parametrize("backend", ["wasm", "cpu"])
def test_expm1_beside_0_and_far_from_it(exact, backend):
    values = np.array([1e-3, 1e-4, 1e-5, 1e-7, 0, 1, 5, 80, 1e4], np.float32)
    values = np.concatenate([values, -values])[:, None]
    exact(program([[1]], op("expm1", ref(0))), [values], backend=backend, atol=0)


def test_divisions_say_where_they_hold(exact):
    model = program([[4], [4]], op("divide", ref(0), ref(1)))
    report = exact(model, [SMALL, 1 + SMALL])
    assert any("1e-15 < |divisor| < 1e19" in warning for warning in report.warnings)
