import base64
import random

import pytest
from hypothesis import given, settings, strategies as st

from tidelake.errors import ConfigError, FormatDrift
from tidelake.raw import codec as codec_module
from tidelake.raw.codec import CHUNK, HEADER_BYTES, decode, iter_decoded, key_from_environment, seal_bytes

KEY = bytes(range(32))
OTHER = bytes(range(1, 33))
FORMS = [("zstd", None), ("gzip", None), ("zstd", KEY), ("gzip", KEY)]
LONG = random.Random(7).randbytes(3 * CHUNK + 17)  # does not compress, so it takes four chunks


@pytest.mark.parametrize(("codec", "key"), FORMS)
@pytest.mark.parametrize("plain", [b"", b"a\n", LONG, LONG[: CHUNK * 2]], ids=["empty", "short", "long", "even"])
def test_decode_gives_the_lines_back(codec, key, plain):
    sealed = seal_bytes(plain, codec=codec, key=key)
    assert decode(sealed, key) == plain
    assert b"".join(iter_decoded([sealed], key)) == plain


@pytest.mark.parametrize(("codec", "key"), FORMS)
def test_sealing_twice_gives_the_same_object(codec, key):
    assert seal_bytes(b"a line\n" * 99, codec=codec, key=key) == seal_bytes(b"a line\n" * 99, codec=codec, key=key)


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=300), st.integers(1, 40), st.sampled_from(FORMS), st.integers(1, 32))
def test_stream_gives_the_same_however_it_is_cut(plain, size, form, chunk):
    before = codec_module.CHUNK
    codec_module.CHUNK = chunk
    try:
        sealed = seal_bytes(plain, codec=form[0], key=form[1])
        pieces = [sealed[i : i + size] for i in range(0, len(sealed), size)]
        assert b"".join(iter_decoded(pieces, form[1])) == plain
    finally:
        codec_module.CHUNK = before


@pytest.mark.parametrize(("codec", "key"), FORMS)
def test_object_cut_anywhere_is_refused(codec, key):
    sealed = seal_bytes(b"line one\nline two\n", codec=codec, key=key)
    for end in range(len(sealed)):
        with pytest.raises(FormatDrift):
            decode(sealed[:end], key)
    with pytest.raises(FormatDrift):
        decode(sealed + b"x", key)


def test_changed_moved_repeated_or_dropped_chunk_of_an_encrypted_object_is_refused():
    sealed = seal_bytes(LONG, key=KEY)
    size = CHUNK + 16
    header, body = sealed[:HEADER_BYTES], sealed[HEADER_BYTES:]
    a, b, c, d = (body[i : i + size] for i in range(0, len(body), size))
    for wrong in ([b, a, c, d], [a, a, c, d], [a, b, c], [a, b, d], [a, b, c, d, d], [a, b, c, d[:-1]], [b, c, d], []):
        with pytest.raises(FormatDrift, match=r"chunk|cut"):
            decode(header + b"".join(wrong), KEY)


def test_one_flipped_bit_of_an_encrypted_object_is_refused():
    sealed = seal_bytes(b"line one\nline two\n" * 50, key=KEY)
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1 << (position % 8)
        with pytest.raises((FormatDrift, ConfigError)):
            decode(bytes(changed), KEY)


def test_plain_text_does_not_show_in_an_encrypted_object():
    line = b"the secret line"
    assert line not in seal_bytes(line, key=KEY)
    assert seal_bytes(line, key=KEY)[HEADER_BYTES:] != seal_bytes(line, key=OTHER)[HEADER_BYTES:]


@pytest.mark.parametrize("key", [None, OTHER])
def test_missing_or_wrong_key_is_named_by_its_id_only(key):
    with pytest.raises(ConfigError, match="TIDELAKE_KEY") as raised:
        decode(seal_bytes(b"line\n", key=KEY), key)
    for secret in (KEY, OTHER):
        assert secret.hex() not in str(raised.value)
        assert base64.b64encode(secret).decode() not in str(raised.value)


def test_key_comes_from_the_environment(monkeypatch):
    monkeypatch.delenv("TIDELAKE_KEY", raising=False)
    assert key_from_environment() is None
    monkeypatch.setenv("TIDELAKE_KEY", base64.b64encode(KEY).decode())
    assert key_from_environment() == KEY


@pytest.mark.parametrize("value", ["canary", base64.b64encode(bytes(range(16))).decode(), "ä" * 44, "A" * 43])
def test_bad_key_is_refused_without_printing_it(monkeypatch, value):
    monkeypatch.setenv("TIDELAKE_KEY", value)
    with pytest.raises(ConfigError, match="base64 of 32 bytes") as raised:
        key_from_environment()
    assert value not in str(raised.value)
    assert raised.value.__cause__ is None


def test_foreign_object_is_refused():
    with pytest.raises(FormatDrift, match="not a stored segment"):
        decode(b'{"n":1}\n', None)
