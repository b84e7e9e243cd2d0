"""Whole runs on a real Spark, and what one would write instead: `python -m benchmarks.pipeline`."""
