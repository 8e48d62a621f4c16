"""Simulated venues with known truth, planned faults, playback of recordings and generated samples."""
