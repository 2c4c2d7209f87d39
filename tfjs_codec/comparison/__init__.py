"""``diff``: what two models do not have in common."""
