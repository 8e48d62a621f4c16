"""Simulated chains: a JSON-RPC double with archive state of lending markets, and the truth that it was made from."""
