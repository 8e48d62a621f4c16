"""Order of events: what numbers say of a stream, which messages repeat another, how two streams interleave."""

import numpy as np

from tidelake.kernels.compiling import kernel

# What `measure_numbers` keeps from batch to batch; LOWEST begins with LARGEST, HIGHEST with -1, the rest with 0.
PREVIOUS, LOWEST, HIGHEST, ROWS, FALLS, STEPS, ONES = range(7)
MEASURES = 7
LARGEST = (1 << 63) - 1


@kernel
def measure_numbers(numbers, state):
    """Counts rows, falls (a number below the one before it), steps up and those of them that are 1, into `state`."""
    previous = state[PREVIOUS]
    for i in range(len(numbers)):
        number = numbers[i]
        if state[ROWS]:
            step = number - previous
            if step < 0:
                state[FALLS] += 1
            elif step > 0:
                state[STEPS] += 1
                state[ONES] += step == 1
        state[ROWS] += 1
        state[LOWEST] = min(state[LOWEST], number)
        state[HIGHEST] = max(state[HIGHEST], number)
        previous = number
    state[PREVIOUS] = previous


@kernel
def furthest_back(clock_ns, latest):
    """The latest clock so far, and how far at most a clock lies below those before it, in ns; `latest` is of before."""
    back = 0
    for i in range(len(clock_ns)):
        latest = max(latest, clock_ns[i])
        back = max(back, latest - clock_ns[i])
    return latest, back


@kernel
def mark_repeats(unit, clocks, level_from, side, tick, lots, deltas, length, repeats):
    """Finds messages of a unit that say what an earlier one of it says.

    Args:
        unit: int64[n], never decreasing: only messages of the same unit are compared.
        clocks: int64[n, k], what must be equal besides the levels; k may be 0.
        level_from: int64[n + 1].
        side, tick, lots: Levels, uint8, int64, int64.
        deltas: Whether messages set levels. Then one may be told twice or more in its own levels, one time after the
            other, and clocks are not asked where the one compared is the last kept: nothing came between.
        length: int64[n], written: how many levels each message has, told once.
        repeats: int64[n], written: how often a message is told more than once in itself.

    Returns bool[n], False for a message that repeats an earlier one.
    """
    kept = np.ones(len(unit), np.bool_)
    for i in range(len(unit)):
        start, end = level_from[i], level_from[i + 1]
        length[i] = _once(side[start:end], tick[start:end], lots[start:end]) if deltas else end - start
        repeats[i] = (end - start) // length[i] - 1 if length[i] else 0
        j, between = i - 1, False
        while j >= 0 and unit[j] == unit[i]:
            if kept[j] and length[j] == length[i]:
                same = True
                for k in range(clocks.shape[1] if between or not deltas else 0):
                    same &= clocks[i, k] == clocks[j, k]
                for k in range(length[i] if same else 0):
                    if not _equal(side, tick, lots, start + k, level_from[j] + k):
                        same = False
                        break
                if same:
                    kept[i] = False
                    break
            between |= kept[j]
            j -= 1
    return kept


@kernel
def _once(side, tick, lots):
    """How many levels a message has, told once."""
    count = len(side)
    for period in range(1, count // 2 + 1):
        if _equal(side, tick, lots, period, 0) and count % period == 0:
            at = period
            while at < count and _equal(side, tick, lots, at, at - period):
                at += 1
            if at == count:
                return period
    return count


@kernel
def _equal(side, tick, lots, one, other):
    return side[one] == side[other] and tick[one] == tick[other] and lots[one] == lots[other]


@kernel
def merge_order(one, other, from_other):
    """Interleaves two streams by their keys, the first before the second where keys are equal.

    Args:
        one, other: int64[n], int64[m], keys that never decrease; neither stream has ended.
        from_other: bool[n + m], written: whether each event comes from the second.

    Returns how many of each were taken: all that are sure, that is until one is used up.
    """
    i, j = 0, 0
    while i < len(one) and j < len(other):
        take_other = other[j] < one[i]
        from_other[i + j] = take_other
        j += take_other
        i += not take_other
    return i, j
