"""Facts about TensorFlow.js: Layers classes, names, topologies, graph operations."""
