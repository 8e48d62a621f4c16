"""Folders for what one process needs while it reconstructs a day, gone when it is done, or dead."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tidelake.raw.store import Store


@contextmanager
def scratch_folder(store: Store) -> Iterator[Path]:
    """A new folder below the store's spool; those that killed processes of this machine left are removed too."""
    home = store.spool() / "reconstruct"
    home.mkdir(exist_ok=True)
    for left in home.iterdir():
        if not _is_alive(int(left.name.partition("-")[0])):
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=home))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
