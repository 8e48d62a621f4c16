"""Reads the events of a day in a process of its own, and prints how many levels there were and the peak of its memory.

python peak_memory.py VENDOR TABLE FILE SCRATCH
"""

import sys
from pathlib import Path
from types import SimpleNamespace

from tidelake.books.reconstruction.merging import day_events
from tidelake.vendors.registry import vendor


def peak_bytes():
    """The most that the process ever held; of a child `ru_maxrss` would be that of its parent, where that was more."""
    told = Path("/proc/self/status").read_text().split("VmHWM:")[1]
    return int(told.split()[0]) * 1024


if __name__ == "__main__":
    name, table, path, scratch = sys.argv[1:]
    file = SimpleNamespace(path=Path(path), table=table, sha256="")
    day = day_events([file], vendor(name), clock="recv", with_deltas=True, scratch=Path(scratch), batch_levels=1 << 14)
    print(sum(len(batch.tick) for batch in day), peak_bytes())
