"""Volumes of a template served as NBD exports out of the chunk store."""
