"""Recorded crises of stablecoins, played to the real machine: when it spoke, how early, and how often for nothing."""
