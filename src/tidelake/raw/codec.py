"""What a segment is stored as: its lines compressed, and encrypted where a key is given.

Encryption is AES-256-GCM over chunks of 1 MiB, so that a long segment can be read as a stream (the STREAM
construction: https://eprint.iacr.org/2015/189). The nonce of a chunk is prefix, counter and a flag on the last one,
so a chunk that is changed, moved, repeated or cut off does not decrypt. Layout:

    magic "TLE1" · key id, 8 bytes · salt, 16 bytes · chunk · chunk · ...

Key and nonce prefix of a segment are derived from the lake's key and the salt. The salt is itself derived from the
compressed bytes, so sealing the same lines twice gives the same object, and no nonce meets two different texts.
"""

import base64
import binascii
import hashlib
import hmac
import os
import zlib
from collections.abc import Iterable, Iterator
from typing import Literal, Protocol

from tidelake.errors import ConfigError, FormatDrift

Codec = Literal["zstd", "gzip"]

KEY_VARIABLE = "TIDELAKE_KEY"
KEY_BYTES = 32
CHUNK = 1 << 20
MAGIC = b"TLE1"
TAG_BYTES = 16
HEADER_BYTES = len(MAGIC) + 8 + 16
UNPACK_BYTES = 1 << 16  # compressed bytes at a time, so that a stream's pieces stay small
ZSTD_LEVEL = 3
GZIP_LEVEL = 6
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_GZIP_MAGIC = b"\x1f\x8b"
_SUFFIX: dict[Codec, str] = {"zstd": "zst", "gzip": "gz"}


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


def suffix(codec: Codec, key: bytes | None) -> str:
    """How the name of a segment ends, such as ".jsonl.zst" or ".jsonl.gz.enc"."""
    return f".jsonl.{_SUFFIX[codec]}" + (".enc" if key else "")


def key_from_environment() -> bytes | None:
    """The lake's key from TIDELAKE_KEY, base64 of 32 bytes; None where it is not set.

    Raises:
        ConfigError: It is set and is not that. The message does not hold the value.
    """
    value = os.environ.get(KEY_VARIABLE)
    if not value:
        return None
    try:
        key = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigError(
            f"{KEY_VARIABLE} must be base64 of {KEY_BYTES} bytes, and is not. Nothing was read or written. "
            "Make one with: python -c 'import base64, os; print(base64.b64encode(os.urandom(32)).decode())'",
            tried=(f"environment variable {KEY_VARIABLE}",),
        )
    return key


def key_id(key: bytes) -> bytes:
    """Eight bytes that name a key and do not tell it."""
    return hashlib.sha256(b"tidelake key id\0" + key).digest()[:8]


def check_key(key: bytes | None, wanted: str, what: str) -> bytes:
    """The key, where it is the one whose `key_id` is `wanted`, in hexadecimal digits; `what` is what it is to open.

    Raises:
        ConfigError: It is missing, or another one.
    """
    if key is not None and key_id(key).hex() == wanted:
        return key
    found = "no key is set" if key is None else f"the key that is set is {key_id(key).hex()}"
    raise ConfigError(
        f"{what} is encrypted with key {wanted}, and {found}. It is intact, and nothing was taken from it. "
        f"Set {KEY_VARIABLE} to the key that it was written with, and run the same again.",
        tried=(f"environment variable {KEY_VARIABLE}",),
    )


def seal_bytes(plain: bytes, *, codec: Codec = "zstd", key: bytes | None = None) -> bytes:
    """The object to store for these lines; the same input gives the same object."""
    packed = _compress(plain, codec)
    return packed if key is None else _encrypt(packed, key)


def decode(data: bytes, key: bytes | None = None) -> bytes:
    """The lines of a stored object.

    Raises:
        FormatDrift: The object is cut short, changed, or not one that `seal_bytes` made.
        ConfigError: It is encrypted, and `key` is missing or another one.
    """
    packed = b"".join(_decrypted(iter((data,)), key)) if data.startswith(MAGIC) else data
    if not packed.startswith(_ZSTD_MAGIC):
        return b"".join(_decompressed((packed,)))
    import zstandard

    try:  # at once, into memory of the right size; in pieces it takes a third longer
        return zstandard.ZstdDecompressor().decompress(packed, allow_extra_data=False)
    except zstandard.ZstdError as exc:
        raise FormatDrift(f"the stored segment does not decompress: {exc}") from exc


def iter_decoded(chunks: Iterable[bytes], key: bytes | None = None) -> Iterator[bytes]:
    """The plaintext of an object that comes in chunks, in pieces, cut anywhere; raises as `decode` does.

    An object that was cut short raises at its end, after the pieces before it.
    """
    source = iter(chunks)
    start = b""
    for chunk in source:
        start += chunk
        if len(start) >= HEADER_BYTES:
            break
    whole = _chain(start, source)
    if start.startswith(MAGIC):
        whole = _decrypted(whole, key)
    yield from _decompressed(whole)


def _chain(start: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield start
    yield from rest


def _compress(plain: bytes, codec: Codec) -> bytes:
    if codec == "gzip":
        packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, 31)  # 31: a gzip frame, without name and time
        return packer.compress(plain) + packer.flush()
    import zstandard

    return zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_checksum=True).compress(plain)


def _decompressor(start: bytes) -> _Decompressor:
    if start.startswith(_ZSTD_MAGIC):
        import zstandard

        return zstandard.ZstdDecompressor().decompressobj()
    if start.startswith(_GZIP_MAGIC):
        return zlib.decompressobj(31)
    raise FormatDrift(f"not a stored segment: it starts with {start[:4].hex()}, expected zstd, gzip or TLE1")


def _decompressed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    unpacker: _Decompressor | None = None
    held = b""
    for piece in (chunk[i : i + UNPACK_BYTES] for chunk in chunks for i in range(0, len(chunk), UNPACK_BYTES)):
        held += piece
        if unpacker is None and len(held) < 4:
            continue
        if unpacker is None:
            unpacker = _decompressor(held)
        if unpacker.eof:
            raise FormatDrift("the stored segment goes on after its end")
        try:
            plain = unpacker.decompress(held)
        except Exception as exc:  # zlib.error and zstandard.ZstdError have no common base
            raise FormatDrift(f"the stored segment does not decompress: {exc}") from exc
        held = b""
        if plain:
            yield plain
    if unpacker is None or not unpacker.eof:
        raise FormatDrift("the stored segment is cut short")
    if unpacker.unused_data:
        raise FormatDrift("the stored segment goes on after its end")


def _derive(key: bytes, salt: bytes) -> tuple[bytes, bytes]:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    okm = HKDF(algorithm=SHA256(), length=KEY_BYTES + 7, salt=salt, info=b"tidelake segment").derive(key)
    return okm[:KEY_BYTES], okm[KEY_BYTES:]


def _nonce(prefix: bytes, counter: int, last: bool) -> bytes:
    return prefix + counter.to_bytes(4, "big") + (b"\x01" if last else b"\x00")


def _encrypt(packed: bytes, key: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    salt = hmac.digest(key, b"tidelake salt" + hashlib.sha256(packed).digest(), "sha256")[:16]
    header = MAGIC + key_id(key) + salt
    derived, prefix = _derive(key, salt)
    cipher = AESGCM(derived)
    pieces = [packed[i : i + CHUNK] for i in range(0, len(packed), CHUNK)] or [b""]
    final = len(pieces) - 1
    sealed = [cipher.encrypt(_nonce(prefix, i, i == final), piece, header) for i, piece in enumerate(pieces)]
    return header + b"".join(sealed)


def _decrypted(chunks: Iterable[bytes], key: bytes | None) -> Iterator[bytes]:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    source = iter(chunks)
    held = next(source)
    if len(held) < HEADER_BYTES:
        raise FormatDrift("the stored segment is cut short")
    header, held = held[:HEADER_BYTES], held[HEADER_BYTES:]
    wanted = header[len(MAGIC) : len(MAGIC) + 8].hex()
    derived, prefix = _derive(check_key(key, wanted, "the segment"), header[-16:])
    cipher = AESGCM(derived)
    counter, ended = 0, False
    while not ended:
        chunk = next(source, None)
        ended = chunk is None
        held += chunk or b""
        # The last piece is the one that nothing follows, so one byte more than a full piece must be held.
        while len(held) > CHUNK + TAG_BYTES or ended:
            piece, held = held[: CHUNK + TAG_BYTES], held[CHUNK + TAG_BYTES :]
            try:
                yield cipher.decrypt(_nonce(prefix, counter, ended and not held), piece, header)
            except (InvalidTag, ValueError) as exc:
                raise FormatDrift(f"the stored segment does not decrypt at chunk {counter}: changed or cut") from exc
            counter += 1
            if ended and not held:
                break
