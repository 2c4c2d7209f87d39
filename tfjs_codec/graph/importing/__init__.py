"""TensorFlow graphs become one flat graph of the IR."""
