"""Tracing: the calls of a Keras model, one by one, through the rules of a target."""
