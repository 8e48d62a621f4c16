"""The values that kernels found in lines, field by field."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tidelake.kernels.json_tokens import ESCAPED, FALSE, MISSING, NUMBER, STRING, TRUE, WORD, find_tokens
from tidelake.kernels.json_values import gather, mark_equal, measure, read_integers
from tidelake.tables.field_tree import FieldTree
from tidelake.tables.segment_lines import SegmentLines

ROOM = 4  # rows per line that room is made for at first

Mask = NDArray[np.bool_]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Tokens:
    """Where the values of one field stand in a text.

    Attributes:
        text: uint8[..].
        places: int64[n, 2], start and end of each value; a string's lie inside its quotes.
        types: uint8[n], as `kernels.json_tokens` names them.
    """

    text: NDArray[np.uint8]
    places: Indices
    types: NDArray[np.uint8]

    def take(self, rows: Indices) -> "Tokens":
        """The values of these rows."""
        return Tokens(self.text, self.places[rows], self.types[rows])

    def read_int64(self, read: Callable[..., None]) -> tuple[Indices, Mask]:
        """What a kernel of `kernels.json_values` reads, and which values it could read."""
        out = np.zeros(len(self.types), dtype=np.int64)
        good = np.empty(len(out), dtype=np.bool_)
        read(self.text, self.places, self.types, out, good)
        return out, good

    @cached_property
    def integers(self) -> tuple[Indices, Mask]:
        """Whole numbers, and which values are one; not to be written to."""
        return self.read_int64(read_integers)

    def is_absent(self) -> Mask:
        """Which values are missing, null, or an empty string."""
        empty = (self.types == STRING) & (self.places[:, 0] == self.places[:, 1])
        absent: Mask = (self.types == MISSING) | empty
        return absent

    def is_there(self) -> Mask:
        """Which values are anything but missing or null."""
        there: Mask = self.types != MISSING
        return there

    def is_escaped(self) -> Mask:
        """Which values are strings with an escape in them."""
        escaped: Mask = self.types == ESCAPED
        return escaped

    def texts(self, kind: int = STRING) -> pa.StringArray:
        """The values of one type as text; null where a value has another type."""
        count = len(self.types)
        offsets = np.empty(count + 1, dtype=np.int32)
        measure(self.places, self.types, kind, offsets)
        data = np.empty(offsets[-1], dtype=np.uint8)
        gather(self.text, self.places, self.types, kind, offsets, data)
        present = np.packbits(self.types == kind, bitorder="little")
        return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(data), pa.py_buffer(present))

    def _is_like(self, pattern: str) -> Mask:
        """Which texts end with what follows a * or begin with what stands before one."""
        match = pc.ends_with if pattern.startswith("*") else pc.starts_with
        held = pc.fill_null(match(self.texts(), pattern.strip("*")), False)
        like: Mask = held.to_numpy(zero_copy_only=False)
        return like

    def is_one_of(self, wanted: list[str | int | bool]) -> Mask:
        """Which values are one of these, of the same JSON type; a text with * before or after it ends or begins so."""
        held = np.zeros(len(self.types), dtype=np.bool_)
        for value in wanted:
            if isinstance(value, bool):
                held |= self.types == (TRUE if value else FALSE)
                continue
            if isinstance(value, str) and "*" in (value[:1], value[-1:]):
                held |= self._is_like(value)
                continue
            word = np.frombuffer(str(value).encode(), dtype=np.uint8)
            kind = STRING if isinstance(value, str) else NUMBER
            mark_equal(self.text, self.places, self.types, kind, word, held)
        return held


@dataclass(frozen=True)
class FoundTokens:
    """The values of all fields of a tree: once per line, and once per row below a list of rows.

    Attributes:
        line_places, line_types: Per field and line, as in `Tokens`; row_places, row_types: per field and row.
        row_line: int64[rows], place of each row's line among the lines that were searched.
        odd: bool[lines], lines that a slower reader must look at.
        listless: bool[lines], lines without a list where the rows should be, or one on the way to them.
    """

    tree: FieldTree
    text: NDArray[np.uint8]
    line_places: Indices
    line_types: NDArray[np.uint8]
    row_places: Indices
    row_types: NDArray[np.uint8]
    row_line: Indices
    odd: Mask
    listless: Mask

    def of_lines(self, path: str) -> Tokens:
        """The values at a full path, one per line."""
        return self._field(self.line_places, self.line_types, path)

    def of_rows(self, path: str) -> Tokens:
        """The values at a full path, one per row; those of a line stand for each of its rows."""
        if self.tree.rows and path.startswith(f"{self.tree.rows}."):
            return self._field(self.row_places, self.row_types, path)
        tokens = self.of_lines(path)
        return tokens.take(self.row_line) if self.tree.rows else tokens

    def _field(self, places: Indices, types: NDArray[np.uint8], path: str) -> Tokens:
        slot = self.tree.slots[path]
        return Tokens(self.text, places[slot], types[slot])


def find(
    tree: FieldTree, lines: SegmentLines, chosen: Indices, ends: Indices | None = None, *, in_place: bool = False
) -> FoundTokens:
    """Search the chosen lines for the fields of a tree, each up to its end or to the place in `ends`.

    The values are copied next to each other, unless they are to be places in the segment's plaintext.
    """
    text = np.frombuffer(lines.plain, dtype=np.uint8)
    count, fields = len(chosen), len(tree.slots)
    starts = lines.offsets[chosen]
    ends = lines.offsets[chosen + 1] if ends is None else ends
    room = count * ROOM if tree.rows else 0
    kept = np.empty(int((ends - starts).sum()) + WORD if not in_place else 0, dtype=np.uint8)
    while True:
        found = FoundTokens(
            tree,
            text if in_place else kept,
            np.empty((fields, count, 2), dtype=np.int64),
            np.zeros((fields, count), dtype=np.uint8),
            np.empty((fields, room, 2), dtype=np.int64),
            np.zeros((fields, room), dtype=np.uint8),
            np.arange(room or count, dtype=np.int64),
            np.zeros(count, dtype=np.bool_),
            np.zeros(count, dtype=np.bool_),
        )
        rows = find_tokens(
            text,
            starts,
            ends,
            tree.key_bytes,
            tree.key_at,
            tree.children,
            tree.slot,
            tree.outer,
            tree.rows_node,
            kept,
            found.line_places,
            found.line_types,
            found.row_places,
            found.row_types,
            found.row_line,
            found.odd,
            found.listless,
        )
        if not tree.rows:
            return found
        if rows <= room:
            places, types = found.row_places[:, :rows], found.row_types[:, :rows]
            line_fields = found.line_places, found.line_types
            return FoundTokens(
                tree, found.text, *line_fields, places, types, found.row_line[:rows], found.odd, found.listless
            )
        room = rows
