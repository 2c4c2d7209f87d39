"""One rule for each Keras layer class, by family."""
