"""The functions of ``keras.ops`` as graph operations, by family."""
