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
tfjs_codec.save_keras_model(model, "graph", to="graph")
ours = tfjs_codec.load(model).predict(fed)
np.testing.assert_allclose(ours, model.predict(fed, verbose=0), rtol=1e-4, atol=1e-5)
np.savez("io.npz", fed, model.predict(fed, verbose=0))
"""

# The official Python interface, there and back.
COMPAT = """
import sys, numpy as np
from tfjs_codec import compat
compat.install()
import tensorflowjs as tfjs
keras = __import__(sys.argv[1])
L = keras.layers
model = keras.Sequential([keras.Input((4,)), L.Dense(5, activation="elu"), L.LayerNormalization(),
                          L.Dense(2)])
fed = np.arange(12, dtype="float32").reshape(3, 4) / 7
tfjs.converters.save_keras_model(model, "web", weight_shard_size_bytes=64)
back = tfjs.converters.load_keras_model("web/model.json")
bare = tfjs.converters.load_keras_model("web/model.json", load_weights=False)
assert [w.shape for w in bare.get_weights()] == [w.shape for w in model.get_weights()]
buffers = [b"".join(open("web/" + p, "rb").read() for p in g["paths"])
           for g in __import__("json").load(open("web/model.json"))["weightsManifest"]]
again = tfjs.converters.deserialize_keras_model(open("web/model.json").read(), buffers)
np.testing.assert_allclose(back.predict(fed, verbose=0), model.predict(fed, verbose=0), atol=1e-6)
np.testing.assert_allclose(again.predict(fed, verbose=0), model.predict(fed, verbose=0), atol=1e-6)
np.savez("io.npz", fed, model.predict(fed, verbose=0))
"""


@pytest.mark.parametrize("script", [SCRIPT, COMPAT], ids=["own", "compat"])
@pytest.mark.parametrize(
    ("module", "backend"), [("keras", "jax"), ("keras", "torch"), ("tf_keras", "tensorflow")]
)
def test_a_live_model_predicts_the_same(script, module, backend, tensorflow, tfjs, tmp_path):
    command = tensorflow
    if module == "keras":  # in an environment without TensorFlow
        shared = tmp_path / "shared"
        shared.mkdir()
        (shared / "tfjs_codec").symlink_to(Path(tfjs_codec.__file__).parent)
        python = os.environ["TFJS_CODEC_KERAS_PYTHON"]
        command = ["env", f"PYTHONPATH={shared}", f"KERAS_BACKEND={backend}", python]
    subprocess.run([*command, "-c", script, module], check=True, cwd=tmp_path)
    with np.load(tmp_path / "io.npz") as recorded:
        fed, expected = (recorded[name] for name in recorded.files)
    for target in ("web", "graph")[: 2 if script is SCRIPT else 1]:
        assert_close(tfjs.predict(tmp_path / target, [fed]), [expected])
