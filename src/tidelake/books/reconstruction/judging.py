"""What is known of the book after each event of a day: found in a first replay, looked up in a second.

A snapshot judges the events between the one before and itself, so what is known of an event may follow hours later. The
first replay keeps it run by run: events one after the other with the same state, reason and time at which it was known.
Its memory grows with the count of snapshots and of changes of state, not with that of events.

Of an event the first of these holds: INVALID before the first snapshot, after a break, and where the best level of a
side is not known; SUSPECT where best bid and ask are crossed or locked; else what the next snapshot says. A snapshot
that agrees speaks of its own event too, for the book is the same before and after it; UNPROVABLE is what comes before a
break or the end, without a snapshot between.
"""

from dataclasses import dataclass

import msgspec
import numpy as np
import zstandard

from tidelake.books.reconstruction.batch import Codes, EventBatch, Integers
from tidelake.books.reconstruction.replay import ReplayOut
from tidelake.books.states import INVALID, SUSPECT, UNPROVABLE, VALID
from tidelake.kernels.replay_codes import (
    AGREED,
    BEGAN,
    DRIFTED,
    FLAG_BROKEN,
    FLAG_CROSSED,
    FLAG_NOT_BEGUN,
    FLAG_PAST_DEPTH,
)

# By code: the state, and the rule that proved it or the reason where it is not VALID.
FINDINGS = (
    (INVALID, "no snapshot yet"),
    (INVALID, "sequence break"),
    (INVALID, "past the known depth"),
    (SUSPECT, "crossed or locked"),
    (VALID, "snapshot+snapshot"),
    (SUSPECT, "differs from the next snapshot"),
    (UNPROVABLE, "no later snapshot"),
    (UNPROVABLE, "the vendor's word"),
)
NO_SNAPSHOT, BREAK, PAST_DEPTH, CROSSED, AGREES, DIFFERS, NO_LATER, VENDORS_WORD = range(len(FINDINGS))
_OPEN = len(FINDINGS)  # the next snapshot judges it
_BY_FLAG = ((FLAG_CROSSED, CROSSED), (FLAG_PAST_DEPTH, PAST_DEPTH), (FLAG_BROKEN, BREAK), (FLAG_NOT_BEGUN, NO_SNAPSHOT))
_BY_VERDICT = np.zeros(3, np.uint8)
_BY_VERDICT[[BEGAN, AGREED, DRIFTED]] = NO_LATER, AGREES, DIFFERS


class _Packed(msgspec.Struct, frozen=True):
    lengths: bytes
    findings: bytes
    known_ns: bytes


@dataclass(frozen=True, slots=True)
class Intervals:
    """Runs of events, one after the other without a gap from the day's first to its last.

    Attributes:
        end: int64[r], place after a run's last event; it begins where the one before ends, the first at 0.
        finding: uint8[r], place in FINDINGS.
        known_ns: int64[r], receive clock at which it was known; 0 where each event tells it itself.
    """

    end: Integers
    finding: Codes
    known_ns: Integers

    def __len__(self) -> int:
        return len(self.end)

    def of_events(self, place: Integers) -> tuple[Codes, Integers]:
        """Finding, and receive clock at which it was known, of the events with these places."""
        at = np.searchsorted(self.end, place, side="right")
        return self.finding[at], self.known_ns[at]

    def pack(self) -> bytes:
        lengths = np.diff(self.end, prepend=0)
        packed = _Packed(lengths.tobytes(), self.finding.tobytes(), self.known_ns.tobytes())
        return zstandard.compress(msgspec.msgpack.encode(packed))

    @classmethod
    def unpack(cls, packed: bytes) -> "Intervals":
        told = msgspec.msgpack.decode(zstandard.decompress(packed), type=_Packed)
        end = np.cumsum(np.frombuffer(told.lengths, np.int64))
        return cls(end, np.frombuffer(told.findings, np.uint8), np.frombuffer(told.known_ns, np.int64))


class FirstPass:
    """Collects what a replay tells, batch by batch.

    Args:
        anchored: No deltas were replayed: between snapshots there is nothing but the vendor's word.
    """

    def __init__(self, *, anchored: bool = False) -> None:
        self._open = VENDORS_WORD if anchored else _OPEN
        self._waiting: list[tuple[Integers, Codes]] = []  # runs that no snapshot judged yet: end, finding
        self._judged: list[Intervals] = []
        self._judged_until = 0
        self._place = 0
        self._last_recv_ns = 0

    def take(self, batch: EventBatch, out: ReplayOut) -> None:
        """Adds a batch, and what its replay told."""
        if len(batch):
            self._waiting.append(_runs(out, self._open))
            self._place = out.place + len(batch)
            self._last_recv_ns = max(self._last_recv_ns, int(batch.recv_ns.max()))
        self._judge(out.compared.until, _BY_VERDICT[out.compared.verdict], out.compared.judged_recv_ns)

    def finish(self, out: ReplayOut) -> Intervals:
        """The intervals of the day, with what the end of its replay told."""
        self._judge(out.compared.until, _BY_VERDICT[out.compared.verdict], out.compared.judged_recv_ns)
        self._judge(np.array([self._place]), np.array([NO_LATER], np.uint8), np.array([self._last_recv_ns]))
        return _joined(self._judged)

    def _judge(self, until: Integers, finding: Codes, known_ns: Integers) -> None:
        """Judges the events that wait, up to the last place of `until`: each by the first place above its own."""
        if not len(until) or until[-1] <= self._judged_until:
            return
        run_end = np.concatenate([end for end, _ in self._waiting])
        run_finding = np.concatenate([found for _, found in self._waiting])
        ends = np.union1d(run_end, until)
        ends = ends[(ends > self._judged_until) & (ends <= until[-1])]
        starts = np.concatenate([[self._judged_until], ends[:-1]])
        found = run_finding[np.searchsorted(run_end, starts, side="right")]
        by = np.searchsorted(until, starts, side="right")
        is_open = found == _OPEN
        found = np.where(is_open, finding[by], found)
        self._judged.append(_joined([Intervals(ends, found, np.where(is_open, known_ns[by], 0))]))
        self._judged_until = int(until[-1])
        left = run_end > self._judged_until
        self._waiting = [(run_end[left], run_finding[left])]


def _runs(out: ReplayOut, otherwise: int) -> tuple[Integers, Codes]:
    """Events with the same finding one after the other: where each run ends, and its finding."""
    finding = np.full(len(out.flags), otherwise, np.uint8)
    for flag, found in _BY_FLAG:
        finding[(out.flags & flag) != 0] = found
    last = np.append(np.flatnonzero(finding[1:] != finding[:-1]), len(finding) - 1)
    return out.place + last + 1, finding[last]


def _joined(parts: list[Intervals]) -> Intervals:
    """The intervals of all parts; those that say the same one after the other are one."""
    if not parts:
        return Intervals(np.zeros(0, np.int64), np.zeros(0, np.uint8), np.zeros(0, np.int64))
    end, finding, known_ns = (np.concatenate([getattr(part, name) for part in parts]) for name in Intervals.__slots__)
    is_last = np.append((finding[1:] != finding[:-1]) | (known_ns[1:] != known_ns[:-1]), True)
    return Intervals(end[is_last], finding[is_last], known_ns[is_last])
