"""What the spawned processes of the reconstruction's crash tests run."""

from tests.books.reconstruction.true_days import SOURCE, SYMBOL, VENDOR
from tests.vendor_files import DAY
from tidelake.books.reconstruction.day import reconstruct_day
from tidelake.books.reconstruction.task import DayReport, DayTask


def reconstruct_small(url: str, every_ns: int) -> DayReport:
    """The small day, in several commits."""
    return reconstruct_day(
        DayTask(url, VENDOR, SOURCE, SYMBOL, DAY, "full_event_replay", every_ns=every_ns, chunk_rows=1)
    )
