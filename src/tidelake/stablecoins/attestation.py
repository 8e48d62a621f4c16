"""Attestations: FINAL windows that are sure enough, in a chain of hashes that no later run can change unseen."""

import hashlib
from collections.abc import Iterable
from typing import Final

import msgspec

from tidelake.stablecoins.records import AttestationRow, WindowRow

ATTESTED_FROM: Final = 0.8
FIRST: Final = "0" * 64
KNOWLEDGE: Final = {"known_us": 0, "event_version": 0, "confirmation_count": None}  # when and how it was learnt
_ENCODER: Final = msgspec.json.Encoder()


def content_sha256(row: WindowRow) -> str:
    """Hash of what the row says, without when and in how many steps it was learnt."""
    return hashlib.sha256(_ENCODER.encode(msgspec.structs.replace(row, **KNOWLEDGE))).hexdigest()


def attest(row: WindowRow, sequence: int, previous: str) -> AttestationRow | None:
    """The next entry of a chain; None where the row is not FINAL or its score is below 0.8."""
    if row.window_state != "FINAL" or row.temporal_confidence < ATTESTED_FROM:
        return None
    content = content_sha256(row)
    return AttestationRow(
        coin=row.coin,
        chain=row.chain,
        window_s=row.window_s,
        window_start_us=row.window_start_us,
        known_us=row.known_us,
        sequence=sequence,
        temporal_confidence=row.temporal_confidence,
        content_sha256=content,
        previous_sha256=previous,
        sha256=hashlib.sha256(f"{previous}:{content}".encode()).hexdigest(),
    )


def broken_link(chain: Iterable[AttestationRow]) -> AttestationRow | None:
    """The first entry of one chain, in order, that does not follow from the one before; None where all do."""
    previous = FIRST
    for sequence, entry in enumerate(chain):
        linked = hashlib.sha256(f"{previous}:{entry.content_sha256}".encode()).hexdigest()
        if (entry.sequence, entry.previous_sha256, entry.sha256) != (sequence, previous, linked):
            return entry
        previous = entry.sha256
    return None
