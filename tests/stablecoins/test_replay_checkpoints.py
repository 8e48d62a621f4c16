"""What a run may go on with: its own history, coins and state, or an error that says what to do."""

import pytest

from tests.stablecoins.crisis import Listed, setup, told
from tidelake.errors import ConfigError
from tidelake.jobs.coin_replays import open_history, open_replay
from tidelake.raw.store import Store
from tidelake.stablecoins.replay.control import ReplayControl
from tidelake.stablecoins.replay.run import Replay
from tidelake.tables.read import scan
from tidelake.tables.stablecoins import STABLECOIN_WINDOWS

ROW = "2024-01-15T00:00:{:02d}Z,{},1.0\n"


def history(tmp_path, name, *coins):
    path = tmp_path / name / "ethereum" / "price.csv"
    path.parent.mkdir(parents=True)
    rows = "".join(ROW.format(place, coin) for place, coin in enumerate(coins))
    path.write_text(f"timestamp,coin,price\n{rows}")
    return open_history(None, "csv", tmp_path / name)


def half(store, **others):
    """A run that was stopped, and goes on from its checkpoint."""
    control = ReplayControl()
    seen = told()

    class Stopping(Listed):
        def batches(self):
            yield self.seen[: len(self.seen) // 2]
            control.stop()
            yield self.seen[len(self.seen) // 2 :]

    replay = Replay(store, "r", {"USDC": setup()}, **others)
    assert not replay.run(Stopping(seen), control).done
    return seen


def test_a_run_of_another_history_is_refused_and_not_said_to_be_done(tmp_path):
    store = Store.open(tmp_path / "lake")
    one, two = history(tmp_path, "one", "USDC"), history(tmp_path, "two", "USDC", "USDC")
    open_replay(store, one, "csv", run="r")[1].run(one)
    assert open_replay(store, one, "csv", run="r")[1].run(one).resumed_at
    with pytest.raises(ConfigError, match=r"run r plays another history .* or another name"):
        open_replay(store, two, "csv", run="r")


def test_a_run_of_more_or_fewer_coins_is_refused(tmp_path):
    store, both = Store.open(tmp_path / "lake"), history(tmp_path, "both", "USDC", "USDT")
    open_replay(store, both, "csv", coins=["USDC"], run="r")[1].run(both)
    for coins in (["USDC", "USDT"], ["USDT"], []):
        with pytest.raises(ConfigError, match="begun with other coins, USDC; give it those, or another name"):
            open_replay(store, both, "csv", coins=coins, run="r")


@pytest.mark.parametrize("name", ["../up", "..", ".hidden", "a/b"])
def test_a_name_that_would_leave_its_folder_is_refused(name, tmp_path):
    with pytest.raises(ConfigError, match="cannot be the name of a run"):
        Replay(Store.open(tmp_path / "lake"), name, {"USDC": setup()})


def test_a_run_whose_state_was_lost_is_refused_for_its_batches_would_end_elsewhere(tmp_path):
    store = Store.open(tmp_path / "lake")
    half(store)
    (store.spool() / "stablecoins" / "r.json").unlink()
    (store.spool() / "stablecoins" / "r.next").unlink()
    with pytest.raises(ConfigError, match=r"tables hold 1 batches of a run r, .* knows of 0.* another name"):
        Replay(store, "r", {"USDC": setup()})


def test_a_run_whose_rows_are_gone_is_refused_and_not_said_to_be_done(tmp_path):
    store = Store.open(tmp_path / "lake")
    half(store)
    for table in (tmp_path / "lake" / "tables").iterdir():
        table.rename(tmp_path / table.name)
    with pytest.raises(ConfigError, match=r"they hold none: .* delete .*r\.json to begin anew"):
        Replay(store, "r", {"USDC": setup()})


def test_a_run_that_was_killed_between_two_tables_goes_on(tmp_path, monkeypatch):
    store = Store.open(tmp_path / "lake")
    monkeypatch.setattr(Replay, "_save", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
    seen = told()
    with pytest.raises(KeyboardInterrupt):
        Replay(store, "r", {"USDC": setup()}).run(Listed(seen))
    monkeypatch.undo()
    report = Replay(store, "r", {"USDC": setup()}).run(Listed(seen))
    assert report.done
    assert scan(store, STABLECOIN_WINDOWS).collect().height == report.counts["WindowRow"] > 0


def test_a_history_without_a_coin_is_refused(tmp_path):
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "volatility.csv").write_text("timestamp,market_volatility\n2024-01-15T00:00:00Z,0.02\n")
    found = open_history(None, "csv", tmp_path / "none")
    with pytest.raises(ConfigError, match="tells of no coin"):
        open_replay(Store.open(tmp_path / "lake"), found, "csv")
