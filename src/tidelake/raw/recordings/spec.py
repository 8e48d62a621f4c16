"""The words in which a recording format is described; each format has a module of its own beside this one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from tidelake.raw.frame import Kind

Bytes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

PREFIX = 32  # bytes of each line that `plain` sees
ANY_TIME = (1 << 63) - 1  # a latest clock that refuses none


@dataclass(frozen=True, slots=True)
class Recorded:
    """What one recorded line says.

    Attributes:
        head: Length of what stands before the payload; the whole line where there is no payload.
        recv_ns: The line's own clock, ns since 1970 UTC; None where it has none.
        kind, request, status: As in `Frame`.
    """

    head: int
    recv_ns: int | None
    kind: Kind = "frame"
    request: str = ""
    status: int = 0


@dataclass(frozen=True, slots=True)
class RecordingFormat:
    """One way of writing recordings, line by line.

    Attributes:
        name: As given to `--from`.
        looks_like: One line of it, for messages.
        read_line: Reads a line without its ending; None where the line is not of this format.
        plain: The fast way for the common case: takes the first `PREFIX` bytes of many lines and answers for each
            whether it is a plain frame line whose payload starts with { or [, its clock and the length of its head. It
            answers no wherever `read_line` would say anything else. Plain heads hold digits, ".", ":" and " " only.
        source_of_file: Whether a file's name starts with the venue (BINANCE.ws.1.0), see `Venue.recording_names`.
        source_of_folder: Source id by the name of the folder that a file lies in.
    """

    name: str
    looks_like: str
    read_line: Callable[[bytes], Recorded | None]
    plain: Callable[[Bytes], tuple[Flags, Integers, Integers]]
    source_of_file: bool = False
    source_of_folder: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
