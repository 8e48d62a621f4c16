"""Capture sessions by a clock that a test moves: what runs when, beside what, and what a failure takes with it."""

import asyncio
import datetime as dt
from contextlib import asynccontextmanager
from pathlib import Path

import polars as pl
import pytest

from tests.jobs.test_capture import ok, trade
from tests.jobs.test_live_regimes import Market
from tests.transport.socket_server import SocketServer
from tidelake.cli.app import run
from tidelake.errors import ConfigError
from tidelake.jobs.capture import CaptureSettings
from tidelake.jobs.capture_report import CapturedStream, CaptureReport, LinkReport
from tidelake.jobs.capture_schedule import Daily, Every, Window, joined, within
from tidelake.jobs.capture_sessions import plan_sessions, run_sessions_async
from tidelake.jobs.capture_sessions_file import RegimeRule, read_sessions
from tidelake.jobs.session import Settings
from tidelake.raw.ledger import Ledger
from tidelake.raw.store import Store
from tidelake.transport.http import Patience

HOUR = dt.timedelta(hours=1)
MONDAY = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
SESSION = '[[session]]\nname = "one"\nsymbols = ["binance-spot:BTC-USDT"]\nchannels = ["trades"]\n'
TWO = SESSION.replace("one", "two")
WHOLE_DAY = 'start = "00:00"\nend = "24:00"\n'
EVENT = "[[event]]\nname = 'rates'\nstart = 2026-03-02T10:00:30Z\nend = 2026-03-02T11:00:00Z\n"


def at(hours, minutes=0):
    return MONDAY + dt.timedelta(hours=hours, minutes=minutes)


class Clock:
    """Stands still until it is moved; then whoever waits is woken in the order of their moments."""

    def __init__(self, now=MONDAY):
        self._now = now
        self.waiting: list[tuple[dt.datetime, asyncio.Event]] = []

    def now(self):
        return self._now

    async def until(self, moment):
        if moment > self._now:
            self.waiting.append((moment, event := asyncio.Event()))
            await event.wait()

    async def move(self, to):
        while due := [wait for wait in self.waiting if wait[0] <= to and not wait[1].is_set()]:
            self._now, event = min(due, key=lambda wait: wait[0])
            event.set()
            await settle()
        self._now = to
        await settle()


async def settle():
    for _ in range(50):
        await asyncio.sleep(0)


class Captures:
    """Stands for captures: notes which ran from when to when; those of `broken` sessions fail so many times."""

    def __init__(self, clock, broken=None):
        self.clock = clock
        self.broken = broken or {}
        self.ran: list[tuple[str, dt.datetime, dt.datetime]] = []
        self.running: dict[str, CaptureSettings] = {}

    async def __call__(self, session, capturing):
        began = self.clock.now()
        self.running[session.name] = capturing
        if self.broken.get(session.name, 0) > 0:
            self.broken[session.name] -= 1
            raise OSError("no disk")
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            self.ran.append((session.name, began, self.clock.now()))
        del self.running[session.name]
        rows = (CapturedStream("binance-spot", "BTC-USDT", "trades", "captured", rows=5),)
        return CaptureReport(rows, (LinkReport("binance-spot", "lane", frames=7, bytes=70),), seconds=2.0)

    def tell(self, session, regime):
        """The watched stream's last minute was of this kind."""
        tags = {"symbol": ["BTC-USDT"], "event_time": [self.clock.now()], "regime": [regime]}
        judged = self.running[session].judged
        assert judged is not None
        judged(pl.DataFrame(tags))


def written(folder, text, calendar=""):
    (folder / "events.toml").write_text(calendar)
    path = folder / "sessions.toml"
    path.write_text(text)
    return path


@asynccontextmanager
async def sessions(folder, text, *, calendar="", broken=None, until=None, now=MONDAY):
    """Sessions that run under a clock; the report comes with the end."""
    clock = Clock(now)
    captures = Captures(clock, broken)
    file = read_sessions(written(folder, text, calendar))
    seconds = (until - now).total_seconds() if until else None
    work = asyncio.create_task(
        run_sessions_async(Store.open(folder / "lake"), file, seconds=seconds, clock=clock, capture=captures)
    )
    await settle()
    yield clock, captures, work
    if not work.done():
        work.cancel()
    await asyncio.wait([work])


def test_sessions_run_beside_each_other_in_their_windows(tmp_path):
    text = SESSION + 'start = "22:00"\nend = "02:00"\ndays = ["mon", "wed"]\n'
    text += TWO + 'every = "6h"\nfor = "30m"\n'

    async def work():
        async with sessions(tmp_path, text, until=at(48)) as (clock, captures, running):
            await clock.move(at(49))
            return captures.ran, running.result()

    ran, report = asyncio.run(work())
    assert [row for row in ran if row[0] == "one"] == [("one", at(22), at(26))]
    assert [row[1:] for row in ran if row[0] == "two"] == [(at(6 * n), at(6 * n, 30)) for n in range(8)]
    assert [(row.session, row.state, row.runs, row.frames, row.rows) for row in report.rows] == [
        ("one", "done", 1, 7, 5),
        ("two", "done", 8, 56, 40),
    ]
    assert (report.exit_code, report.interrupted) == (0, False)


def test_a_session_that_fails_is_begun_again_and_stops_no_other(tmp_path):
    text = SESSION + 'start = "00:00"\nend = "24:00"\n' + TWO + 'start = "00:00"\nend = "03:00"\n'

    async def work(broken):
        async with sessions(tmp_path, text, until=at(4), broken=broken) as (clock, captures, running):
            await clock.move(at(5))
            return captures.ran, running.result()

    ran, report = asyncio.run(work({"one": 2}))
    assert ran == [("two", at(0), at(3)), ("one", at(0, 2), at(4))]
    one, two = report.rows
    assert (one.runs, one.failures, one.state, two.failures) == (3, 2, "done", 0)
    assert report.exit_code == 3
    ran, report = asyncio.run(work({"one": 999}))
    assert ran == [("two", at(0), at(3))]
    assert (report.rows[0].state, report.rows[0].reason, report.exit_code) == ("failed", "OSError: no disk", 1)
    assert "OSError: no disk" in report.summary


def test_a_session_runs_while_the_watched_stream_is_busy(tmp_path):
    text = SESSION + 'when = ["high-volume"]\nwatch = "binance-spot:BTC-USDT"\n'

    async def work():
        async with sessions(tmp_path, text) as (clock, captures, running):
            watch = "watch binance-spot:BTC-USDT"
            for minutes, regime in enumerate(
                ["unknown", "normal", "high-volume", "unknown", "special-event", "low-volume", "normal", "high-volume"]
            ):
                await clock.move(at(0, minutes))
                captures.tell(watch, regime)
                await settle()
                assert ("one" in captures.running) == (minutes in (2, 3, 4, 7)), minutes
            running.cancel()
            await asyncio.wait([running])
            return captures.ran, running.result()

    ran, report = asyncio.run(work())
    assert [row for row in ran if row[0] == "one"] == [("one", at(0, 2), at(0, 5)), ("one", at(0, 7), at(0, 7))]
    assert [row.session for row in report.rows] == ["watch binance-spot:BTC-USDT", "one"]
    assert (report.interrupted, report.exit_code) == (False, 0)


def test_a_session_runs_while_an_event_of_the_calendar_is_on_and_watches_nothing_for_it(tmp_path):
    text = '[regimes]\ncalendar = "events.toml"\n' + SESSION + 'when = ["special-event"]\n'
    calendar = EVENT + "[[event]]\nname = 'other'\nstart = 2026-03-02T10:30:00Z\nend = 2026-03-02T12:00:00Z\n"
    calendar += "symbols = ['BTC-USDT']\n[[event]]\nname = 'not ours'\nstart = 2026-03-02T15:00:00Z\n"
    calendar += "end = 2026-03-02T16:00:00Z\nsymbols = ['ETH-USDT']\n"

    async def work():
        async with sessions(tmp_path, text, calendar=calendar) as (clock, captures, running):
            await clock.move(at(20))
            assert running.done(), "nothing can come any more"
            return captures.ran, running.result()

    ran, report = asyncio.run(work())
    assert ran == [("one", at(10), at(12))]
    assert [(row.session, row.state) for row in report.rows] == [("one", "done")]


def test_an_interrupt_ends_all_and_reports(tmp_path):
    text = SESSION + 'start = "00:00"\nend = "24:00"\n' + TWO + 'start = "05:00"\nend = "06:00"\n'

    async def work(until):
        async with sessions(tmp_path, text, until=until) as (clock, captures, running):
            await clock.move(at(1))
            running.cancel()
            await asyncio.wait([running])
            return captures.ran, running.result()

    ran, report = asyncio.run(work(None))
    assert ran == [("one", at(0), at(1))]
    assert [row.state for row in report.rows] == ["done", "waiting"]
    assert report.exit_code == 0
    assert asyncio.run(work(at(9)))[1].exit_code == 130


class HeldMarket(Market):
    """Waits after a busy minute until a third client listens, and after a quiet one until that client has left."""

    def __init__(self):
        super().__init__(30)
        self.over = asyncio.Event()
        self.peers = []

    async def rest(self):
        await super().rest()
        while self.minute == 11 and not (len(self.peers) == 3 and self.peers[2].heard > 5):
            await asyncio.sleep(0.01)
        while self.minute == 18 and not self.peers[2].closed_by_client:
            await asyncio.sleep(0.01)
        if self.minute == 18:
            self.over.set()

    async def for_client(self, peer):
        peer.heard = 0
        self.peers.append(peer)
        message = await peer.read()
        if b"bookTicker" in message:  # the watched stream
            await self.go_on(peer, message)
        else:
            reading = asyncio.create_task(peer.read())
            await peer.send(ok(message))
            for peer.heard in range(10_000):
                await peer.send(trade("btcusdt", 1_000_000 + peer.heard, self.now_ms))
                await asyncio.sleep(0.02)
                if reading.done():
                    return


def test_live_sessions_go_by_the_tags_of_the_stream_that_is_heard(tmp_path):
    text = '[regimes]\nwindow = "30m"\nleast_minutes = 5\n'
    text += TWO + WHOLE_DAY + SESSION + 'when = ["high-volume"]\nuntil = ["low-volume"]\n'
    store = Store.open(tmp_path / "lake")

    async def work():
        market = HeldMarket()
        async with SocketServer(market.for_client) as server:
            url = f"http://localhost:{server.port}"
            given = Settings(url=url, patience=Patience(first_wait=0.02), clock=market.clock)
            running = asyncio.create_task(
                run_sessions_async(store, read_sessions(written(tmp_path, text)), settings=given)
            )
            await market.over.wait()
            running.cancel()
            await asyncio.wait([running])
            return running.result()

    report = asyncio.run(asyncio.wait_for(work(), 60))
    rows = {row.session: row for row in report.rows}
    assert [rows[name].runs for name in ("watch binance-spot:BTC-USDT", "one", "two")] == [1, 1, 1]
    assert rows["two"].frames > rows["one"].frames > 5
    assert report.exit_code == 0
    lanes = [lane for lane in Ledger(store).lanes() if lane.startswith("capture.")]
    assert len({lane.split(".")[2] for lane in lanes}) == 3
    assert list(store.spool().iterdir()) == []


def test_windows_that_touch_are_one():
    whole = Daily(tuple(range(7)), 0 * HOUR, 24 * HOUR)
    assert within(whole.windows(MONDAY), MONDAY, at(24)) == [Window(MONDAY, None)]
    week = next(joined(Daily((0, 1, 2), 0 * HOUR, 24 * HOUR).windows(MONDAY)))
    assert week == Window(MONDAY, at(72))
    assert next(joined(Every(HOUR, HOUR).windows(at(0, 30)))) == Window(at(0), None)
    night = Daily((0,), 22 * HOUR, 2 * HOUR)
    assert within(night.windows(at(25)), at(25), at(49)) == [Window(at(22), at(26))]
    assert within(night.windows(at(26)), at(26), at(50)) == []


def test_a_plan_says_what_would_run_in_the_next_day(tmp_path):
    text = '[regimes]\ncalendar = "events.toml"\n'
    text += SESSION + 'start = "22:00"\nend = "02:00"\n'
    text += TWO + 'when = ["high-volume", "special-event"]\n'
    text += SESSION.replace("one", "three") + 'days = ["sun"]\nstart = "01:00"\nend = "02:00"\n'
    found = plan_sessions(read_sessions(written(tmp_path, text, EVENT)), at(1))
    assert [(row.session, row.start, row.end) for row in found.rows] == [
        ("one", at(-2), at(2)),
        ("one", at(22), at(26)),
        ("two", at(10), at(11)),
        ("two", None, None),
        ("three", None, None),
    ]
    assert found.rows[3].rule == ("when binance-spot:BTC-USDT is high-volume, special-event until low-volume, normal")
    assert found.rows[0].rule == "every day 22:00 to 02:00 UTC"
    assert (found.rows[0].symbols, found.rows[0].channels) == ("binance-spot:BTC-USDT", "trades")


LATE = 'start = "01:00"\nend = "25:00"\n'
RULE = 'when = ["high-volume"]\n'
WRONG = {
    "key `sesion`": "[[sesion]]\n",
    "begin each with [[session]]": "",
    "session 1, key `name`: a text is needed": SESSION.replace('name = "one"\n', "") + RULE,
    "session 1 (one), key `chanels`: not known here": SESSION.replace("channels", "chanels") + RULE,
    "session 1 (one), key `channels`: binance-spot has no channel funding": SESSION.replace("trades", "funding") + RULE,
    "key `symbols`: a list of texts is needed, found 'BTC'": SESSION.replace('["binance-spot:BTC-USDT"]', "'BTC'")
    + RULE,
    "key `symbols`: 'BTC-USDT' names no venue": SESSION.replace("binance-spot:", "") + RULE,
    "key `symbols`: no venue 'nowhere'": SESSION.replace("binance-spot", "nowhere") + RULE,
    "key `start`: one of `start`, `every` and `when` is needed, found none": SESSION,
    "key `when`: one of `start`, `every` and `when` is needed, found every and when": SESSION + RULE + 'every = "1h"\n',
    "key `for`: it does not go with `start`": SESSION + 'start = "01:00"\nend = "02:00"\nfor = "1m"\n',
    "key `end`: a time of day in UTC is needed, such as 08:00, found '25:00'": SESSION
    + 'start = "01:00"\nend = "25:00"\n',
    "key `end`: it is the start": SESSION + 'start = "01:00"\nend = "01:00"\n',
    "key `days`: 'monday' is none of mon, tue": SESSION + 'days = ["monday"]\nstart = "01:00"\nend = "02:00"\n',
    "key `every`: '1 h' is not a duration": SESSION + 'every = "1 h"\nfor = "1m"\n',
    "key `for`: a text is needed": SESSION + 'every = "1h"\n',
    "key `for`: it is longer than `every`": SESSION + 'every = "1h"\nfor = "2h"\n',
    "key `when`: 'high_volume' is none of high-volume": SESSION + 'when = ["high_volume"]\n',
    "key `until`: high-volume also begins it": SESSION + RULE + 'until = ["high-volume"]\n',
    "key `when`: special-event needs a `calendar`": SESSION + 'when = ["special-event"]\n',
    "key `watch`: no venue 'x'": SESSION + RULE + 'watch = "x:BTC-USD"\n',
    "session 2 (one), key `name`: another session has this name": (SESSION + RULE) * 2,
    "[regimes], key `low`: a number is needed, found '0.1'": "[regimes]\nlow = '0.1'\n" + SESSION + RULE,
    "[regimes], key `regimes`: quantiles must be": "[regimes]\nlow = 0.9\n" + SESSION + RULE,
    "[regimes], key `votes`: a whole number is needed, found inf": "[regimes]\nvotes = inf\n" + SESSION + RULE,
    "[regimes], key `window`: '99999999999d' is longer": "[regimes]\nwindow = '99999999999d'\n" + SESSION + RULE,
    "cannot be read": "[[",
}


@pytest.mark.parametrize("text", WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_is_told_by_session_and_key(tmp_path, text):
    with pytest.raises(ConfigError) as told:
        read_sessions(written(tmp_path, WRONG[text]))
    assert text in str(told.value)
    assert "sessions.toml" in str(told.value)


def test_times_may_be_toml_times_and_a_symbol_may_come_from_the_sessions_venue(tmp_path):
    text = '[[session]]\nname = "a"\nvenue = "kraken"\nsymbols = ["BTC-USD", "coinbase:ETH-USD"]\n'
    (session,) = read_sessions(written(tmp_path, text + "start = 08:00:00\nend = 09:30:00\n")).sessions
    assert session.symbols == {"kraken": ("BTC-USD",), "coinbase": ("ETH-USD",)}
    assert session.rule == Daily(tuple(range(7)), 8 * HOUR, 9.5 * HOUR)
    assert session.channels == ("trades", "book", "quotes")


def test_the_example_in_the_docs_is_understood(tmp_path, capsys):
    example = Path(__file__).parents[2] / "docs" / "sessions.toml"
    file = read_sessions(example)
    assert [session.name for session in file.sessions] == ["asia", "sample", "busy"]
    rule = file.sessions[2].rule
    assert isinstance(rule, RegimeRule)
    assert (rule.source, rule.symbol, sorted(rule.until)) == ("binance-spot", "BTC-USDT", ["low-volume", "normal"])
    words = ["--lake", str(tmp_path / "lake"), "--format", "csv", "capture"]
    assert run([*words, "--sessions", str(example), "--dry-run"]) == 0
    out, err = capsys.readouterr()
    assert out.count("sample,") == 24 or out.count("sample,") == 25
    assert "3 sessions planned; nothing was asked" in err
    assert not (tmp_path / "lake").exists()
    assert run([*words, "--sessions", str(example), "--channels", "trades"]) == 2
    assert run([*words, "kraken", "BTC-USD", "--sessions", str(example)]) == 2
    assert run(words) == 2
