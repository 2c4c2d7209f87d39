"""Raising: a tfjs model becomes one of layers that Keras 2 and Keras 3 have, and agree about."""
