"""Decides when a request is sent, and whether once more."""
