"""Reads and decompresses a request's body, within a limit of time, and of bytes before and after decompression.

aiohttp could decompress by itself, but it rejects a body that it cannot decompress before relay can store it. So relay
decompresses, and keeps a body as it is if its Content-Encoding is wrong. (A proxy may have decompressed it and left the
header.)
"""

import asyncio
import zlib
from http import HTTPStatus

from aiohttp import web
from aiohttp.web_protocol import RequestPayloadError

from relay.server.problem import Problem, unavailable

_COMPRESSED = {"gzip", "x-gzip", "deflate"}  # https://www.rfc-editor.org/rfc/rfc9110#section-8.4.1
_WINDOWS = (zlib.MAX_WBITS | 32, -zlib.MAX_WBITS)  # with a gzip or zlib header; raw deflate, also called "deflate"


async def read_body(request: web.Request, *, limit: int, within: float) -> bytes:
    """Read and decompress the body of `request`: at most `limit` bytes, within `within` seconds.

    Raises Problem: 413 as soon as the body is known to be too large, 503 if it does not arrive in time, 400 if it ends
    too early.
    """
    if (request.content_length or 0) > limit:
        raise too_large(limit)
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # no part of the response itself has been sent yet
    body = await _receive(request, limit, within)
    if request.headers.get("Content-Encoding", "").strip().lower() not in _COMPRESSED:
        return body
    decompressed = decompress(body, limit)
    return body if decompressed is None else decompressed


def decompress(data: bytes, limit: int) -> bytes | None:
    """Decompress gzip, zlib or raw deflate; None if it is none of them. Raises Problem (413) above `limit` bytes."""
    for window in _WINDOWS:
        stream = zlib.decompressobj(wbits=window)
        try:
            decompressed = stream.decompress(data, limit + 1)
        except zlib.error:
            continue
        if len(decompressed) > limit:
            raise too_large(limit)
        if stream.eof and not stream.unused_data:
            return decompressed
    return None


def too_large(limit: int) -> Problem:
    """Return the response to a body that is too large, compressed or not."""
    detail = f"The body is larger than the limit of {limit} bytes."
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", detail, close=True)


async def ignore_expect(_request: web.Request) -> None:
    """Do not answer `Expect: 100-continue` yet: `read_body` does, after the key and the size were checked."""


async def _receive(request: web.Request, limit: int, seconds: float) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > limit:
                    raise too_large(limit)
    except TimeoutError:
        raise unavailable("too_slow", f"The body did not arrive within {seconds:g} seconds.", close=True) from None
    except (OSError, RequestPayloadError, RuntimeError) as error:
        # The client has disconnected (RuntimeError: before the first read), or its chunked encoding is invalid. Only in
        # the second case does anybody receive this response; neither is a failure of relay.
        raise Problem(HTTPStatus.BAD_REQUEST, "incomplete", "The body ended too early.", close=True) from error
    return bytes(body)
