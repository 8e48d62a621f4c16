"""The stablecoin product of a lake: `lake.stablecoins.windows("USDC")`, as `tidelake stablecoins` reads it."""

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidelake.client_book import Time, parse_time
from tidelake.raw.store import Store

if TYPE_CHECKING:
    import polars as pl

    from tidelake.stablecoins.explaining import Line
    from tidelake.stablecoins.reading import Asked


@dataclass(frozen=True)
class Stablecoins:
    """What replays told of coins, in one lake. Times as text must name their zone."""

    store: Store

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

    def explain(self, name: str, *, run: str = "", as_of: Time | None = None) -> "list[Line]":
        """What stands behind a window or an alert, by its id; see `stablecoins.explaining.explain`.

        Raises:
            NotInLake: The name is none, or no replay told of it by then.
        """
        from tidelake.stablecoins.explaining import explain

        return explain(self.store, name, run=run, as_of=_time(as_of))


def _asked(coin: str, chain: str | None, run: str, start: Time | None, end: Time | None, as_of: Time | None) -> "Asked":
    from tidelake.stablecoins.reading import Asked

    return Asked(coin, chain, run, _time(start), _time(end), _time(as_of))


def _time(value: Time | None) -> dt.datetime | None:
    return None if value is None else parse_time(value)
