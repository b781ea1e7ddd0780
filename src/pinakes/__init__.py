"""Pinakes: a self-hosted image archive."""

__version__ = "0.1.0"
