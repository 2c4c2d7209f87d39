"""The table of ``keras.ops`` says what Keras says."""

from __future__ import annotations

import pytest

from tfjs_codec.keras.signatures import OPERATIONS, signature

pytestmark = pytest.mark.oracle

# Functions of TensorFlow and of Keras 2, and operations that Keras's graphs have but keras.ops not.
OTHERS = {
    "add_n", "batch_flatten", "bias_add", "embedding_lookup", "ensure_shape", "euclidean_norm",
    "fix", "flatten", "gather_nd", "getitem", "l2_normalize", "linalg_band_part", "linalg_diag",
    "permute_dimensions", "rank", "rint", "rsub", "rtruediv", "sequence_mask", "squared_difference",
    "variance",
}  # fmt: skip
NAMESAKES = {"identity", "stop_gradient"}  # of one tensor here, as TensorFlow's are
# Keras takes None and fails; the names of the axes.
UNLIKE = {("multi_hot", "num_classes"), ("rearrange", "axes_lengths")}


def test_signatures_are_those_of_keras(keras_oracle):
    told = keras_oracle.signatures(sorted(OPERATIONS))
    assert OPERATIONS - told.keys() == OTHERS
    for name in sorted(told.keys() - NAMESAKES):
        row, keras = signature(name), dict(told[name])
        if row.operands[:1] != ("subscripts",) and row.operands:
            assert list(keras)[: len(row.operands)] == list(row.operands), name
        for key in {*row.operands, *row.options} & keras.keys():
            default = repr(row.defaults[key]) if key in row.defaults else None
            assert default == keras[key] or (name, key) in UNLIKE, (name, key)
