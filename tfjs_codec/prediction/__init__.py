"""Predictions in numpy."""
