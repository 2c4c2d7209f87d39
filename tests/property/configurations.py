"""How the property tests of layers run: any configuration, equal numbers or a refusal."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
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


def examples(number: int) -> Callable[[Test], Test]:
    """Run a property test on *number* examples, always the same ones."""
    return settings(
        max_examples=number * _TIMES,
        derandomize=_TIMES == 1,
        deadline=None,
        database=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )


def equal_or_refused(
    exact: Checker, model: Program, inputs: Sequence[np.ndarray], **options: Any
) -> bool:
    """Check *model*; return whether we took it. Ends the example if Keras does not take it."""
    try:
        exact(model, inputs, **options)
    except KerasError:
        assume(condition=False)
    except UnsupportedModelError:
        return False
    return True


def either(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


SUFFIXES = either(".keras", ".keras", ".h5")
BACKENDS = either("wasm", "wasm", "cpu")
