"""Attestations held against the windows that they vouch for: chains of hashes followed, each row hashed again."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

import msgspec
import polars as pl

from tidelake.raw.store import Store
from tidelake.stablecoins.attestation import ATTESTED_FROM, broken_link, content_sha256
from tidelake.stablecoins.outputs import RENAMED, STARTS
from tidelake.stablecoins.reading import Asked, attestations, coins_told, windows
from tidelake.stablecoins.records import AttestationRow, WindowRow
from tidelake.stablecoins.score import Breakdown

CHAIN: Final = ("run", "coin", "chain", "window_s")
WINDOW: Final = (*CHAIN, "event_time")


class Finding(msgspec.Struct, frozen=True):
    """What is wrong with one entry of a chain of hashes, or with a window that should have one.

    Attributes:
        event_time: Start of the window.
        sequence: Place of the entry in its chain; None where there is no entry.
    """

    run: str
    coin: str
    chain: str
    window_s: int
    event_time: dt.datetime
    sequence: int | None
    problem: str


@dataclass
class Checked:
    """What was looked at.

    Attributes:
        chains: Chains of hashes.
        entries: Entries in them.
        findings: What is wrong, chain by chain.
    """

    chains: int
    entries: int
    findings: list[Finding]


def check_attestations(store: Store, asked: Asked) -> Checked:
    """Follow each chain of hashes, and hash each window again that it vouches for.

    A row, a link or a place that was changed, and an entry that was taken out or added, is found; not who rewrote a
    window with all entries from it on: keep the last `sha256` of a chain elsewhere to see that.

    Raises:
        NotInLake: No replay told of such a coin, chain or run.
    """
    found = Checked(0, 0, [])
    for coin in coins_told(store, asked):
        of_coin = replace(asked, coin=coin)
        entries, rows = attestations(store, of_coin), windows(store, of_coin, versions=True)
        final = {_place(row): row for row in rows.filter(pl.col("window_state") == "FINAL").iter_rows(named=True)}
        for _, chain in entries.group_by(CHAIN, maintain_order=True):
            found.chains += 1
            found.entries += chain.height
            found.findings += _of_chain(chain.to_dicts(), final)
        found.findings += [
            _finding(row, None, "FINAL with a score of 0.8 or more, and in no chain")
            for row in final.values()
            if row["temporal_confidence"] >= ATTESTED_FROM
        ]
    return found


def _of_chain(entries: list[dict[str, Any]], final: dict[tuple[object, ...], dict[str, Any]]) -> Iterator[Finding]:
    """What is wrong in one chain; the windows of its entries are taken out of `final`."""
    rows = [AttestationRow(**_fields(AttestationRow, entry)) for entry in entries]
    broken = broken_link(rows)
    for entry, row in zip(entries, rows, strict=True):
        if row is broken:
            yield _finding(entry, row.sequence, "does not follow from the entry before")
        window = final.pop(_place(entry), None)
        if window is None:
            yield _finding(entry, row.sequence, "vouches for no FINAL window, or for one that an entry before did")
        elif content_sha256(_window(window)) != row.content_sha256:
            yield _finding(entry, row.sequence, "the window says something else now")
        elif window["temporal_confidence"] != row.temporal_confidence:
            yield _finding(entry, row.sequence, "the score is not that of the window")


def _place(row: dict[str, Any]) -> tuple[object, ...]:
    return tuple(row[name] for name in WINDOW)


def _finding(row: dict[str, Any], sequence: int | None, problem: str) -> Finding:
    return Finding(**{name: row[name] for name in WINDOW}, sequence=sequence, problem=problem)


def _window(row: dict[str, Any]) -> WindowRow:
    """The record of a row of `stablecoin_windows`; of zero tokens the table keeps digits that the record has not."""
    parts = Breakdown(*(row[f"confidence_{name}"] for name in Breakdown.__struct_fields__))
    plain = {name: Decimal(0) if isinstance(value, Decimal) and not value else value for name, value in row.items()}
    return WindowRow(**_fields(WindowRow, {**plain, "confidence_breakdown": parts}))


def _fields(kind: type[WindowRow] | type[AttestationRow], row: dict[str, Any]) -> dict[str, Any]:
    """Of a row that `outputs.as_table` made, the fields of the record that it was made of."""
    names = {**RENAMED, "window_start_us": STARTS[kind]}
    told = {name: row[names.get(name, name)] for name in kind.__struct_fields__}
    return {name: _micros(value) if isinstance(value, dt.datetime) else value for name, value in told.items()}


def _micros(at: dt.datetime) -> int:
    return (at - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)
