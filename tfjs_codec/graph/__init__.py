"""TensorFlow graphs to tfjs graph models: sources, passes, and what tfjs can execute."""
