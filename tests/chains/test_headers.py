"""Headers, their hashes recomputed, and where two chains part."""

import json

import pytest
from hypothesis import given, strategies as st

from tests.chains.ancestry import check_links, common_ancestor
from tests.chains.generated import ZERO, digest, header, header_json, run
from tests.chains.vectors import OP_STACK, OSAKA
from tidelake.chains.headers import hash_of_header, parse_header, prove_header
from tidelake.chains.registry import chain
from tidelake.errors import FormatDrift, SourceError

ETHEREUM = chain("ethereum")


@pytest.mark.parametrize("told", [OSAKA, OP_STACK], ids=["osaka", "op-stack"])
def test_hash_of_a_real_header_is_recomputed(told):
    assert hash_of_header(told) == told["hash"]


@pytest.mark.parametrize("name", [name for name in OSAKA if name not in ("hash", "number")])
def test_changed_field_is_found(name):
    told = {**OSAKA, name: OSAKA[name][:-1] + ("1" if OSAKA[name][-1] != "1" else "2")}
    assert prove_header(ETHEREUM, header(told)).state == "differs"


@pytest.mark.parametrize("name", ["baseFeePerGas", "withdrawalsRoot", "requestsHash"])
def test_header_without_a_field_of_its_fork_is_found(name):
    assert prove_header(ETHEREUM, header({key: OSAKA[key] for key in OSAKA if key != name})).state == "differs"


def test_header_of_a_fork_that_we_do_not_know_accuses_nobody():
    told = {**OSAKA, "blockAccessListHash": ZERO, "hash": digest("another form")}
    proof = prove_header(ETHEREUM, header(told))
    assert (proof.state, proof.reason) == ("unprovable", "fields that we do not know: blockAccessListHash")


@pytest.mark.parametrize(("name", "number"), [("sonic", 1), ("optimism", 105_235_062), ("arbitrum", 22_207_816)])
def test_chain_whose_hashes_are_made_otherwise_accuses_nobody(name, number):
    told = {**header_json(number, ZERO), "hash": digest("another form")}
    assert prove_header(chain(name), header(told)).state == "unprovable"
    assert prove_header(chain(name), header(header_json(number, ZERO))).state == "proven"


def test_header_tells_number_parent_clock_and_transactions():
    told = {**header_json(5, ZERO), "transactions": [{"hash": digest("t")}, {"hash": digest("u")}]}
    found = header(told)
    assert (found.number, found.parent_hash, found.timestamp) == (5, ZERO, 1_700_000_060)
    assert found.time.isoformat() == "2023-11-14T22:14:20+00:00"
    assert found.transactions == (digest("t"), digest("u"))


def test_node_without_the_block_says_null():
    assert parse_header(b"null") is None


@pytest.mark.parametrize("name", ["number", "hash", "parentHash", "timestamp", "receiptsRoot", "logsBloom"])
@pytest.mark.parametrize("value", [None, 7, "0x", "0xzz"])
def test_header_with_a_field_not_of_its_form_is_refused(name, value):
    with pytest.raises(FormatDrift, match=name):
        parse_header(json.dumps({**header_json(5, ZERO), name: value}).encode())


@pytest.mark.parametrize("answer", [b"", b"{", b"[]", b"5", b'"0x"', b'{"number": "\xff"}'])
def test_answer_that_is_no_block_is_refused(answer):
    with pytest.raises(FormatDrift):
        parse_header(answer)


@given(st.integers(0, 6), st.integers(0, 6), st.integers(0, 6), st.integers(0, 3))
def test_common_ancestor_is_the_last_shared_block(shared, ours_after, now_after, cut):
    trunk = run(10, 9 + shared)
    parent = trunk[-1].hash if trunk else ZERO
    ours = trunk + run(10 + shared, 9 + shared + ours_after, parent=parent, fork="ours")
    now = (trunk + run(10 + shared, 9 + shared + now_after, parent=parent, fork="now"))[cut:]
    fork = common_ancestor(ours, now)
    if fork is None:
        assert not ours or not now or now[0].number > 10 + shared
        return
    assert (fork.number, fork.hash) == (9 + shared, parent)
    assert fork.adopted == tuple(header for header in now if header.number > 9 + shared)
    assert fork.orphaned == (tuple(ours[shared:]) if now_after else ())


def test_lagging_provider_orphans_nothing():
    ours = run(10, 15)
    fork = common_ancestor(ours, ours[:3])
    assert fork is not None
    assert (fork.number, fork.orphaned, fork.adopted) == (12, (), ())


def test_runs_without_a_shared_block_have_no_ancestor():
    assert common_ancestor(run(10, 12), run(10, 12, parent=digest("else"), fork="now")) is None
    assert common_ancestor(run(10, 12), run(20, 22)) is None
    assert common_ancestor([], run(20, 22)) is None


def test_run_that_does_not_link_is_refused_and_may_be_asked_again():
    mixed = [*run(10, 11), *run(12, 13, fork="other")]
    with pytest.raises(SourceError, match="block 12 has the parent") as caught:
        check_links(mixed)
    assert caught.value.retryable
    with pytest.raises(SourceError):
        common_ancestor(run(10, 13), mixed)
    with pytest.raises(SourceError):
        check_links([run(10, 12)[0], run(10, 12)[2]])
