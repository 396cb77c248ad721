"""Lethe: wash facts out of a language model, and see what stays."""

__version__ = "0.1.0"
