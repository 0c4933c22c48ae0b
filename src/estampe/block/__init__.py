"""Volumes' bytes: endpoints to read from and write to, and the bounded pipeline between them."""
