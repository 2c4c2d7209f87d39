"""``verify``: checks of a tfjs model."""
