"""`books verify` over lakes of a few frames: what it counts, which state it names, how it leaves."""

import json

import pytest

import tidelake
from tidelake.cli.app import run
from tidelake.errors import NotInLake
from tidelake.jobs.imports import import_recordings
from tidelake.raw.store import Store

START = 1_633_998_512


def depth(first, last, price="100.10", size="1.000"):
    data = {
        "e": "depthUpdate",
        "E": START * 1_000,
        "s": "BTCUSDT",
        "U": first,
        "u": last,
        "b": [[price, size]],
        "a": [],
    }
    return json.dumps({"stream": "btcusdt@depth@100ms", "data": data})


def ticker(update_id, bid="100.10", size="1.000"):
    data = {"u": update_id, "s": "BTCUSDT", "b": bid, "B": size, "a": "100.20", "A": "5.000"}
    return json.dumps({"stream": "btcusdt@bookTicker", "data": data})


def page(last_id):
    bids, asks = [["100.10", "1.000"], ["100.00", "2.000"]], [["100.20", "5.000"]]
    return json.dumps({"lastUpdateId": last_id, "bids": bids, "asks": asks})


PAGE_URL = "https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=1000"


def recording(folder, name, lines):
    """A recording of cryptofeed: frames in 100 ms steps, a text that starts with "page" as an answer to GET."""
    text = []
    for i, line in enumerate(lines):
        clock = f"{START + i // 10}.{i % 10}"
        text.append(f"{PAGE_URL} -> {clock}: {line[5:]}" if line.startswith("page ") else f"{clock}: {line}")
    path = folder / name
    path.write_text("\n".join(text) + "\n")
    return path


@pytest.fixture
def lake(tmp_path):
    def make(**files):
        store = Store.open(tmp_path / "lake")
        for name, lines in files.items():
            import_recordings(
                store, [recording(tmp_path, f"BINANCE.{name}", lines)], format="cryptofeed", source="binance-spot"
            )
        return tidelake.open(tmp_path / "lake")

    return make


WHOLE = [depth(1, 5), "page " + page(5), depth(6, 7), ticker(7), depth(8, 9, size="3.000"), ticker(9, size="3.000")]


def test_a_whole_stream_is_valid_by_snapshot_sequence_and_quotes(lake):
    (book,) = lake(ws=WHOLE).verify_books()
    assert (book.source, book.symbol, book.channel) == ("binance-spot", "BTC-USDT", "depth@100ms")
    assert (book.frames, book.updates, book.quotes_compared, book.quotes_equal) == (3, 3, 2, 2)
    assert book.state == "VALID"
    assert [(i.state, i.reason) for i in book.intervals] == [("INVALID", "no snapshot yet"), ("VALID", "")]
    assert book.proven


def test_a_lost_update_is_a_break_until_the_next_page(lake):
    lost = [*WHOLE, depth(11, 12), "page " + page(12), depth(13, 14)]
    (book,) = lake(ws=lost).verify_books()
    assert (book.breaks, book.falls, book.gaps_per_million) == (1, 1, pytest.approx(1e6 / 5))
    assert [i.reason for i in book.intervals] == ["no snapshot yet", "", "sequence break", ""]
    assert book.state == "INVALID"


def test_a_page_from_before_the_last_update_does_not_begin_a_book_that_fell(lake):
    behind = [*WHOLE, depth(10, 11, size="damaged"), "page " + page(8)]
    (book,) = lake(ws=[*behind, "page " + page(11), depth(12, 13)]).verify_books()
    assert [(i.state, i.reason) for i in book.intervals[1:]] == [
        ("VALID", ""),
        ("INVALID", "a message could not be read"),
        ("INVALID", "snapshot page older than the kept updates"),
        ("VALID", ""),
    ]


def test_a_page_in_another_lane_is_offered_when_it_was_received(lake):
    frames = [line for line in WHOLE if not line.startswith("page")]
    (book,) = lake(ws=frames, http=["page " + page(5)]).verify_books()
    assert book.state == "VALID"
    assert book.quotes_equal == 2


def test_without_a_snapshot_nothing_is_proven(lake):
    (book,) = lake(ws=[depth(1, 5), depth(6, 7)]).verify_books()
    assert (book.state, book.breaks) == ("INVALID", 0)
    assert not book.proven


def test_only_what_was_received_in_the_period_is_counted(lake):
    held = lake(ws=WHOLE)
    (late,) = held.verify_books(start=f"2021-10-12T00:28:{START % 60}.35Z")
    assert (late.updates, late.quotes_compared) == (1, 1)
    assert [i.state for i in late.intervals] == ["VALID"]
    (early,) = held.verify_books(end=f"2021-10-12T00:28:{START % 60}.25Z")
    assert (early.updates, early.quotes_compared) == (2, 0)


def test_a_quote_that_differs_makes_the_book_suspect(lake):
    (book,) = lake(ws=[*WHOLE[:3], ticker(7, size="9.000"), depth(8, 9)]).verify_books()
    assert (book.state, book.quotes_compared, book.quotes_equal) == ("SUSPECT", 1, 0)


def test_the_command_leaves_with_3_where_a_book_is_not_proven(lake, tmp_path, capsys):
    lake(ws=WHOLE)
    assert run(["--lake", str(tmp_path / "lake"), "books", "verify", "--format", "json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    first = ["source", "symbol", "channel", "frames", "updates", "out_of_order", "breaks"]
    assert list(row)[: len(first)] == first
    assert {"checksums_right", "checksums_wrong", "gaps_per_million", "state", "intervals"} <= set(row)
    lake(other=[depth(1, 5), depth(8, 9)])
    assert run(["--lake", str(tmp_path / "lake"), "books", "verify", "--venue", "binance-spot"]) == 3


def test_a_name_that_is_not_in_the_lake_is_refused_with_those_that_are(lake):
    held = lake(ws=WHOLE)
    for asked, known in (
        ({"source": "kraken"}, "binance-spot"),
        ({"symbol": "BTC-USDC"}, "BTC-USDT"),
        ({"lane": "capture.binance-spot"}, "import.binance-spot.cryptofeed"),
    ):
        with pytest.raises(NotInLake, match=known):
            held.verify_books(**asked)


def test_a_lake_without_books_has_none_to_report(tmp_path):
    assert tidelake.open(tmp_path / "empty").verify_books("kraken", "BTC-USD") == []
