"""Numba loops: arrays in, arrays out. They trust what their docstrings say and never raise."""
