"""Which weights to store in fewer bits, and how to lose less by it."""
