"""Rules for Keras classes, by family."""
