"""What derive proves of books: the same as `books verify`, however the lanes grew, and whatever is stored of them."""

import json

import pyarrow as pa
import pytest

import tidelake
from tests.books.session_lanes import SHAPES, Growing, lanes_of
from tests.sampling import one_in
from tests.tables.lakes import Lane, Received, seal_lane
from tidelake.books.coverage import cover_books
from tidelake.books.judgements import ALONE, FOLDER, Judgements, drop_judgements
from tidelake.books.proofs import proofs, prove_books
from tidelake.books.rows import BOOK_TABLES, BookReader
from tidelake.books.verify import verify_books
from tidelake.cli.app import run
from tidelake.raw.ledger import Ledger
from tidelake.raw.store import Store
from tidelake.sim.books.faults import FAULTS
from tidelake.tables.derive import read_entry_lines
from tidelake.tables.mapping import load_mappings

SOURCES = ("binance-spot", "binance-usdm", "okx", "kraken", "bybit", "deribit", "coinbase", "coinbase-advanced")
PAGED = ("binance-spot", "binance-usdm")
MAPPINGS = load_mappings()


def proven(store):
    prove_books(store)
    return [report for proof in proofs(store) for report in proof.reports]


def rows_of(store, table, source, entries, per_reader):
    """The rows of entries, read by a new reader after each so many."""
    found, refused = [table.schema.empty_table()], []
    for at in range(0, len(entries), per_reader):
        reader = BookReader(store, table, MAPPINGS, None)
        for entry in entries[at : at + per_reader]:
            if reader.serves(source, entry.lane):
                decoded = reader.read(entry, read_entry_lines(store, entry, None))
                found.append(decoded.rows)
                refused += decoded.rejected
        reader.close()
    return pa.concat_tables(found), refused


@pytest.mark.parametrize(("source", "shape"), one_in(3, [(source, shape) for shape in SHAPES for source in SOURCES]))
def test_what_derive_proves_is_what_verify_finds_however_the_lanes_grew(source, shape):
    place = 4 * SOURCES.index(source) + SHAPES.index(shape)
    others: list[str] = []
    for number in range(3):  # all cases together have every fault several times
        fault, seed = ("", *FAULTS)[(3 * place + number) % 11], 10 * place + number
        store = Store.open(f"memory://grown-{source}-{SHAPES.index(shape)}-{number}")
        growing = Growing(lanes_of(source, seed, fault, shape), seed)
        while growing.grow(store):
            if growing.chance.random() < 0.3:
                assert proven(store) == verify_books(store)
        assert proven(store) == verify_books(store)
        others += [key for key in store.list(FOLDER) if key.endswith(".books") and f"/{ALONE}/" not in key]
    if shape == "handed over" or (shape == "pages apart" and source in PAGED):
        assert others  # a lane was judged with what others say


@pytest.mark.parametrize(
    ("source", "number"), one_in(3, [(source, number) for number in range(3) for source in SOURCES])
)
def test_rows_are_those_of_a_derive_from_the_start_wherever_it_was_cut(source, number):
    place = 3 * SOURCES.index(source) + number
    fault, seed = ("", *FAULTS)[place % 11], 1000 + 10 * SOURCES.index(source) + number
    store = Store.open(f"memory://cut-{source}-{number}")
    growing = Growing(lanes_of(source, seed, fault, "whole"), seed)
    while growing.grow(store):
        pass
    (lane,) = Ledger(store).lanes()
    entries = list(Ledger(store).entries(lane))
    for table in BOOK_TABLES:
        drop_judgements(store)
        whole = rows_of(store, table, source, entries, len(entries))
        drop_judgements(store)
        assert rows_of(store, table, source, entries, growing.chance.randrange(1, 9)) == whole


@pytest.fixture
def judged(tmp_path):
    """A lake of one lane in ten entries, judged up to the fifth, and what all of them prove."""
    lane = lanes_of("binance-spot", 5, "lost", "whole")[0]
    size = len(lane.frames) // 10
    store = Store.open(tmp_path / "lake")
    seal_lane(store, Lane(lane.name, lane.source, lane.frames[: 5 * size], size))
    prove_books(store)
    seal_lane(store, Lane(lane.name, lane.source, lane.frames[5 * size :], size))
    return store, lane.name


def objects(store, ending):
    return [key for key in store.list(FOLDER) if key.endswith(ending) and f"/{ALONE}/" in key]


def replace(store, key, data):
    store.delete(key)
    store.put_new(key, data)


def test_a_judgement_is_gone_on_from(judged, monkeypatch):
    store, lane = judged
    held = Judgements(store).newest(lane, ALONE)
    assert held is not None
    assert held.seq == 4
    read = []
    original = read_entry_lines

    def told(store, entry, key):
        read.append(entry.seq)
        return original(store, entry, key)

    monkeypatch.setattr("tidelake.books.proofs.read_entry_lines", told)
    assert proven(store) == verify_books(store)
    assert min(read) == 5
    read.clear()
    assert proven(store) == verify_books(store)
    assert read == []


@pytest.mark.parametrize("part", [".books", ".found"])
@pytest.mark.parametrize("damage", ["flipped", "torn", "gone"])
def test_a_damaged_judgement_is_as_if_it_were_not_there(judged, part, damage):
    store, _ = judged
    (key,) = objects(store, part)
    data = store.get(key)
    if damage == "gone":
        store.delete(key)
    else:
        replace(store, key, data[: len(data) // 2] if damage == "torn" else data[:-9] + b"\x00" + data[-8:])
    assert proven(store) == verify_books(store)
    assert proven(store) == verify_books(store)


@pytest.mark.parametrize("damage", ["flipped", "torn"])
def test_a_damaged_proof_is_made_anew(judged, damage):
    store, _ = judged
    found = proven(store)
    (key,) = store.list(f"{FOLDER}proofs/")
    data = store.get(key)
    replace(store, key, data[: len(data) // 2] if damage == "torn" else data[:-9] + b"\x00" + data[-8:])
    assert proofs(store) == []
    assert proven(store) == found == verify_books(store)


def test_a_damaged_judgement_of_a_whole_lane_is_made_anew_once(judged):
    store, lane = judged
    prove_books(store)
    key = max(objects(store, ".found"))
    held = Judgements(store).newest(lane, ALONE)
    (proof,) = store.list(f"{FOLDER}proofs/")
    replace(store, key, store.get(key)[:-9])
    store.delete(proof)
    prove_books(store)
    assert held is not None
    assert Judgements(store).newest(lane, ALONE) == held


def test_the_judgement_of_another_lane_or_of_a_lane_written_again_is_not_taken(judged, tmp_path):
    store, name = judged
    other = Store.open(tmp_path / "other")
    lane = lanes_of("binance-spot", 6, "lost", "whole")[0]
    seal_lane(other, Lane(name, lane.source, lane.frames, len(lane.frames) // 10))
    for key in store.list(FOLDER):
        other.put_new(key, store.get(key))
    assert Judgements(other).newest(name, ALONE) is None
    assert proofs(other) == []
    assert proven(other) == verify_books(other)


def test_a_judgement_of_other_code_is_not_taken(judged, monkeypatch):
    store, name = judged
    monkeypatch.setattr("tidelake.books.judgements.code_digest", lambda: "another")
    assert Judgements(store).newest(name, ALONE) is None


def test_few_judgements_of_a_lane_are_kept(tmp_path):
    (lane,) = lanes_of("kraken", 3, "", "whole")
    store = Store.open(tmp_path)
    for at in range(0, len(lane.frames), 10):
        seal_lane(store, Lane(lane.name, lane.source, lane.frames[at : at + 10], 10))
        prove_books(store)
    assert len(objects(store, ".books")) == len(objects(store, ".found")) == 4
    assert len(list(store.list(f"{FOLDER}proofs/"))) == 1


def test_coverage_names_the_intervals_of_each_book_with_rule_or_reason(tmp_path, capsys):
    (lane,) = lanes_of("binance-spot", 5, "lost", "whole")
    seal_lane(Store.open(tmp_path), Lane(lane.name, lane.source, lane.frames, 20))
    lake = tidelake.open(tmp_path)
    assert cover_books(lake.store) == []  # derive has not proven anything yet
    lake.derive(["book_deltas"])
    books = [stream for stream in lake.coverage() if stream.axis == "recv_time"]
    reports = lake.verify_books()
    assert [(s.source, s.symbol, s.feed) for s in books] == [(r.source, r.symbol, r.channel) for r in reports]
    for stream, report in zip(books, reports, strict=True):
        assert stream.gaps == report.falls
        assert stream.messages == report.frames
        found = [(i.state, i.rule, i.first_ns, i.last_ns, i.count) for i in stream.intervals]
        told = [(i.state, i.reason or i.rules, i.first_ns, i.last_ns, i.messages) for i in report.intervals]
        assert found == told
    assert sum(stream.gaps for stream in books) > 0
    command = ["--lake", str(tmp_path), "--format", "json", "coverage", "--feed", books[0].feed, "--intervals"]
    assert run(command) == 3
    rows = json.loads(capsys.readouterr().out)
    assert {row["state"] for row in rows} == {"INVALID", "VALID"}
    assert {"sequence break", "no snapshot yet"} < {row["rule"] for row in rows}
    assert lake.sql("select count(*) from coverage where state = 'INVALID' and rule = 'sequence break'").item() > 0


@pytest.mark.parametrize("source", ["kraken", "okx", "bybit", "deribit", "coinbase-advanced"])
def test_a_book_that_was_lost_with_its_connection_is_not_called_proven(source, tmp_path):
    """Updates were sent while there was no connection; the next message is a snapshot, and proves nothing of them."""
    (lane,) = lanes_of(source, 3, "reset", "whole")
    store = Store.open(tmp_path)
    seal_lane(store, Lane(lane.name, source, lane.frames, 7))
    reports = verify_books(store)
    opened = [frame.recv_ns for frame in lane.frames if frame.kind == "open"]
    for report in reports:
        assert report.falls > 0
        assert not report.proven
        lost = [i for i in report.intervals if i.reason == "connection lost"]
        assert [(i.state, i.first_ns, i.messages) for i in lost] == [("INVALID", opened[-1], 0)]
    assert proven(store) == reports


def test_a_broken_lane_costs_its_own_source_the_new_proof_and_no_other(tmp_path):
    store = Store.open(tmp_path)
    for source in ("binance-spot", "kraken"):
        (lane,) = lanes_of(source, 1, "", "whole")
        seal_lane(store, Lane(lane.name, source, lane.frames, 50))
    key = f"ledger/{lanes_of('binance-spot', 1, '', 'whole')[0].name}/{1:012d}.json"
    replace(store, key, store.get(key)[:-5] + b'XY"}}')
    with pytest.raises(tidelake.errors.LedgerBroken):
        prove_books(store)
    assert {report.source for proof in proofs(store) for report in proof.reports} == {"kraken"}


def test_entries_of_trades_alone_prove_no_book(tmp_path):
    frame = b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1,"s":"BTCUSDT","t":1,"p":"1","q":"1","T":1,"m":true}}'
    seal_lane(Store.open(tmp_path), Lane("capture.binance-spot.t", "binance-spot", (Received(10**18, frame),), 1))
    assert proven(Store.open(tmp_path)) == []
