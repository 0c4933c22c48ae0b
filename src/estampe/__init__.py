"""Estampe: capture virtual servers into image templates and deploy new servers from them."""

__version__ = "0.1.0"
