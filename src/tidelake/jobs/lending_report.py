"""What `lending collect` says at its end: one row for each market."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tidelake.jobs.lending_plan import BUSY_BLOCKS, Cost
from tidelake.jobs.report import DONE, DONE_WITH_GAPS, FAILED

SHOWN = 20


@dataclass(slots=True)
class MarketReport:
    """What became of the grid times of one market.

    Attributes:
        market, chain: Which.
        wanted: Grid times asked for.
        already: Of these stood before, failed ones that were not to be retried included.
        planned: Are to be collected (of a dry run).
        ok, not_deployed: Were collected.
        failed: Have a reason in the lake why they are not, those of earlier runs included.
        not_reached: Were not asked for, because their block is not settled yet or the run ended before.
        logs_missing: Collected grid times whose logs are not known.
        logs_proven: Collected grid times whose logs are proven: by two providers, or by the headers of all blocks.
        logs_unproven: Collected grid times whose logs are one provider's word: it may have left some out.
        state_logs_missing: Collected grid times of which amounts are not known that only logs tell (the collateral of
            Morpho), because not all of these logs since the deployment are known: they are null then, never zero.
        without_oracle: Collected grid times at which the market's own oracle was asked and told no prices; they stand.
        reason: The first reason of those.
    """

    market: str
    chain: str
    wanted: int = 0
    already: int = 0
    planned: int = 0
    ok: int = 0
    not_deployed: int = 0
    failed: int = 0
    not_reached: int = 0
    logs_missing: int = 0
    logs_proven: int = 0
    logs_unproven: int = 0
    state_logs_missing: int = 0
    without_oracle: int = 0
    reason: str = ""

    def says(self, reason: str) -> None:
        """Keep the first reason."""
        self.reason = self.reason or reason


@dataclass(frozen=True, slots=True)
class CollectReport:
    """All of them, by chain and market.

    Attributes:
        rows: One for each market.
        estimate: What the plan costs.
        asked: What was asked of providers: calls, requests, units.
        seconds: Time taken.
        planned: Whether it was a plan alone.
    """

    rows: Sequence[MarketReport]
    estimate: Cost = field(default_factory=Cost)
    asked: Cost = field(default_factory=Cost)
    seconds: float = 0.0
    planned: bool = False

    @property
    def exit_code(self) -> int:
        """0 all is collected or planned, 1 nothing of what was asked for is there, 3 something is missing."""
        if self.planned:
            return DONE
        missing = (row.failed + row.not_reached + row.logs_missing + row.state_logs_missing for row in self.rows)
        if not any(missing):
            return DONE
        return DONE_WITH_GAPS if any(row.ok + row.not_deployed + row.already for row in self.rows) else FAILED

    @property
    def summary(self) -> str:
        """The report in a few lines for people."""
        names = (
            "already", "planned", "ok", "not_deployed", "failed", "not_reached", "logs_proven", "logs_unproven",
            "logs_missing", "state_logs_missing", "without_oracle",
        )  # fmt: skip
        counts = {name: sum(getattr(row, name) for row in self.rows) for name in names}
        told = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items() if count)
        cost = self.estimate if self.planned else self.asked
        about = "about " if self.planned else ""
        spent = f"{about}{cost.calls:,} calls in {cost.requests:,} HTTP requests, {cost.units:,} compute units"
        seconds = self.estimate.seconds if self.planned else self.seconds
        lines = [f"lending collect: {len(self.rows)} markets: {told or 'nothing'}; {spent}, {about}{seconds:.1f} s"]
        if self.planned and cost.supposed:
            lines.append(
                f"{cost.supposed:,} of these calls are supposed, {BUSY_BLOCKS} blocks a day since the deployment: only "
                "blocks with logs that tell collateral are asked for, likely far fewer"
            )
        wrong = [row for row in self.rows if row.reason]
        lines += [f"{row.market}: {row.reason}" for row in wrong[:SHOWN]]
        if len(wrong) > SHOWN:
            lines.append(f".. and {len(wrong) - SHOWN} more")
        return "\n".join(lines)
