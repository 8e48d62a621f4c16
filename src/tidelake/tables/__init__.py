"""Canonical tables: schemas, mappings, derive, and reads as of a time."""
