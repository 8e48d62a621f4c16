"""Large inputs: recorded frames, copied again and again with shifted ids and times.

    python benchmarks/multiply.py RECORDING OUT BYTES [--only TEXT]

Copy k of a recording stands after copy k-1: its clocks are later by the recording's length, and its trade ids follow on
from the ids of the copy before, per product, so that no trade comes twice and consecutive ids stay consecutive. Prices,
sizes and the mix of messages repeat; compression and deduplication figures made with such a file say so. The recording
is in the format of cryptofeed (Coinbase) or hftbacktest (Binance); gzip is undone. With `--only` just the lines that
hold the text are copied, such as `"type":"match"`.
"""

import argparse
import gzip
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

LABEL = b'configuration: {"multiplied":"recorded frames, copied with shifted ids and times"}\n'

_CLOCK = re.compile(rb"^(?:(\d{10}\.\d+)|(\d{19}))(?=:? )")
_PRODUCT = re.compile(rb'"(?:product_id|s)":"([^"]+)"')
_TRADE_ID = re.compile(rb'(?<="trade_id":)(\d+)|(?<="t":)(\d+)(?=,"p")')
_OTHER_ID = re.compile(rb'(?<="sequence":)(\d+)|(?<="[uUbal]":)(\d+)|(?<="pu":)(\d+)')
_MILLISECONDS = re.compile(rb'(?<="[ET]":)(\d{13})')
_ISO = re.compile(rb'(?<="time":")([0-9T:.-]+)(?=Z")')

Fill = Callable[[int], bytes]  # the text of a slot in copy k


@dataclass(frozen=True)
class Template:
    """A line cut at what changes from copy to copy."""

    fixed: list[bytes]
    slots: list[Fill]

    def copy(self, k: int) -> bytes:
        parts = [self.fixed[0]]
        for fill, text in zip(self.slots, self.fixed[1:], strict=True):
            parts.append(fill(k))
            parts.append(text)
        return b"".join(parts)


def read_recording(path: Path, only: bytes = b"") -> list[bytes]:
    """The plain frame lines of a recording."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rb") as file:
        return [line for line in file if _CLOCK.match(line) and b"lastUpdateId" not in line and only in line]


def templates(lines: list[bytes]) -> list[Template]:
    """The lines as templates: a product's ids move by the range that they cover, clocks by the recording's length."""
    clocks = [_clock_ns(line) for line in lines]
    length_ns = -(-(max(clocks) - min(clocks) + 1) // 10**9) * 10**9  # whole seconds
    ids: dict[bytes, list[int]] = defaultdict(list)
    others: list[int] = [0]
    for line in lines:
        ids[_product(line)] += [int(_first(match)) for match in _TRADE_ID.finditer(line)]
        others += [int(_first(match)) for match in _OTHER_ID.finditer(line)]
    spans = {product: max(seen) - min(seen) + 1 for product, seen in ids.items() if seen}
    return [_template(line, length_ns, spans.get(_product(line), 0), max(others)) for line in lines]


def _template(line: bytes, length_ns: int, id_span: int, other_span: int) -> Template:
    found: list[tuple[int, int, Fill]] = []

    def slot(pattern: re.Pattern[bytes], fill: Callable[[bytes], Fill]) -> None:
        found.extend((match.start(), match.end(), fill(_first(match))) for match in pattern.finditer(line))

    slot(_CLOCK, lambda text: _moved_clock(text, length_ns))
    slot(_TRADE_ID, lambda text: _moved(int(text), id_span))
    slot(_OTHER_ID, lambda text: _moved(int(text), other_span))
    slot(_MILLISECONDS, lambda text: _moved(int(text), length_ns // 10**6))
    slot(_ISO, lambda text: _moved_iso(text, length_ns))
    found.sort(key=lambda item: item[0])
    fixed, start = [], 0
    for begin, end, _ in found:
        fixed.append(line[start:begin])
        start = end
    return Template([*fixed, line[start:]], [fill for _, _, fill in found])


def _first(match: re.Match[bytes]) -> bytes:
    return next(group for group in match.groups() if group is not None)


def _product(line: bytes) -> bytes:
    match = _PRODUCT.search(line)
    return match[1] if match else b""


def _clock_ns(line: bytes) -> int:
    match = _CLOCK.match(line)
    assert match is not None
    if match[2]:
        return int(match[2])
    seconds, decimals = match[1].split(b".")
    return int(seconds) * 10**9 + int(decimals.ljust(9, b"0"))


def _moved(value: int, step: int) -> Fill:
    return lambda k: b"%d" % (value + k * step)


def _moved_clock(text: bytes, length_ns: int) -> Fill:
    if b"." not in text:
        return _moved(int(text), length_ns)
    seconds, decimals = text.split(b".")
    first, step = int(seconds), length_ns // 10**9
    return lambda k: b"%d.%s" % (first + k * step, decimals)


def _moved_iso(text: bytes, length_ns: int) -> Fill:
    whole, _, decimals = text.partition(b".")
    first = datetime.fromisoformat(whole.decode()).replace(tzinfo=UTC)
    step = timedelta(seconds=length_ns // 10**9)
    return lambda k: (first + k * step).strftime("%Y-%m-%dT%H:%M:%S.").encode() + decimals


def multiplied(lines: list[bytes], size: int) -> Iterator[bytes]:
    """Copies of the lines, one copy per item, until they make up `size` bytes."""
    made = templates(lines)
    k = written = 0
    while written < size:
        copy = b"".join([template.copy(k) for template in made])
        written += len(copy)
        k += 1
        yield copy


def write_multiplied(recording: Path, out: Path, size: int, only: bytes = b"") -> int:
    """Write about `size` bytes of multiplied frames; the number of lines written, the label not counted."""
    lines = read_recording(recording, only)
    count = 0
    with out.open("wb") as file:
        if b"." in lines[0][:11]:
            file.write(LABEL)  # hftbacktest's format has no line for it: the file's name has to say it
        for copy in multiplied(lines, size):
            file.write(copy)
            count += len(lines)
    return count


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("recording", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("bytes", type=int)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    print(write_multiplied(options.recording, options.out, options.bytes, options.only.encode()), "lines")
