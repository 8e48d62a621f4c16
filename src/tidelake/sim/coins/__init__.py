"""Simulated stablecoins over chains with known truth: seeded histories as events, as CSV folders, as providers."""
