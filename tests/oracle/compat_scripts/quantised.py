import numpy as np
import tensorflow as tf
import tensorflowjs as tfjs

inputs = tf.keras.Input((8, 8, 3))
x = tf.keras.layers.Conv2D(4, 3)(inputs)
x = tf.keras.layers.GlobalAveragePooling2D()(x)
model = tf.keras.Model(inputs, tf.keras.layers.Dense(2, activation="softmax")(x))
tfjs.converters.save_keras_model(
    model, "quantised", quantization_dtype_map={"uint8": "*"}, weight_shard_size_bytes=1024
)
tfjs.converters.save_keras_model(
    model, "quantised16", {"float16": True}, metadata={"labels": ["a", "b"]}
)
assert np.prod(model.output_shape[1:]) == 2
