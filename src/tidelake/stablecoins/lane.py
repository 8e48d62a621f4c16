"""What is known of one chain, or of no chain (the market): facts, and how far its blocks are final."""

import msgspec

from tidelake.stablecoins.reorg_prior import ReorgHistory
from tidelake.stablecoins.series import Series

NEVER_US = -1
ALWAYS_US = 1 << 62


class Lane(msgspec.Struct):
    """Facts and finality of one chain; of the market the name is "".

    Attributes:
        series: By feature, then source. Supply changes of all sources are one series, for their ids are the chain's.
        passed_us: Times up to which blocks are known, of tier 2, and of tier 3; all of them for ever on a chain whose
            heads nobody tells.
        heard_us: When the newest word on tier 2 was known.
        head_block: The highest block that was told.
        final_block: The highest block of tier 3.
        frontier_us: Windows that end here or earlier are FINAL, and take no fact any more.
        halted: A final block was contradicted; nothing becomes FINAL any more.
        down: Sources of chain facts that are not told at present.
    """

    name: str
    passed_us: tuple[int, int, int]
    frontier_us: int = 0
    series: dict[str, dict[str, Series]] = {}
    heard_us: int = -1
    head_block: int = -1
    final_block: int = -1
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
    def holds(self) -> bool:
        """Whether nothing may become FINAL here."""
        return self.halted or bool(self.down)
