"""The shared price path of each asset: a pure function of (seed, asset, time), the same for every venue.

It is value noise summed over octaves from 8 seconds to about 12 days, each twice as long as the last and stronger by
the square root of two, so that a chart looks like a random walk on every scale, yet any moment can be asked for
directly. Only integer hashes, additions and multiplications are used, so the path is the same on every machine.
"""

from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

BASE_USD = {
    "BTC": 60_000.0,
    "ETH": 2_600.0,
    "SOL": 150.0,
    "DOGE": 0.12,
    "XRP": 0.55,
    "USD": 1.0,
    "USDT": 1.0002,
    "USDC": 0.9999,
    "EUR": 1.08,
}
QUIET = {"USD": 0.0, "USDT": 0.01, "USDC": 0.01, "EUR": 0.1}  # how much the asset moves, relative to the others
SHORTEST_NS = 8_000_000_000
OCTAVES = 18
STEP = 0.00008  # relative size of the shortest octave


def seed_of(*parts: object) -> int:
    """64 bits that depend on all parts and on nothing else."""
    return int.from_bytes(blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest(), "big")


def mix(numbers: NDArray[Any], seed: int) -> NDArray[np.uint64]:
    """A well mixed 64-bit hash of each integer (the finaliser of splitmix64)."""
    z = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def unit(numbers: NDArray[Any], seed: int) -> Floats:
    """One float in [0, 1) for each integer, by hash."""
    return (mix(numbers, seed) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def noise(time_ns: Ints, period_ns: int, seed: int) -> Floats:
    """Values in [-1, 1] at the times: straight lines between hashed values one period apart."""
    left = time_ns // period_ns
    part = (time_ns - left * period_ns).astype(np.float64) / period_ns
    a, b = unit(left, seed), unit(left + 1, seed)
    return 2.0 * (a + (b - a) * part) - 1.0


def walk(time_ns: Ints, seed: int) -> Floats:
    """The relative displacement of an asset from its base at the times."""
    total = np.zeros(len(time_ns))
    for octave in range(OCTAVES):
        total += STEP * 2.0 ** (octave / 2) * noise(time_ns, SHORTEST_NS << octave, seed + octave)
    return total


def reference_usd(asset: str, time_ns: Ints, seed: int) -> Floats:
    """Price of the asset in US dollars at the times.

    Raises:
        KeyError: The asset is not in `BASE_USD`.
    """
    return BASE_USD[asset] * (1.0 + QUIET.get(asset, 1.0) * walk(time_ns, seed_of(seed, "reference", asset)))
