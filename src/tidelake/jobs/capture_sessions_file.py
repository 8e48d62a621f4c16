"""Capture sessions as a TOML file says them; what is wrong in it is told by session and key.

[regimes]                           # how minutes are judged; the options of `tidelake regimes`
window = "1d"
calendar = "events.toml"

[[session]]                         # a part of each day
name = "asia"
symbols = ["binance-spot:BTC-USDT", "kraken:BTC-USD"]
days = ["mon", "tue", "wed", "thu", "fri"]
start = "00:00"
end = "08:00"

[[session]]                         # five minutes of each hour
name = "sample"
venue = "coinbase"
symbols = ["BTC-USD", "ETH-USD"]
channels = ["trades"]
every = "1h"
for = "5m"

[[session]]                         # while a stream is busy, or something is on in the calendar
name = "busy"
venue = "binance-usdm"
symbols = ["BTC-USDT-PERP", "ETH-USDT-PERP"]
when = ["high-volume", "special-event"]
watch = "binance-spot:BTC-USDT"     # by default the session's own first symbol
until = ["normal", "low-volume"]    # by default whatever else is known
"""

import datetime as dt
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tidelake.durations import parse_duration
from tidelake.errors import ConfigError, NotInLake
from tidelake.jobs.capture_plan import plan_links
from tidelake.jobs.capture_schedule import DAY, WEEK, Daily, Every
from tidelake.jobs.regimes import RegimeSettings, SpecialEvent, read_calendar
from tidelake.venues.registry import venue as find_venue

CHANNELS = ("trades", "book", "quotes")
SPECIAL = "special-event"
JUDGED = ("high-volume", "low-volume", "normal")  # by the market itself
REGIMES = (*JUDGED, SPECIAL, "unknown")
SCHEDULE_KEYS = ("days", "start", "end", "every", "for")
RULE_KEYS = ("when", "watch", "until")
TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")


@dataclass(frozen=True, slots=True)
class RegimeRule:
    """While the watched stream's minutes are of some kind.

    Attributes:
        source, symbol: The watched stream.
        when: Tags with which it begins.
        until: Tags with which it ends; with all others it stays as it is.
        calendar: Events of the watched symbol, where `when` names them: they begin and end by the clock.
    """

    source: str
    symbol: str
    when: frozenset[str]
    until: frozenset[str]
    calendar: tuple[SpecialEvent, ...] = ()

    @property
    def by_market(self) -> bool:
        """Whether the stream has to be listened to."""
        return bool(self.when - {SPECIAL})

    def words(self) -> str:
        """For people."""
        until = f" until {', '.join(sorted(self.until))}" if self.by_market else ""
        return f"when {self.source}:{self.symbol} is {', '.join(sorted(self.when))}{until}"


@dataclass(frozen=True, slots=True)
class CaptureSession:
    """What is captured together, and when.

    Attributes:
        name: Told apart by it.
        symbols: Canonical symbols by source id.
        channels: Our channel words.
        rule: When it runs.
    """

    name: str
    symbols: Mapping[str, tuple[str, ...]]
    channels: tuple[str, ...]
    rule: Daily | Every | RegimeRule


@dataclass(frozen=True)
class SessionsFile:
    """All sessions of a file, and how minutes are judged."""

    sessions: tuple[CaptureSession, ...]
    regimes: RegimeSettings = field(default_factory=RegimeSettings)


def read_sessions(path: Path) -> SessionsFile:
    """The sessions of a file; paths in it are taken from its folder.

    Raises:
        ConfigError: It cannot be read, or says something that is not understood or cannot be captured; the text names
            the session and the key.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as exc:
        raise ConfigError(f"the sessions {path} cannot be read: {exc}", tried=(str(path),)) from exc
    whole = _Section(path, "", found)
    whole.allow("regimes", "session")
    regimes = _regimes(_Section(path, "[regimes]", whole.table("regimes")), path.parent)
    told = whole.tables("session")
    sessions = []
    for number, words in enumerate(told, 1):
        name = words.get("name")
        called = f"session {number}" + (f" ({name})" if isinstance(name, str) else "")
        sessions.append(_session(_Section(path, called, words), regimes))
        if sessions[-1].name in [other.name for other in sessions[:-1]]:
            raise ConfigError(f"{path}: {called}, key `name`: another session has this name", tried=(str(path),))
    if not sessions:
        raise ConfigError(f"{path}: key `session`: there is none; begin each with [[session]]", tried=(str(path),))
    return SessionsFile(tuple(sessions), regimes)


@dataclass(frozen=True)
class _Section:
    """Keys of one part of the file, and where it is for errors."""

    path: Path
    called: str
    words: Mapping[str, Any]

    def wrong(self, key: str, text: str) -> ConfigError:
        where = ", ".join(filter(None, (self.called, f"key `{key}`")))
        return ConfigError(f"{self.path}: {where}: {text}", tried=(str(self.path),))

    def allow(self, *keys: str) -> None:
        for key in self.words:
            if key not in keys:
                raise self.wrong(key, f"not known here; there are {', '.join(keys)}")

    def table(self, key: str) -> Mapping[str, Any]:
        found = self.words.get(key, {})
        if not isinstance(found, dict):
            raise self.wrong(key, f"it is a table, written [{key}]")
        return found

    def tables(self, key: str) -> list[Mapping[str, Any]]:
        found = self.words.get(key, [])
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise self.wrong(key, f"each is a table of its own, written [[{key}]]")
        return found

    def text(self, key: str, default: str | None = None) -> str:
        found = self.words.get(key, default)
        if not isinstance(found, str) or not found:
            raise self.wrong(key, "a text is needed" + (f", found {found!r}" if key in self.words else ""))
        return found

    def texts(self, key: str, default: tuple[str, ...] = (), *, among: tuple[str, ...] = ()) -> tuple[str, ...]:
        found = self.words.get(key, list(default))
        if not isinstance(found, list) or not found or not all(isinstance(each, str) and each for each in found):
            raise self.wrong(key, "a list of texts is needed" + (f", found {found!r}" if key in self.words else ""))
        for each in found if among else ():
            if each not in among:
                raise self.wrong(key, f"{each!r} is none of {', '.join(among)}")
        return tuple(dict.fromkeys(found))

    def number(self, key: str, default: float) -> float:
        found = self.words.get(key, default)
        if isinstance(found, bool) or not isinstance(found, int | float):
            raise self.wrong(key, f"a number is needed, found {found!r}")
        return found

    def count(self, key: str, default: int) -> int:
        found = self.number(key, default)
        if not isinstance(found, int):
            raise self.wrong(key, f"a whole number is needed, found {found!r}")
        return found

    def duration(self, key: str, default: str | None = None) -> dt.timedelta:
        try:
            found = parse_duration(self.text(key, default))
        except ValueError as exc:
            raise self.wrong(key, str(exc)) from None
        if found < dt.timedelta(seconds=1):
            raise self.wrong(key, f"a second at least, found {found}")
        return found

    def time(self, key: str) -> dt.timedelta:
        """A time of day, as TOML has it or as text; 24:00 is the end of the day."""
        found = self.words.get(key)
        text = f"{found:%H:%M}" if isinstance(found, dt.time) and not found.second else found
        if not isinstance(text, str) or not TIME.fullmatch(text):
            raise self.wrong(key, f"a time of day in UTC is needed, such as 08:00, found {found!r}")
        hours, minutes = text.split(":")
        return dt.timedelta(hours=int(hours), minutes=int(minutes))


def _regimes(section: _Section, folder: Path) -> RegimeSettings:
    section.allow("window", "low", "high", "least_minutes", "votes", "calendar")
    given = RegimeSettings()
    calendar = read_calendar(folder / section.text("calendar")) if "calendar" in section.words else ()
    try:
        return RegimeSettings(
            section.duration("window", f"{given.window // dt.timedelta(minutes=1)}m"),
            section.number("low", given.low),
            section.number("high", given.high),
            section.count("least_minutes", given.least_minutes),
            section.count("votes", given.votes),
            calendar,
        )
    except ConfigError as exc:
        raise exc if str(section.path) in str(exc) else section.wrong("regimes", str(exc)) from None


def _session(section: _Section, regimes: RegimeSettings) -> CaptureSession:
    section.allow("name", "venue", "symbols", "channels", *SCHEDULE_KEYS, *RULE_KEYS)
    name = section.text("name")
    symbols: dict[str, tuple[str, ...]] = {}
    for symbol in section.texts("symbols"):
        source, canonical = _stream(section, "symbols", symbol)
        symbols[source] = (*symbols.get(source, ()), canonical)
    channels = section.texts("channels", CHANNELS)
    for source, names in symbols.items():
        try:
            links, left = plan_links(find_venue(source), names, channels)
        except ConfigError as exc:
            raise section.wrong("channels", str(exc)) from None
        if not links:
            raise section.wrong("symbols", "; ".join(each.reason for each in left))
    return CaptureSession(name, symbols, channels, _rule(section, symbols, regimes))


def _stream(section: _Section, key: str, text: str) -> tuple[str, str]:
    """Source and symbol of `VENUE:SYMBOL`, or of a symbol of the session's venue."""
    source, _, symbol = text.rpartition(":")
    if not source and "venue" not in section.words:
        raise section.wrong(key, f"{text!r} names no venue; write VENUE:SYMBOL, or give the session a `venue`")
    source = source or section.text("venue")
    try:
        find_venue(source)
    except NotInLake as exc:
        raise section.wrong(key if ":" in text else "venue", str(exc)) from None
    return source, symbol


def _rule(
    section: _Section, symbols: Mapping[str, tuple[str, ...]], regimes: RegimeSettings
) -> Daily | Every | RegimeRule:
    said = [key for key in ("start", "every", "when") if key in section.words]
    if len(said) != 1:
        found = f"found {' and '.join(said)}" if said else "found none of them"
        raise section.wrong(said[-1] if said else "start", f"one of `start`, `every` and `when` is needed, {found}")
    mine = {"start": ("days", "start", "end"), "every": ("every", "for"), "when": RULE_KEYS}[said[0]]
    for key in (*SCHEDULE_KEYS, *RULE_KEYS):
        if key in section.words and key not in mine:
            raise section.wrong(key, f"it does not go with `{said[0]}`, which takes {', '.join(mine)}")
    if said[0] == "start":
        days = section.texts("days", WEEK, among=WEEK)
        start, end = section.time("start"), section.time("end")
        if start in (end, DAY):
            raise section.wrong("end", "it is the start; a whole day is 00:00 to 24:00")
        return Daily(tuple(WEEK.index(day) for day in days), start, end)
    if said[0] == "every":
        every = Every(section.duration("every"), section.duration("for"))
        if every.length > every.interval:
            raise section.wrong("for", f"it is longer than `every` ({every.length} of {every.interval})")
        return every
    return _regime_rule(section, symbols, regimes)


def _regime_rule(section: _Section, symbols: Mapping[str, tuple[str, ...]], regimes: RegimeSettings) -> RegimeRule:
    when = frozenset(section.texts("when", among=REGIMES))
    until = frozenset(section.texts("until", tuple(tag for tag in JUDGED if tag not in when) or JUDGED, among=REGIMES))
    if "until" in section.words and when & until:
        raise section.wrong("until", f"{', '.join(sorted(when & until))} also begins it")
    first = next(f"{source}:{names[0]}" for source, names in symbols.items())
    source, symbol = _stream(section, "watch", section.text("watch", first))
    if SPECIAL in when and not regimes.calendar:
        raise section.wrong("when", f"{SPECIAL} needs a `calendar` under [regimes]")
    events = tuple(event for event in regimes.calendar if not event.symbols or symbol in event.symbols)
    rule = RegimeRule(source, symbol, when, until - when, events if SPECIAL in when else ())
    if rule.by_market:
        try:
            links, left = plan_links(find_venue(source), [symbol], ["trades"])
        except ConfigError as exc:
            raise section.wrong("watch", str(exc)) from None
        if not links:
            raise section.wrong("watch", "; ".join(each.reason for each in left))
    return rule
