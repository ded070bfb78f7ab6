"""Unfolds the data of a chunk: zstd, which ours are, and what other tools write when they copy a log (lz4, nothing at all).

Never more than a chunk says it holds, whatever its data would unfold to.
"""

from __future__ import annotations

import lz4.frame
import zstandard

ZSTD, LZ4, NONE = "zstd", "lz4", ""
KINDS = (ZSTD, LZ4, NONE)


class UnpackError(ValueError):
    """The data is not what it is said to be."""


def unpacked(data: bytes, kind: str, most: int) -> bytes:
    """Up to `most` bytes of what `data` unfolds to; as far as it goes where it was cut off. UnpackError for what is damaged."""
    if kind == NONE:
        return data[:most]
    try:
        if kind == LZ4:
            return _lz4(data, most)
        with zstandard.ZstdDecompressor().stream_reader(data) as stream:
            return bytes(stream.read(most))
    except (zstandard.ZstdError, RuntimeError) as error:
        raise UnpackError(str(error)) from error


def _lz4(data: bytes, most: int) -> bytes:
    stream = lz4.frame.LZ4FrameDecompressor()
    parts, left = [], most
    part = stream.decompress(data, max_length=left)
    while part:
        parts.append(part)
        left -= len(part)
        if not left or stream.eof:
            break
        part = stream.decompress(b"", max_length=left)
    return b"".join(parts)
