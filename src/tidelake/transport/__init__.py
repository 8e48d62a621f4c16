"""Moves bytes: HTTP with retries and rates. Knows no source by name."""
