import tensorflow as tf
import tensorflowjs as tfjs

model = tf.keras.Sequential(
    [tf.keras.layers.Dense(4, activation="relu", input_shape=(3,)), tf.keras.layers.Dense(1)]
)
model.compile(loss="mse", optimizer="sgd")
model.fit(tf.random.normal((16, 3)), tf.random.normal((16, 1)), verbose=0)
tfjs.converters.save_keras_model(model, "train_and_save")
