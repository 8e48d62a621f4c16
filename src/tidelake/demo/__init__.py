"""The demonstration: the whole path offline, told step by step, on simulated venues or on recorded frames."""

from tidelake.demo.run import run

__all__ = ["run"]
