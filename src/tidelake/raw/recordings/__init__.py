"""Recordings that others made, line by line; one module per format.

`lines` says what a line means, `bulk` says the same a block at a time, `files` reads the blocks, `sniff` judges whether
a file is in a format at all.
"""

from tidelake.errors import NotInLake
from tidelake.raw.recordings.cryptofeed import CRYPTOFEED
from tidelake.raw.recordings.hftbacktest import HFTBACKTEST
from tidelake.raw.recordings.spec import RecordingFormat

__all__ = ["FORMATS", "RecordingFormat", "recording_format"]

FORMATS = {form.name: form for form in (CRYPTOFEED, HFTBACKTEST)}


def recording_format(name: str) -> RecordingFormat:
    """The format with this name.

    Raises:
        NotInLake: There is none; `available` lists those that exist.
    """
    try:
        return FORMATS[name]
    except KeyError:
        known = tuple(FORMATS)
        raise NotInLake(f"no recording format {name!r}; known formats: {', '.join(known)}", available=known) from None
