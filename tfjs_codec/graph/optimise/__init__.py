"""Passes that keep what a graph computes and make it smaller or faster."""
