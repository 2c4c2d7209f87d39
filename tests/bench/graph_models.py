"""Save the models of ``graphs.py``: ``python graph_models.py FOLDER``, with TensorFlow 2.19."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tf_keras
from keras import layers

RANDOM = np.random.default_rng(0)


def application(package, name):
    def build():
        make = getattr(package.applications, name)
        model = make(weights=None, classifier_activation=None)
        for weight in model.weights:  # a BatchNormalization that does something
            if len(weight.shape) == 1:
                weight.assign(RANDOM.uniform(0.8, 1.2, weight.shape))
        return model

    return build


def lstm():
    given = keras.Input((32, 16))
    made = layers.LSTM(64, return_sequences=True)(given)
    return keras.Model(given, layers.Dense(10)(layers.LSTM(64)(made)))


def transformer():
    """Two encoder blocks; relu, because the official converter refuses gelu."""
    given = keras.Input((64, 64))
    made = given
    for _ in range(2):
        normed = layers.LayerNormalization()(made)
        made = layers.add([made, layers.MultiHeadAttention(4, 16)(normed, normed)])
        wide = layers.Dense(256, activation="relu")(layers.LayerNormalization()(made))
        made = layers.add([made, layers.Dense(64)(wide)])
    return keras.Model(given, layers.Dense(10)(layers.GlobalAveragePooling1D()(made)))


MODELS = {
    "MobileNetV2 (Keras 2)": application(tf_keras, "MobileNetV2"),
    "MobileNetV2 (Keras 3)": application(keras, "MobileNetV2"),
    "EfficientNetB0 (Keras 3)": application(keras, "EfficientNetB0"),
    "ResNet50 (Keras 3)": application(keras, "ResNet50"),
    "LSTM, 2 × 64, 32 steps (Keras 3)": lstm,
    "Transformer, 2 blocks (Keras 3)": transformer,
}


def main(folder: Path) -> None:
    listed = []
    for number, (title, build) in enumerate(MODELS.items()):
        model = build()
        model.export(str(folder / f"model{number}"))
        shape = [1, *model.inputs[0].shape[1:]]
        listed.append({"title": title, "path": f"model{number}", "shape": shape})
    (folder / "models.json").write_text(json.dumps(listed))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
