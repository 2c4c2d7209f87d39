"""Live Keras models: what ``save_keras_model`` writes predicts in tfjs what the model predicts."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from compare import assert_close

import tfjs_codec

pytestmark = [pytest.mark.oracle, pytest.mark.node]

SCRIPT = """
import sys, numpy as np, tfjs_codec
keras = __import__(sys.argv[1])
L = keras.layers
words = keras.Input((6,), dtype="int32")
x = L.Bidirectional(L.GRU(3))(L.Embedding(10, 4)(words))
inner = keras.Sequential([L.InputLayer((6,)), L.Dense(5, activation="relu"), L.Dropout(0.2),
                          L.BatchNormalization()])
model = keras.Model(words, L.Dense(2)(inner(L.BatchNormalization()(x))))
fed = np.arange(12, dtype="int32").reshape(2, 6) % 10
tfjs_codec.save_keras_model(model, "web", quantize={"uint8": []})
np.savez("io.npz", fed, model.predict(fed, verbose=0))
"""


@pytest.mark.parametrize(
    ("module", "backend"), [("keras", "jax"), ("keras", "torch"), ("tf_keras", "tensorflow")]
)
def test_a_live_model_predicts_the_same(module, backend, tensorflow, tfjs, tmp_path):
    command = tensorflow
    if module == "keras":  # in an environment without TensorFlow
        shared = tmp_path / "shared"
        shared.mkdir()
        (shared / "tfjs_codec").symlink_to(Path(tfjs_codec.__file__).parent)
        python = os.environ["TFJS_CODEC_KERAS_PYTHON"]
        command = ["env", f"PYTHONPATH={shared}", f"KERAS_BACKEND={backend}", python]
    subprocess.run([*command, "-c", SCRIPT, module], check=True, cwd=tmp_path)
    with np.load(tmp_path / "io.npz") as recorded:
        fed, expected = (recorded[name] for name in recorded.files)
    assert_close(tfjs.predict(tmp_path / "web", [fed]), [expected])
