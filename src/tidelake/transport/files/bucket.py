"""Files in a bucket: S3, GCS or Azure, by the variables that the store of a lake takes; without any, anonymously."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tidelake.errors import ConfigError, SourceError
from tidelake.logs import redact
from tidelake.transport.files.spec import ObjectChanged, Piece, RemoteFile

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import ClientConfig, ObjectStore

SCHEMES = ("s3", "gs", "az", "abfs", "abfss")
BLOCK_BYTES = 4 << 20
SIGNING = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_SKIP_SIGNATURE",
)
_MD5 = re.compile(r'"?([0-9a-f]{32})"?')


class BucketFiles:
    """The files below a prefix of a bucket.

    Raises:
        ConfigError: The address cannot be used.
    """

    def __init__(self, url: str) -> None:
        from obstore.exceptions import BaseError
        from obstore.store import from_url

        self.url = redact(url)
        anonymous = url.startswith("s3://") and not any(os.environ.get(name) for name in SIGNING)
        options: dict[str, Any] = {"skip_signature": True} if anonymous else {}
        try:
            self._objects: ObjectStore = from_url(url, client_options=_client_options(), **options)
        except BaseError as exc:
            raise ConfigError(f"cannot read files of {self.url}: {_first_line(exc)}") from exc

    def find(self, key: str) -> list[RemoteFile]:
        import obstore
        from obstore.exceptions import BaseError, NotFoundError

        try:
            if not key.endswith("/"):
                return [_file(obstore.head(self._objects, key))]
            found = obstore.list_with_delimiter(self._objects, key.rstrip("/"))["objects"]
        except (NotFoundError, FileNotFoundError):
            return []
        except (BaseError, OSError) as exc:
            raise self._failed(key, exc) from exc
        return sorted((_file(each) for each in found), key=lambda file: file.key)

    @contextmanager
    def read(self, file: RemoteFile, start: int) -> Iterator[Piece]:
        yield Piece(start, self._blocks(file, start))

    def _blocks(self, file: RemoteFile, start: int) -> Iterator[bytes]:
        import obstore
        from obstore.exceptions import BaseError, PreconditionError

        options: GetOptions = {"if_match": file.tag} if file.tag else {}
        if start:
            options["range"] = {"offset": start}
        try:
            for block in obstore.get(self._objects, file.key, options=options).stream(min_chunk_size=BLOCK_BYTES):
                yield bytes(block)
        except PreconditionError as exc:
            raise ObjectChanged(file.key) from exc
        except (BaseError, OSError) as exc:
            raise self._failed(file.key, exc) from exc

    def close(self) -> None:
        pass

    def _failed(self, key: str, exc: Exception) -> SourceError:
        from obstore.exceptions import NotFoundError, PermissionDeniedError, UnauthenticatedError

        for_good = isinstance(exc, NotFoundError | PermissionDeniedError | UnauthenticatedError | FileNotFoundError)
        told = "; a bucket that is not public wants AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" if for_good else ""
        return SourceError(f"cannot read {self.url}/{key}: {_first_line(exc)}{told}", retryable=not for_good)


def _client_options() -> "ClientConfig":
    """A request may last long enough for a large file; what the environment says of plain HTTP goes on to hold."""
    plain = os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true")
    return {"timeout": "600s", "allow_http": True} if plain else {"timeout": "600s"}


def _file(found: Any) -> RemoteFile:
    tag = found["e_tag"] or ""
    md5 = _MD5.fullmatch(tag)
    return RemoteFile(found["path"], int(found["size"]), tag, md5[1] if md5 else "", "ETag" if md5 else "")


def _first_line(exc: Exception) -> str:
    return redact(str(exc).split("\n", 1)[0][:300])
