"""Verify finds the claims of entries again; those of a lane's last entry are held by nothing else."""

from typing import Any

import msgspec
import pytest

from tests.tables.lakes import START_US, Lane, Received, seal_lane, trade
from tidelake.raw.entry import Entry, encode_entry, with_checksum
from tidelake.raw.ledger import entry_key
from tidelake.raw.store import Store
from tidelake.raw.verify import VerifyReport, verify
from tidelake.tables.describe import describe_again
from tidelake.tables.mapping import Mapping, load_mappings

NAME = "bybit.capture.0"  # its lanes also carry a context from segment to segment


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path)


@pytest.fixture
def last(store):
    told = tuple(Received((START_US + n) * 1_000, trade("bybit", n, START_US + n * 1_000, "1")) for n in range(4))
    return seal_lane(store, Lane(NAME, "bybit", told, 2))[-1]


def put(store: Store, entry: Entry) -> None:
    key = entry_key(entry.lane, entry.seq)
    store.delete(key)
    assert store.put_new(key, encode_entry(with_checksum(entry)))  # by somebody who knows of the checksum


def check(store: Store) -> VerifyReport:
    return verify(store, describe_for=describe_again())


def test_claims_that_hold_are_found_again_and_all_are_compared(store, last):
    assert last.claims
    assert last.claimed_by
    assert last.context_after
    report = check(store)
    assert report.problems == []
    assert report.counts["claims_not_compared"] == 0


@pytest.mark.parametrize("what", ["dropped", "longer", "counted", "context", "no context"])
def test_other_claims_of_the_last_entry_are_named(store, last, what):
    claim, span = last.claims[0], last.claims[0].spans[0]
    longer = msgspec.structs.replace(claim, spans=(msgspec.structs.replace(span, last=span.last + 1),))
    changes: dict[str, dict[str, Any]] = {
        "dropped": {"claims": ()},
        "longer": {"claims": (longer,)},
        "counted": {"claims": (msgspec.structs.replace(claim, count=claim.count + 1),)},
        "context": {"context_after": {"x": "y"}},
        "no context": {"context_after": None},
    }
    put(store, msgspec.structs.replace(last, **changes[what]))
    assert verify(store).problems == [], "nothing else shows it"
    (problem,) = check(store).problems
    assert (problem.kind, problem.key, problem.seq) == ("wrong-claims", entry_key(NAME, 1), 1)
    assert ("context_after" if "context" in what else "claims") in problem.message


def test_claims_made_under_another_mapping_are_not_compared(store, last):
    put(store, msgspec.structs.replace(last, claims=()))
    others = tuple(Mapping(m.source, m.spec, m.version + "x") for m in load_mappings())
    report = verify(store, describe_for=describe_again(others))
    assert report.problems == []
    assert report.counts["claims_not_compared"] == 2
    elsewhere = tuple(Mapping(m.source, m.spec, m.version + "x" * (m.source != "bybit")) for m in load_mappings())
    assert [p.kind for p in verify(store, describe_for=describe_again(elsewhere)).problems] == ["wrong-claims"]


def test_another_name_of_the_last_segment_is_named(store, last):
    renamed = last.segment.key.replace(f"-{last.segment.sha256[:16]}", "-0123456789abcdef")
    store.put_new(renamed, store.get(last.segment.key))
    store.delete(last.segment.key)
    put(store, msgspec.structs.replace(last, segment=msgspec.structs.replace(last.segment, key=renamed)))
    assert [p.kind for p in check(store).problems] == ["wrong-sums"]


def test_another_stored_length_of_the_last_segment_is_named(store, last):
    put(store, msgspec.structs.replace(last, segment=msgspec.structs.replace(last.segment, stored_bytes=7)))
    assert [p.kind for p in check(store).problems] == ["changed-segment"]


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'{"lane"', b' {"lane"'), (b'{"lane"', b'{"more":1,"lane"'), (b'"claims"', b'"klaims"')],
)
def test_bytes_that_no_entry_is_sealed_in_are_named(store, last, old, new):
    key = entry_key(NAME, 1)
    changed = store.get(key).replace(old, new, 1)
    store.delete(key)
    store.put_new(key, changed)
    assert ("changed-entry", key) in [(p.kind, p.key) for p in check(store).problems]
