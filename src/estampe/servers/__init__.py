"""Servers: list, start, stop, delete."""
