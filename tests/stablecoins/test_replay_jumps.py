"""Jumps of a replay: to any time, ahead or back, with the rows of a replay that never jumped."""

import random
import threading
from functools import partial

import pytest

from tests.stablecoins import histories
from tests.stablecoins.histories import BEGIN, S
from tests.stablecoins.test_replay import Listed, told_every_minute
from tidelake.raw.store import Store
from tidelake.stablecoins.fleet import Fleet
from tidelake.stablecoins.replay import run
from tidelake.stablecoins.replay.control import ReplayControl
from tidelake.stablecoins.replay.player import play
from tidelake.stablecoins.replay.run import Replay
from tidelake.stablecoins.shards.coordinator import ShardedFleet
from tidelake.stablecoins.shards.links import LocalLink
from tidelake.tables.read import scan
from tidelake.tables.stablecoins import STABLECOIN_TABLES

SETUPS = {"USDC": histories.setup()}
LAST_US = BEGIN + 8 * 60 * S


def replay(tmp_path, name, history, control=None, **others):
    store = Store.open(tmp_path / name)
    return Replay(store, "r", SETUPS, jsonl=tmp_path / f"{name}-out", **others).run(history, control)


def lake(tmp_path, name):
    """Rows of all tables and all files of a replay."""
    rows = {}
    for table in STABLECOIN_TABLES:
        found = scan(Store.open(tmp_path / name), table).collect().drop("segment", "line", "item")
        rows[table.name] = found.sort(found.columns).rows()
    out = tmp_path / f"{name}-out"
    files = {path.relative_to(out): path.read_bytes() for path in out.rglob("*.jsonl")}
    assert files
    return rows, files


class Jumping:
    """Jumps by chance, as records are told."""

    def __init__(self, control, chance, jumps):
        self.control, self.chance, self.left, self.back = control, chance, jumps, 0

    def __call__(self, records):
        if self.left and self.chance.random() < 0.1:
            self.left -= 1
            self.control.jump(self.chance.randrange(BEGIN - 60 * S, LAST_US))
            self.back += self.control.interrupted


@pytest.mark.parametrize("seed", range(4))
def test_jumps_back_and_ahead_end_in_the_same_rows_and_files(tmp_path, seed):
    chance = random.Random(seed)
    history = Listed(histories.make(seed, minutes=8).faulted, size=chance.choice([7, 60, 200]))
    whole = replay(tmp_path, "whole", history, batch=300)
    control = ReplayControl(chance.choice([0.0, 1e9]))
    jumping = Jumping(control, chance, jumps=8)
    fleet = partial(ShardedFleet, shards=2, open_link=LocalLink) if seed == 3 else Fleet
    size = chance.choice([60, 250])
    report = replay(tmp_path, "jumped", history, control, batch=size, listen=jumping, open_fleet=fleet)
    assert jumping.back > 1
    assert (report.done, report.observations, report.counts) == (True, whole.observations, whole.counts)
    assert lake(tmp_path, "jumped") == lake(tmp_path, "whole")


def test_after_a_jump_back_what_lies_behind_its_target_is_told_again_and_what_lies_before_is_not(tmp_path):
    history, control, told = Listed(histories.make(3, minutes=8).faulted, size=20), ReplayControl(), []
    target = BEGIN + 150 * S

    def listen(records):
        told.extend(records)
        if control.now_us > BEGIN + 300 * S and not control.jump_us:
            told.append(None)
            control.jump(target)

    replay(tmp_path, "lake", history, control, batch=100, listen=listen)
    first, again = told[: told.index(None)], told[told.index(None) + 1 :]
    behind = [record for record in first if record.known_us > target]
    assert 0 < len(behind) < len(first)
    assert again[: len(behind)] == behind


def test_stopped_behind_what_it_had_told_it_goes_on_from_where_it_had_been(tmp_path):
    history, control = Listed(histories.make(6, minutes=8).faulted, size=40), ReplayControl()

    def listen(records):
        if control.jump_us:
            control.stop()
        elif control.now_us > BEGIN + 300 * S:
            control.jump(BEGIN + 100 * S)

    part = replay(tmp_path, "stopped", history, control, batch=100, listen=listen)
    assert (part.done, part.failed) == (False, {})
    assert control.now_us < BEGIN + 300 * S
    rest = replay(tmp_path, "stopped", history)
    assert rest.resumed_at == part.observations > 0
    whole = replay(tmp_path, "whole", history)
    assert (rest.counts, rest.observations) == (whole.counts, whole.observations)
    assert lake(tmp_path, "stopped") == lake(tmp_path, "whole")


def test_run_that_was_killed_as_it_committed_may_jump_back_before_it_has_made_that_batch_again(tmp_path, monkeypatch):
    history = Listed(histories.make(6, minutes=8).faulted, size=40)
    saves = iter(range(100))
    save = Replay._save

    def dying(self):
        if next(saves) == 1:
            raise KeyboardInterrupt
        save(self)

    monkeypatch.setattr(Replay, "_save", dying)
    with pytest.raises(KeyboardInterrupt):
        replay(tmp_path, "killed", history, batch=400)
    control = ReplayControl()

    def listen(records):
        if not control.jump_us:
            control.jump(BEGIN)

    report = replay(tmp_path, "killed", history, control, batch=70, listen=listen)
    assert report.done
    whole = replay(tmp_path, "whole", history)
    assert report.counts == whole.counts
    assert lake(tmp_path, "killed") == lake(tmp_path, "whole")


def test_jump_back_begins_from_the_nearest_state_before_its_target_and_few_are_kept(tmp_path, monkeypatch):
    history, control, begun = Listed(histories.make(2, minutes=20).clean, size=10), ReplayControl(), []

    def opened(*args, **named):
        fleet = Fleet(*args, **named)
        begun.append(fleet.machines["USDC"].state.known_us)
        return fleet

    target = BEGIN + 700 * S

    def listen(records):
        if control.now_us > BEGIN + 900 * S and not control.jump_us:
            control.jump(target)

    monkeypatch.setattr(run, "MARKS", 6)
    found = Replay(Store.open(tmp_path / "lake"), "r", SETUPS, batch=100, listen=listen, open_fleet=opened)
    assert found.run(history, control).done
    assert begun[0] == 0
    assert BEGIN < begun[1] <= target
    assert len(begun) == 2
    assert len(found._marks) <= 6


def test_paused_it_jumps_all_the_same_and_stays_paused():
    control, taken = ReplayControl(1.0), []
    reached = {count: threading.Event() for count in (3, 5, 6)}

    def take(batch):
        taken.extend(batch)
        if event := reached.get(len(taken)):
            event.set()

    control.pause()
    control.jump(BEGIN + 2 * 60 * S)
    thread = threading.Thread(target=play, args=(told_every_minute(6), control, take), daemon=True)
    thread.start()
    assert reached[3].wait(10)
    control.jump(BEGIN + 4 * 60 * S)
    assert reached[5].wait(10)
    assert not reached[6].wait(0.1)
    assert control.paused
    control.set_speed(0.0)
    control.resume()
    assert reached[6].wait(10)
    thread.join(10)
