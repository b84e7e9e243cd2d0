"""Proves to the API who is asking."""
