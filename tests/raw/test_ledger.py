import msgspec
import pytest
from hypothesis import given, strategies as st

from tests.raw.lanes import LANE, seal_each, writer
from tidelake.errors import LedgerBroken, NotInLake
from tidelake.raw.entry import FIRST_PREV, encode_entry, with_checksum
from tidelake.raw.ledger import MAX_NAME_BYTES, Head, Ledger, entry_key, head_after, lane_name
from tidelake.raw.store import Store


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path)


def test_empty_lane_has_the_first_head(store):
    assert Ledger(store).head("nothing") == Head(-1, FIRST_PREV, 0, 0, {})
    assert list(Ledger(store).entries("nothing")) == []
    assert Ledger(store).lanes() == []


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 9, 17, 33])
def test_head_is_the_last_entry(store, count):
    entries = seal_each(store, count)
    head = Ledger(store).head(LANE)
    assert head == head_after(entries[-1])
    assert (head.seq, head.next_n, head.known_ns) == (count - 1, count * 3, (count * 3 - 1) * 1000)
    assert head.context == {"seen": str(count * 3)}
    assert Ledger(store).lanes() == [LANE]


def test_entries_come_in_order_and_form_a_chain(store):
    entries = seal_each(store, 5)
    assert list(Ledger(store).entries(LANE)) == entries
    assert list(Ledger(store).entries(LANE, after=2)) == entries[3:]
    assert [entry.first_n for entry in entries] == [0, 3, 6, 9, 12]
    assert [entry.context for entry in entries] == [{}, {"seen": "3"}, {"seen": "6"}, {"seen": "9"}, {"seen": "12"}]
    assert entries[0].prev == FIRST_PREV
    assert len({entry.prev for entry in entries}) == 5


def test_entries_are_read_from_s3_in_order(s3_lake_url):
    store = Store.open(s3_lake_url)
    entries = seal_each(store, 20, per_entry=1)
    assert list(Ledger(store).entries(LANE)) == entries
    assert list(Ledger(store).entries(LANE, after=17)) == entries[18:]
    assert Ledger(store).head(LANE).seq == 19


@pytest.mark.parametrize("dropped", [0, 4, 7])
def test_hole_in_the_chain_is_named(store, dropped):
    seal_each(store, 9)
    store.delete(entry_key(LANE, dropped))
    reader = Ledger(store).entries(LANE)
    assert [next(reader).seq for _ in range(dropped)] == list(range(dropped))
    with pytest.raises(LedgerBroken, match=f"{dropped:012d}.json is missing, and .*{dropped + 1:012d}.json follows"):
        next(reader)
    with pytest.raises(LedgerBroken, match=f"{dropped:012d}.*missing") as raised:
        Ledger(store).head(LANE)
    assert (raised.value.lane, raised.value.seq) == (LANE, dropped)


def test_put_is_refused_where_another_entry_stands_and_true_where_it_is_our_own(store):
    entry = seal_each(store, 1)[0]
    assert Ledger(store).put(entry) is True
    other = msgspec.structs.replace(entry, writer="someone else")
    assert Ledger(store).put(other) is False
    assert Ledger(store).entry(LANE, 0) == entry


def test_changed_entry_is_named_on_reading(store):
    entries = seal_each(store, 3)
    key = entry_key(LANE, 1)
    changed = msgspec.structs.replace(entries[1], first_recv_ns=1)
    for data, told in (
        (encode_entry(changed), r"000000000001.json .*does not fit its checksum"),
        (encode_entry(with_checksum(changed)), r"000000000002.json follows"),
    ):
        store.delete(key)
        store.put_new(key, data)
        with pytest.raises(LedgerBroken, match=told):
            list(Ledger(store).entries(LANE))


@pytest.mark.parametrize("last", [False, True])
def test_reading_on_after_an_entry_that_is_gone_is_refused(store, last):
    seal_each(store, 4)
    mark = 3 if last else 1
    store.delete(entry_key(LANE, mark))
    with pytest.raises(
        LedgerBroken, match=rf"{mark:012d}.json is missing, and it was read before.*--rebuild"
    ) as raised:
        next(Ledger(store).entries(LANE, after=mark))
    assert (raised.value.lane, raised.value.seq) == (LANE, mark)


def test_reading_on_after_an_entry_that_was_changed_is_refused(store):
    entries = seal_each(store, 3)
    store.delete(entry_key(LANE, 1))
    store.put_new(entry_key(LANE, 1), encode_entry(msgspec.structs.replace(entries[1], sealed_ns=1)))
    with pytest.raises(LedgerBroken, match=r"000000000002.json follows"):
        next(Ledger(store).entries(LANE, after=1))


def test_entry_sealed_while_the_end_is_looked_for_is_read(store, monkeypatch):
    seal_each(store, 2)
    reader = Ledger(store).entries(LANE)
    assert [next(reader).seq, next(reader).seq] == [0, 1]
    before = store.list

    def seal_first(prefix, after=None):
        monkeypatch.undo()
        with writer(store) as lane:
            lane.append(payload=b"1", kind="frame", recv_ns=10**6)
        return before(prefix, after)

    monkeypatch.setattr(store, "list", seal_first)
    assert [entry.seq for entry in reader] == [2]


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b'{"lane":1}'])
def test_entry_that_is_none_is_named(store, data):
    store.put_new(entry_key("x", 0), data)
    with pytest.raises(LedgerBroken, match=r"ledger/x/000000000000.json is not an entry"):
        Ledger(store).entry("x", 0)
    with pytest.raises(NotInLake):
        Ledger(store).entry("x", 1)


def test_head_read_while_another_writer_seals_is_one_of_its_entries(store, monkeypatch):
    seal_each(store, 4)
    before = store.list
    listed: list[int] = []

    def seal_first(prefix, after=None):
        if not listed:
            listed.append(1)
            with writer(store) as lane:
                lane.append(payload=b"1", kind="frame", recv_ns=10**6)
        return before(prefix, after)

    reader = Ledger(store)
    monkeypatch.setattr(store, "list", seal_first)
    assert reader.head(LANE).seq == 4


@given(st.tuples(*[st.text(min_size=1, max_size=60)] * 3), st.tuples(*[st.text(min_size=1, max_size=60)] * 3))
def test_lane_names_are_safe_and_distinct(one, two):
    name = lane_name(*one)
    assert len(name) <= MAX_NAME_BYTES
    assert name.isascii()
    assert not set(name) & set('/\\:*?"<>|# ')
    assert name.strip(".") != ""
    assert (lane_name(*two) == name) == (one == two)


def test_lane_name_of_a_stream_reads_as_it_is():
    assert lane_name("coinbase", "trades", "BTC-USD") == "coinbase.trades.BTC-USD"
    assert lane_name("x", "a.b", "c/d") == "x.a%2Eb.c%2Fd"
