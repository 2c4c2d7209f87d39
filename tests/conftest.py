"""Fixtures that several test directories share."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

TESTS = Path(__file__).parent
PARTS = ("batch", "docs", "hostile", "mutants", "oracle", "property")
HELPERS = (TESTS, *(TESTS / name for name in PARTS))
sys.path[:0] = map(str, HELPERS)

from keras_server import KerasServer  # noqa: E402  found by the line above
from programs import Checker  # noqa: E402
from tfjs_node import TfjsNode  # noqa: E402

import tfjs_codec  # noqa: E402

ROOT = TESTS.parent


def pytest_configure(config: pytest.Config) -> None:
    """Let the processes that tests start share bytecode, where none is written beside sources.

    To compile the package takes each of some hundred processes longer than what it is started for.
    """
    if sys.dont_write_bytecode and "PYTHONDONTWRITEBYTECODE" in os.environ:
        folder = TemporaryDirectory(prefix="tfjs_codec-bytecode-")
        config.add_cleanup(folder.cleanup)
        del os.environ["PYTHONDONTWRITEBYTECODE"]
        os.environ["PYTHONPYCACHEPREFIX"] = folder.name


def pytest_collection_finish() -> None:
    """Keep the collector of cycles away from ten thousand tests, which live to the end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def fixtures_dir() -> Path:
    """The directory of recorded models."""
    return ROOT / "fixtures"


@pytest.fixture(scope="session")
def tfjs() -> Iterator[TfjsNode]:
    """Real TensorFlow.js in Node, one process for the whole session."""
    with closing(TfjsNode()) as node:
        yield node


@pytest.fixture(scope="session")
def keras_oracle() -> Iterator[KerasServer]:
    """Keras 3, one process for the whole session."""
    with closing(KerasServer()) as server:
        yield server


@pytest.fixture(scope="session")
def tensorflow(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The start of a command that runs Python with TensorFlow, tf_keras and our package."""
    python = os.environ.get("TFJS_CODEC_TF_PYTHON")
    if python is None:
        raise FileNotFoundError(
            "set TFJS_CODEC_TF_PYTHON to a Python that has installed "
            "tests/oracle/tensorflow_oracle/requirements.txt"
        )
    # Only our package is shared: the rest must be what TensorFlow came with.
    shared = tmp_path_factory.mktemp("shared")
    (shared / "tfjs_codec").symlink_to(Path(tfjs_codec.__file__).parent)
    settings = (f"PYTHONPATH={shared}", "TF_USE_LEGACY_KERAS=1", "TF_CPP_MIN_LOG_LEVEL=3")
    return ["env", *settings, python]


@pytest.fixture(scope="session")
def exact(
    keras_oracle: KerasServer, tfjs: TfjsNode, tmp_path_factory: pytest.TempPathFactory
) -> Checker:
    """The check that a program's model predicts the same in Keras and in tfjs."""
    return Checker(keras_oracle, tfjs, tmp_path_factory.mktemp("programs"))
