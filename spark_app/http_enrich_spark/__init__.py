"""Runs a pipeline on Spark: one row, one request."""
