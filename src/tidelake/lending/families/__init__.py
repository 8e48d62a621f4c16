"""Families of lending protocols: which calls tell a market's state, and what its logs say; one module each."""
