import numpy as np
import tensorflow as tf
import tensorflowjs as tfjs

model = tf.keras.Sequential([tf.keras.layers.Dense(3, input_shape=(4,), activation="tanh")])
tfjs.converters.save_keras_model(model, "load_back")
again = tfjs.converters.load_keras_model("load_back/model.json")
x = np.ones((2, 4), "float32")
np.testing.assert_allclose(again.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6)
