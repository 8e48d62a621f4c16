"""Whether a file is in the format that it is said to be in, and what it looks like instead."""

from collections.abc import Iterable

from tidelake.errors import FormatDrift
from tidelake.raw.recordings.spec import ANY_TIME, RecordingFormat

_JUDGED = 20
_SHOWN = 60
_MAGIC = {
    b"PAR1": "a Parquet file",
    b"\x28\xb5\x2f\xfd": "zstd data; decompress it first",
    b"PK\x03\x04": "a zip archive; unpack it first",
    b"BZh": "bzip2 data; decompress it first",
    b"\xfd7zXZ": "xz data; decompress it first",
}


def check_format(
    form: RecordingFormat, block: bytes, formats: Iterable[RecordingFormat], latest_ns: int = ANY_TIME
) -> int:
    """The first clock of a recording, given its first block of lines.

    A file is of the format when at least half of its first twenty lines that are not blank are, and one of them has a
    clock that is not later than `latest_ns`. So a damaged line here and there, the first one included, does not make it
    another format.

    Raises:
        FormatDrift: It is not; the message says what it looks like.
    """
    lines = _first_lines(block)
    said = [form.read_line(line) for line in lines]
    clocks = [line.recv_ns for line in said if line is not None and line.recv_ns is not None]
    possible = [clock for clock in clocks if clock <= latest_ns]
    if possible and 2 * sum(line is not None for line in said) >= len(lines):
        return possible[0]
    if clocks and not possible:
        raise FormatDrift(
            f"its clocks lie after the time of the import: found {_shown(lines)}. Nothing of this file was imported. "
            "Set the clock of this machine right, or that of the recording."
        )
    others = (other for other in formats if other.name != form.name)
    raise FormatDrift(
        f"not a {form.name} recording: found {_shown(lines)}, expected lines like {form.looks_like}. "
        f"{_guess(lines, others)} Nothing of this file was imported."
    )


def _first_lines(block: bytes) -> list[bytes]:
    lines: list[bytes] = []
    start = 0
    while start < len(block) and len(lines) < _JUDGED:
        end = block.find(b"\n", start) + 1 or len(block)
        if line := block[start:end].rstrip(b" \t\r\n"):
            lines.append(line)
        start = end
    return lines


def _shown(lines: list[bytes]) -> str:
    if not lines:
        return "blank lines only"
    return repr(lines[0][:_SHOWN])[1:] + ("..." if len(lines[0]) > _SHOWN else "")


def _guess(lines: list[bytes], others: Iterable[RecordingFormat]) -> str:
    for other in others:
        fits = sum((said := other.read_line(line)) is not None and said.recv_ns is not None for line in lines)
        if 2 * fits > len(lines):
            return f"It looks like {other.name}: try --from {other.name}."
    first = lines[0] if lines else b""
    for magic, name in _MAGIC.items():
        if first.startswith(magic):
            return f"It looks like {name}."
    if first[:1] in (b"{", b"["):
        return "It looks like JSON without receive clocks."
    if first.count(b",") >= 2:
        return "It looks like CSV."
    return "It looks like no format known here."
