r"""Recorded lines to frames and back, one at a time: the plain version that `bulk` has to agree with.

A recorded line is `Frame.head`, the payload and an ending. `Frame.tail` is "" for the ending "\n"; any other ending
(white space, "\r\n") stands in it as it is, and `NO_ENDING` stands for none at all: the last line of a file that does
not end in a newline. So the frames of a file give back every byte of it.
"""

from collections.abc import Iterator

from tidelake.raw.frame import Frame
from tidelake.raw.recordings.spec import ANY_TIME, Recorded, RecordingFormat

NO_ENDING = "\0"
DAMAGED = "damaged line"


def frame_of_line(form: RecordingFormat, line: bytes, n: int, before_ns: int, latest_ns: int = ANY_TIME) -> Frame:
    """The frame of one recorded line, its ending included.

    A line that is not of the format, or whose clock cannot be true, is kept whole as a "note" with `request` set to
    `DAMAGED`: in `head` where it is UTF-8, else as the payload.

    Args:
        form: The recording's format.
        line: The line with its newline.
        n: Place in the lane.
        before_ns: Clock for a line that has none of its own, that of the line before.
        latest_ns: No clock can be later than this.
    """
    body = line.rstrip(b" \t\r\n")
    ending = line[len(body) :].decode()
    tail = "" if ending == "\n" else ending or NO_ENDING
    said = form.read_line(body)
    if said is None or (said.recv_ns is not None and said.recv_ns > latest_ns):
        said = Recorded(len(body) if _is_utf8(body) else 0, None, "note", DAMAGED)
    head, payload = body[: said.head], body[said.head :]
    if not payload and not _is_utf8(head):
        head, payload = b"", body
    recv_ns = before_ns if said.recv_ns is None else said.recv_ns
    return Frame(n, recv_ns, 0, said.kind, payload, said.request, "", "", said.status, head.decode(), tail)


def line_of_frame(frame: Frame) -> bytes:
    """The recorded line that `frame_of_line` made the frame of, its ending included."""
    ending = b"\n" if not frame.tail else b"" if frame.tail == NO_ENDING else frame.tail.encode()
    return frame.head.encode() + frame.payload + ending


def frames_of_block(
    form: RecordingFormat, block: bytes, n: int, before_ns: int, latest_ns: int = ANY_TIME
) -> Iterator[Frame]:
    """The frames of a block of whole lines, numbered from n."""
    start = 0
    while start < len(block):
        end = block.find(b"\n", start) + 1 or len(block)
        frame = frame_of_line(form, block[start:end], n, before_ns, latest_ns)
        yield frame
        n, before_ns, start = n + 1, frame.recv_ns, end


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
