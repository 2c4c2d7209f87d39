"""Facts about Keras: classes, operations, variables, the dialects of its generations."""
