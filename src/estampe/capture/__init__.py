"""Capture: from a server to an image template."""
