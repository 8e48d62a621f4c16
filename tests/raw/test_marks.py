import hashlib

import pytest

from tests.raw.lanes import LANE, seal_each
from tidelake.errors import LedgerBroken
from tidelake.raw.ledger import Ledger
from tidelake.raw.marks import NO_MARK, mark_at, mark_of, seq_of
from tidelake.raw.store import Store

LAST = 10**12 - 1  # keys of entries have twelve digits


@pytest.mark.parametrize("seq", [0, 1, 10**6, LAST])
def test_marks_name_the_number_fit_int64_and_grow(seq):
    low, high = mark_at(seq, "0" * 64), mark_at(seq, "f" * 64)
    assert seq_of(low) == seq_of(high) == seq
    assert 0 <= low < high < mark_at(seq + 1, "0" * 64) < 2**63
    assert mark_at(seq, "7fffff" + "0" * 58) < mark_at(seq, "800000" + "0" * 58)
    assert seq_of(NO_MARK) == -1 == seq_of(mark_at(-1, "0" * 64))


def test_marks_tell_entries_of_one_number_apart():
    hashes = [hashlib.sha256(b"%d" % n).hexdigest() for n in range(1000)]
    assert len({mark_at(5, each) for each in hashes}) == 1000


def test_entries_past_a_mark_follow_the_entry_that_it_names(tmp_path):
    store = Store.open(tmp_path)
    entries = seal_each(store, 4)
    ledger = Ledger(store)
    assert [e.seq for e in ledger.entries_past(LANE, NO_MARK)] == [0, 1, 2, 3]
    assert [e.seq for e in ledger.entries_past(LANE, mark_of(entries[1]))] == [2, 3]
    assert list(ledger.entries_past(LANE, mark_of(entries[3]))) == []
    with pytest.raises(LedgerBroken, match=r"000000000001.json is not the one .*lost and written again") as raised:
        list(ledger.entries_past(LANE, mark_of(entries[1]) ^ 1))
    assert (raised.value.lane, raised.value.seq) == (LANE, 1)
