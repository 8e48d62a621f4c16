"""The place of files that an address names."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from tidelake.errors import ConfigError
from tidelake.transport.files.bucket import SCHEMES, BucketFiles
from tidelake.transport.files.folder import FolderFiles
from tidelake.transport.files.spec import FilePlace
from tidelake.transport.files.web import WebFiles


def open_place(url: str, *, secret: str = "") -> FilePlace:
    """The place at `s3://bucket/prefix` (or gs, az, abfs), `https://..`, `file:///..` or a path.

    Args:
        url: Where the files are.
        secret: A bearer token for HTTP.

    Raises:
        ConfigError: The scheme is none of these, the folder does not exist, or the address holds credentials.
    """
    parts = urlsplit(url) if "://" in url else None
    if parts is None or parts.scheme == "file":
        folder = Path(unquote(parts.path) if parts else url).expanduser().resolve()
        if not folder.is_dir():
            raise ConfigError(f"there is no folder {folder}; name one that holds the vendor's files")
        return FolderFiles(folder)
    if "@" in parts.netloc and not parts.scheme.startswith("abfs"):
        raise ConfigError(f"the address of the {parts.scheme}:// files holds credentials; set them in the environment")
    if parts.query or parts.fragment:
        raise ConfigError(f"the address of the {parts.scheme}:// files holds a query or fragment; leave it out")
    if parts.scheme in SCHEMES:
        return BucketFiles(url.rstrip("/"))
    if parts.scheme in ("http", "https"):
        return WebFiles(url, secret)
    known = ", ".join(f"{name}://" for name in (*SCHEMES, "https", "http", "file"))
    raise ConfigError(f"cannot read files of {parts.scheme}://; known are a path, {known}")
