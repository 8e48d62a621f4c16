"""The trades on one page, for a job that must know how far it has come."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import pyarrow as pa

from tidelake.raw.frame import Frame, encode_line
from tidelake.tables.decode import decode
from tidelake.tables.mapping import Mapping
from tidelake.tables.registry import TABLES
from tidelake.tables.segment_lines import split

PageRow = tuple[int | None, int, str]  # trade_seq, event time in ns, trade_id


@dataclass(frozen=True)
class Page:
    """Trades in the page's order, and why others on it cannot be read (they go to quarantine when it is derived)."""

    rows: list[PageRow]
    refused: list[str]


def read_page(source: str, frame: Frame, mappings: Iterable[Mapping] | None = None) -> Page:
    """What stands on a page.

    Raises:
        ValueError: It is no JSON, or none of its rows can be read.
    """
    lines = split(encode_line(replace(frame, n=0)), first_n=0, known_before_ns=0)
    found = decode(TABLES["trades"], source, lines, "", {}, mappings)
    refused = [rejected.reason for rejected in found.rejected]
    if refused and not len(found.rows):
        raise ValueError(refused[0])
    seqs, ids = found.rows["trade_seq"].to_pylist(), found.rows["trade_id"].to_pylist()
    times = found.rows["event_time"].cast(pa.int64()).to_pylist()
    return Page([(seq, us * 1_000, trade_id) for seq, us, trade_id in zip(seqs, times, ids, strict=True)], refused)
