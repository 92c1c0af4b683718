"""Layers as other programs compress them, taken apart piece by piece; memory does not grow with what comes out."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from bundler.errors import SourceError

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_OUT_BYTES = 1 << 20


def decompressed(pieces: Iterable[bytes], what: str) -> Iterator[bytes]:
    """The plain bytes of a gzip or zstd stream, or of one that is neither. Damage is a SourceError."""
    source = iter(pieces)
    first = b""
    for piece in source:
        first += piece
        if len(first) >= len(_ZSTD):
            break
    if not first:
        return
    whole = _chain(first, source)
    if first.startswith(_GZIP):
        yield from _gunzipped(whole, what)
    elif first.startswith(_ZSTD):
        yield from _unzstd(whole, what)
    else:
        yield from whole


def _gunzipped(pieces: Iterable[bytes], what: str) -> Iterator[bytes]:
    """All members of a gzip stream, one after another (RFC 1952)."""
    unzip = zlib.decompressobj(wbits=31)
    try:
        for piece in pieces:
            rest = piece
            while rest:
                if unzip.eof:
                    if not rest.strip(b"\0"):
                        break
                    unzip = zlib.decompressobj(wbits=31)
                plain = unzip.decompress(rest, _OUT_BYTES)
                if plain:
                    yield plain
                rest = unzip.unused_data if unzip.eof else unzip.unconsumed_tail
        while not unzip.eof and (plain := unzip.decompress(unzip.unconsumed_tail, _OUT_BYTES)):
            yield plain
    except zlib.error as error:
        raise SourceError(f"{what}: damaged gzip data: {error}") from error
    if not unzip.eof:
        raise SourceError(f"{what}: the gzip data ends too early")


def _unzstd(pieces: Iterable[bytes], what: str) -> Iterator[bytes]:
    try:
        zstd: Any = importlib.import_module("compression.zstd")  # Python 3.14
    except ImportError as error:
        raise SourceError(
            f"{what}: compressed with zstd, which this Python cannot read (3.14 can)",
            hint="make it with gzip, or run bundle with Python 3.14",
        ) from error
    unzip = zstd.ZstdDecompressor()
    try:
        for piece in pieces:
            rest = piece
            while rest or not (unzip.needs_input or unzip.eof):
                if unzip.eof:
                    unzip = zstd.ZstdDecompressor()
                plain = unzip.decompress(rest, _OUT_BYTES)
                if plain:
                    yield plain
                rest = unzip.unused_data if unzip.eof else b""
    except zstd.ZstdError as error:
        raise SourceError(f"{what}: damaged zstd data: {error}") from error
    if not unzip.eof:
        raise SourceError(f"{what}: the zstd data ends too early")


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest
