"""Keras models as graphs of operations: the builder, ``keras.ops`` in it, a rule for each layer."""
