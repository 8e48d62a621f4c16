"""Captures of every simulated venue over real sockets, faults on: what was sent is kept, books are mended."""

from collections import Counter

import polars as pl
import pyarrow as pa
import pytest
from benchmarks.detection_trials import book_of

import tidelake
from tests.jobs.ended_capture import captured_until, count_lines
from tidelake.books.engine import BookEngine
from tidelake.books.frames import read_book_frames
from tidelake.errors import ConfigError
from tidelake.jobs.capture import CaptureSettings
from tidelake.jobs.capture_books import BookVerifier
from tidelake.jobs.capture_rounds import Rounds
from tidelake.jobs.session import Settings
from tidelake.raw.frame import encode_line
from tidelake.raw.ledger import Ledger
from tidelake.raw.segments import iter_frames
from tidelake.raw.store import Store
from tidelake.raw.verify import verify
from tidelake.sim.books.dialects import MODULES
from tidelake.sim.server import SimServer
from tidelake.sim.sockets.plan import FramePlan
from tidelake.tables.segment_lines import split
from tidelake.transport.http import Patience

FAULTS = "lost:0.01,doubled:0.01,reordered:0.01,late:0.01,reset:0.003,sync-disconnect:0.1"
QUICK = Patience(first_wait=0.02, longest_wait=0.05)
TOLD = ("symbol", "validity", "reason")


def captured(tmp_path, source, faults, enough, seed=1, extra=(), **capturing):
    """The report of a capture that heard and saw enough, the lines of each of its lanes, and the venue."""
    plan = FramePlan.parse(faults, seed)
    with SimServer(source, frame_faults=plan, updates=40, record=True) as server:
        venue = server.sockets[source]
        symbols = [product.symbol for product in venue.dialect.products[:2]]
        store = Store.open(tmp_path / "lake")
        settings = Settings(url=server.url, patience=QUICK)
        given = CaptureSettings(**capturing)
        asked = {source: [*symbols, *extra]}
        report = captured_until(lambda heard: enough(heard, venue), store, asked, settings=settings, capturing=given)
    assert verify(store).problems == []
    ledger = Ledger(store)
    lanes = [
        [frame for entry in ledger.entries(lane) for frame in iter_frames(store, entry.segment)]
        for lane in ledger.lanes()
        if lane.startswith("capture.")
    ]
    return report, lanes, venue


def by_connection(lines):
    """The frames of each connection of a lane, in order."""
    found = []
    for line in lines:
        if line.kind == "open":
            found.append([])
        elif line.kind == "frame":
            found[-1].append(line.payload)
    return found


def newest_heard(client, heard):
    """The newest version of each book that stands in the frames that were heard of those sent to a client."""
    newest = {}
    for frame in client.sent[: len(heard)]:
        if frame.what in ("update", "snapshot", "silence"):
            newest[frame.symbol] = max(newest.get(frame.symbol, 0), frame.version)
    return newest


def sent_by(venue, heard):
    """The client that heard these frames: its payloads begin with them."""
    found = [c for c in venue.clients if [f.payload for f in c.sent[: len(heard)]] == heard]
    assert found, f"no client of {len(venue.clients)} was sent these {len(heard)} frames"
    return found[0]


@pytest.mark.parametrize("source", MODULES)
def test_all_that_a_simulated_venue_sent_is_kept_and_its_books_are_mended(tmp_path, source):
    def enough(heard, venue):
        lost = [each for each in venue.happened if each.kind == "lost"]
        return heard >= 300 and len(lost) >= 2

    report, lanes, venue = captured(tmp_path, source, FAULTS, enough)
    happened = Counter(each.kind for each in venue.happened)
    assert happened["lost"]
    assert any(line.kind == "frame" for lane in lanes for line in lane)
    compared = 0
    for lines in lanes:
        newest = {}
        for heard in by_connection(lines):
            client = sent_by(venue, heard)
            assert len(client.sent) - len(heard) < 60, "more is missing than can be on its way when a capture ends"
            for symbol, version in newest_heard(client, heard).items():
                newest[symbol] = max(newest.get(symbol, 0), version)
        compared += books_are_true(source, lines, newest, venue)
    books = [row for row in report.rows if row.channel == "book"]
    assert {row.state for row in books} == {"captured"}
    if source not in ("coinbase", "kraken") and happened["lost"]:
        assert sum(row.gaps for row in books) > 0, "a lost update was not reported"
    assert compared or sum(row.gaps for row in books)


def books_are_true(source, lines, newest, venue, depth=None):
    """How many books of a lane are VALID at its end; each is the true one, in the best `depth` levels or in all."""
    plain = b"".join(encode_line(line) for line in lines)
    segment = split(plain, first_n=0, known_before_ns=0)
    frames = read_book_frames(source, segment, {})
    assert not frames.refused
    engine = BookEngine(source)
    engine.run(frames, segment.recv_ns[frames.line])
    compared = 0
    for symbol, version in newest.items():
        stream = book_of(engine, symbol)
        if stream is None or engine.state(stream)[0] != "VALID":
            continue
        wire = venue.wires[symbol]
        truths = [
            tuple(
                {p * wire.product.tick: q * wire.product.lot for p, q in sorted(side.items(), reverse=bid)[:depth]}
                for side, bid in zip(wire.view(v), (True, False), strict=True)
            )
            for v in ([version] if not venue.dialect.pages else range(version, wire.book.version + 1))
        ]
        ours = tuple({level.price: level.size for level in side[:depth]} for side in engine.levels(stream))
        assert ours in truths, (source, symbol, version)
        compared += 1
    return compared


@pytest.mark.parametrize("source", MODULES)
def test_without_faults_every_book_is_proven_and_rows_of_all_channels_come(tmp_path, source, monkeypatch):
    pages = count_lines(monkeypatch, b'"kind":"page"')
    report, _, venue = captured(
        tmp_path, source, "", lambda heard, venue: heard >= 250 and (pages() >= 2 or not venue.dialect.pages)
    )
    assert venue.happened == []
    books = [row for row in report.rows if row.channel == "book"]
    expected = "UNPROVABLE" if source == "coinbase" else "VALID"
    assert [(row.book, row.gaps) for row in books] == [(expected, 0)] * 2
    assert all(row.rows > 0 for row in report.rows if row.channel == "trades")


def test_quotes_are_published_with_the_state_that_derive_finds(tmp_path):
    published = []

    def enough(heard, venue):
        return {"VALID", "INVALID"} <= {
            state for table, rows in list(published) if table == "quotes" for state in rows["validity"].to_pylist()
        }

    captured(tmp_path, "binance-usdm", "lost:0.05", enough, publish=lambda table, rows: published.append((table, rows)))
    told = pl.DataFrame(pa.concat_tables([rows for table, rows in published if table == "quotes"]))
    lake = tidelake.open(tmp_path / "lake")
    lake.derive()
    columns = ["symbol", "quote_id", "recv_ns", "validity", "rule"]
    derived = lake.scan("quotes").select(columns).sort(columns).collect()
    assert told.select(columns).sort(columns).equals(derived)
    assert {"VALID", "INVALID"} <= set(derived["validity"])


@pytest.mark.parametrize("source", ["binance-spot", "binance-usdm", "binance-coinm", "okx"])
def test_books_agree_with_the_pages_that_are_laid_beside_them(tmp_path, source):
    judges = []

    def judge(plan):
        judges.append(BookVerifier(source, plan.symbols("book"), pages=plan.sockets.book_page is not None, levels=0))
        return judges[-1]

    def enough(heard, venue):
        counted = [counts.audits for each in judges for counts in list(each.counts().values())]
        return len(counted) == 2 and min(counted) >= 2

    report, lanes, _ = captured(tmp_path, source, "", enough, audit_seconds=0.4, verifier=judge)
    books = [row for row in report.rows if row.channel == "book"]
    assert all(row.audits >= 2 for row in books)
    assert [(row.book, row.audits - row.audits_equal) for row in books] == [("VALID", 0)] * 2
    assert report.exit_code == 0
    asked = [line for lane in lanes for line in lane if line.kind == "page"]
    assert len(asked) >= sum(row.audits for row in books)
    lake = tidelake.open(tmp_path / "lake")
    lake.derive()
    rules = set(lake.scan("book_deltas").collect()["rule"]) | set(lake.scan("book_snapshots").collect()["rule"])
    assert any("audit" in (rule or "") for rule in rules)


def test_a_wrong_book_that_its_numbers_do_not_betray_is_found_by_an_audit_and_mended(tmp_path):
    states = {}

    def publish(table, rows):
        if table == "book":
            for symbol, state, reason in zip(*(rows[name].to_pylist() for name in TOLD), strict=True):
                states.setdefault(symbol, []).append((state, reason or ""))

    def enough(heard, venue):
        """A book was found wrong by an audit, and VALID after that."""
        for told in list(states.values()):
            wrong = [at for at, (_, reason) in enumerate(told) if "differs from an audit page" in reason]
            if wrong and ("VALID", "") in [(state, "") for state, _ in told[wrong[0] :]]:
                return True
        return False

    report, _, _ = captured(tmp_path, "binance-usdm", "corrupted:0.1", enough, audit_seconds=0.4, publish=publish)
    books = [row for row in report.rows if row.channel == "book"]
    assert sum(row.audits - row.audits_equal for row in books) > 0
    assert "audits differed" in report.summary
    assert report.exit_code == 3
    lake = tidelake.open(tmp_path / "lake")
    intervals = [each for book in lake.verify_books() if book.frames for each in book.intervals]
    lost = [each for each in intervals if each.state == "INVALID" and "differs from an audit page" in each.reason]
    assert lost
    assert any(each.state == "VALID" and each.first_ns > lost[0].last_ns for each in intervals), "it was mended"


def test_turns_are_spread_over_the_period_and_none_is_made_up_for():
    rounds = Rounds(["a", "b", "c", "d"], 8.0, 100.0)
    taken = [(now, rounds.due(now)) for now in (100, 101.9, 102, 102.1, 104, 106, 108, 110, 119, 119.5, 120)]
    assert [symbol for _, symbol in taken] == [None, None, "a", None, "b", "c", "d", "a", "a", None, "b"]
    assert Rounds(["a"], 0.0, 0.0).due(1e9) is None
    assert Rounds([], 1.0, 0.0).due(1e9) is None


def test_a_bad_symbol_is_refused_alone(tmp_path):
    report, _, _ = captured(tmp_path, "kraken", "", lambda heard, venue: heard >= 100, extra=["NO-SUCH"])
    states = {(row.symbol, row.state) for row in report.rows}
    assert ("NO-SUCH", "refused") in states
    assert {state for symbol, state in states if symbol != "NO-SUCH"} == {"captured"}


@pytest.mark.parametrize("text", ["lost", "lost:x", "lost:2", "evil:0.1"])
def test_a_plan_that_is_not_understood_is_refused(text):
    with pytest.raises(ConfigError):
        FramePlan.parse(text)
