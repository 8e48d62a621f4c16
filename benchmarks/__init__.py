"""Measures each budget of the project against its peer, in one run: `python -m benchmarks [NAME..] [--quick]`."""
