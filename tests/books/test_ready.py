import datetime as dt
import json

import pytest

from tests.raw.files import manifest_of, parquet_file
from tests.vendor_files import DAY
from tidelake import open as open_lake
from tidelake.books.ready import acquire_lane, file_meta, local_path, ready_files
from tidelake.errors import LedgerBroken
from tidelake.raw.sealed_files import FileLane
from tidelake.raw.store import Store

SYMBOLS = {"BTC-USDT": "BTC-USDT", "ETH-USDT": "ETH-USDT"}


@pytest.fixture(params=["disk", "memory", "s3"])
def store(request, tmp_path):
    if request.param == "disk":
        return Store.open(tmp_path / "lake")
    if request.param == "memory":
        return Store.open(f"memory:///{request.node.name}")
    return Store.open(request.getfixturevalue("s3_lake_url"))


def make_ready(store, tmp_path, number, *, table="trades", symbol="BTC-USDT", day=DAY, name="a", vendor="crypto-lake"):
    path = parquet_file(tmp_path, number)
    lane = acquire_lane(vendor, table, "BINANCE", symbol)
    meta = file_meta(vendor, table, "BINANCE", symbol, symbol, day, 5, 9)
    manifest = manifest_of(path, f"{table}/{day}/{name}.parquet")
    FileLane(store, lane).seal(path, manifest, source="binance-spot", recv_ns=10, meta=meta)
    return path


def test_standing_versions_are_listed_in_order_and_chosen_by_each_word(store, tmp_path):
    later = DAY + dt.timedelta(days=1)
    make_ready(store, tmp_path, 1, day=later)
    make_ready(store, tmp_path, 2, table="book")
    make_ready(store, tmp_path, 3, symbol="ETH-USDT")
    make_ready(store, tmp_path, 4, name="b")
    make_ready(store, tmp_path, 5, name="a")
    newest = make_ready(store, tmp_path, 6, name="a")
    make_ready(store, tmp_path, 7, vendor="tardis", table="book")

    def told(**chosen):
        return [(f.vendor, f.symbol, f.day, f.table, f.name[-9]) for f in ready_files(store, **chosen)]

    first = [
        ("crypto-lake", "BTC-USDT", DAY, "book", "a"),
        ("crypto-lake", "BTC-USDT", DAY, "trades", "a"),
        ("crypto-lake", "BTC-USDT", DAY, "trades", "b"),
        ("crypto-lake", "BTC-USDT", later, "trades", "a"),
    ]
    other = ("crypto-lake", "ETH-USDT", DAY, "trades", "a")
    assert told() == [*first, other, ("tardis", "BTC-USDT", DAY, "book", "a")]
    assert told(vendor="crypto-lake") == [*first, other]
    assert told(symbol="ETH-USDT") == [other]
    assert told(vendor="crypto-lake", symbol="BTC-USDT", end=later) == first[:3]
    assert told(start=later) == first[3:]
    assert told(table="book", vendor="crypto-lake") == first[:1]
    assert told(source="kraken") == []
    file = ready_files(store, vendor="crypto-lake", table="trades", end=later)[0]
    assert local_path(store, file).read_bytes() == newest.read_bytes()
    assert (file.seq, file.rows, file.first_ns, file.last_ns, file.bytes) == (3, 30, 5, 9, newest.stat().st_size)


def test_copy_of_a_ready_file_is_compared_with_its_hash(tmp_path):
    store = Store.open("memory:///test-copy")
    path = make_ready(store, tmp_path, 1)
    (file,) = ready_files(store)
    copy = local_path(store, file)
    copy.write_bytes(b"other")
    assert local_path(store, file).read_bytes() == path.read_bytes()
    copy.unlink()
    store.delete(file.key)
    with pytest.raises(LedgerBroken, match="is missing"):
        local_path(store, file)
    store.put_new(file.key, b"changed")
    with pytest.raises(LedgerBroken, match=r"was sealed as \d+ bytes"):
        local_path(store, file)
    assert not copy.exists()


def test_ready_files_are_no_rows_no_coverage_and_no_frames_of_a_book(tmp_path):
    lake = open_lake(tmp_path / "lake")
    make_ready(lake.store, tmp_path, 1)
    lake.derive()
    assert lake.verify_books() == []
    assert lake.sql("select count(*) as n from quarantine")["n"].item() == 0
    assert lake.coverage() == []
    assert json.loads(manifest_of(tmp_path / "1.parquet", "x"))["rows"] == 30
