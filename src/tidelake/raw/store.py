"""The store of a lake: one code path over local disk, S3, GCS, Azure and memory.

A key is a path below the lake's root, such as `ledger/<lane>/000000000007.json`. Objects are written once and never
changed. Everything goes through obstore but the local put: obstore does not sync the file and its folder, and a put
that a power cut can undo would not be a commit.
"""

import atexit
import hashlib
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError
from obstore.store import LocalStore, MemoryStore, from_url

from tidelake.errors import ConfigError, NotInLake, StoreError

if TYPE_CHECKING:
    from io import FileIO

    from obstore.store import ObjectStore

SPOOL_VARIABLE = "TIDELAKE_SPOOL"
REMOTE_SCHEMES = ("s3", "gs", "az", "abfs", "abfss")
PUT_ATTEMPTS = 4
LIST_CHUNK = 1000
FILE_BLOCK = 8 << 20

_S3_OPTIONS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ALLOW_HTTP",
)
# deltalake 1.6.6 and polars 2.1.0 refuse these in a table's address, or write below it and do not find it again
_UNREADABLE = frozenset(' "#%<=>?[]\\^`{|}')
_TEMPORARY = "#0"  # obstore's local listing leaves out names that end in # and digits

_memory: dict[str, tuple[MemoryStore, Path]] = {}
_settled: set[Path] = set()


class Store:
    """The objects of one lake. Open it with `Store.open`.

    Attributes:
        url: Where the lake is, as an absolute URL or path; holds no secret.
        root: The local folder of the lake; None where it is elsewhere.
    """

    def __init__(self, url: str, objects: "ObjectStore", *, root: Path | None, scratch: Path | None = None) -> None:
        self.url = url
        self.root = root
        self._objects = objects
        self._scratch = scratch

    @classmethod
    def open(cls, url: str | Path) -> "Store":
        """The store at a path, `file:///..`, `s3://bucket/prefix`, `gs://..`, `az://..` or `memory:///name`.

        A local folder is made where it is missing. A memory store is shared by its name within the process.

        Raises:
            ConfigError: The scheme is not one of these, or the address cannot be used.
        """
        text = str(url)
        scheme = urlsplit(text).scheme if "://" in text else ""
        if scheme in ("", "file"):
            return cls._open_local(Path(unquote(urlsplit(text).path)) if scheme else Path(text))
        if scheme == "memory":
            return cls._open_memory(text)
        if scheme not in REMOTE_SCHEMES:
            known = ", ".join(f"{name}://" for name in ("file", "memory", *REMOTE_SCHEMES))
            raise ConfigError(f"cannot open a lake with the scheme {scheme}://; known are a path, {known}")
        text = text.rstrip("/")
        _check_remote(text)
        try:
            return cls(text, from_url(text), root=None)
        except BaseError as exc:
            raise ConfigError(f"cannot open the lake {text}: {_first_line(exc)}") from exc

    @classmethod
    def _open_local(cls, path: Path) -> "Store":
        root = path.expanduser().resolve()
        _check_readable(str(root))
        try:
            make_folder(root, root)
        except OSError as exc:
            raise ConfigError(f"cannot open the lake {root}: {exc.strerror}; name a folder that can be made") from exc
        return cls(str(root), LocalStore(str(root)), root=root)

    @classmethod
    def _open_memory(cls, url: str) -> "Store":
        if url not in _memory:
            scratch = Path(tempfile.mkdtemp(prefix="tidelake-memory-"))
            atexit.register(shutil.rmtree, scratch, ignore_errors=True)
            _memory[url] = (MemoryStore(), scratch)
        objects, scratch = _memory[url]
        return cls(url, objects, root=None, scratch=scratch)

    def __repr__(self) -> str:
        return f"Store({self.url!r})"

    @property
    def is_local(self) -> bool:
        """Whether the lake is a folder on this machine."""
        return self.root is not None

    def put_new(self, key: str, data: bytes) -> bool:
        """Put an object where none is; False where the key was taken, and then nothing has changed.

        On True the object is durable: on local disk the file and its folders are synced.

        Raises:
            StoreError: The store failed. The object may or may not be there; the same call may be made again.
        """
        return self._put_local(self.root, key, data) if self.root else self._put_remote(key, data)

    def _put_local(self, root: Path, key: str, data: bytes) -> bool:
        target = root / key
        try:
            make_folder(target.parent, root)
            new = not target.exists() and _link_new(target, (data,))
            sync_folder(target.parent)  # also where the name was taken: who took it may not have come to this line
        except OSError as exc:
            raise _not_written(key, self.url, exc) from exc
        return new

    def _put_remote(self, key: str, data: bytes) -> bool:
        pause = 0.2
        for attempt in range(1, PUT_ATTEMPTS + 1):
            try:
                obstore.put(self._objects, key, data, mode="create", use_multipart=False)
            except AlreadyExistsError:
                # An earlier attempt that seemed to fail may have been applied: then the object is our own.
                return attempt > 1 and self.get(key) == data
            except (BaseError, OSError) as exc:
                if attempt == PUT_ATTEMPTS:
                    raise self._unanswered(key, exc) from exc
                time.sleep(pause)
                pause *= 2
            else:
                return True
        raise AssertionError("not reached")

    def put_file(self, key: str, path: Path, sha256: str) -> bool:
        """Put a local file where no object is; False where the key was taken, and then nothing has changed.

        Its bytes pass in blocks and are hashed on the way. The key must tell the content, as one with its hash does:
        object stores take a file in parts only unconditionally, so that two calls at once may both write it.
        On True the object is durable, as after `put_new`.

        Raises:
            StoreError: The store failed, or the file does not have this hash; then no object was put.
        """
        if self.head(key) is not None:
            if self.root:
                self._settle(self.root, key)
            return False
        if self.root:
            return self._copy_local(self.root, key, path, sha256)
        self._upload(key, lambda: file_blocks(path, sha256, key))
        return True

    def _copy_local(self, root: Path, key: str, path: Path, sha256: str) -> bool:
        target = root / key
        try:
            make_folder(target.parent, root)
            new = _link_new(target, file_blocks(path, sha256, key))
            sync_folder(target.parent)
        except OSError as exc:
            raise _not_written(key, self.url, exc) from exc
        return new

    def _upload(self, key: str, blocks: Callable[[], Iterable[bytes | memoryview]]) -> None:
        """Put what may be large, in parts, under a key that nobody gives to anything else."""
        pause = 0.2
        for attempt in range(1, PUT_ATTEMPTS + 1):
            try:
                obstore.put(self._objects, key, blocks(), use_multipart=True, chunk_size=FILE_BLOCK)
            except (BaseError, OSError) as exc:
                if attempt == PUT_ATTEMPTS:
                    raise self._unanswered(key, exc) from exc
                time.sleep(pause)
                pause *= 2
            else:
                return

    def put_data_file(self, table: str, path: str, data: memoryview) -> None:
        """Put a file into the folder of a Delta table, under a name that nobody else takes.

        On disk it is not synced: no more is the table's log, and what a power cut takes of a table is derived again.

        Raises:
            StoreError: The store failed. A part of the file may be there, which no version of the table names.
        """
        key = f"tables/{table}/{path}"
        local = self._scratch or self.root
        if local is None:
            self._upload(key, lambda: (data[i : i + FILE_BLOCK] for i in range(0, len(data), FILE_BLOCK)))
            return
        try:
            (local / key).parent.mkdir(parents=True, exist_ok=True)
            with open(local / key, "xb", buffering=0) as file:
                _write_all(file, data)
        except OSError as exc:
            raise _not_written(key, self.url, exc) from exc

    def data_file(self, table: str, path: str) -> Path | bytes:
        """A file in the folder of a Delta table: where it lies, or from an object store its bytes.

        Raises:
            NotInLake: On an object store there is none.
            StoreError: The store failed.
        """
        key = f"tables/{table}/{path}"
        local = self._scratch or self.root
        return self.get(key) if local is None else local / key

    def _settle(self, root: Path, key: str) -> None:
        """Sync the name of an object that another writer may have put and not synced."""
        try:
            sync_folder((root / key).parent)
        except OSError as exc:
            raise _not_written(key, self.url, exc) from exc

    def get(self, key: str) -> bytes:
        """The bytes of an object.

        Raises:
            NotInLake: There is no such object.
            StoreError: The store failed.
        """
        try:
            if self.root:  # nine times faster than obstore for small objects
                return (self.root / key).read_bytes()
            return bytes(obstore.get(self._objects, key).bytes())
        except (BaseError, OSError) as exc:
            raise self._translated(exc, key) from exc

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """`length` bytes of an object from `start`; fewer where it ends before.

        Raises:
            NotInLake: There is no such object.
            StoreError: The store failed, or `start` is past the end.
        """
        try:
            return bytes(obstore.get_range(self._objects, key, start=start, length=length))
        except (BaseError, OSError) as exc:
            raise self._translated(exc, key) from exc

    def head(self, key: str) -> int | None:
        """Size of an object in bytes; None where there is none."""
        try:
            if self.root:
                return (self.root / key).stat().st_size
            return int(obstore.head(self._objects, key)["size"])
        except (NotFoundError, FileNotFoundError, NotADirectoryError):
            return None
        except (BaseError, OSError) as exc:
            raise self._translated(exc, key) from exc

    def stamp(self, key: str) -> str | None:
        """Differs once an object was deleted and another put in its place; None where there is none."""
        try:
            found = obstore.head(self._objects, key)
        except (NotFoundError, FileNotFoundError, NotADirectoryError):
            return None
        except (BaseError, OSError) as exc:
            raise self._translated(exc, key) from exc
        return f"{found['e_tag']}-{found['last_modified'].isoformat()}"

    def list(self, prefix: str, after: str | None = None) -> Iterator[str]:
        """Keys below the folder `prefix` ("" for all), in order; only those greater than `after`, where given."""
        found = self._listed(prefix, after)
        if self.root:  # a folder on disk has no order
            return iter(sorted(found))
        return found

    def _listed(self, prefix: str, after: str | None) -> Iterator[str]:
        try:
            for chunk in obstore.list(self._objects, prefix or None, offset=after, chunk_size=LIST_CHUNK):
                for found in chunk:
                    if after is None or found["path"] > after:
                        yield found["path"]
        except (NotFoundError, FileNotFoundError):
            return
        except (BaseError, OSError) as exc:
            raise self._translated(exc, prefix) from exc

    def folders(self, prefix: str) -> Iterator[str]:
        """Names of the folders directly below the folder `prefix`, in order."""
        try:
            found = obstore.list_with_delimiter(self._objects, prefix or None)["common_prefixes"]
        except (NotFoundError, FileNotFoundError):
            return iter(())
        except (BaseError, OSError) as exc:
            raise self._translated(exc, prefix) from exc
        return iter(sorted(path.rsplit("/", 1)[-1] for path in cast("list[str]", found)))

    def delete(self, key: str) -> None:
        """Remove an object; nothing happens where there is none."""
        try:
            obstore.delete(self._objects, key)
        except (NotFoundError, FileNotFoundError):
            return
        except (BaseError, OSError) as exc:
            raise self._translated(exc, key) from exc

    def _unanswered(self, key: str, exc: Exception) -> StoreError:
        return StoreError(
            f"cannot write {key} in {self.url}: {_first_line(exc)}. Nothing that was there has changed; "
            "run again when the store answers.",
            key=key,
        )

    def _translated(self, exc: Exception, key: str) -> NotInLake | StoreError:
        if isinstance(exc, NotFoundError | FileNotFoundError | NotADirectoryError):
            return NotInLake(f"{key} is not in the lake {self.url}")
        return StoreError(
            f"cannot read {key} in {self.url}: {_first_line(exc)}. Nothing has changed; run again when it answers.",
            key=key,
        )

    def table_uri(self, name: str) -> str:
        """Where the Delta table `name` lies, for deltalake and polars; of a memory lake in a scratch folder."""
        base = self._scratch or self.root
        return str(base / "tables" / name) if base else f"{self.url}/tables/{name}"

    def storage_options(self) -> dict[str, str] | None:
        """What deltalake and polars need besides `table_uri`; None where they need nothing. Holds secrets."""
        if not self.url.startswith("s3://"):
            return None
        options = {name: os.environ[name] for name in _S3_OPTIONS if os.environ.get(name)}
        return {**options, "conditional_put": "etag"}

    def spool(self) -> Path:
        """The local folder of the part files of this lake; made where it is missing."""
        local = self._scratch or self.root
        folder = local / "parts" if local else _spool_root() / hashlib.sha256(self.url.encode()).hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def _spool_root() -> Path:
    if named := os.environ.get(SPOOL_VARIABLE):
        return Path(named).expanduser().resolve()
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "tidelake"


def _check_readable(address: str) -> None:
    found = sorted({char for char in address if char in _UNREADABLE or not "!" <= char <= "~"})
    if found:
        raise ConfigError(
            f"cannot keep a lake at {address}: its tables could not be read back because of "
            f"{', '.join(map(repr, found))}. Nothing was written. Allowed are letters and digits of ASCII and any of "
            "! $ & ' ( ) * + , - . / : ; @ _ ~; name another place, or move or rename the folder."
        )


def _check_remote(url: str) -> None:
    """Refuse what is no place: credentials and queries, which may be secret, so that the message does not hold them."""
    parts = urlsplit(url)
    user, at, _ = parts.netloc.rpartition("@")
    if at and (":" in user or not parts.scheme.startswith("abfs")):  # abfs://container@account has no secret
        raise ConfigError(
            f"the address of the {parts.scheme}:// lake holds credentials. Nothing was written. Leave out what stands "
            "before the @ and set it in the environment, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
    if parts.query or parts.fragment or "?" in url or "#" in url:
        raise ConfigError(
            f"the address of the {parts.scheme}:// lake holds a query or fragment (? or #). Nothing was written. "
            "Write scheme://bucket/prefix and set options and credentials in the environment, such as AWS_REGION."
        )
    if {".", ".."} & set(parts.path.split("/")):
        raise ConfigError(
            f"cannot keep a lake at {url}: to the store . and .. are names, to some who read tables they are steps. "
            "Nothing was written. Write the prefix without them."
        )
    _check_readable(url)


def _first_line(exc: Exception) -> str:
    return str(exc).split("\n", 1)[0][:300]


def _not_written(key: str, url: str, exc: OSError) -> StoreError:
    return StoreError(
        f"cannot write {key} in {url}: {exc.strerror or exc}. Nothing that was there has changed; "
        "make the folder writable, with space left and hard links allowed, and run again.",
        key=key,
    )


def file_blocks(path: Path, sha256: str, key: str) -> Iterator[bytes]:
    """The bytes of a local file in blocks; at their end it raises `StoreError` where they do not have this hash."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(FILE_BLOCK):
            digest.update(block)
            yield block
    if digest.hexdigest() != sha256:
        raise StoreError(
            f"{path} changed while it was put as {key}: it has the SHA-256 {digest.hexdigest()[:16]}, expected "
            f"{sha256[:16]}. Nothing was put. Run again when nothing else writes the file.",
            key=key,
        )


def _write_all(file: "FileIO", left: memoryview) -> None:
    while left:
        left = left[file.write(left) :]


def write_synced(path: Path, blocks: Iterable[bytes]) -> None:
    """Write a new file and sync its bytes to disk; its name is safe only after `sync_folder`."""
    with open(path, "xb", buffering=0) as file:
        for block in blocks:
            _write_all(file, memoryview(block))
        os.fsync(file.fileno())


def _link_new(target: Path, blocks: Iterable[bytes]) -> bool:
    temporary = target.parent / f".{uuid.uuid4().hex}{_TEMPORARY}"
    try:
        write_synced(temporary, blocks)
        os.link(temporary, target)
    except FileExistsError:
        return False
    finally:
        temporary.unlink(missing_ok=True)
    return True


def make_folder(folder: Path, root: Path) -> None:
    """Make a folder of the lake at `root` and its missing parents, each name synced to disk once per process."""
    if folder in _settled and folder.is_dir():
        return
    if folder != root:
        make_folder(folder.parent, root)
        folder.mkdir(exist_ok=True)
    else:
        folder.mkdir(parents=True, exist_ok=True)
    sync_folder(folder.parent)
    _settled.add(folder)


def sync_folder(folder: Path) -> None:
    """Sync the names in a folder to disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
