"""Attestations of the hand-written hour, held against windows of which somebody changed one."""

import pytest
from deltalake import DeltaTable

from tests.stablecoins import crisis
from tidelake.cli.app import run
from tidelake.raw.store import Store
from tidelake.stablecoins.attested import check_attestations
from tidelake.stablecoins.reading import Asked
from tidelake.tables.stablecoins import STABLECOIN_ATTESTATIONS, STABLECOIN_WINDOWS

HERE = "chain = 'ethereum' AND window_s = 60 AND sequence = 10"  # minute by minute, from the first
FINAL = f"window_id = '{crisis.window(600, 'ethereum')}' AND window_state = 'FINAL'"


@pytest.fixture
def store(tmp_path):
    found = Store.open(tmp_path)
    crisis.replay(found)
    return found


def opened(store, table):
    return DeltaTable(store.table_uri(table.name))


def problems(store):
    return [
        (each.event_time, each.chain, each.window_s, each.problem)
        for each in check_attestations(store, Asked()).findings
    ]


def test_untouched_chains_have_no_problem_and_all_final_rows_of_the_score_are_in_them(store):
    checked = check_attestations(store, Asked())
    assert (checked.chains, checked.findings) == (4, [])
    assert checked.entries > 2 * crisis.END // 60


@pytest.mark.parametrize(
    "change", [{"price": "0.99"}, {"minted": "CAST(1 AS DECIMAL(38, 18))"}, {"sources": "'kraken'"}], ids=str
)
def test_window_that_was_changed_is_found(change, store):
    opened(store, STABLECOIN_WINDOWS).update(updates=change, predicate=FINAL)
    assert problems(store) == [(crisis.at(600), "ethereum", 60, "the window says something else now")]


def test_what_is_no_content_may_be_known_at_another_time(store):
    opened(store, STABLECOIN_WINDOWS).update(updates={"confirmation_count": "9"}, predicate=FINAL)
    assert problems(store) == []


def test_window_that_was_taken_out_is_found(store):
    opened(store, STABLECOIN_WINDOWS).delete(FINAL)
    (found,) = problems(store)
    assert found[-1].startswith("vouches for no FINAL window")


def test_entry_that_was_taken_out_is_missed_by_the_next_and_by_its_window(store):
    opened(store, STABLECOIN_ATTESTATIONS).delete(HERE)
    assert problems(store) == [
        (crisis.at(660), "ethereum", 60, "does not follow from the entry before"),
        (crisis.at(600), "ethereum", 60, "FINAL with a score of 0.8 or more, and in no chain"),
    ]


@pytest.mark.parametrize("column", ["content_sha256", "previous_sha256", "sha256"])
def test_hash_that_was_changed_breaks_the_chain_there(column, store):
    opened(store, STABLECOIN_ATTESTATIONS).update(updates={column: f"'{'a' * 64}'"}, predicate=HERE)
    assert (crisis.at(600), "ethereum", 60, "does not follow from the entry before") in problems(store)


def test_command_ends_with_1_and_names_the_window(store, capsys):
    command = ["--lake", store.url, "stablecoins", "verify"]
    assert run(command) == 0
    assert "4 chains of hashes" in capsys.readouterr().err
    opened(store, STABLECOIN_WINDOWS).update(updates={"price": "0.99"}, predicate=FINAL)
    assert run([*command, "USDC", "--chain", "ethereum"]) == 1
    told = capsys.readouterr()
    assert ("the window says something else now" in told.out, "1 problem" in told.err) == (True, True)
    assert run([*command, "USDC", "--chain", "all"]) == 0
