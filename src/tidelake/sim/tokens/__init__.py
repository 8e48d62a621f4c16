"""Tokens of both mint styles for a real node, such as `anvil`."""
