import datetime as dt
import gzip
import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.http_server import FileServer, serving
from tests.transport.test_files import put_s3
from tests.vendor_files import (
    DAY,
    lake_book,
    lake_deltas,
    lake_path,
    lake_trades,
    tardis_book,
    tardis_deltas,
    tardis_path,
    tardis_trades,
    write_csv,
    write_parquet,
)
from tidelake.books.ready import local_path, ready_files
from tidelake.books.vendor_manifest import Manifest
from tidelake.errors import ConfigError, NotInLake
from tidelake.jobs.acquire import AcquireSettings, acquire
from tidelake.jobs.acquire_report import AcquireReport
from tidelake.raw.explain import explain
from tidelake.raw.ledger import Ledger
from tidelake.raw.segments import iter_frames
from tidelake.raw.store import Store
from tidelake.raw.verify import verify
from tidelake.transport.files import bucket

NEXT = DAY + dt.timedelta(days=1)
END = DAY + dt.timedelta(days=2)


def lake_source(root: Path, days: Sequence[dt.date] = (DAY, NEXT)) -> Path:
    for day in days:
        write_parquet(root / lake_path("trades", day), lake_trades(day=day))
        write_parquet(root / lake_path("book", day), lake_book(day=day))
        write_parquet(root / lake_path("book_delta_v2", day), lake_deltas(day=day))
    return root


def tardis_source(root: Path, days: Sequence[dt.date] = (DAY, NEXT)) -> Path:
    for day in days:
        write_csv(root / tardis_path("trades", day), tardis_trades(day=day))
        write_csv(root / tardis_path("book_snapshot_25", day), tardis_book(day=day))
        write_csv(root / tardis_path("incremental_book_L2", day), tardis_deltas(day=day))
    return root


def files_of(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def run(
    store: Store,
    place: object,
    *,
    vendor: str = "crypto-lake",
    end: dt.date = END,
    tables: Sequence[str] = (),
    **options: Any,
) -> AcquireReport:
    exchange, symbol = ("binance", "BTCUSDT") if vendor == "tardis" else ("BINANCE", "BTC-USDT")
    settings = AcquireSettings(sleep=lambda _: None, **options)
    return acquire(
        store, vendor, exchange=exchange, symbols=[symbol], start=DAY, end=end, tables=tables, place=str(place),
        settings=settings,
    )  # fmt: skip


def states(report: AcquireReport) -> list[tuple[str, str, str]]:
    return [(row.table, row.day, row.state) for row in report.rows]


def staged(store: Store, vendor: str = "crypto-lake") -> list[str]:
    root = store.spool() / "acquire" / vendor
    return sorted(
        path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file() and path.name != "lock"
    )


def contents(store: Store) -> dict[str, bytes]:
    """The ready files by name."""
    return {file.name: local_path(store, file).read_bytes() for file in ready_files(store)}


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "lake")


@pytest.mark.parametrize(("vendor", "source"), [("crypto-lake", lake_source), ("tardis", tardis_source)])
@pytest.mark.parametrize("where", ["folder", "http", "s3"])
def test_files_are_fetched_checked_and_sealed_verbatim_and_only_once(
    request, tmp_path, monkeypatch, store, vendor, source, where
):
    root = source(tmp_path / "source")
    if where == "s3":
        place = request.getfixturevalue("s3_lake_url")
        put_s3(request.getfixturevalue("s3_endpoint"), place, files_of(root))
        report, again = (run(store, place, vendor=vendor) for _ in range(2))
    elif where == "http":
        with serving(root) as server:
            report, again = (run(store, server.url, vendor=vendor) for _ in range(2))
    else:
        report, again = (run(store, root, vendor=vendor) for _ in range(2))
    assert [row.state for row in report.rows] == ["acquired"] * 6
    assert (report.exit_code, again.exit_code) == (0, 0)
    assert [row.state for row in again.rows] == ["already ready"] * 6
    assert report.fetched == sum(map(len, files_of(root).values()))
    assert again.fetched == 0
    assert contents(store) == files_of(root)
    assert staged(store, vendor) == []
    assert verify(store).problems == []
    source_id = {(file.source, file.symbol) for file in ready_files(store)}
    assert source_id == {("binance-spot", "BTC-USDT")}


def test_manifest_says_what_was_checked_with_each_figure(tmp_path, store):
    run(store, lake_source(tmp_path / "source"), clock=lambda: 1_800_000_000_000_000_000)
    file = next(file for file in ready_files(store) if file.table == "trades")
    entry = Ledger(store).entry(file.lane, file.seq)
    (frame,) = iter_frames(store, entry.segment)
    manifest = msgspec.json.decode(frame.payload, type=Manifest)
    assert (manifest.sha256, manifest.rows, manifest.day) == (file.sha256, 200, "2024-08-08")
    assert manifest.url == f"{(tmp_path / 'source').resolve()}/{file.name}"
    assert manifest.asked_ns == manifest.received_ns == frame.recv_ns == 1_800_000_000_000_000_000
    checks = {check.name: (check.verdict, check.found, check.limit) for check in manifest.checks}
    assert checks["bytes as told"] == ("passed", file.bytes, file.bytes)
    assert checks["received outside the day"] == ("passed", 0, 0)
    assert checks["repeated rows share"] == ("passed", 0.0, 0.2)
    assert checks["rows"] == ("passed", 200, ">= 1")
    book = next(name for name in checks if name.startswith("median price against book/"))
    assert checks[book][0] == "told"
    row = explain(store, file.segment, 17)["row"]
    assert row == lake_trades()[17]


def test_dry_run_says_what_is_there_and_what_is_missing_and_touches_nothing(tmp_path, store):
    root = lake_source(tmp_path / "source", [DAY])
    run(store, root, end=NEXT, tables=["trades"])
    before = files_of(tmp_path / "lake")
    report = run(store, root, dry_run=True)
    assert states(report) == [
        ("book", "2024-08-08", "planned"),
        ("book_delta_v2", "2024-08-08", "planned"),
        ("trades", "2024-08-08", "already ready"),
        ("book", "2024-08-09", "missing"),
        ("book_delta_v2", "2024-08-09", "missing"),
        ("trades", "2024-08-09", "missing"),
    ]
    planned = sum(row.bytes or 0 for row in report.rows if row.state == "planned")
    assert planned == sum((root / lake_path(table)).stat().st_size for table in ("book", "book_delta_v2"))
    assert f"{planned:,} bytes to fetch" in report.summary
    assert report.exit_code == 3
    assert files_of(tmp_path / "lake") == before


def test_day_that_the_vendor_does_not_have_is_said_by_name(tmp_path, store):
    root = lake_source(tmp_path / "source", [DAY])
    report = run(store, root, tables=["trades"])
    assert states(report) == [("trades", "2024-08-08", "acquired"), ("trades", "2024-08-09", "missing")]
    assert report.exit_code == 3
    assert "missing: trades/exchange=BINANCE/symbol=BTC-USDT/dt=2024-08-09/" in report.summary
    lake_source(root, [NEXT])
    assert states(run(store, root, tables=["trades"])) == [
        ("trades", "2024-08-08", "already ready"), ("trades", "2024-08-09", "acquired"),
    ]  # fmt: skip
    assert run(Store.open(tmp_path / "other"), tmp_path, tables=["trades"]).exit_code == 1


def test_file_that_fails_stays_with_its_reason_and_good_files_beside_it_are_ready(tmp_path, store):
    root = lake_source(tmp_path / "source")
    bad = write_parquet(root / lake_path("trades"), [{**row, "quantity": -1.0} for row in lake_trades()])
    report = run(store, root)
    assert states(report).count(("trades", "2024-08-08", "failed")) == 1
    assert [row.state for row in report.rows].count("acquired") == 5
    assert report.exit_code == 3
    name = lake_path("trades")
    assert staged(store) == [f"staging/{name}{ending}" for ending in ("", ".reason.json", ".told.json")]
    reason = json.loads((store.spool() / "acquire/crypto-lake/staging" / f"{name}.reason.json").read_bytes())
    assert [check["name"] for check in reason["checks"] if check["verdict"] == "failed"] == ["bad sizes"]
    assert reason["sha256"] == hashlib.sha256(bad.read_bytes()).hexdigest()
    assert name not in contents(store)
    again = run(store, root)
    assert again.fetched == 0  # it lies there still, and is checked again
    assert states(again).count(("trades", "2024-08-08", "failed")) == 1
    write_parquet(root / name, lake_trades())
    assert states(run(store, root)).count(("trades", "2024-08-08", "acquired")) == 1
    assert staged(store) == []
    assert contents(store) == files_of(root)


def test_replaced_file_is_the_newer_version_and_both_are_kept(tmp_path, store):
    root = lake_source(tmp_path / "source")
    run(store, root)
    old = contents(store)[lake_path("trades")]
    write_parquet(root / lake_path("trades"), lake_trades(210))
    report = run(store, root)
    assert [row.state for row in report.rows].count("acquired") == 1
    assert contents(store) == files_of(root)
    lane = next(file.lane for file in ready_files(store) if file.name == lake_path("trades"))
    versions = [
        entry.file for entry in Ledger(store).entries(lane) if entry.file and entry.file.name == lake_path("trades")
    ]
    assert [store.get(version.key) for version in versions] == [old, (root / lake_path("trades")).read_bytes()]


def test_file_that_was_only_touched_is_not_sealed_again(tmp_path, store):
    root = lake_source(tmp_path / "source", [DAY])
    run(store, root, end=NEXT)
    before = files_of(tmp_path / "lake" / "raw")
    os.utime(root / lake_path("trades"), ns=(1, 1))
    report = run(store, root, end=NEXT)
    assert [row.state for row in report.rows] == ["already ready"] * 3
    assert report.fetched == (root / lake_path("trades")).stat().st_size
    assert files_of(tmp_path / "lake" / "raw") == before
    assert staged(store) == []


@pytest.mark.parametrize("workers", [1, 4])
def test_file_with_the_rows_of_another_is_refused_and_names_it(tmp_path, store, workers):
    root = lake_source(tmp_path / "source")
    first = root / lake_path("trades")
    shutil.copy(first, first.with_name("2.snappy.parquet"))
    write_parquet(first.with_name("3.snappy.parquet"), lake_trades(), row_group=7)
    report = run(store, root, workers=workers)
    failed = [row for row in report.rows if row.state == "failed"]
    assert [row.name.rsplit("/", 1)[-1] for row in failed] == ["2.snappy.parquet", "3.snappy.parquet"]
    assert all(lake_path("trades") in row.reason for row in failed)
    assert len(ready_files(store)) == 6


def test_file_of_another_day_does_not_pass_as_this_one(tmp_path, store):
    root = lake_source(tmp_path / "source")
    shutil.copy(root / lake_path("trades"), root / lake_path("trades", NEXT))
    report = run(store, root, tables=["trades"])
    (failed,) = [row for row in report.rows if row.state == "failed"]
    assert "received outside the day" in failed.reason
    assert failed.day == "2024-08-09"


def test_corrupt_files_do_not_pass(tmp_path, store):
    root = tardis_source(lake_source(tmp_path / "source"))
    for path in (root / lake_path("book"), root / tardis_path("trades")):
        data = path.read_bytes()
        path.write_bytes(data[: len(data) - 9])
    (failed,) = [row for row in run(store, root).rows if row.state == "failed"]
    assert failed.reason.startswith("schema: cannot be opened")
    (failed,) = [row for row in run(store, root, vendor="tardis").rows if row.state == "failed"]
    assert "Truncated" in failed.reason
    (root / tardis_path("trades")).write_bytes(gzip.compress(b"exchange,symbol\nbinance,BTCUSDT\n"))
    (failed,) = [row for row in run(store, root, vendor="tardis").rows if row.state == "failed"]
    assert "has no column timestamp" in failed.reason


def test_checksums_beside_a_file_are_compared(tmp_path, store):
    root = lake_source(tmp_path / "source")
    for name, day in (("trades", DAY), ("trades", NEXT), ("book", DAY), ("book", NEXT)):
        path = root / lake_path(name, day)
        digest = hashlib.sha256(path.read_bytes() if day == DAY else b"other").hexdigest()
        if name == "trades":
            path.with_name(f"{path.name}.sha256").write_text(f"{digest}  {path.name}\n")
        else:
            path.with_name("SHA256SUMS").write_text(f"{'0' * 64} *other\n{digest} *{path.name}\n")
    report = run(store, root)
    failed = [row for row in report.rows if row.state == "failed"]
    assert [(row.table, row.day) for row in failed] == [("book", "2024-08-09"), ("trades", "2024-08-09")]
    assert all(row.reason.startswith("SHA-256 as told") for row in failed)


def test_content_md5_is_compared(tmp_path, store):
    root = tardis_source(tmp_path / "source", [DAY])
    with serving(root) as server:
        server.md5[tardis_path("trades")] = "AAAAAAAAAAAAAAAAAAAAAA=="
        report = run(store, server.url, vendor="tardis", end=NEXT)
    (failed,) = [row for row in report.rows if row.state == "failed"]
    assert (failed.table, failed.reason.split(" ")[:3]) == ("trades", ["MD5", "by", "Content-MD5"])


def test_downloads_that_are_cut_and_refused_for_a_moment_end_well(tmp_path, store):
    root = tardis_source(tmp_path / "source")
    with serving(root) as server:
        for day in (DAY, NEXT):
            server.cut_after[tardis_path("incremental_book_L2", day)] = [500, 3000]
            server.errors[tardis_path("book_snapshot_25", day)] = [503, 429]
        report = run(store, server.url, vendor="tardis")
        assert [row.state for row in report.rows] == ["acquired"] * 6
        assert report.fetched == sum(map(len, files_of(root).values()))
    assert contents(store) == files_of(root)


def test_file_that_cannot_be_fetched_fails_alone_and_its_part_is_gone_on_with(tmp_path, store):
    root, name = tardis_source(tmp_path / "source"), tardis_path("incremental_book_L2")
    with serving(root) as server:
        server.ranges, server.cut_after[name] = False, [2000] * 20
        report = run(store, server.url, vendor="tardis")
        (failed,) = [row for row in report.rows if row.state == "failed"]
        assert failed.name == name
        assert [row.state for row in report.rows].count("acquired") == 5
        assert (store.spool() / "acquire/tardis/incoming" / f"{name}.part").stat().st_size == 2000
        server.ranges, server.cut_after = True, {}
        again = run(store, server.url, vendor="tardis")
    assert [row.state for row in again.rows].count("acquired") == 1
    assert again.fetched == (root / name).stat().st_size - 2000
    assert contents(store) == files_of(root)


def test_key_of_the_vendor_goes_with_requests_and_stands_nowhere(tmp_path, store, monkeypatch):
    root = tardis_source(tmp_path / "source", [DAY])
    with serving(root) as server:
        server.key = "very-secret-key"
        report = run(store, server.url, vendor="tardis", end=NEXT)
        assert {row.state for row in report.rows} == {"failed"}
        assert "TARDIS_API_KEY" in report.rows[0].reason
        assert report.exit_code == 1
        monkeypatch.setenv("TARDIS_API_KEY", server.key)
        assert {row.state for row in run(store, server.url, vendor="tardis", end=NEXT).rows} == {"acquired"}
    assert not any(server.key.encode() in data for data in files_of(tmp_path / "lake").values())


def test_file_that_is_replaced_while_it_is_read_is_begun_anew(tmp_path, store, monkeypatch):
    root = tardis_source(tmp_path / "source", [DAY])
    name = tardis_path("trades")
    with serving(root) as server:
        serve = FileServer.process_request_thread

        def replace_before_get(self, request, client_address):
            if server.asked["HEAD", name] == 1:
                write_csv(root / name, tardis_trades(190))
            serve(self, request, client_address)

        monkeypatch.setattr(FileServer, "process_request_thread", replace_before_get)
        report = run(store, server.url, vendor="tardis", end=NEXT, tables=["trades"], workers=1)
    assert [(row.state, row.rows) for row in report.rows] == [("acquired", 190)]
    assert contents(store) == {name: (root / name).read_bytes()}


def test_etag_that_is_no_md5_is_proven_so_by_reading_twice(tmp_path, store, monkeypatch, s3_lake_url, s3_endpoint):
    root = lake_source(tmp_path / "source", [DAY])
    put_s3(s3_endpoint, s3_lake_url, files_of(root))
    found = bucket._file

    def encrypted(told):
        return replace(found(told), md5="0" * 32)

    monkeypatch.setattr(bucket, "_file", encrypted)
    report = run(store, s3_lake_url, end=NEXT, tables=["trades"])
    assert [row.state for row in report.rows] == ["acquired"]
    assert report.fetched == 2 * (root / lake_path("trades")).stat().st_size


def test_what_is_not_known_is_refused_by_name(tmp_path, store):
    root = lake_source(tmp_path / "source")
    common: dict[str, Any] = {"start": DAY, "end": END, "place": str(root)}
    with pytest.raises(NotInLake, match="no vendor 'x'"):
        acquire(store, "x", exchange="BINANCE", symbols=["BTC-USDT"], **common)
    with pytest.raises(NotInLake, match="no exchange 'X'"):
        acquire(store, "crypto-lake", exchange="X", symbols=["BTC-USDT"], **common)
    with pytest.raises(NotInLake, match="no table 'quotes'"):
        acquire(store, "crypto-lake", exchange="BINANCE", symbols=["BTC-USDT"], tables=["quotes"], **common)
    with pytest.raises(NotInLake, match="is no symbol of BINANCE"):
        acquire(store, "crypto-lake", exchange="BINANCE", symbols=["../x"], **common)
    with pytest.raises(ConfigError, match="--from"):
        acquire(store, "crypto-lake", exchange="BINANCE", symbols=["BTC-USDT"], start=DAY, end=END)
    run(store, root, dry_run=True)
    with pytest.raises(ConfigError, match="must be after"):
        acquire(store, "crypto-lake", exchange="BINANCE", symbols=["BTC-USDT"], start=DAY, end=DAY)
    assert list((tmp_path / "lake").rglob("*")) == []
