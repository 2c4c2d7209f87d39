"""TensorFlow.js model files without TensorFlow."""

__version__ = "0.1.0"
