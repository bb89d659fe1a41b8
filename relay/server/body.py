"""The body of a request: read within bounds of size and time, and unpacked within the same bound of size.

aiohttp would unpack by itself, but refuses what it cannot unpack before anybody can keep it; so it is told not to, and
a body that is not what its Content-Encoding says is taken as it stands. (A proxy may have unpacked it and left the
header.)
"""

import asyncio
import zlib
from http import HTTPStatus

from aiohttp import web
from aiohttp.web_protocol import RequestPayloadError

from relay.server.problem import Problem, unavailable

_PACKED = {"gzip", "x-gzip", "deflate"}  # https://www.rfc-editor.org/rfc/rfc9110#section-8.4.1
_WINDOWS = (zlib.MAX_WBITS | 32, -zlib.MAX_WBITS)  # a gzip or zlib header; bare deflate, which some call "deflate" too


async def read_body(request: web.Request, *, limit: int, seconds: float) -> bytes:
    """Read and unpack the body of `request`, at most `limit` bytes, within so many seconds.

    Raises Problem: 413 as soon as it is known to be too large, 503 when it does not arrive, 400 when it is cut off.
    """
    if (request.content_length or 0) > limit:
        raise too_large(limit)
    await _invite(request)
    body = await _receive(request, limit=limit, patience=seconds)
    if request.headers.get("Content-Encoding", "").strip().lower() not in _PACKED:
        return body
    unpacked = unpack(body, limit)
    return body if unpacked is None else unpacked


def unpack(packed: bytes, limit: int) -> bytes | None:
    """Unpack gzip, zlib or bare deflate; None where it is none of them. Raises Problem (413) above `limit` bytes."""
    for window in _WINDOWS:
        stream = zlib.decompressobj(wbits=window)
        try:
            unpacked = stream.decompress(packed, limit + 1)
        except zlib.error:
            continue
        if len(unpacked) > limit:
            raise too_large(limit)
        if stream.eof and not stream.unused_data:
            return unpacked
    return None


def too_large(limit: int) -> Problem:
    """Make the answer to a body that is too large, packed or unpacked."""
    detail = f"The body is larger than the {limit} bytes that are taken at once."
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", detail, close=True)


async def ignore_expect(_request: web.Request) -> None:
    """Leave `Expect: 100-continue` for later: a body is invited once its key and its size are known to be good."""


async def _invite(request: web.Request) -> None:
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # nothing of the answer itself has been sent yet


async def _receive(request: web.Request, *, limit: int, patience: float) -> bytes:
    try:
        async with asyncio.timeout(patience):
            return await _collect(request, limit)
    except TimeoutError:
        raise unavailable("too_slow", f"The body did not arrive within {patience:g} seconds.", close=True) from None
    except (OSError, RequestPayloadError, RuntimeError) as error:
        # The client is gone (RuntimeError: it went before the first read), or its chunks are no chunks. Only in the
        # second case does anybody hear this; in neither is it relay's failure.
        raise Problem(HTTPStatus.BAD_REQUEST, "cut_off", "The body ended before its end.", close=True) from error


async def _collect(request: web.Request, limit: int) -> bytes:
    body = bytearray()
    async for piece in request.content.iter_any():
        body += piece
        if len(body) > limit:
            raise too_large(limit)
    return bytes(body)
