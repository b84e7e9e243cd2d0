"""Says what happened, without changing it."""
