"""TensorFlow.js model files without TensorFlow."""
