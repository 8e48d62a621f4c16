"""Keys that steer a replay while it runs, where stdin is a terminal."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tidelake.stablecoins.replay.control import ReplayControl

HELP: Final = "keys: space pauses and resumes, + and - change the speed tenfold, j plays on a day at once, q stops"
SLOWEST: Final = 0.1
FASTEST: Final = 1e6  # one step further is as fast as possible
JUMP: Final = timedelta(days=1)


def press(key: str, control: "ReplayControl") -> str:
    """Do what a key says; what to tell the user, "" for a key that says nothing."""
    if key == " ":
        (control.resume if control.paused else control.pause)()
        return f"paused at {_time(control)}" if control.paused else "goes on"
    if key == "+":
        faster = control.speed * 10
        control.set_speed(0.0 if not control.speed or faster > FASTEST else faster)
    elif key == "-":
        control.set_speed(max(control.speed / 10, SLOWEST) if control.speed else FASTEST)
    elif key == "j":
        control.jump(control.now_us + JUMP // timedelta(microseconds=1))
        return f"plays on a day from {_time(control)}"
    elif key == "q":
        control.stop()
        return "stops"
    else:
        return ""
    return f"speed {control.speed:g}" if control.speed else "as fast as possible"


@contextmanager
def keys(control: "ReplayControl", say: Callable[[str], None]) -> Iterator[None]:
    """Listen to keys until the block ends; does nothing where stdin is no terminal."""
    if not sys.stdin.isatty():
        yield
        return
    import select
    import termios
    import tty

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    ended = threading.Event()

    def listen() -> None:
        while not ended.is_set():
            if select.select([terminal], [], [], 0.2)[0]:
                said = press(sys.stdin.read(1), control)
                if said:
                    say(said)

    listener = threading.Thread(target=listen, name="replay-keys", daemon=True)
    try:
        tty.setcbreak(terminal)
        say(HELP)
        listener.start()
        yield
    finally:
        ended.set()
        listener.join(1.0)
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _time(control: "ReplayControl") -> str:
    return datetime.fromtimestamp(control.now_us / 1e6, UTC).isoformat(timespec="seconds")
