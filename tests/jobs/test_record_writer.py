"""Records on their way to the lake: each once, soon, and in few files in the end."""

import asyncio
import threading

import pytest

from tidelake.errors import StoreError
from tidelake.jobs.record_writer import RecordWriter
from tidelake.raw.store import Store
from tidelake.stablecoins import outputs
from tidelake.stablecoins.fleet import Fleet
from tidelake.stablecoins.observation import Observation
from tidelake.stablecoins.outputs import DeltaOutput, JsonLines
from tidelake.stablecoins.setup import CoinSetup
from tidelake.tables.delta import open_table
from tidelake.tables.read import scan
from tidelake.tables.stablecoins import STABLECOIN_ALERTS, STABLECOIN_WINDOWS

S = 1_000_000
BEGIN = 1_700_000_100 * S - 1_700_000_100 * S % (300 * S)
COINS = ("USDC", "DAI")


def minutes(count):
    """Records of each minute: a window of each coin, and now and then an alert."""
    fleet = Fleet({coin: CoinSetup(coin=coin, chains=(), begin_us=BEGIN, expects=("price",)) for coin in COINS})
    for minute in range(count):
        at = BEGIN + minute * 60 * S
        records = []
        for coin in COINS:
            value = 0.9 if minute % 7 == 3 else 1.0
            fleet.take(Observation("price", at, at, coin, "", "kraken", f"{coin}{minute}", value), records)
        fleet.take(Observation("clock", at + 60 * S, at + 60 * S), records)
        yield records


def stored_windows(store):
    found = scan(store, STABLECOIN_WINDOWS).collect()
    return found.select("coin", "window_s", "event_time", "event_version").rows()


def windows_of(records):
    return [one for one in records if type(one).__name__ == "WindowRow"]


async def written(writer, batches, each):
    task = asyncio.create_task(writer.run())
    for batch in batches:
        writer.put(batch)
        await each()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    writer.close()


def test_record_is_stored_without_waiting_for_others_and_all_of_them_once(tmp_path):
    store, stored, moved = Store.open(tmp_path / "lake"), [], threading.Event()

    def told(records):
        stored.extend(records)
        moved.set()

    async def until_stored():
        await asyncio.to_thread(moved.wait, 60)
        moved.clear()

    writer = RecordWriter(DeltaOutput(store, "watch"), JsonLines(tmp_path / "lines"), every_s=0.0, stored=told)
    made = list(minutes(5))
    asyncio.run(written(writer, made, until_stored))
    assert stored == [one for batch in made for one in batch]
    assert len(stored_windows(store)) == len(set(stored_windows(store))) == len(windows_of(stored))
    assert sum(writer.counts.values()) == len(stored)
    lines = b"".join(path.read_bytes() for path in (tmp_path / "lines" / "unified").rglob("*.jsonl"))
    assert lines.count(b"\n") == len(windows_of(stored))


def test_batch_that_one_table_refused_is_in_all_of_them_once_after_the_next_try(tmp_path, monkeypatch):
    store = Store.open(tmp_path / "lake")
    append, refusals = DeltaOutput._append, [STABLECOIN_ALERTS.name]

    def once_refused(self, table, number, rows):
        if table.name in refusals:
            refusals.remove(table.name)
            raise StoreError("no room", key=table.name)
        append(self, table, number, rows)

    monkeypatch.setattr(DeltaOutput, "_append", once_refused)
    writer = RecordWriter(DeltaOutput(store, "watch"), JsonLines(tmp_path / "lines"))
    made = [one for batch in minutes(5) for one in batch]

    async def refused_and_tried_again():
        writer.put(made)
        with pytest.raises(StoreError):
            await writer.run()
        writer.close()

    asyncio.run(refused_and_tried_again())
    assert sorted(stored_windows(store)) == sorted(set(stored_windows(store)))
    assert len(stored_windows(store)) == len(windows_of(made))
    alerts = scan(store, STABLECOIN_ALERTS).collect()
    assert alerts.height == sum(type(one).__name__ == "AlertRow" for one in made) > 0
    lines = b"".join(path.read_bytes() for path in (tmp_path / "lines").rglob("*.jsonl"))
    assert lines.count(b'"type":"alert"') == alerts.height


def test_thirty_small_commits_lie_in_few_files_row_for_row(tmp_path, monkeypatch):
    monkeypatch.setattr(outputs, "CROWD", 4)
    monkeypatch.setattr(outputs, "RENEW_EVERY", 6)
    store = Store.open(tmp_path / "lake")
    output, rows = DeltaOutput(store, "watch"), 0
    for number, records in enumerate(minutes(30), 1):
        output.commit(number, records)
        output.tidy()
        rows += len(windows_of(records))
    assert len(stored_windows(store)) == len(set(stored_windows(store))) == rows
    found = open_table(store, STABLECOIN_WINDOWS.name)
    assert found is not None
    assert len(found.file_uris()) <= len(COINS) * 2 * 4  # of 60 that were written
    output.commit(30, [])
    again = DeltaOutput(store, "watch")
    again.commit(30, records)
    assert len(stored_windows(store)) == rows
