"""How the property tests of layers run: any configuration, equal numbers or a refusal."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar

import numpy as np
from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from keras_server import KerasError
from programs import Checker, Program

from tfjs_codec.errors import UnsupportedModelError

Test = TypeVar("Test", bound=Callable[..., Any])

# TFJS_CODEC_EXAMPLES multiplies the numbers of examples, for a long search on one's own machine.
_TIMES = int(os.environ.get("TFJS_CODEC_EXAMPLES", "1"))


# Whether each example of the running test was taken.
_TAKEN: list[bool] = []


def took(*, taken: bool) -> None:
    """Note whether the code under test took an example, for :func:`at_least`."""
    _TAKEN.append(taken)


def at_least(share: float) -> Callable[[Test], Test]:
    """Fail a property test in which less than *share* of the examples were taken."""

    def decorate(test: Test) -> Test:
        @wraps(test)
        def counted(*args: Any, **kwargs: Any) -> None:
            _TAKEN.clear()
            test(*args, **kwargs)
            assert sum(_TAKEN) >= share * len(_TAKEN) > 0, f"{sum(_TAKEN)} of {len(_TAKEN)} taken"

        return counted  # type: ignore[return-value]

    return decorate


def examples(number: int, taken: float = 0.25) -> Callable[[Test], Test]:
    """Run a property test on *number* examples, always the same ones.

    At least the share *taken* must become Layers models: a rule that refuses all is no good.
    """
    chosen = settings(
        max_examples=number * _TIMES,
        derandomize=_TIMES == 1,
        deadline=None,
        database=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )
    return lambda test: at_least(taken)(chosen(test))


def equal_or_refused(
    exact: Checker, model: Program, inputs: Sequence[np.ndarray], **options: Any
) -> None:
    """Check *model*; note whether we took it. Ends the example if Keras does not take it."""
    try:
        exact(model, inputs, **options)
    except KerasError:
        assume(condition=False)
    except UnsupportedModelError:
        took(taken=False)
    else:
        took(taken=True)


def either(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


SUFFIXES = either(".keras", ".keras", ".h5")
BACKENDS = either("wasm", "wasm", "cpu")
