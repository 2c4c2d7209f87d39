"""``bundle``: what one model needs of tfjs, and files from which a bundler makes just that."""
