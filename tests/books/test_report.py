"""What is gathered of the clocks of a book: exact, however far apart they are and however it is cut."""

import numpy as np
from hypothesis import given, strategies as st

from tidelake.books.judgements import pack, unpack
from tidelake.books.report import BookReport, StreamFindings

FIFTY_YEARS_NS = 50 * 365 * 86_400 * 10**9
OFFSETS = st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=60)


def gathered(parts):
    found = StreamFindings(BookReport("binance-spot", "BTC-USDT", "depth"), runs=[])
    for part in parts:
        found.note_offsets(np.array(part, np.int64))
    return found


@given(st.lists(OFFSETS, min_size=1, max_size=4), st.sampled_from([0, FIFTY_YEARS_NS, -FIFTY_YEARS_NS]))
def test_mean_and_least_of_clocks_years_apart_are_exact_and_can_be_kept(parts, apart):
    parts = [[apart + offset for offset in part] for part in parts]
    found = gathered(parts)
    every = [offset for part in parts for offset in part]
    kept = unpack(pack(found), StreamFindings)
    assert kept is not None
    for findings in (found, kept, gathered([every])):
        report = findings.finished()
        assert report.clock_mean_ms == sum(every) / len(every) / 1e6
        assert report.clock_least_ms == min(every) / 1e6
        assert report.before_event == sum(offset < 0 for offset in every)


def test_findings_of_two_lanes_with_clocks_years_apart_add_up():
    found = gathered([[FIFTY_YEARS_NS] * 8])
    found.add(gathered([[FIFTY_YEARS_NS + 8] * 8]))
    assert found.finished().clock_mean_ms == (FIFTY_YEARS_NS + 4) / 1e6
