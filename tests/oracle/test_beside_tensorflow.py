"""Our messages and TensorFlow's in one process: whichever is imported first, both must work."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parents[2] / "fixtures"
OURS = """
from tfjs_codec.files.saved_model import open_saved_model
model = open_saved_model(path)
variables = model.tensors()
"""
THEIRS = """
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
graph = SavedModel.FromString((path / "saved_model.pb").read_bytes()).meta_graphs[0]
values = tf.train.load_checkpoint(str(path / "variables" / "variables"))
"""
COMPARED = """
assert type(graph).FromString(model.meta_graph.SerializeToString()) == graph
for name in values.get_variable_to_shape_map():
    expected = np.asarray(values.get_tensor(name), object)
    np.testing.assert_array_equal(variables[name].numpy().astype(object), expected)
"""


@pytest.mark.tensorflow
@pytest.mark.parametrize("parts", [(OURS, THEIRS), (THEIRS, OURS)], ids=["before", "after"])
def test_in_one_process(tensorflow, parts):
    path = FIXTURES / "savedmodel_tf2.19_compiled" / "model"
    start = f"from pathlib import Path\npath = Path({str(path)!r})"
    code = "".join((start, *parts, COMPARED))
    subprocess.run([*tensorflow, "-c", code], check=True)
