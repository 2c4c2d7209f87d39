"""Save the models of ``targets.py``: ``python target_models.py FOLDER [WORD]``, with TensorFlow.

Each is saved as ``NAME.keras`` and exported as the SavedModel ``NAME``, with random weights. A
*WORD* selects models by their names.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
from keras import layers


def recurrent(layer, steps=100, *, both=False):
    given = keras.Input((steps, 64))
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


def convnext():
    given = keras.Input((64, 64, 3))
    made = layers.Conv2D(64, 4, strides=4)(given)
    for _ in range(3):
        wide = layers.LayerNormalization()(layers.DepthwiseConv2D(7, padding="same")(made))
        made = layers.add([made, layers.Dense(64)(layers.Dense(256, activation="gelu")(wide))])
    return keras.Model(given, layers.Dense(10)(layers.GlobalAveragePooling2D()(made)))


def groups():
    given = made = keras.Input((64, 64, 3))
    for filters in (32, 64, 64):
        made = layers.Conv2D(filters, 3, strides=2, padding="same")(made)
        made = layers.Activation("silu")(layers.GroupNormalization(8)(made))
    return keras.Model(given, layers.Dense(10)(layers.GlobalAveragePooling2D()(made)))


def unet():
    given = made = keras.Input((64, 64, 3))
    skipped = []

    def block(x, filters):
        for _ in range(2):
            x = layers.Conv2D(filters, 3, padding="same")(x)
            x = layers.ReLU()(layers.BatchNormalization()(x))
        return x

    for filters in (16, 32, 64):
        made = block(made, filters)
        skipped.append(made)
        made = layers.MaxPooling2D()(made)
    made = block(made, 128)
    for filters in (64, 32, 16):
        made = layers.Conv2DTranspose(filters, 2, strides=2, padding="same")(made)
        made = block(layers.Concatenate()([made, skipped.pop()]), filters)
    return keras.Model(given, layers.Conv2D(2, 1, activation="softmax")(made))


MODELS = {
    "MobileNetV2": lambda: keras.applications.MobileNetV2(weights=None),
    "EfficientNetB0": lambda: keras.applications.EfficientNetB0(weights=None),
    "ResNet50": lambda: keras.applications.ResNet50(weights=None),
    "ConvNeXt blocks": convnext,
    "Transformer, 4 layers, 8 heads, 128 steps": transformer,
    "GroupNormalization and silu": groups,
    "U-Net": unet,
    "LSTM x 2, 100 steps": lambda: recurrent(layers.LSTM),
    "GRU x 2, 100 steps": lambda: recurrent(layers.GRU),
    "Bidirectional GRU, 100 steps": lambda: recurrent(layers.GRU, both=True),
    "LSTM x 2, unknown steps": lambda: recurrent(layers.LSTM, None),
    "LSTM x 2, 500 steps": lambda: recurrent(layers.LSTM, 500),
}

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    for name, make in MODELS.items():
        if "".join(sys.argv[2:3]) in name:
            model = make()
            model.save(folder / f"{name}.keras")
            model.export(folder / name)
