"""The lines of a part file under AES-256-GCM: one record per line, each a JSON string of base64 on a line of its own.

    nonce, 12 bytes · text of the line without its newline · tag, 16 bytes

The key is derived (HKDF-SHA256) from the lake's key and the random id of the part, so no two parts share one. The nonce
is the record's number, from 0, behind the number of the attempt to write it: what a failed write left on the disk never
meets another text under its nonce. The part's header is authenticated with every record. So a record that was changed
or comes from another part does not open, and one that was moved, repeated or taken out of the middle shows by the
numbers. Records that are missing at the end cannot be told from records that were never written.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from tidelake.errors import FormatDrift
from tidelake.raw.codec import KEY_BYTES, TAG_BYTES

_ATTEMPT_BYTES, _NUMBER_BYTES = 4, 8
_NONCE_BYTES = _ATTEMPT_BYTES + _NUMBER_BYTES
_AT_ONCE = 1 << 18  # the decoder lets no other thread run: a capture hears nothing in a block's time
_encode_records = msgspec.json.Encoder().encode_lines
_decode_record = msgspec.json.Decoder(bytes).decode  # in a third of the time of binascii
_decode_records = msgspec.json.Decoder(list[bytes]).decode


@dataclass
class Opened:
    """What the lines of a dead part give, each taken by itself.

    Attributes:
        lines: Segment lines that are whole, without their newlines, in the order in which they were written.
        bad: Place of a line behind the header, from 0, what stands there, and why it was not taken.
        remarks: What the numbers of the records say beside that.
    """

    lines: list[bytes] = field(default_factory=list)
    bad: list[tuple[int, bytes, str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


class PartCipher:
    """Seals and opens the records of one part.

    Args:
        key: The lake's key.
        part: Id of the part.
        header: The part's header line, without its newline.
    """

    def __init__(self, key: bytes, part: str, header: bytes) -> None:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        self._cipher = AESGCM(HKDF(SHA256(), KEY_BYTES, part.encode(), b"tidelake part").derive(key))
        self._header = header
        self._refused = InvalidTag
        self._attempt = 0
        self.written = 0  # records that stand in the file

    def seal(self, lines: bytes) -> bytes:
        """The records of whole lines, to be written after those before; `wrote` or `failed` says how that went."""
        texts = lines.split(b"\n")[:-1]
        attempt = self._attempt.to_bytes(_ATTEMPT_BYTES, "big")
        encrypt, header = self._cipher.encrypt, self._header
        records = []
        for number, text in enumerate(texts, self.written):
            nonce = attempt + number.to_bytes(_NUMBER_BYTES, "big")
            records.append(nonce + encrypt(nonce, text, header))
        return _encode_records(records)

    def wrote(self, lines: bytes) -> None:
        """The records of these lines are in the file."""
        self.written += lines.count(b"\n")

    def failed(self) -> None:
        """The records were not written, or not all: their numbers are used again, their nonces are not."""
        self._attempt += 1

    def open_all(self, records: bytes) -> bytes:
        """The lines of all records that this writer wrote.

        Raises:
            FormatDrift: One is missing, changed or in another place.
        """
        lines: list[bytes] = []
        decrypt, header = self._cipher.decrypt, self._header
        try:
            for block in _blocks(records):
                for number, record in enumerate(_decode_records(b"[%s]" % block.replace(b"\n", b",")), len(lines)):
                    if record[_ATTEMPT_BYTES:_NONCE_BYTES] != number.to_bytes(_NUMBER_BYTES, "big"):
                        raise FormatDrift(f"another record stands in the place of record {number}")
                    lines.append(decrypt(record[:_NONCE_BYTES], record[_NONCE_BYTES:], header))
        except self._refused as exc:
            raise FormatDrift(f"record {len(lines)} does not decrypt: it or the header was changed") from exc
        except msgspec.MsgspecError as exc:
            raise FormatDrift(f"behind record {len(lines)} stands a line that is not a record ({exc})") from exc
        if len(lines) != self.written:
            raise FormatDrift(f"it holds {len(lines)} records, and {self.written} were written")
        return b"\n".join([*lines, b""])

    def open_each(self, records: Iterable[bytes]) -> Opened:
        """The lines of the records that open, each taken by itself."""
        opened = Opened()
        found: dict[int, bytes] = {}
        last, moved = -1, False
        for place, record in enumerate(records):
            try:
                number, line = self._open(_decode_record(record))
            except (FormatDrift, msgspec.MsgspecError, ValueError) as exc:
                opened.bad.append((place, record, str(exc)))
                continue
            if number in found:
                opened.bad.append((place, record, f"record {number} stands here again"))
                continue
            found[number] = line
            moved |= number < last
            last = max(last, number)
        if moved:
            opened.remarks.append("records stood in another order than they were written in; they were put back")
        if missing := _runs([number for number in range(last + 1) if number not in found]):
            opened.remarks.append(f"records that are missing or do not open: {missing}")
        opened.lines = [found[number] for number in sorted(found)]
        return opened

    def _open(self, record: bytes) -> tuple[int, bytes]:
        """Number and text of a record."""
        nonce = record[:_NONCE_BYTES]
        if len(record) < _NONCE_BYTES + TAG_BYTES:
            raise FormatDrift(f"a record of {len(record)} bytes, expected {_NONCE_BYTES + TAG_BYTES} at least")
        number = int.from_bytes(nonce[_ATTEMPT_BYTES:], "big")
        try:
            return number, self._cipher.decrypt(nonce, record[_NONCE_BYTES:], self._header)
        except self._refused as exc:
            raise FormatDrift(f"record {number} does not decrypt: it or the header was changed") from exc


def _blocks(records: bytes) -> Iterator[bytes]:
    """Whole lines, about `_AT_ONCE` bytes at a time, without the newline at the end; a torn end comes as it is."""
    start, end = 0, len(records)
    while start < end:
        stop = records.find(b"\n", start + _AT_ONCE)
        yield records[start : stop if stop >= 0 else end - records.endswith(b"\n")]
        start = stop + 1 if stop >= 0 else end


def _runs(numbers: Sequence[int]) -> str:
    """Ascending numbers as runs, such as "3, 7 to 9"."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in runs)
