"""Keeps the same question from being asked, or counted, twice."""
