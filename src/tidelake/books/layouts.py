"""What a venue says of its book messages, in the form in which the two readings use it."""

from dataclasses import dataclass
from datetime import date
from functools import cache

import numpy as np
import numpy.typing as npt

from tidelake.kernels.book_levels import LIST, OBJECTS, SCALARS, SHAPE_WIDTH
from tidelake.tables.field_tree import PAYLOAD, FieldTree, tree_of
from tidelake.venues.book_format import BookFormat, BookLayout, LevelShape

FRAME_PATHS = ("kind", "request", "symbol")
LISTED = ("-1", "-2")  # the elements that a listed layout can name, in the order of `find_elements`
NUMBERS = ("first", "last", "prev", "conn_seq", "checksum")


def bare(path: str) -> str:
    """The path without the mark of what may be missing."""
    return path.removesuffix("?")


def below(path: str, rows: str) -> bool:
    """Whether a path is that of a row's own value."""
    return bool(rows) and bare(path).startswith(f"{rows}.")


def is_per_row(form: BookFormat, layout: BookLayout) -> bool:
    """Whether each row of the list is a message of this form, not the frame as a whole."""
    return any(below(part.path, layout.rows) for part in form.levels)


def day_ns(day: date) -> int:
    """The start of a UTC day, ns since 1970."""
    return (day - date(1970, 1, 1)).days * 86_400 * 10**9


def paths(form: BookFormat) -> tuple[str, ...]:
    """All paths of a format, without marks."""
    numbers = tuple(getattr(form, name) for name in NUMBERS)
    named = (form.symbol, form.channel, form.time, *numbers, *form.where, *form.has, *(form.top or ()))
    return tuple(bare(path) for path in (*named, *(part.path for part in form.levels)) if path)


@dataclass(frozen=True)
class Shapes:
    """Shapes of levels as `kernels.book_levels` takes them; `number` finds one by format and list."""

    table: npt.NDArray[np.int32]
    words: npt.NDArray[np.uint8]
    word_at: npt.NDArray[np.int32]
    number: dict[tuple[int, int], int]


def lay_out(texts: tuple[str, ...] | list[str]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """The texts end to end, and where each starts and ends."""
    encoded = [text.encode() for text in texts]
    ends = np.cumsum([len(text) for text in encoded], dtype=np.int64)
    starts = ends - [len(text) for text in encoded]
    return np.frombuffer(b"".join(encoded), np.uint8), np.stack([starts, ends], axis=1).astype(np.int32).reshape(-1, 2)


def _shape_row(shape: LevelShape, fixed: str, words: list[str]) -> list[int]:
    def place(where: int | str | None) -> int:
        return number(where) if isinstance(where, str) else -1 if where is None else where

    def number(word: str) -> int:
        if word not in words:
            words.append(word)
        return words.index(word)

    kept = len(words)
    words += shape.kept  # in a row, as the kernel asks for them
    return [
        OBJECTS if isinstance(shape.price, str) else LIST,
        place(shape.price),
        place(shape.size),
        place(shape.side),
        place(shape.action),
        place(shape.time),
        int(fixed == "ask"),
        number(shape.sides[0]),
        number(shape.sides[1]),
        number(shape.gone),
        kept,
        kept + len(shape.kept),
        int(shape.size is None),
    ]


def _shapes(formats: tuple[BookFormat, ...]) -> Shapes:
    words: list[str] = []
    rows: list[list[int]] = []
    number: dict[tuple[int, int], int] = {}
    for place, form in enumerate(formats):
        for at, part in enumerate(form.levels):
            number[place, at] = len(rows)
            rows.append(_shape_row(part.shape, part.side, words))
        if form.top:
            for at, ask in ((0, 0), (2, 1)):
                number[place, at] = len(rows)
                rows.append([SCALARS, *[-1] * 5, ask, *[0] * 6])
    table = np.array(rows, np.int32).reshape(-1, SHAPE_WIDTH)
    return Shapes(table, *lay_out(words), number)


@dataclass(frozen=True)
class Compiled:
    """One layout, ready to be searched.

    Attributes:
        tree: The fields wanted of a line.
        keys: Of a listed layout: keys wanted of the objects among the elements.
    """

    layout: BookLayout
    tree: FieldTree
    shapes: Shapes
    keys: tuple[str, ...]


@cache
def compiled(layout: BookLayout) -> Compiled:
    """The layout's fields and shapes as arrays."""
    wanted = dict.fromkeys(path for form in layout.formats for path in paths(form))
    keys = tuple(path.removeprefix("*.") for path in wanted if path not in LISTED) if layout.listed else ()
    full = [] if layout.listed else [f"{PAYLOAD}.{path}" for path in wanted]
    rows = f"{PAYLOAD}.{layout.rows}" if layout.rows else ""
    return Compiled(layout, tree_of([*FRAME_PATHS, *full], rows), _shapes(layout.formats), keys)
