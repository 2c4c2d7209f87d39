"""``preview``: a page that shows a model, and runs it in TensorFlow.js."""
