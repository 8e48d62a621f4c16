"""What a coin's machine says: windows, alerts, corrections, attestations, incidents."""

from decimal import Decimal

import msgspec

from tidelake.stablecoins.score import Breakdown


class WindowRow(msgspec.Struct, tag="window", gc=False, kw_only=True):
    """What one version of a window says; docs/semantics.md defines each field.

    All but `known_us`, `event_version` and `confirmation_count` is, once FINAL, a function of the facts alone.
    """

    coin: str
    chain: str
    aggregation_level: str
    window_s: int
    window_start_us: int
    window_end_us: int
    window_state: str
    event_version: int
    known_us: int
    price: float | None
    price_quote: str | None
    price_low: float | None
    price_high: float | None
    price_sources: int
    price_agreeing: int
    price_age_us: int | None
    off_peg_sources: int
    volume: float | None
    volume_age_us: int | None
    liquidity_depth: float | None
    liquidity_age_us: int | None
    net_supply_change: Decimal | None
    minted: Decimal | None
    burned: Decimal | None
    supply_events: int
    uncounted_supply_change: Decimal | None
    circulating_supply: float | None
    circulating_age_us: int | None
    market_volatility: float | None
    volatility_age_us: int | None
    sentiment_score: float | None
    sentiment_age_us: int | None
    sources: str
    block_number: int | None
    tx_hash: str | None
    confirmation_count: int | None
    finality_tier: str
    is_finalized: bool
    temporal_confidence: float
    confidence_breakdown: Breakdown

    @property
    def window_id(self) -> str:
        """The window's name, the same in all versions."""
        return window_id(self.coin, self.chain, self.window_s, self.window_start_us)


class AlertRow(msgspec.Struct, tag="alert", frozen=True, gc=False, kw_only=True):
    """A step in the life of an alert.

    Attributes:
        alert_id: The same through its life.
        event_version: From 1, one more with each step.
        kind: "depeg", "mint", "burn", "liquidity_drain", "volatility" or "sentiment".
        severity: "notice", "warning" or "severe".
        state: "PROVISIONAL", "PROBABLE", "CONFIRMED", or "WITHDRAWN": it was not so.
        event_us: End of the window that it rests on, or the time of the fact that fired it within the window.
        ended_us: End of the window by which it was over; None while it lasts.
        measure, threshold: The worst that was measured, and the least that it had to reach.
        confidence: How sure it is: factors of the row that it rests on, of what it speaks of alone.
        reason: Why this step was taken.
    """

    alert_id: str
    event_version: int
    coin: str
    chain: str
    kind: str
    severity: str
    state: str
    window_s: int
    window_start_us: int
    event_us: int
    fired_us: int
    ended_us: int | None
    known_us: int
    measure: float
    threshold: float
    confidence: float
    corroborated: bool
    reason: str


class CorrectionRow(msgspec.Struct, tag="correction", frozen=True, gc=False, kw_only=True):
    """A fact that was taken back, or stands again, and the windows that this reopened.

    Attributes:
        status: "invalidated" or "restored".
        replacement_event_ids: What came for the whole set of which it was a part, of this coin or not yet known to be.
        windows_reopened: Versions that were to be written anew, over chains and lengths.
    """

    coin: str
    chain: str
    event_id: str
    event_us: int
    known_us: int
    status: str
    reason: str
    net_supply_change: Decimal
    replacement_event_ids: tuple[str, ...]
    windows_reopened: int


class AttestationRow(msgspec.Struct, tag="attestation", frozen=True, gc=False, kw_only=True):
    """A FINAL window sure enough to be vouched for, in a chain of hashes per coin, chain and window length.

    Attributes:
        sequence: Place in its chain, from 0.
        content_sha256: Hash of the row's JSON without `known_us`, `event_version` and `confirmation_count`.
        previous_sha256: Hash of the entry before; 64 zeros at the first.
        sha256: Hash of the text "previous_sha256:content_sha256".
    """

    coin: str
    chain: str
    window_s: int
    window_start_us: int
    known_us: int
    sequence: int
    temporal_confidence: float
    content_sha256: str
    previous_sha256: str
    sha256: str


class IncidentRow(msgspec.Struct, tag="incident", frozen=True, gc=False, kw_only=True):
    """Something that should not have been, and what was done.

    Attributes:
        kind: "refused" (bad input), "after_final" (a fact came for a window that was FINAL), "finality_violated" (a
            fact in a final block was taken back; the chain halts), "resumed" (it goes on), "source_down",
            "source_back", "let_go" (windows stay PROVISIONAL for good), "slots_skipped" (many), "machine_failed".
    """

    coin: str
    chain: str
    kind: str
    event_us: int
    known_us: int
    event_id: str
    source: str
    reason: str


Record = WindowRow | AlertRow | CorrectionRow | AttestationRow | IncidentRow


def window_id(coin: str, chain: str, window_s: int, start_us: int) -> str:
    """The name of a window."""
    return f"{coin}:{chain or 'all'}:{window_s}:{start_us // 1_000_000}"
