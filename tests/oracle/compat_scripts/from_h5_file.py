import tensorflow as tf
from tensorflowjs.converters import converter

tf.keras.Sequential([tf.keras.layers.LSTM(3, input_shape=(5, 2))]).save("lstm.h5")
topology, groups = converter.dispatch_keras_h5_to_tfjs_layers_model_conversion(
    "lstm.h5", output_dir="from_h5_file"
)
print([entry["name"] for group in groups for entry in group])
