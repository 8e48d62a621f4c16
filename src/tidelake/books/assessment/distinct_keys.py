"""How many of a day's keys are repeated, in a sixteenth of the memory that holds them all."""

from pathlib import Path

import numpy as np

from tidelake.books.assessment.rows import Keys

SHARES = 16
MIX = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio: neighbouring numbers go to different shares
TOP_BITS = np.uint64(60)


class RepeatedKeys:
    """Counts keys that came before; they lie in `folder`, which is the caller's to remove, until they are counted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True)

    def add(self, keys: Keys) -> None:
        """Take keys, uint64[n]."""
        share = (keys * MIX) >> TOP_BITS
        for number in np.unique(share).tolist():
            with (self._folder / f"{number}").open("ab") as file:
                keys[share == number].tofile(file)

    def repeated(self) -> int:
        """How many keys are equal to one before them."""
        return sum(_repeated(np.fromfile(path, dtype=np.uint64)) for path in self._folder.iterdir())


def _repeated(keys: Keys) -> int:
    keys.sort()
    return int((keys[1:] == keys[:-1]).sum())
