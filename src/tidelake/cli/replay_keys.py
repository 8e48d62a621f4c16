"""Keys that steer a replay while it runs, where stdin is a terminal."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import typer

if TYPE_CHECKING:
    from tidelake.stablecoins.replay.control import ReplayControl

HELP: Final = (
    "keys: space pauses and resumes, + and - change the speed tenfold, j jumps a day ahead, b a day back, g to a date, "
    "q stops"
)
ASKED: Final = "a date, such as 2023-03-10 or 2023-03-10T04:00 (UTC), then Enter: "
SLOWEST: Final = 0.1
FASTEST: Final = 1e6  # one step further is as fast as possible
DAY_US: Final = timedelta(days=1) // timedelta(microseconds=1)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
ERASES: Final = "\x7f\b"


class Keys:
    """What each key does.

    Args:
        say: Gets what is to be told, line by line.
        echo: Shows what is typed of a date.
    """

    def __init__(
        self, control: "ReplayControl", say: Callable[[str], None], echo: Callable[[str], None] = lambda text: None
    ) -> None:
        self._control, self._say, self._echo = control, say, echo
        self._typed: str | None = None  # of a date; None while none is asked for

    def press(self, key: str) -> None:
        """Do what a key says; one that says nothing is passed over."""
        control = self._control
        if self._typed is not None:
            self._type(self._typed, key)
        elif key == " ":
            (control.resume if control.paused else control.pause)()
            self._say(f"paused at {_text(control.now_us)}" if control.paused else "goes on")
        elif key == "+":
            faster = control.speed * 10
            self._set_speed(0.0 if not control.speed or faster > FASTEST else faster)
        elif key == "-":
            self._set_speed(max(control.speed / 10, SLOWEST) if control.speed else FASTEST)
        elif key == "j":
            self._jump(control.now_us + DAY_US)
        elif key == "b":
            self._jump(control.now_us - DAY_US)
        elif key == "g":
            self._typed = ""
            self._echo(ASKED)
        elif key == "q":
            control.stop()
            self._say("stops")

    def _set_speed(self, speed: float) -> None:
        self._control.set_speed(speed)
        self._say(f"speed {speed:g}" if speed else "as fast as possible")

    def _jump(self, to_us: int) -> None:
        self._say(f"jumps from {_text(self._control.now_us)} to {_text(to_us)}")
        self._control.jump(to_us)

    def _type(self, typed: str, key: str) -> None:
        if key in ("\n", "\r"):
            self._typed = None
            self._echo("\n")
            try:
                found = datetime.fromisoformat(typed.strip())
            except ValueError:
                self._say(f"{typed!r} is no date such as 2023-03-10; nothing is changed")
                return
            found = found.replace(tzinfo=UTC) if found.tzinfo is None else found
            self._jump((found - EPOCH) // timedelta(microseconds=1))
        elif key == "\x1b":
            self._typed = None
            self._echo("\n")
        elif key in ERASES:
            self._typed = typed[:-1]
            self._echo("\b \b" if typed else "")
        elif key.isprintable():
            self._typed = typed + key
            self._echo(key)


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
    pressed = Keys(control, say, lambda text: typer.echo(text, nl=False, err=True))

    def listen() -> None:
        while not ended.is_set():
            if select.select([terminal], [], [], 0.2)[0]:
                read = os.read(terminal, 64)
                if not read:
                    return
                for key in read.decode(errors="ignore"):
                    pressed.press(key)

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


def _text(time_us: int) -> str:
    return (EPOCH + timedelta(microseconds=time_us)).isoformat(timespec="seconds")
