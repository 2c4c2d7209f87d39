"""Save the models of ``targets.py``: ``python target_models.py FOLDER``, with Keras 3."""

from __future__ import annotations

import sys
from pathlib import Path

import keras
from keras import layers


def recurrent(layer, *, both=False):
    given = keras.Input((100, 64))
    if both:
        made = layers.Bidirectional(layer(64))(given)
    else:
        made = layer(64)(layer(64, return_sequences=True)(given))
    return keras.Model(given, layers.Dense(10)(made))


def transformer():
    given = made = keras.Input((128, 64))
    for _ in range(4):
        normed = layers.LayerNormalization()(made)
        made = layers.add([made, layers.MultiHeadAttention(8, 8)(normed, normed)])
        wide = layers.Dense(256, activation="gelu")(layers.LayerNormalization()(made))
        made = layers.add([made, layers.Dense(64)(wide)])
    return keras.Model(given, layers.Dense(10)(layers.GlobalAveragePooling1D()(made)))


MODELS = {
    "MobileNetV2": lambda: keras.applications.MobileNetV2(weights=None),
    "Transformer, 4 layers, 8 heads, 128 steps": transformer,
    "LSTM x 2, 100 steps": lambda: recurrent(layers.LSTM),
    "GRU x 2, 100 steps": lambda: recurrent(layers.GRU),
    "Bidirectional GRU, 100 steps": lambda: recurrent(layers.GRU, both=True),
}

if __name__ == "__main__":
    for name, make in MODELS.items():
        make().save(Path(sys.argv[1]) / f"{name}.keras")
