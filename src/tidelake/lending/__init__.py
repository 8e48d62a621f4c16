"""Lending markets as dated facts, and what is supplied, borrowed and liquidated in each, read from its chain."""
