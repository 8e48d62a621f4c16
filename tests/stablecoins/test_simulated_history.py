"""A simulated crisis, told with all its faults, ends in the FINAL windows that its final truth gives.

The truth is written by the generator, out of its own state.
"""

import msgspec

from tidelake.sim.coins.csv_files import write_folder
from tidelake.sim.coins.history import CoinHistory
from tidelake.sim.coins.plan import CoinPlan, Rates
from tidelake.stablecoins.machine import Machine
from tidelake.stablecoins.records import CorrectionRow, IncidentRow, WindowRow
from tidelake.stablecoins.replay.csv_folder import CsvFolder

HOW_IT_WAS_LEARNT = {"known_us", "event_version", "confirmation_count"}
CRISIS = (
    "depeg:USDC@6h+6h=0.12,reorg:ethereum@7h=45,flip:ethereum@9h=20,flip:arbitrum@10h=1000,batches:arbitrum@8h+45m,"
    "down:coingecko@11h+20m,down:arbitrum@12h+15m,lag:defillama@13h+1h=300"
)


def replayed(folder):
    history = CsvFolder(folder)
    assert not history.refused
    machine = Machine(history.setups()["USDC"])
    return [record for batch in history.batches() for each in batch for record in machine.step(each)]


def final(records):
    rows = [r for r in records if isinstance(r, WindowRow) and r.window_state == "FINAL"]
    return {
        (r.chain, r.window_s, r.window_start_us): {
            name: value for name, value in msgspec.structs.asdict(r).items() if name not in HOW_IT_WAS_LEARNT
        }
        for r in rows
    }


def test_a_crisis_with_all_faults_ends_in_the_final_windows_of_its_final_truth(tmp_path):
    rates = Rates(doubled=0.03, restated=0.02, late=0.02, reorgs=30.0, changes=400.0)
    plan = CoinPlan(seed=11, days=1, coins=("USDC",), rates=rates).with_crisis(CRISIS)
    write_folder(CoinHistory(plan), tmp_path / "told")
    records = replayed(tmp_path / "told")
    clean = final(replayed(tmp_path / "told" / "truth" / "final"))
    assert len(clean) >= 3 * (1_440 + 288)
    found = final(records)
    assert found.keys() == clean.keys()
    assert [key for key, row in clean.items() if found[key] != row] == []
    assert sum(isinstance(record, CorrectionRow) for record in records) > 20
    assert {record.kind for record in records if isinstance(record, IncidentRow)} <= {"source_down", "source_back"}
