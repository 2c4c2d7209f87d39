import tensorflow as tf
import tensorflowjs as tfjs


class Model(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32)])
    def __call__(self, x):
        return tf.nn.relu(x @ tf.constant([[1.0, -1.0], [2.0, 0.5]]))


tf.saved_model.save(Model(), "module")
tfjs.converters.convert_tf_saved_model("module", "saved_model")
