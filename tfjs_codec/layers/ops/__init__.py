"""One rule for each Keras operation, by family."""
