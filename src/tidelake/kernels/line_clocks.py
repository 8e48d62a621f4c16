"""Finds the lines of a segment, and reads the receive clock at the place where `raw.frame.encode_line` writes it."""

import numpy as np

from tidelake.kernels.compiling import kernel
from tidelake.kernels.line_search import is_at

NEWLINE, ZERO, NINE, COMMA = 10, 48, 57, 44
NUMBER = np.frombuffer(b'{"n":', dtype=np.uint8)
CLOCK = np.frombuffer(b',"recv_ns":', dtype=np.uint8)
CLOCK_DIGITS = 19  # ns since 1970 have 19 digits from 2001 to 2286
SHORTEST = len(NUMBER) + 1 + len(CLOCK) + CLOCK_DIGITS + 1  # bytes of a line that has a clock of so many digits


@kernel
def _newline(text, at):
    """Place of the first newline from `at` on; the text's length where there is none."""
    for width in (64, 8):
        while at + width <= len(text):
            held = False
            for byte in text[at : at + width]:  # without a way out, so that it becomes one comparison of all bytes
                held |= byte == NEWLINE
            if held:
                break
            at += width
    while at < len(text) and text[at] != NEWLINE:
        at += 1
    return at


@kernel
def find_lines(text, first_n, ends, clocks):
    """Where each line ends and when it was received.

    Args:
        text: uint8[..], segment lines.
        first_n: int64 >= 0, the number of the first; the others must count on from it.
        ends: int64[len(text) // SHORTEST], written: the place after each line's newline.
        clocks: int64[same], written: each receive clock, in ns.

    Returns:
        Number of lines; -1 where one has another form or number, and what was written means nothing.

    Cost: one look at each byte, 64 at once. Oracle: `raw.line_clocks.line_clocks`, which says what is wrong.
    """
    lines = at = 0
    while at < len(text):
        if at + SHORTEST > len(text) or not is_at(text, at, NUMBER):
            return -1
        at += len(NUMBER)
        number, digits = 0, 0
        while ZERO <= text[at + digits] <= NINE and number <= first_n + lines:
            number = number * 10 + (text[at + digits] - ZERO)
            digits += 1
        at += digits
        behind = at + len(CLOCK) + CLOCK_DIGITS
        if number != first_n + lines or digits == 0 or behind >= len(text) or not is_at(text, at, CLOCK):
            return -1
        clock = 0
        for digit in text[at + len(CLOCK) : behind]:
            if digit < ZERO or digit > NINE:
                return -1
            clock = clock * 10 + (digit - ZERO)
        at = _newline(text, behind) + 1
        if text[behind] != COMMA or at > len(text):
            return -1
        ends[lines], clocks[lines] = at, clock
        lines += 1
    return lines
