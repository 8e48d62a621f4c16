"""The lending product of a lake: `lake.lending.collect(..)`, as `tidelake lending` does it."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidelake.errors import NotInLake
from tidelake.raw.store import Store

if TYPE_CHECKING:
    from tidelake.jobs.collect_lending import CollectSettings
    from tidelake.jobs.lending_recheck import RecheckReport
    from tidelake.jobs.lending_report import CollectReport
    from tidelake.jobs.lending_status import MarketStatus
    from tidelake.lending.market import Market

AHEAD = 40  # grid times of each chain that `update` looks at again


@dataclass(frozen=True)
class Lending:
    """Lending markets of one lake."""

    store: Store

    def markets(self, names: Sequence[str] = ()) -> "list[Market]":
        """Markets of the registry, in its order: those named (ids, tiers, families or chains), by default all.

        Raises:
            NotInLake: A name fits none.
            ConfigError: The registry has a problem.
        """
        from tidelake.lending.registry import markets

        known = markets()
        for name in names:
            if not any(name in _names(market) for market in known.values()):
                raise NotInLake(f"no market, tier, family or chain is called {name!r}", available=tuple(known))
        return [market for market in known.values() if not names or _names(market) & set(names)]

    def collect(
        self, markets: Sequence[str], start: dt.date, end: dt.date, settings: "CollectSettings | None" = None
    ) -> "CollectReport":
        """Bring markets' state and logs into the raw log; see `jobs.collect_lending.collect_lending`.

        Default: the markets of tier core.
        """
        from tidelake.jobs.collect_lending import collect_lending

        return collect_lending(self.store, self._readable(markets or ("core",)), start, end, settings)

    def recheck(self, *, last: int = AHEAD, settings: "CollectSettings | None" = None) -> "RecheckReport":
        """Look at pinned blocks again, and retract what a reorganisation voided; see `jobs.lending_recheck`."""
        from tidelake.jobs.collect_lending import CollectSettings
        from tidelake.jobs.lending_recheck import recheck_lending

        chosen = settings or CollectSettings()
        return recheck_lending(
            self.store, self.collected(), last=last, providers=chosen.providers, patience=chosen.patience
        )

    def update(
        self, markets: Sequence[str] = (), today: dt.date | None = None, settings: "CollectSettings | None" = None
    ) -> "tuple[RecheckReport, CollectReport]":
        """The daily increment: look again, then collect from where the collected markets end up to yesterday.

        Args:
            markets: Default: those of which the lake holds anything.
            today: The UTC day that is not over; default: now.
            settings: How to go about it; failed days are tried again in any case.

        Raises:
            NotInLake: Nothing was collected yet.
        """
        from dataclasses import replace

        from tidelake.jobs.collect_lending import CollectSettings, collect_lending

        chosen = replace(settings or CollectSettings(), retry_failed=True)
        end = today or dt.datetime.now(dt.UTC).date()
        found = self._readable(markets) if markets else self.collected()
        spans = [(one.first[:10], one.last[:10]) for one in self.status(markets, _midnight(end)) if one.last]
        if not spans:
            raise NotInLake(
                "nothing of any lending market is collected yet: `tidelake lending collect --start .. --end ..`"
            )
        rechecked = self.recheck(settings=chosen)
        first, last = (dt.date.fromisoformat(min(days)) for days in zip(*spans, strict=True))
        start = max(first, min(last, end - dt.timedelta(days=7)))
        return rechecked, collect_lending(self.store, found, start, end, chosen)

    def status(self, markets: Sequence[str] = (), now: dt.datetime | None = None) -> "list[MarketStatus]":
        """What is collected, what failed and what is stale; default: of the markets of which anything is."""
        from tidelake.jobs.lending_status import lending_status

        found = self.markets(markets) if markets else self.collected()
        return lending_status(self.store, found, now or dt.datetime.now(dt.UTC))

    def collected(self) -> "list[Market]":
        """The markets of the registry of which the lake holds anything."""
        from tidelake.lending.recorded import positions_lane
        from tidelake.raw.ledger import Ledger

        lanes = set(Ledger(self.store).lanes())
        return [market for market in self.markets() if positions_lane(market.id) in lanes]

    def _readable(self, names: Sequence[str]) -> "list[Market]":
        """Markets whose family is read; one that is named by its id is kept, so that it is refused by name."""
        from tidelake.lending.families.registry import FAMILIES

        return [market for market in self.markets(names) if market.family in FAMILIES or market.id in names]


def _names(market: "Market") -> set[str]:
    return {market.id, market.tier, market.family, market.chain, "all"}


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), dt.UTC)
