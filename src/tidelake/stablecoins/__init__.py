"""Stablecoins: what is known of coins, what moves their supply, and what is believed of them at a moment."""
