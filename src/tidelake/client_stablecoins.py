"""The stablecoin product of a lake: `lake.stablecoins.windows("USDC")`, as the command reads and plays it."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tidelake.client_book import Time, parse_time
from tidelake.raw.store import Store

if TYPE_CHECKING:
    import polars as pl

    from tidelake.stablecoins.attested import Checked
    from tidelake.stablecoins.explaining import Line
    from tidelake.stablecoins.reading import Asked
    from tidelake.stablecoins.records import Record
    from tidelake.stablecoins.replay.running import RunningReplay
    from tidelake.stablecoins.tracing import Told


@dataclass(frozen=True)
class Stablecoins:
    """Replays of coins, and what they told, in one lake. Times as text must name their zone."""

    store: Store

    def replay(
        self,
        folder: Path | str | None = None,
        *,
        kind: Literal["csv", "bars", "lake"] = "csv",
        coins: Sequence[str] = (),
        start: Time | None = None,
        end: Time | None = None,
        assume_latency: dt.timedelta | None = None,
        watch: str = "",
        speed: float = 0.0,
        run: str = "",
        jsonl: Path | None = None,
        shards: int = 0,
        listen: "Callable[[list[Record]], None] | None" = None,
    ) -> "RunningReplay":
        """Begin to play a history in a thread of its own; what is returned steers it, and `wait` gives the report.

        Args:
            folder: Of "csv" and "bars".
            kind: What the folder holds, or "lake" for what the lake does.
            coins: Only these.
            start, end: Of "lake": what was known in [start, end).
            assume_latency: Of "lake": take the past and candles as known at most so long after their event.
            watch: Of "lake": what the watch of this name took, as it took it.
            speed: Seconds of the history in a second; 0 is as fast as possible.
            run: Its name; default: made of the history and the coins, so that the same again goes on where it was.
            jsonl: Folder for rolling files of JSON lines.
            shards: Deal the coins out to so many processes.
            listen: Gets records as they are made, in the thread of the replay.

        Raises:
            ConfigError: The folder is none of a history.
            NotInLake: The lake holds nothing of these coins that was known then.
        """
        from tidelake.jobs.coin_replays import open_history, open_replay
        from tidelake.stablecoins.replay.control import ReplayControl
        from tidelake.stablecoins.replay.running import RunningReplay

        where = None if folder is None else Path(folder)
        since, until = _time(start), _time(end)
        history = open_history(
            self.store, kind, where, start=since, end=until, assume_latency=assume_latency, watch=watch
        )
        _, found = open_replay(
            self.store, history, kind, coins=coins, run=run, jsonl=jsonl, shards=shards, listen=listen
        )
        return RunningReplay(found, history, ReplayControl(speed), ended=history.close)

    def windows(
        self,
        coin: str,
        *,
        chain: str | None = None,
        window_s: int | None = None,
        start: Time | None = None,
        end: Time | None = None,
        run: str = "",
        as_of: Time | None = None,
        versions: bool = False,
    ) -> "pl.DataFrame":
        """Windows of a coin by event time, each by the version that stands, or with `versions` each version.

        Args:
            coin: Canonical symbol.
            chain: A chain, "all" for what is said over all chains; default: all scopes.
            window_s: 60 or 300; default: both.
            start, end: Windows that begin in [start, end).
            run: One replay; default: all of them side by side.
            as_of: Only what was known then, by the clock of the history.

        Returns:
            Rows of `stablecoin_windows`; docs/semantics.md defines them.

        Raises:
            NotInLake: No replay told of such a coin, chain or run.
        """
        from tidelake.stablecoins.reading import windows

        asked = _asked(coin, chain, run, start, end, as_of)
        return windows(self.store, asked, window_s=window_s, versions=versions)

    def alerts(
        self, coin: str = "", *, chain: str | None = None, run: str = "", as_of: Time | None = None, last: bool = False
    ) -> "pl.DataFrame":
        """Each step of each alert, or with `last` the last one; arguments as of `windows`.

        Raises:
            NotInLake: No replay told of such a coin, chain or run.
        """
        from tidelake.stablecoins.reading import alerts

        return alerts(self.store, _asked(coin, chain, run, None, None, as_of), last=last)

    def verify(self, coin: str = "", *, chain: str | None = None, run: str = "") -> "Checked":
        """Attestations held against the windows that they vouch for; see `stablecoins.attested.check_attestations`.

        Raises:
            NotInLake: No replay told of such a coin, chain or run.
        """
        from tidelake.stablecoins.attested import check_attestations

        return check_attestations(self.store, _asked(coin, chain, run, None, None, None))

    def explain(self, name: str, *, run: str = "", as_of: Time | None = None) -> "list[Line]":
        """What stands behind a window or an alert, by its id; see `stablecoins.explaining.explain`.

        Raises:
            NotInLake: The name is none, or no replay told of it by then.
        """
        from tidelake.stablecoins.explaining import explain

        return explain(self.store, name, run=run, as_of=_time(as_of))

    def trace(
        self, name: str, value: str = "", *, history: "Told | None" = None, run: str = "", as_of: Time | None = None
    ) -> "list[Line]":
        """The facts that a value of a window was made of; see `stablecoins.tracing.trace`.

        Args:
            name: Id of a window or an alert.
            value: A column of the window, such as "price"; of an alert "" is what it is about.
            history: What was replayed, such as `replay.folders.open_history(folder)`; default: what a watch heard.
            run: One replay; default: all of them, one after the other.
            as_of: Of the version that stood then.

        Raises:
            NotInLake: The name or the value is none, or no replay told of it by then.
        """
        from tidelake.stablecoins.tracing import trace

        return list(trace(self.store, name, value, history=history, run=run, as_of=_time(as_of)))


def _asked(coin: str, chain: str | None, run: str, start: Time | None, end: Time | None, as_of: Time | None) -> "Asked":
    from tidelake.stablecoins.reading import Asked

    return Asked(coin, chain, run, _time(start), _time(end), _time(as_of))


def _time(value: Time | None) -> dt.datetime | None:
    return None if value is None else parse_time(value)
