"""What is known of one chain, or of no chain (the market): facts, and how far its blocks are final."""

import msgspec

from tidelake.stablecoins.reorg_prior import ReorgHistory
from tidelake.stablecoins.series import Series

NEVER_US = -1
ALWAYS_US = 1 << 62
MANY_SKIPPED = 0.1  # our choice: above it the share of slots without a block lowers the confidence


class Lane(msgspec.Struct):
    """Facts and finality of one chain; of the market the name is "".

    Attributes:
        series: By feature, then source. Supply changes of all sources are one series, for their ids are the chain's.
        passed_us: Times up to which blocks are known, of tier 2, and of tier 3; all of them for ever on a chain whose
            heads nobody tells.
        heard_us: When the newest word on tier 2 was known.
        head_block: The highest block that was told.
        final_block: The highest block of tier 3.
        frontier_us: Windows that end here or earlier are FINAL or let go, and take no fact any more.
        let_go_us: Of those windows the ones that end here or earlier were let go, not FINAL, unless they were before.
        lost_us: Time of the last block whose facts will never be told: windows that begin by then are let go.
        skipped: Share of the newest slots without a block, where the chain numbers slots.
        many_skipped: Whether an incident says that it is high.
        halted: A final block was contradicted; nothing becomes FINAL until somebody says that the chain goes on.
        down: Sources of chain facts that are not told at present.
    """

    name: str
    passed_us: tuple[int, int, int]
    frontier_us: int = 0
    series: dict[str, dict[str, Series]] = {}
    heard_us: int = -1
    head_block: int = -1
    final_block: int = -1
    let_go_us: int = 0
    lost_us: int = -1
    skipped: float = 0.0
    many_skipped: bool = False
    halted: bool = False
    down: list[str] = []
    reorgs: ReorgHistory = msgspec.field(default_factory=ReorgHistory)

    def get(self, feature: str, source: str, quote: str) -> Series:
        """The series of this feature and source, made where it is missing."""
        by_source = self.series.get(feature)
        if by_source is None:
            by_source = self.series[feature] = {}
        key = "" if feature == "supply" else source
        found = by_source.get(key)
        if found is None:
            found = by_source[key] = Series(quote=quote)
        return found

    def of(self, feature: str) -> list[tuple[str, Series]]:
        """Sources of a feature and their series."""
        return list(self.series.get(feature, {}).items())

    @property
    def distress(self) -> float:
        """How far the share of skipped slots is above what is ordinary: 0 to 1."""
        return max(0.0, (self.skipped - MANY_SKIPPED) / (1.0 - MANY_SKIPPED))

    def fall_back(self, time_us: int) -> None:
        """No block after this time is of tier 2 or 3."""
        first, second, third = self.passed_us
        self.passed_us = (first, min(second, time_us), min(third, time_us))

    def hindrance(self, since_us: int) -> str:
        """Why windows here do not become FINAL; "" where blocks up to that time are final, and nothing holds them."""
        if self.halted:
            return f"final blocks of {self.name} were contradicted"
        if self.down:
            return f"{', '.join(self.down)} of {self.name} are down"
        return f"blocks of {self.name} do not become final" if self.passed_us[2] < since_us else ""

    @property
    def holds(self) -> bool:
        """Whether nothing may become FINAL here."""
        return self.halted or bool(self.down)
