import sys

import tensorflow as tf
from tensorflowjs.converters.converter import pip_main

tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(2,))]).save("dense.h5")
sys.argv = ["tensorflowjs_converter", "--input_format=keras", "dense.h5", "command_line"]
try:
    pip_main()
except SystemExit as end:
    assert not end.code
