"""A replay that runs in a thread of its own, and is steered from Python while it does.

    with RunningReplay(replay, history) as running:
        running.speed = 600
        running.jump("2023-03-11T04:00Z")
        running.pause()
        ..
        running.resume()
        report = running.wait()

With asyncio: `await asyncio.to_thread(running.wait)`; the other calls return at once.
"""

import datetime as dt
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from tidelake.stablecoins.replay.control import ReplayControl
from tidelake.stablecoins.replay.run import History, Replay, ReplayReport

EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MICROSECOND: Final = dt.timedelta(microseconds=1)


class RunningReplay:
    """One replay; it begins at once. Leaving the block stops it: run again, it goes on from there.

    Args:
        replay: It is closed when it has ended.
        history: What is played.
        control: Steers it.
        ended: Called once it has ended, in its thread.
    """

    def __init__(
        self,
        replay: Replay,
        history: History,
        control: ReplayControl | None = None,
        *,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        self.control = control or ReplayControl()
        self._replay, self._history, self._ended = replay, history, ended
        self._report: ReplayReport | None = None
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="stablecoin-replay", daemon=True)
        self._thread.start()

    @property
    def speed(self) -> float:
        """Seconds of the history in a second; 0 is as fast as possible. It may be set while it runs."""
        return self.control.speed

    @speed.setter
    def speed(self, speed: float) -> None:
        self.control.set_speed(speed)

    @property
    def now(self) -> dt.datetime | None:
        """The virtual clock; None before it begins."""
        now_us = self.control.now_us
        return EPOCH + now_us * MICROSECOND if now_us else None

    @property
    def paused(self) -> bool:
        return self.control.paused

    @property
    def running(self) -> bool:
        """Whether it has not ended, by itself or because it was stopped."""
        return self._thread.is_alive()

    def pause(self) -> None:
        """Play nothing until `resume`; what is being taken just now is taken."""
        self.control.pause()

    def resume(self) -> None:
        self.control.resume()

    def jump(self, to: dt.datetime | str) -> None:
        """Play up to this time as fast as possible, ahead or back; see `ReplayControl.jump`.

        Args:
            to: With its zone; text is ISO 8601. Once the replay has ended nothing happens any more.

        Raises:
            ValueError: The time names no zone, or the text is none.
        """
        at = dt.datetime.fromisoformat(to) if isinstance(to, str) else to
        if at.tzinfo is None:
            raise ValueError(f"{to!r} must name its zone, such as 2023-03-11T04:00Z")
        self.control.jump((at - EPOCH) // MICROSECOND)

    def stop(self) -> None:
        """End it after what is being taken just now; `wait` gives the report."""
        self.control.stop()

    def wait(self, timeout_s: float | None = None) -> ReplayReport:
        """The report, once it has ended.

        Raises:
            TimeoutError: It goes on after so many seconds.
            TidelakeError: It ended by a fault, such as a lake that cannot be written.
        """
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            raise TimeoutError(f"the replay goes on after {timeout_s} s; it stands at {self.now}")
        if self._fault is not None:
            raise self._fault
        assert self._report is not None
        return self._report

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._report = self._replay.run(self._history, self.control)
        except BaseException as exc:  # `wait` raises it
            self._fault = exc
        finally:
            self._replay.close()
            self._ended()
