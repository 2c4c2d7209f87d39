import tensorflow as tf
from tensorflowjs.converters.tf_saved_model_conversion_v2 import convert_tf_frozen_model

with tf.Graph().as_default() as graph:
    x = tf.compat.v1.placeholder(tf.float32, [None, 3], name="x")
    tf.identity(tf.matmul(x, tf.constant([[1.0], [2.0], [3.0]])), name="y")
tf.io.write_graph(graph.as_graph_def(), ".", "frozen.pb", as_text=False)
convert_tf_frozen_model("frozen.pb", "y", "frozen", quantization_dtype_map={"float16": "*"})
