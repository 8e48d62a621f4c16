"""Keys of a replay, pressed at a terminal of the machine."""

import os
import pty
import sys
import time

import pytest

from tidelake.cli.replay_keys import HELP, Keys, keys
from tidelake.stablecoins.replay.control import ReplayControl

DAY_US = 86_400_000_000
NOW_US = 1_678_406_400_000_000  # 2023-03-10


@pytest.fixture
def control():
    found = ReplayControl(60.0)
    found.now_us = NOW_US
    return found


def press(control, text):
    said, shown = [], []
    pressed = Keys(control, said.append, shown.append)
    for key in text:
        pressed.press(key)
    return said, "".join(shown)


def test_space_pauses_and_resumes(control):
    assert press(control, " ")[0] == ["paused at 2023-03-10T00:00:00+00:00"]
    assert control.paused
    assert press(control, " ")[0] == ["goes on"]
    assert not control.paused


@pytest.mark.parametrize(
    ("text", "speed"), [("+", 600.0), ("-", 6.0), ("----", 0.1), ("+++++", 0.0), ("+++++-", 1e6), ("++++++", 0.0)]
)
def test_plus_and_minus_change_the_speed_tenfold_up_to_as_fast_as_possible(control, text, speed):
    press(control, text)
    assert control.speed == speed


@pytest.mark.parametrize(
    ("text", "to_us", "is_back"),
    [
        ("j", NOW_US + DAY_US, False),
        ("b", NOW_US - DAY_US, True),
        ("g2023-03-12T04:30\n", NOW_US + 2 * DAY_US + 270 * 60_000_000, False),
        ("g2023-03-0\x7f1x\x7f0\r", NOW_US, False),
        ("g2023-03-09T01:00+01:00\n", NOW_US - DAY_US, True),
    ],
)
def test_jumps_go_to_a_day_ahead_or_back_or_to_a_typed_date(control, text, to_us, is_back):
    said, _ = press(control, text)
    assert len(said) == 1
    assert "jumps from 2023-03-10" in said[0]
    assert (control.jump_us, control.turn_back()) == (to_us, is_back)


def test_text_that_is_no_date_or_is_let_go_changes_nothing(control):
    said, shown = press(control, "gyesterday\n")
    assert said == ["'yesterday' is no date such as 2023-03-10; nothing is changed"]
    assert shown.endswith("yesterday\n")
    assert press(control, "gq\x1bx")[0] == []
    assert (control.jump_us, control.interrupted) == (0, False)


def test_keys_are_heard_at_a_terminal_also_where_many_come_at_once_and_it_is_left_as_it_was(control, monkeypatch):
    import termios

    mine, theirs = pty.openpty()
    with os.fdopen(theirs, "r") as stdin, os.fdopen(mine, "wb", buffering=0) as keyboard:
        monkeypatch.setattr(sys, "stdin", stdin)
        before, said = termios.tcgetattr(stdin.fileno()), []
        with keys(control, said.append):
            keyboard.write(b"+g2023-03-08\nq")
            until = time.monotonic() + 20
            while not control.stopped and time.monotonic() < until:
                time.sleep(0.01)
        assert termios.tcgetattr(stdin.fileno()) == before
    assert (control.speed, control.jump_us) == (600.0, NOW_US - 2 * DAY_US)
    assert said[0] == HELP
    assert said[-1] == "stops"
